//! Recognises the container of a file by its first bytes. File name and declared type are not used.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use crate::plan::Container;

/// How many bytes are read, at the start and again behind an ID3v2 tag.
const HEAD: usize = 8192;

/// The recognised format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transcode) enum Sniffed {
    /// One of the accepted containers.
    Media(Container),
    /// A document, which is kept unchanged.
    Document {
        /// By content.
        mime_type: String,
        /// Usual extension.
        extension: String,
    },
    /// No known format.
    Unknown,
}

/// Recognises a file by its first bytes, or by those behind an ID3v2 tag.
///
/// # Errors
/// Those of reading the file.
pub(in crate::transcode) fn sniff(file: &mut File) -> io::Result<Sniffed> {
    let head = read_at(file, 0)?;
    if let Some(end) = id3v2_end(&head) {
        return Ok(Sniffed::Media(behind_id3(&read_at(file, end)?)));
    }
    Ok(media(&head).map_or_else(|| document(&head), Sniffed::Media))
}

fn read_at(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the first frame of an MP3 is a header with the number of frames. Without one, players estimate the length
/// from the bit rate of the first frames.
///
/// # Errors
/// Those of reading the file.
pub(in crate::transcode) fn mp3_says_its_length(file: &mut File) -> io::Result<bool> {
    let head = read_at(file, 0)?;
    let start = match id3v2_end(&head) {
        Some(end) => read_at(file, end)?,
        None => head,
    };
    // The name follows the frame's header and side information, at most 36 bytes. Recorders put some zeros before the
    // first frame.
    let names: [&[u8]; 3] = [b"Xing", b"Info", b"VBRI"];
    Ok(start.windows(4).take(2048).any(|window| names.contains(&window)))
}

/// The end of the tag (ID3v2.4.0 structure, 3.1: a synchsafe size after a header of ten bytes).
fn id3v2_end(head: &[u8]) -> Option<u64> {
    let header = head.get(..10).filter(|h| h.starts_with(b"ID3") && h[6..10].iter().all(|b| *b < 0x80))?;
    let size = header[6..10].iter().fold(0_u64, |sum, byte| (sum << 7) | u64::from(*byte));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

fn behind_id3(bytes: &[u8]) -> Container {
    if bytes.starts_with(b"fLaC") {
        Container::Flac
    } else if bytes.starts_with(AC3_SYNC) {
        Container::Ac3
    } else if adts_frame(bytes).is_some() {
        Container::Adts
    } else {
        Container::Mp3
    }
}

fn media(head: &[u8]) -> Option<Container> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let form = head.get(8..12).unwrap_or_default();
    let riff = starts(b"RIFF") || starts(b"RIFX") || starts(b"RF64") || starts(b"BW64");
    Some(match head {
        _ if starts(b"OggS") => Container::Ogg,
        _ if starts(b"\x1a\x45\xdf\xa3") => ebml(head),
        _ if starts(b"fLaC") => Container::Flac,
        _ if starts(b"#!AMR") => Container::Amr,
        _ if starts(b"caff\0") => Container::Caf,
        _ if starts(b".snd") => Container::Au,
        _ if starts(b"FLV\x01") => Container::Flv,
        _ if starts(b"GIF87a") || starts(b"GIF89a") => Container::Gif,
        _ if starts(b"\xff\xd8\xff") => Container::Jpeg,
        _ if starts(b"\x89PNG\r\n\x1a\n") => Container::Png,
        // BigTIFF has 43 where TIFF has 42.
        _ if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| starts(*magic)) => Container::Tiff,
        _ if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n\x87\n") => Container::JpegXl,
        _ if starts(AC3_SYNC) => Container::Ac3,
        _ if starts(ASF_HEADER) => Container::Asf,
        _ if starts(W64_RIFF) => Container::W64,
        _ if riff && form == b"WAVE" => Container::Wav,
        _ if riff && form == b"AVI " => Container::Avi,
        _ if riff && form == b"WEBP" => Container::WebP,
        _ if starts(b"FORM") && (form == b"AIFF" || form == b"AIFC") => Container::Aiff,
        _ if starts(b"BM") && is_bmp(head) => Container::Bmp,
        _ if starts(b"\0\0\x01\xba") => Container::MpegPs,
        _ => return iso(head).or_else(|| elementary(head)),
    })
}

/// Sync word of AC-3 (ATSC A/52, 5.3.1).
const AC3_SYNC: &[u8] = b"\x0b\x77";

/// GUID of the ASF header object (ASF specification, 10.1).
const ASF_HEADER: &[u8] = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";

/// GUID of the outermost chunk of Sony Wave64.
const W64_RIFF: &[u8] = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";

fn is_bmp(head: &[u8]) -> bool {
    head.get(14..18).is_some_and(|size| [12, 40, 52, 56, 64, 108, 124].contains(&size[0]) && size[1..] == [0, 0, 0])
}

/// Matroska or WebM, by the DocType element (RFC 8794, 11.2.4).
fn ebml(head: &[u8]) -> Container {
    let doc_type = head.windows(3).take(64).position(|w| w[..2] == [0x42, 0x82]);
    let value = doc_type.and_then(|at| head.get(at + 3..at + 7));
    if value == Some(b"webm") { Container::WebM } else { Container::Matroska }
}

/// ISO base media and its picture formats, by the brands of the first box (ISO/IEC 14496-12, 4.3).
fn iso(head: &[u8]) -> Option<Container> {
    let kind = head.get(4..8)?;
    if kind != b"ftyp" {
        // QuickTime files from before the `ftyp` box begin with one of these.
        return [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"]
            .contains(&&kind.try_into().ok()?)
            .then_some(Container::Mov);
    }
    let size = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let brands = head.get(8..size.clamp(12, head.len()))?;
    let major = brands.get(..4)?;
    let compatible = |brand: &[u8]| brands.chunks(4).any(|b| b == brand);
    Some(match major {
        b"avif" | b"avis" => Container::Avif,
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Container::Heic,
        b"mif1" | b"msf1" | b"miaf" if compatible(b"avif") || compatible(b"avis") => Container::Avif,
        b"mif1" | b"msf1" | b"miaf" => Container::Heic,
        b"qt  " => Container::Mov,
        b"M4A " | b"M4B " | b"M4P " | b"F4A " => Container::M4a,
        _ if major.starts_with(b"3g") => Container::ThreeGp,
        _ => Container::Mp4,
    })
}

/// Formats without a magic number: two consecutive frames must be recognised.
fn elementary(head: &[u8]) -> Option<Container> {
    let ts = |offset: usize, step: usize| (0..3).all(|n| head.get(offset + n * step) == Some(&0x47));
    if ts(0, 188) || ts(4, 192) {
        return Some(Container::MpegTs);
    }
    if adts_frame(head).is_some_and(|length| adts_frame(&head[length.min(head.len())..]).is_some()) {
        return Some(Container::Adts);
    }
    // Recorders put zeros before the first frame, and streams are cut at any byte.
    (0..head.len().saturating_sub(4)).find_map(|at| {
        let first = mpeg_audio_frame(&head[at..])?;
        let second = mpeg_audio_frame(head.get(at + first..)?);
        (second.is_some() || (at == 0 && head.len() < HEAD)).then_some(Container::Mp3)
    })
}

/// Length of the ADTS frame at this position (ISO/IEC 13818-7, 6.2).
fn adts_frame(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..7)?;
    if header[0] != 0xff || header[1] & 0xf6 != 0xf0 || (header[2] >> 2) & 0xf > 12 {
        return None;
    }
    let length = (usize::from(header[3] & 3) << 11) | (usize::from(header[4]) << 3) | usize::from(header[5] >> 5);
    (length >= 7).then_some(length)
}

/// Length of the MPEG audio frame of layer II or III at this position (ISO/IEC 11172-3, 2.4.1.3).
fn mpeg_audio_frame(bytes: &[u8]) -> Option<usize> {
    const LAYER_3: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const LAYER_2: [usize; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const LOW_RATES: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let header = bytes.get(..4)?;
    let (version, layer) = ((header[1] >> 3) & 3, (header[1] >> 1) & 3);
    let (rate_index, frequency_index) = (usize::from(header[2] >> 4), usize::from((header[2] >> 2) & 3));
    let synchronised = header[0] == 0xff && header[1] & 0xe0 == 0xe0;
    if !synchronised || version == 1 || !(layer == 1 || layer == 2) || frequency_index == 3 {
        return None;
    }
    let mpeg1 = version == 3;
    let table = match (mpeg1, layer) {
        (true, 1) => LAYER_3,
        (true, _) => LAYER_2,
        (false, _) => LOW_RATES,
    };
    let bit_rate = table.get(rate_index.checked_sub(1)?)? * 1000;
    let divisor = if mpeg1 {
        1
    } else if version == 2 {
        2
    } else {
        4
    };
    let frequency = [44_100, 48_000, 32_000][frequency_index] / divisor;
    let samples = if layer == 1 && !mpeg1 { 72 } else { 144 };
    Some(samples * bit_rate / frequency + usize::from((header[2] >> 1) & 1))
}

fn document(head: &[u8]) -> Sniffed {
    // A playlist only refers to media elsewhere. This program never follows such references.
    let lower = String::from_utf8_lossy(&head[..head.len().min(64)]).to_ascii_lowercase();
    let lower = lower.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    if lower.starts_with("#extm3u") || lower.starts_with("ffconcat") || lower.starts_with("[playlist]") {
        return Sniffed::Unknown;
    }
    if head.windows(5).take(1024).any(|w| w == b"%PDF-") {
        return known("application/pdf", "pdf");
    }
    if let Some(kind) = office_open_xml(head) {
        return kind;
    }
    if let Some(kind) = infer::get(head) {
        return match kind.matcher_type() {
            // Programs are not documents, and media that is not in the table is not accepted.
            infer::MatcherType::App | infer::MatcherType::Audio | infer::MatcherType::Video => Sniffed::Unknown,
            _ => known(kind.mime_type(), kind.extension()),
        };
    }
    text(head, lower)
}

/// Recognises Office Open XML: a ZIP whose first entries are those of ECMA-376. The folder of the main part tells which
/// kind.
fn office_open_xml(head: &[u8]) -> Option<Sniffed> {
    if !head.starts_with(b"PK\x03\x04") {
        return None;
    }
    let names = head.windows(4).enumerate().filter(|(_, window)| window == b"PK\x03\x04");
    names.filter_map(|(at, _)| head.get(at + 30..)).find_map(|name| {
        let (kind, extension) = match name {
            _ if name.starts_with(b"word/") => ("wordprocessingml.document", "docx"),
            _ if name.starts_with(b"xl/") => ("spreadsheetml.sheet", "xlsx"),
            _ if name.starts_with(b"ppt/") => ("presentationml.presentation", "pptx"),
            _ => return None,
        };
        Some(known(&format!("application/vnd.openxmlformats-officedocument.{kind}"), extension))
    })
}

fn text(head: &[u8], lower: &str) -> Sniffed {
    let is_text = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may be incomplete because the text was cut there.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if !is_text || head.iter().any(|b| *b < 0x20 && !b"\t\n\r\x0c\x1b".contains(b)) {
        return Sniffed::Unknown;
    }
    match lower {
        _ if lower.starts_with("begin:vcard") => known("text/vcard", "vcf"),
        _ if lower.starts_with("begin:vcalendar") => known("text/calendar", "ics"),
        _ if lower.starts_with("<svg") || lower.contains("<svg") => known("image/svg+xml", "svg"),
        _ if lower.starts_with("<!doctype html") || lower.starts_with("<html") => known("text/html", "html"),
        _ if lower.starts_with("<?xml") => known("text/xml", "xml"),
        _ if lower.starts_with("{\\rtf") => known("application/rtf", "rtf"),
        _ => known("text/plain", "txt"),
    }
}

fn known(mime_type: &str, extension: &str) -> Sniffed {
    Sniffed::Document { mime_type: mime_type.to_owned(), extension: extension.to_owned() }
}

/// Whether this GIF has only one frame, which makes it a picture and not a video, or is cut off before its second one.
pub(in crate::transcode) fn is_still_gif(file: &mut File, container: Container) -> bool {
    if container != Container::Gif {
        return false;
    }
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    read.is_ok() && gif_frames(&bytes, 2) < 2
}

/// Counts image descriptors up to `most` (GIF89a specification, appendix A).
fn gif_frames(bytes: &[u8], most: usize) -> usize {
    let color_table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + bytes.get(10).map_or(0, |flags| color_table(*flags));
    let mut frames = 0;
    while let Some(introducer) = bytes.get(at).filter(|_| frames < most) {
        at = match introducer {
            0x2c => {
                frames += 1;
                skip_blocks(bytes, at + 11 + bytes.get(at + 9).map_or(0, |flags| color_table(*flags)))
            }
            0x21 => skip_blocks(bytes, at + 2),
            _ => break,
        };
    }
    frames
}

fn skip_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(size) = bytes.get(at).copied().filter(|size| *size > 0) {
        at += 1 + usize::from(size);
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brands_and_forms() {
        assert_eq!(media(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"), Some(Container::Avif));
        assert_eq!(media(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Some(Container::Heic));
        assert_eq!(media(b"\0\0\0\x14ftyp3gp4\0\0\0\0isom"), Some(Container::ThreeGp));
        assert_eq!(media(b"RIFF\0\0\0\0WEBPVP8L"), Some(Container::WebP));
        assert_eq!(media(b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"), Some(Container::WebM));
    }

    #[test]
    fn playlists_and_programs_are_not_documents() {
        assert_eq!(document(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd"), Sniffed::Unknown);
        assert_eq!(document(b"ffconcat version 1.0\nfile x"), Sniffed::Unknown);
        assert_eq!(document(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"), Sniffed::Unknown);
    }

    #[test]
    fn documents_are_recognised_and_kept() {
        assert_eq!(document(b"%PDF-1.4\n%\xe2\xe3"), known("application/pdf", "pdf"));
        assert_eq!(document("BEGIN:VCARD\nFN:Zo\u{eb}".as_bytes()), known("text/vcard", "vcf"));
        assert_eq!(document("gr\u{fc}\u{df}e".as_bytes()), known("text/plain", "txt"));
        assert_eq!(document(&[0x8f, 0, 1, 2, 3, 0xff]), Sniffed::Unknown);
    }

    #[test]
    fn an_id3_tag_is_skipped_by_its_synchsafe_size() {
        assert_eq!(id3v2_end(b"ID3\x04\0\0\0\0\x02\x01"), Some(10 + 257));
        assert_eq!(id3v2_end(b"ID3\x04\0\0\0\0\xff\x01"), None);
    }
}
