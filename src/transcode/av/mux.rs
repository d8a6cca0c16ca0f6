//! Writes an output file.
#![expect(unsafe_code, reason = "stream side data and codec tags are fields of libav's structs")]

use ff::ffi;
use ffmpeg_next as ff;

/// One stream of an output, before the header is written.
pub(in crate::transcode) struct OutputStream {
    /// The parameters of an encoder, or of the input if packets are copied.
    pub(in crate::transcode) parameters: ff::codec::Parameters,
    /// Time base of the packets that will be written.
    pub(in crate::transcode) time_base: ff::Rational,
    /// Display matrix of a copied picture.
    pub(in crate::transcode) display_matrix: Option<[i32; 9]>,
    /// Average frames per second of a picture, for the header.
    pub(in crate::transcode) frame_rate: Option<f64>,
    /// Shape of a pixel (width and height), if the container of a copied picture overrides its codec.
    pub(in crate::transcode) sample_aspect_ratio: Option<(u32, u32)>,
}

/// An output file whose header is written.
pub(in crate::transcode) struct Muxer {
    output: ff::format::context::Output,
    tracks: Vec<Track>,
}

/// What is needed to keep the packets of one stream in order.
struct Track {
    time_base: ff::Rational,
    last_dts: i64,
    /// Packets from before the first known DTS. Matroska has no DTS, and libav cannot derive the first ones if frames
    /// are reordered.
    early: Vec<ff::Packet>,
}

/// More packets than any codec reorders.
const MOST_EARLY: usize = 64;

impl Muxer {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// libav's error if the format does not support the streams, or the file cannot be written.
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
        // SAFETY: the header is not written yet. Bit-exact output contains neither a library version nor the time of
        // writing.
        unsafe { (*output.as_mut_ptr()).flags |= ffi::AVFMT_FLAG_BITEXACT };
        let mut header = ff::Dictionary::new();
        for (key, value) in options {
            header.set(key, value);
        }
        drop(output.write_header_with(header)?);
        Ok(Self { output, tracks })
    }

    /// Writes one packet of the stream with this index, in the stream's decoding order.
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

    /// Writes the packets that waited for the first DTS, each one frame before the next.
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

    /// Corrects the DTS: muxers require growing ones, which damaged input does not always have.
    fn keep_order(&mut self, index: usize, packet: &mut ff::Packet) {
        let last = self.tracks[index].last_dts;
        let dts = packet.dts().or(packet.pts()).unwrap_or(last.saturating_add(1)).max(last.saturating_add(1));
        packet.set_dts(Some(dts));
        packet.set_pts(Some(packet.pts().unwrap_or(dts).max(dts)));
        self.tracks[index].last_dts = dts;
    }

    /// Writes the packets that still wait, and the index.
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
    // SAFETY: the stream was just created. The codec tag is cleared, because it belongs to another container.
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

/// Sets the number of padding samples at the start, which the tag of an MP3 declares.
pub(in crate::transcode) fn set_initial_padding(parameters: &mut ff::codec::Parameters, samples: i64) {
    let samples = i32::try_from(samples).unwrap_or(0).max(0);
    // SAFETY: the parameters are ours.
    unsafe { (*parameters.as_mut_ptr()).initial_padding = samples };
}

const TRIM: ffi::AVPacketSideDataType = ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES;

/// How many samples at a packet's start and end are not heard, in libav's packed form.
pub(in crate::transcode) fn trim(packet: &ff::Packet) -> Option<[u8; 10]> {
    use ff::packet::Ref as _;
    let mut size = 0;
    // SAFETY: the packet is allocated; the data belongs to it and is as long as `size` says.
    unsafe {
        let data = ffi::av_packet_get_side_data(packet.as_ptr(), TRIM, &raw mut size);
        (!data.is_null() && size >= 10).then(|| data.cast::<[u8; 10]>().read())
    }
}

/// Sets this on a packet.
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
