//! Decodes TIFF (revision 6.0) with a decoder in safe Rust: strips and tiles, LZW, Deflate, PackBits, Group 4 and JPEG,
//! up to 64 bits for each sample. Files that it does not support may be supported by libav.

use std::fs::File;
use std::io::BufReader;

use tiff::decoder::{BufferLayoutPreference, ChunkType, Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::{CompressionMethod, Tag};
use tiff::{ColorType, TiffError};

use super::heif_property::MAX_ICC_BYTES;
use super::raster::{Decoded, unmultiply};
use super::reduce::Reduction;
use super::tiff_palette::{Palette, Source};
use super::{NoFrame, Undecoded};
use crate::task::INPUT;
use crate::task::Limits;
use crate::transcode::av;
use crate::transcode::job::scratch;

/// Largest value of a tag. Large ones are tables of offsets, palettes and ICC profiles.
const MAX_TAG_BYTES: usize = MAX_ICC_BYTES;
/// Most bytes of one pixel: four samples of 64 bits, and an opacity.
const MAX_PIXEL_BYTES: u64 = 40;
/// Most memory that the decoder may use for a picture, or for a part of a picture above `limits.pixels`: this part of
/// `limits.memory_bytes`.
const MEMORY_SHARE: u64 = 3;

/// The result of decoding.
pub(super) enum Tried {
    Picture(Decoded),
    /// A variant that this decoder does not support and libav may: it has strips, not tiles.
    ForLibav,
}

/// Decodes the first picture of the file.
pub(super) fn decode(limits: &Limits) -> Result<Tried, NoFrame> {
    let source = Source::new(File::open(INPUT).map_err(scratch)?).map_err(scratch)?;
    let has_palette = source.has_palette();
    let most = limits.pixels.saturating_mul(MAX_PIXEL_BYTES).min(limits.memory_bytes / MEMORY_SHARE);
    let mut bounds = TiffLimits::default();
    bounds.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
    bounds.intermediate_buffer_size = bounds.decoding_buffer_size;
    bounds.ifd_value_size = MAX_TAG_BYTES;
    let mut decoder = match Decoder::new(BufReader::new(source)) {
        Ok(decoder) => decoder.with_limits(bounds),
        Err(TiffError::UnsupportedError(_)) => return Ok(Tried::ForLibav),
        Err(error) => return Err(no_frame(&error)),
    };
    match picture(&mut decoder, has_palette, limits) {
        Ok(picture) => Ok(Tried::Picture(picture)),
        Err(NoFrame::Undecoded(Undecoded::NoDecoder)) if is_for_libav(&mut decoder) => Ok(Tried::ForLibav),
        Err(why) => Err(why),
    }
}

/// Whether libav can decode the file: it supports only strips. For tiles, and for JPEG in strips, it returns an empty
/// picture without an error.
fn is_for_libav(decoder: &mut Decoder<BufReader<Source>>) -> bool {
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten().unwrap_or(1);
    let jpeg = [CompressionMethod::JPEG.to_u16(), CompressionMethod::ModernJPEG.to_u16()];
    let separate = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten() == Some(2);
    decoder.get_chunk_type() == ChunkType::Strip && !jpeg.contains(&compression) && !separate
}

fn picture(decoder: &mut Decoder<BufReader<Source>>, has_palette: bool, limits: &Limits) -> Result<Decoded, NoFrame> {
    let (width, height) = decoder.dimensions().map_err(|error| no_frame(&error))?;
    let color = decoder.colortype().map_err(|error| no_frame(&error))?;
    let kind = Kind::of(color).ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let palette = if has_palette {
        let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(|error| no_frame(&error))?;
        Some(Palette::new(&map)?)
    } else {
        None
    };
    // Associated alpha: the colours were multiplied by it (TIFF 6.0, section 18).
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten().unwrap_or_default();
    let premultiplied = matches!(kind, Kind::Rgba | Kind::GreyAlpha) && extra.first() == Some(&1);
    let colors = Colors { kind, palette, premultiplied };
    let decoded = if u64::from(width) * u64::from(height) > limits.pixels {
        in_chunks(decoder, color, &colors, limits)?
    } else {
        whole(decoder, color, &colors)?
    };
    let icc = decoder.get_tag_u8_vec(Tag::IccProfile).ok().filter(|_| kind != Kind::Cmyk);
    Ok(Decoded { icc, ..decoded })
}

fn whole(decoder: &mut Decoder<BufReader<Source>>, color: ColorType, colors: &Colors) -> Result<Decoded, NoFrame> {
    let (width, height) = decoder.dimensions().map_err(|error| no_frame(&error))?;
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(|error| no_frame(&error))?;
    let samples = Samples::new(&samples, &layout, color, width).ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height as usize {
        for x in 0..width as usize {
            rgba.extend_from_slice(&colors.rgba(|channel| samples.at(x, y, channel), || samples.index(x, y)));
        }
    }
    let frame = av::rgba_frame(width, height, &rgba).map_err(super::refused("copying the picture"))?;
    Ok(Decoded::plain(frame))
}

/// Decodes one strip or tile after another, and reduces the picture.
fn in_chunks(
    decoder: &mut Decoder<BufReader<Source>>,
    color: ColorType,
    colors: &Colors,
    limits: &Limits,
) -> Result<Decoded, NoFrame> {
    let (width, height) = decoder.dimensions().map_err(|error| no_frame(&error))?;
    let mut reduction = Reduction::new((width, height), limits)?;
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let separate = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten() == Some(2);
    let planes = if separate { u32::from(color.num_samples()) } else { 1 };
    let across = width.div_ceil(chunk_width.max(1));
    let chunks = across.saturating_mul(height.div_ceil(chunk_height.max(1)));
    for chunk in 0..chunks {
        let mut read = Vec::new();
        for plane in 0..planes {
            let number = plane.saturating_mul(chunks).saturating_add(chunk);
            read.push(decoder.read_chunk(number).map_err(|error| no_frame(&error))?);
        }
        let (columns, rows) = decoder.chunk_data_dimensions(chunk);
        let parts: Option<Vec<_>> =
            read.iter().map(|values| Samples::of_chunk(values, color, columns, separate)).collect();
        let parts = parts.ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
        let sample = |x: usize, y: usize, channel: usize| match &parts[..] {
            [only] => only.at(x, y, channel),
            planes => planes.get(channel).map_or(0, |plane| plane.at(x, y, 0)),
        };
        let (left, top) = (chunk % across * chunk_width, chunk / across * chunk_height);
        for y in 0..rows {
            for x in 0..columns {
                let (column, row) = (x as usize, y as usize);
                let index = || parts.first().map_or(0, |part| part.index(column, row));
                reduction.put(left + x, top + y, colors.rgba(|channel| sample(column, row, channel), index));
            }
        }
    }
    reduction.finish()
}

/// How samples are converted to red, green, blue and straight opacity.
struct Colors {
    kind: Kind,
    palette: Option<Palette>,
    premultiplied: bool,
}

impl Colors {
    fn rgba(&self, sample: impl Fn(usize) -> u8, index: impl Fn() -> usize) -> [u8; 4] {
        if let Some(palette) = &self.palette {
            return palette.rgba(index());
        }
        let mut rgba = self.kind.rgba(sample);
        if self.premultiplied {
            unmultiply(&mut rgba);
        }
        rgba
    }
}

/// Which colours the samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
    YCbCr,
}

impl Kind {
    fn of(color: ColorType) -> Option<Self> {
        if ![1, 2, 4, 8, 16, 32, 64].contains(&color.bit_depth()) {
            return None;
        }
        Some(match color {
            ColorType::Gray(_) => Self::Grey,
            ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => Self::GreyAlpha,
            ColorType::RGB(_) => Self::Rgb,
            ColorType::RGBA(_) => Self::Rgba,
            ColorType::CMYK(_) => Self::Cmyk,
            ColorType::YCbCr(8) => Self::YCbCr,
            _ => return None,
        })
    }

    fn rgba(self, sample: impl Fn(usize) -> u8) -> [u8; 4] {
        match self {
            Self::Grey => [sample(0), sample(0), sample(0), u8::MAX],
            Self::GreyAlpha => [sample(0), sample(0), sample(0), sample(1)],
            Self::Rgb => [sample(0), sample(1), sample(2), u8::MAX],
            Self::Rgba => [sample(0), sample(1), sample(2), sample(3)],
            Self::Cmyk => {
                let ink = |channel| {
                    let light = u32::from(u8::MAX - sample(channel)) * u32::from(u8::MAX - sample(3));
                    u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
                };
                [ink(0), ink(1), ink(2), u8::MAX]
            }
            Self::YCbCr => y_cb_cr([sample(0), sample(1), sample(2)]),
        }
    }
}

/// Full range with the coefficients of ITU-R BT.601 (TIFF 6.0, section 21; TIFF Technical Note 2 for JPEG).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn y_cb_cr([y, cb, cr]: [u8; 3]) -> [u8; 4] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let byte = |value: f32| value.round().clamp(0.0, 255.0) as u8;
    [byte(y + 1.402 * cr), byte(y - 0.344_136 * cb - 0.714_136 * cr), byte(y + 1.772 * cb), u8::MAX]
}

/// Decoded samples and their arrangement.
struct Samples<'a> {
    values: &'a DecodingResult,
    /// How many samples of a pixel are adjacent: 1 if each has a plane of its own.
    interleaved: usize,
    /// Samples in a row, or bytes if several samples share a byte.
    row: usize,
    /// Samples in a plane; 0 if there is only one plane.
    plane: usize,
    depth: usize,
}

impl<'a> Samples<'a> {
    fn new(values: &'a DecodingResult, layout: &BufferLayoutPreference, color: ColorType, width: u32) -> Option<Self> {
        let sample_bytes = sample_bytes(values)?;
        let interleaved = if layout.planes > 1 { 1 } else { usize::from(color.num_samples()) };
        let depth = usize::from(color.bit_depth());
        let row = (width as usize * interleaved * depth).div_ceil(8);
        let row = layout.row_stride.map_or(row, std::num::NonZeroUsize::get) / sample_bytes;
        let plane = if layout.planes > 1 { layout.plane_stride?.get() / sample_bytes } else { 0 };
        Some(Self { values, interleaved, row, plane, depth })
    }

    /// The samples of one strip or tile, or of one of its planes.
    fn of_chunk(values: &'a DecodingResult, color: ColorType, width: u32, separate: bool) -> Option<Self> {
        let sample_bytes = sample_bytes(values)?;
        let interleaved = if separate { 1 } else { usize::from(color.num_samples()) };
        let depth = usize::from(color.bit_depth());
        let row = (width as usize * interleaved * depth).div_ceil(8) / sample_bytes;
        Some(Self { values, interleaved, row, plane: 0, depth })
    }

    /// The first sample of a pixel as an index into a palette.
    fn index(&self, x: usize, y: usize) -> usize {
        let number = y * self.row + x * self.interleaved;
        match self.values {
            DecodingResult::U8(values) if self.depth < 8 => {
                let bits = x * self.interleaved * self.depth;
                let packed = values.get(y * self.row + bits / 8).copied().unwrap_or(0);
                usize::from((packed >> (8 - self.depth - bits % 8)) & ((1 << self.depth) - 1))
            }
            DecodingResult::U8(values) => values.get(number).copied().unwrap_or(0).into(),
            DecodingResult::U16(values) => values.get(number).copied().unwrap_or(0).into(),
            _ => 0,
        }
    }

    /// A sample as a byte; black if the file does not have it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte, or the high byte")]
    fn at(&self, x: usize, y: usize, channel: usize) -> u8 {
        let (plane, within) = if self.plane > 0 { (channel * self.plane, 0) } else { (0, channel) };
        let start = plane + y * self.row;
        let number = x * self.interleaved + within;
        let index = start + number;
        let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        match self.values {
            DecodingResult::U8(values) if self.depth < 8 => {
                let bits = number * self.depth;
                let most = (1_u8 << self.depth) - 1;
                let packed = values.get(start + bits / 8).copied().unwrap_or(0);
                let value = (packed >> (8 - self.depth - bits % 8)) & most;
                value * (u8::MAX / most)
            }
            DecodingResult::U8(values) => values.get(index).copied().unwrap_or(0),
            DecodingResult::U16(values) => values.get(index).map_or(0, |value| (value >> 8) as u8),
            DecodingResult::U32(values) => values.get(index).map_or(0, |value| (value >> 24) as u8),
            DecodingResult::U64(values) => values.get(index).map_or(0, |value| (value >> 56) as u8),
            DecodingResult::F16(values) => values.get(index).map_or(0, |value| byte(value.to_f32())),
            DecodingResult::F32(values) => values.get(index).map_or(0, |value| byte(*value)),
            DecodingResult::F64(values) => values.get(index).map_or(0, |value| byte(*value as f32)),
            _ => 0,
        }
    }
}

/// Bytes of a sample, or of several that share one.
const fn sample_bytes(values: &DecodingResult) -> Option<usize> {
    match values {
        DecodingResult::U8(_) => Some(1),
        DecodingResult::U16(_) | DecodingResult::F16(_) => Some(2),
        DecodingResult::U32(_) | DecodingResult::F32(_) => Some(4),
        DecodingResult::U64(_) | DecodingResult::F64(_) => Some(8),
        _ => None,
    }
}

fn no_frame(error: &TiffError) -> NoFrame {
    NoFrame::Undecoded(match error {
        TiffError::UnsupportedError(_) => Undecoded::NoDecoder,
        TiffError::LimitsExceeded | TiffError::IntSizeError => Undecoded::TooLarge,
        TiffError::FormatError(_) | TiffError::IoError(_) | TiffError::UsageError(_) => Undecoded::Damaged,
    })
}
