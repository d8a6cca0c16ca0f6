//! Writing an output file.
#![expect(unsafe_code, reason = "stream side data and codec tags are fields of libav's structs")]

use ff::ffi;
use ffmpeg_next as ff;

/// One stream of an output, before the header is written.
pub(in crate::transcode) struct OutputStream {
    /// From an encoder, or from the input where packets are copied.
    pub(in crate::transcode) parameters: ff::codec::Parameters,
    /// Of the packets that will come.
    pub(in crate::transcode) time_base: ff::Rational,
    /// Display matrix that goes with a copied picture.
    pub(in crate::transcode) display_matrix: Option<[i32; 9]>,
    /// Average frames per second of a picture, for the header.
    pub(in crate::transcode) frame_rate: Option<f64>,
    /// Width of one pixel through its height where a copied picture's container knows better than its codec.
    pub(in crate::transcode) sample_aspect_ratio: Option<(u32, u32)>,
}

/// An output file whose header is written.
pub(in crate::transcode) struct Muxer {
    output: ff::format::context::Output,
    tracks: Vec<Track>,
}

/// What the order of one stream's packets is kept with.
struct Track {
    time_base: ff::Rational,
    last_dts: i64,
    /// Packets from before the first DTS: Matroska has none, and libav cannot tell the first ones of a reordered picture.
    early: Vec<ff::Packet>,
}

/// More packets than any codec reorders.
const MOST_EARLY: usize = 64;

impl Muxer {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// libav's, where the format does not take the streams, or the file cannot be written.
    pub(in crate::transcode) fn create(
        path: &str,
        format: &str,
        streams: Vec<OutputStream>,
        metadata: &[(&str, &str)],
        options: &[(&str, &str)],
    ) -> Result<Self, ff::Error> {
        let mut output = ff::format::output_as(path, format)?;
        let mut tracks = Vec::new();
        for stream in streams {
            tracks.push(Track { time_base: stream.time_base, last_dts: i64::MIN, early: Vec::new() });
            add_stream(&mut output, stream)?;
        }
        let mut tags = ff::Dictionary::new();
        for (key, value) in metadata {
            tags.set(key, value);
        }
        output.set_metadata(tags);
        // SAFETY: the header is not written yet. Bit-exact output carries no library version and no time of writing.
        unsafe { (*output.as_mut_ptr()).flags |= ffi::AVFMT_FLAG_BITEXACT };
        let mut header = ff::Dictionary::new();
        for (key, value) in options {
            header.set(key, value);
        }
        drop(output.write_header_with(header)?);
        Ok(Self { output, tracks })
    }

    /// Writes one packet of stream `index`, in its own order of decoding.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn write(&mut self, index: usize, packet: &mut ff::Packet) -> Result<(), ff::Error> {
        let track = &mut self.tracks[index];
        let undecided = packet.dts().is_none() && track.last_dts == i64::MIN && track.early.len() < MOST_EARLY;
        if undecided {
            track.early.push(packet.clone());
            return Ok(());
        }
        self.write_early(index, packet.dts())?;
        self.write_now(index, packet)
    }

    /// Writes what had to wait for the first DTS, each a frame before the next.
    fn write_early(&mut self, index: usize, first_dts: Option<i64>) -> Result<(), ff::Error> {
        let early = std::mem::take(&mut self.tracks[index].early);
        let count = early.len();
        for (n, mut packet) in early.into_iter().enumerate() {
            let ahead = i64::try_from(count - n).unwrap_or(0).saturating_mul(packet.duration().max(1));
            packet.set_dts(first_dts.map(|dts| dts.saturating_sub(ahead)).or(packet.pts()));
            self.write_now(index, &mut packet)?;
        }
        Ok(())
    }

    fn write_now(&mut self, index: usize, packet: &mut ff::Packet) -> Result<(), ff::Error> {
        let target = self.output.stream(index).ok_or(ff::Error::StreamNotFound)?.time_base();
        packet.set_stream(index);
        packet.rescale_ts(self.tracks[index].time_base, target);
        packet.set_position(-1);
        self.keep_order(index, packet);
        packet.write_interleaved(&mut self.output)
    }

    /// Muxers insist on growing DTS; damaged input does not always have them.
    fn keep_order(&mut self, index: usize, packet: &mut ff::Packet) {
        let last = self.tracks[index].last_dts;
        let dts = packet.dts().or(packet.pts()).unwrap_or(last.saturating_add(1)).max(last.saturating_add(1));
        packet.set_dts(Some(dts));
        packet.set_pts(Some(packet.pts().unwrap_or(dts).max(dts)));
        self.tracks[index].last_dts = dts;
    }

    /// Writes what is still held, and the index.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn finish(mut self) -> Result<(), ff::Error> {
        for index in 0..self.tracks.len() {
            self.write_early(index, None)?;
        }
        self.output.write_trailer()
    }
}

fn add_stream(output: &mut ff::format::context::Output, stream: OutputStream) -> Result<(), ff::Error> {
    let mut target = output.add_stream(ff::codec::Id::None)?;
    target.set_parameters(stream.parameters);
    target.set_time_base(stream.time_base);
    if let Some(rate) = stream.frame_rate {
        #[expect(clippy::cast_possible_truncation, reason = "a frame rate below 1000")]
        target.set_avg_frame_rate(ff::Rational::new((rate * 1000.0).round() as i32, 1000));
    }
    // SAFETY: the stream was just made; the tag of another container means nothing in this one.
    unsafe {
        let raw = target.as_mut_ptr();
        (*(*raw).codecpar).codec_tag = 0;
        if let Some((num, den)) = stream.sample_aspect_ratio {
            let ratio = ffi::AVRational { num: i32::try_from(num).unwrap_or(0), den: i32::try_from(den).unwrap_or(1) };
            (*raw).sample_aspect_ratio = ratio;
            (*(*raw).codecpar).sample_aspect_ratio = ratio;
        }
        if let Some(matrix) = stream.display_matrix {
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
            let data = ffi::av_stream_new_side_data(raw, kind, size_of_val(&matrix));
            if data.is_null() {
                return Err(ff::Error::Other { errno: libc::ENOMEM });
            }
            data.cast::<[i32; 9]>().write_unaligned(matrix);
        }
    }
    Ok(())
}

/// How many samples an encoder has put in front: what the tag of an MP3 says.
pub(in crate::transcode) fn set_initial_padding(parameters: &mut ff::codec::Parameters, samples: i64) {
    let samples = i32::try_from(samples).unwrap_or(0).max(0);
    // SAFETY: the parameters are ours.
    unsafe { (*parameters.as_mut_ptr()).initial_padding = samples };
}

const TRIM: ffi::AVPacketSideDataType = ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES;

/// How many samples at a packet's start and end are not to be heard, as libav packs it.
pub(in crate::transcode) fn trim(packet: &ff::Packet) -> Option<[u8; 10]> {
    use ff::packet::Ref as _;
    let mut size = 0;
    // SAFETY: the packet is allocated; the data belongs to it and is as long as `size` says.
    unsafe {
        let data = ffi::av_packet_get_side_data(packet.as_ptr(), TRIM, &raw mut size);
        (!data.is_null() && size >= 10).then(|| data.cast::<[u8; 10]>().read())
    }
}

/// Puts the trim back on a packet.
pub(in crate::transcode) fn set_trim(packet: &mut ff::Packet, trim: &[u8; 10]) {
    use ff::packet::Mut as _;
    // SAFETY: the packet is ours; libav allocates ten bytes, or returns null.
    unsafe {
        let data = ffi::av_packet_new_side_data(packet.as_mut_ptr(), TRIM, trim.len());
        if !data.is_null() {
            data.cast::<[u8; 10]>().write(*trim);
        }
    }
}
