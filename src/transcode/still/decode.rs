//! Decodes a picture with the decoder of its container: as a whole, or reduced if it has more pixels than the limit.

use std::fs::File;

use ffmpeg_next as ff;

use super::first::{first_frame, most_whole};
use super::heif::Heif;
use super::raster::Decoded;
use super::{NoFrame, Still, Undecoded, heif_picture, jpeg, png, refused, tiff, webp};
use crate::error::{Code, Fault};
use crate::plan::{Container, Media, Reader};
use crate::task::{INPUT, Limits};
use crate::transcode::av::Decoder;
use crate::transcode::job::scratch;
use crate::transcode::read::probe;
use crate::vocabulary::Orientation;

/// Decodes the picture with the decoder of its container.
pub(super) fn decode(still: &Still, limits: &Limits) -> Result<Decoded, NoFrame> {
    let container = still.facts.container;
    let above = match still.facts.streams.first().map(|stream| &stream.media) {
        Some(Media::Video(picture)) => probe::check_size(picture.coded_width, picture.coded_height, limits).is_err(),
        _ => false,
    };
    match (container, container.row().reader) {
        (Container::WebP, _) if above => webp::reduced(limits),
        (Container::Png, _) if above => png::reduced(limits),
        (Container::WebP, _) if still.animated => webp::first_frame(limits),
        (Container::Tiff, Reader::Still(codec)) => match tiff::decode(limits)? {
            tiff::Tried::Picture(picture) => Ok(picture),
            tiff::Tried::ForLibav => decode_whole(codec, limits),
        },
        (Container::WebP, Reader::Still(codec)) => {
            let decoded = decode_whole(codec, limits)?;
            let icc = decoded.icc.or_else(webp::icc_profile);
            Ok(Decoded { icc, ..decoded })
        }
        (_, Reader::Still(codec)) => decode_whole(codec, limits),
        (_, Reader::Items(_)) => {
            let mut file = File::open(INPUT).map_err(scratch)?;
            match Heif::read(&mut file) {
                Ok(heif) => heif_picture::decode(&heif, &mut file, container, limits),
                // A sequence of pictures has a track and may have no items.
                Err(_) => decode_stream(container, limits),
            }
        }
        (_, Reader::Demuxer(_)) => decode_stream(container, limits),
        (_, Reader::None) => {
            Err(Fault::broken(Code::WorkerBroken, "a picture without decoder was to be decoded").into())
        }
    }
}

/// Decodes a file that is a single packet.
fn decode_whole(codec: &str, limits: &Limits) -> Result<Decoded, NoFrame> {
    let bytes = std::fs::read(INPUT).map_err(scratch)?;
    let jpeg = if codec == "mjpeg" { jpeg::Frame::find(&bytes) } else { None };
    let too_large = NoFrame::Undecoded(Undecoded::TooLarge);
    let reduction = match &jpeg {
        Some(jpeg) => jpeg.reduction(limits.pixels, limits.memory_bytes).ok_or(too_large)?,
        None => 0,
    };
    // A JPEG is reduced to the limit.
    let most = if jpeg.is_some() { limits.pixels } else { most_whole(limits) };
    let open = || Decoder::open_still(codec, most, reduction).map_err(refused("opening the decoder"));
    let ended = if codec == "png" { png::ended(&bytes) } else { None };
    let packet = ff::Packet::copy(ended.as_deref().unwrap_or(&bytes));
    let frame = first_frame(open()?, std::iter::once(packet))?;
    let mut decoded = Decoded { truncated: ended.is_some(), ..Decoded::plain(frame) };
    if let Some(jpeg) = jpeg {
        if reduction > 0 {
            decoded.coded = (jpeg.width, jpeg.height);
        }
        // libav has converted the inks to RGB, which the profile does not apply to.
        decoded.icc = decoded.icc.filter(|_| jpeg.components < 4);
    }
    Ok(decoded)
}

fn decode_stream(container: Container, limits: &Limits) -> Result<Decoded, NoFrame> {
    let mut input = probe::try_open(INPUT, container)?.map_err(refused("opening the container"))?;
    let accepted = container.row().video;
    let stream = input.streams().find(|s| accepted.contains(&s.codec_name().as_str()));
    let stream = stream.ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let (index, orientation) = (stream.index(), stream.orientation());
    let (width, height) = stream.size();
    let most = most_whole(limits);
    if u64::from(width) * u64::from(height) > most {
        return Err(NoFrame::Undecoded(Undecoded::TooLarge));
    }
    let decoder = Decoder::open(&stream, 1, most).map_err(refused("opening the decoder"))?;
    let packets = std::iter::from_fn(|| {
        let mut packet = ff::Packet::empty();
        loop {
            match input.read(&mut packet) {
                Ok(true) if packet.stream() == index => return Some(packet),
                Ok(true) => {}
                Ok(false) | Err(_) => return None,
            }
        }
    });
    let picture = first_frame(decoder, packets.take(64))?;
    let orientation = Some(orientation).filter(|o| *o != Orientation::default());
    Ok(Decoded { orientation, ..Decoded::plain(picture) })
}
