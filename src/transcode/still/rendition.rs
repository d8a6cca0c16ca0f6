//! Writes `picture.jpg` or `picture.png`: a still picture for programs that cannot show the original, or must not get
//! its metadata about people and places.

use super::raster::Raster;
use super::strip;
use crate::error::{Code, Fault};
use crate::plan::Container;
use crate::profile::PictureFormat;
use crate::task::{INPUT, Produced};
use crate::transcode::av;
use crate::transcode::draw::picture;
use crate::transcode::job::{Job, scratch};
use crate::vocabulary::{Orientation, Role};

/// Largest file whose metadata are removed, which is done in memory.
const MAX_STRIPPED_BYTES: u64 = 256 << 20;
/// JPEG qualities (2 is best) to try after the profile's, if a picture has a limit in bytes.
const QUALITIES: [u8; 4] = [5, 8, 12, 18];
/// After those, each side is multiplied by this percentage again and again, until the longer one is below
/// [`LEAST_SIDE`].
const SMALLER_PERCENT: u32 = 75;
const LEAST_SIDE: u32 = 160;

/// Writes the rendition of a decoded picture.
///
/// # Errors
/// [`Code::MediaCannotFit`] if it does not fit into the profile's `max_bytes`, and failures of this machine.
pub(super) fn draw(raster: &Raster, job: &Job<'_>) -> Result<Produced, Fault> {
    let profile = &job.profile.picture;
    if raster.is_opaque() || profile.format == PictureFormat::Jpeg {
        return jpeg(raster, job);
    }
    let bytes = av::encode_still("png", raster.frame(), None).map_err(av::writing("encoding the picture"))?;
    let fits = job.profile.max_bytes.is_none_or(|most| bytes.len() as u64 <= most);
    // A PNG that is too large becomes a JPEG, with transparent parts drawn over white.
    if fits { write("png", &bytes, raster.size()) } else { jpeg(raster, job) }
}

fn jpeg(raster: &Raster, job: &Job<'_>) -> Result<Produced, Fault> {
    let profile = &job.profile.picture;
    let frame = raster.on_white()?;
    let most = job.profile.max_bytes.unwrap_or(u64::MAX);
    let (width, height) = raster.size();
    let mut side = profile.max_side.min(width.max(height));
    loop {
        let worse = QUALITIES.into_iter().filter(|quality| *quality > profile.quality);
        for quality in std::iter::once(profile.quality).chain(worse) {
            let (bytes, width, height) = picture::thumbnail(&frame, (side, quality))?;
            if bytes.len() as u64 <= most {
                return write("jpg", &bytes, (width, height));
            }
        }
        side = side * SMALLER_PERCENT / 100;
        if side < LEAST_SIDE {
            let text = format!("even a picture with a side of {LEAST_SIDE} pixels does not fit into {most} bytes");
            return Err(Fault::rejected(Code::MediaCannotFit, text));
        }
    }
}

/// Writes the original without its metadata; `None` if the file violates its format or is too large for that.
///
/// # Errors
/// Failures of the scratch directory.
pub(super) fn stripped(
    container: Container,
    size: (u32, u32),
    orientation: Orientation,
) -> Result<Option<Produced>, Fault> {
    if std::fs::metadata(INPUT).map_err(scratch)?.len() > MAX_STRIPPED_BYTES {
        return Ok(None);
    }
    let bytes = std::fs::read(INPUT).map_err(scratch)?;
    let Some(bytes) = strip::without_metadata(container, &bytes, orientation) else { return Ok(None) };
    write(container.row().extension, &bytes, size).map(Some)
}

fn write(extension: &'static str, bytes: &[u8], (width, height): (u32, u32)) -> Result<Produced, Fault> {
    let name = format!("picture.{extension}");
    std::fs::write(&name, bytes).map_err(scratch)?;
    let (mime_type, codec) = match extension {
        "png" => ("image/png", "png"),
        "webp" => ("image/webp", "webp"),
        _ => ("image/jpeg", "mjpeg"),
    };
    Ok(Produced {
        role: Role::Rendition,
        file: name.clone(),
        object: name,
        mime_type: mime_type.to_owned(),
        codecs: vec![codec.to_owned()],
        width: Some(width),
        height: Some(height),
        duration_ms: None,
        bit_rate: None,
    })
}
