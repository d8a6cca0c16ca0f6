//! A decoder that distinguishes errors in the data from the end of the stream, and counts them.
#![expect(unsafe_code, reason = "limits and threading of a decoder are fields of libav's context")]

use std::marker::PhantomData;

use ff::ffi;
use ffmpeg_next as ff;

use super::StreamView;
use crate::error::Fault;

/// The codecs that most jobs decode, in originals or when outputs are checked.
const USUAL: [&str; 8] = ["opus", "mp3", "aac", "amr_nb", "h264", "vp8", "mjpeg", "png"];

/// Opens and closes the usual decoders, which creates tables that all decoders of a kind share. Starts no thread. A
/// decoder that cannot be opened without a stream is left to the jobs.
pub(in crate::transcode) fn warm() {
    for codec in USUAL.iter().filter_map(|name| super::decoder_for(name)) {
        let mut decoder = ff::codec::Context::new_with_codec(codec).decoder();
        decoder.set_threading(ff::threading::Config::count(1));
        drop(decoder.open_as(codec));
    }
}

/// The most pixels that libav adds to a row.
const ROW_PADDING: u64 = 64;
/// Most successive errors while draining a decoder. libav itself stops after as many as it has threads and delayed
/// frames.
const MAX_BAD_AT_END: u64 = 256;

/// Audio or video frames.
pub(in crate::transcode) trait FrameKind: std::ops::DerefMut<Target = ff::Frame> {
    /// A frame without buffers.
    fn blank() -> Self;
}

impl FrameKind for ff::frame::Audio {
    fn blank() -> Self {
        Self::empty()
    }
}

impl FrameKind for ff::frame::Video {
    fn blank() -> Self {
        Self::empty()
    }
}

/// One stream's decoder.
pub(in crate::transcode) struct Decoder<F> {
    inner: ff::codec::decoder::Opened,
    /// Packets that were fed.
    pub(in crate::transcode) packets: u64,
    /// Packets or frames that the decoder refused.
    pub(in crate::transcode) bad: u64,
    /// The error of the last refused one.
    pub(in crate::transcode) refusal: Option<ff::Error>,
    kind: PhantomData<F>,
}

impl<F: FrameKind> Decoder<F> {
    /// Opens the decoder for a stream. A picture with more than `max_pixels` is an error of the data.
    ///
    /// # Errors
    /// libav's error if the parameters are invalid.
    pub(in crate::transcode) fn open(
        stream: &StreamView<'_>,
        threads: u32,
        max_pixels: u64,
    ) -> Result<Self, ff::Error> {
        let codec = super::decoder_for(&stream.codec_name()).ok_or(ff::Error::DecoderNotFound)?;
        let context = ff::codec::Context::from_parameters(stream.parameters())?;
        Self::open_context(context, codec, Some(stream.time_base()), threads, max_pixels)
    }

    /// Opens a decoder by name for a picture that is a single packet. With a `reduction` above 0, each side of the
    /// result is smaller by that power of two: the decoder transforms fewer coefficients and never holds the whole
    /// picture.
    ///
    /// # Errors
    /// libav's.
    pub(in crate::transcode) fn open_still(codec: &str, max_pixels: u64, reduction: u8) -> Result<Self, ff::Error> {
        let codec = super::decoder_for(codec).ok_or(ff::Error::DecoderNotFound)?;
        let mut context = ff::codec::Context::new_with_codec(codec);
        // SAFETY: the context is allocated and not yet open.
        unsafe { (*context.as_mut_ptr()).lowres = i32::from(reduction) };
        // libav counts the pixels of rows as long as its buffers.
        let most = max_pixels.saturating_add(ROW_PADDING * u64::from(u16::MAX));
        Self::open_context(context, codec, None, 1, most << (2 * reduction))
    }

    /// Opens a decoder by name, for packets whose container has the decoder's configuration (`extradata`).
    ///
    /// # Errors
    /// libav's error, also if memory runs out.
    pub(in crate::transcode) fn open_item(codec: &str, extradata: &[u8], max_pixels: u64) -> Result<Self, ff::Error> {
        let codec = super::decoder_for(codec).ok_or(ff::Error::DecoderNotFound)?;
        let mut context = ff::codec::Context::new_with_codec(codec);
        let length = i32::try_from(extradata.len()).map_err(|_| ff::Error::InvalidData)?;
        if length > 0 {
            let padded = extradata.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            // SAFETY: the context is allocated and not yet open, and owns what is assigned to it; the copy is within
            // the allocation.
            unsafe {
                let copy = ffi::av_mallocz(padded).cast::<u8>();
                if copy.is_null() {
                    return Err(ff::Error::Other { errno: libc::ENOMEM });
                }
                copy.copy_from_nonoverlapping(extradata.as_ptr(), extradata.len());
                let raw = context.as_mut_ptr();
                ((*raw).extradata, (*raw).extradata_size) = (copy, length);
            }
        }
        Self::open_context(context, codec, None, 1, max_pixels)
    }

    fn open_context(
        context: ff::codec::Context,
        codec: ff::Codec,
        time_base: Option<ff::Rational>,
        threads: u32,
        max_pixels: u64,
    ) -> Result<Self, ff::Error> {
        let mut decoder = context.decoder();
        if let Some(time_base) = time_base {
            decoder.set_packet_time_base(time_base);
        }
        // SAFETY: the context is allocated and not yet open, which is when these fields are to be set.
        unsafe {
            let raw = decoder.as_mut_ptr();
            (*raw).max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            (*raw).thread_count = i32::try_from(threads).unwrap_or(1).max(1);
        }
        let inner = decoder.open_as(codec)?;
        Ok(Self { inner, packets: 0, bad: 0, refusal: None, kind: PhantomData })
    }

    /// Feeds a packet, or the end of the stream with `None`, and passes on every frame that comes out.
    ///
    /// # Errors
    /// Those of `on_frame`, and a lack of memory. Damaged data is counted, not returned.
    pub(in crate::transcode) fn push(
        &mut self,
        packet: Option<&ff::Packet>,
        on_frame: &mut dyn FnMut(&mut F) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let sent = match packet {
            Some(packet) => {
                self.packets += 1;
                self.inner.send_packet(packet)
            }
            None => self.inner.send_eof(),
        };
        match sent {
            Ok(()) | Err(ff::Error::Eof) => {}
            Err(error @ ff::Error::Other { errno: libc::ENOMEM }) => return Err(super::reading("decoding")(error)),
            Err(error) => {
                self.bad += 1;
                self.refusal = Some(error);
            }
        }
        self.drain(packet.is_none(), on_frame)
    }

    fn drain(&mut self, to_the_end: bool, on_frame: &mut dyn FnMut(&mut F) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut frame = F::blank();
        let bad_before = self.bad;
        loop {
            match self.inner.receive_frame(&mut frame) {
                Ok(()) => on_frame(&mut frame)?,
                Err(ff::Error::Eof | ff::Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                Err(error @ ff::Error::Other { errno: libc::ENOMEM }) => return Err(super::reading("decoding")(error)),
                // The decoder has dropped what it could not decode and continues with the next packet.
                Err(error) => {
                    self.bad += 1;
                    self.refusal = Some(error);
                    // When draining there is no next packet, and frames of other threads may follow this one.
                    if !to_the_end || self.bad - bad_before > MAX_BAD_AT_END {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Resets the decoder after a seek.
    pub(in crate::transcode) fn flush(&mut self) {
        self.inner.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::USUAL;
    use crate::plan::{AUDIO_CODECS, VIDEO_CODECS};

    #[test]
    fn only_accepted_decoders_are_opened_in_advance() {
        assert!(USUAL.iter().all(|name| VIDEO_CODECS.contains(name) || AUDIO_CODECS.contains(name)));
    }
}
