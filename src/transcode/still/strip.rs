//! Removes metadata about people, places and devices from JPEG, PNG and WebP. Segments and chunks are copied, nothing
//! is decoded. What determines the look of the picture stays: ICC profile, orientation, animation.

use super::exif::orientation_only;
use crate::plan::Container;
use crate::vocabulary::Orientation;

/// The same picture without its metadata; `None` if the file violates its format.
pub(super) fn without_metadata(container: Container, bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    match container {
        Container::Jpeg => jpeg(bytes, orientation),
        Container::Png => png(bytes, orientation),
        Container::WebP => webp(bytes, orientation),
        _ => None,
    }
}

/// JPEG (ITU-T T.81, annex B). The copy ends with the first picture, because phones hide further pictures and videos
/// behind it.
fn jpeg(bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    let mut out = b"\xff\xd8".to_vec();
    let mut exif = orientation_only(orientation);
    loop {
        while let [0xff, 0xff, ..] = rest {
            rest = &rest[1..];
        }
        let [0xff, marker, ..] = *rest else { return None };
        if marker == 0xd9 {
            out.extend_from_slice(b"\xff\xd9");
            return Some(out);
        }
        let length = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
        let (segment, after) = rest.split_at_checked(2 + length.max(2))?;
        rest = after;
        let body = &segment[4..];
        // JFIF comes first. The orientation follows it, or comes first without it.
        if marker != 0xe0
            && let Some(exif) = exif.take()
        {
            let length = u16::try_from(exif.len() + 8).ok()?;
            out.extend_from_slice(&[&b"\xff\xe1"[..], &length.to_be_bytes(), b"Exif\0\0", &exif].concat());
        }
        match marker {
            // JFIF (T.871, 10.1), without its thumbnail.
            0xe0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => {
                out.extend_from_slice(&[&b"\xff\xe0\0\x10"[..], &body[..12], &[0, 0]].concat());
            }
            0xe2 if body.starts_with(b"ICC_PROFILE\0") => out.extend_from_slice(segment),
            // Adobe's segment says how colours are transformed.
            0xee if body.starts_with(b"Adobe") => out.extend_from_slice(segment),
            // Other application data, and comments.
            0xe0..=0xef | 0xfe => {}
            0xda => {
                let data = scan_bytes(rest);
                out.extend_from_slice(segment);
                out.extend_from_slice(&rest[..data]);
                rest = &rest[data..];
                if rest.len() < 2 {
                    // The file is cut off within the picture.
                    return Some(out);
                }
            }
            _ => out.extend_from_slice(segment),
        }
    }
}

/// Length of a scan's data, up to a marker that is neither a stuffed byte nor a restart (B.1.1.5).
fn scan_bytes(bytes: &[u8]) -> usize {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_marker).unwrap_or(bytes.len())
}

/// The chunks besides the critical ones that determine how a PNG looks (PNG, third edition, 11.2 and 11.3).
const PNG_KEPT: [&[u8; 4]; 14] = [
    b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs", b"acTL",
    b"fcTL", b"fdAT",
];

fn png(bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut out = SIGNATURE.to_vec();
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let kind: &[u8; 4] = rest.get(4..8)?.try_into().ok()?;
        // A chunk that is cut off is copied as far as it goes.
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?).unwrap_or((rest, &[]));
        rest = after;
        let critical = kind[0] & 0x20 == 0;
        if critical || PNG_KEPT.contains(&kind) {
            out.extend_from_slice(chunk);
        }
        match kind {
            b"IHDR" => out.extend(
                orientation_only(orientation).and_then(|exif| png_chunk(*b"eXIf", &exif)).into_iter().flatten(),
            ),
            b"IEND" => return Some(out),
            _ => {}
        }
    }
    Some(out)
}

fn png_chunk(kind: [u8; 4], body: &[u8]) -> Option<Vec<u8>> {
    let named = [&kind[..], body].concat();
    let length = u32::try_from(body.len()).ok()?;
    Some([&length.to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat())
}

/// CRC-32 of PNG (annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// Flags of VP8X (RFC 9649, 2.7).
const WEBP_XMP: u8 = 0x04;
const WEBP_EXIF: u8 = 0x08;

fn webp(bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)?.strip_prefix(b"WEBP"))?;
    let exif = orientation_only(orientation);
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    let mut extended = false;
    while rest.len() >= 8 {
        let size = usize::try_from(u32::from_le_bytes(rest[4..8].try_into().ok()?)).ok()?;
        let (chunk, after) = rest.split_at_checked(8 + size.checked_next_multiple_of(2)?).unwrap_or((rest, &[]));
        rest = after;
        match &chunk[..4] {
            b"VP8X" => {
                extended = true;
                let at = out.len() + 8;
                out.extend_from_slice(chunk);
                let flags = out.get_mut(at)?;
                *flags &= !(WEBP_XMP | WEBP_EXIF);
                *flags |= if exif.is_some() { WEBP_EXIF } else { 0 };
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ICCP" | b"ANIM" | b"ANMF" => out.extend_from_slice(chunk),
            _ => {}
        }
    }
    if let Some(exif) = exif.filter(|_| extended) {
        let size = u32::try_from(exif.len()).ok()?;
        out.extend_from_slice(&[&b"EXIF"[..], &size.to_le_bytes(), &exif].concat());
    }
    let size = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNED: Orientation = Orientation { rotation_degrees: 90, mirrored: false };

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).expect("short");
        [&[0xff, marker], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn a_jpeg_keeps_what_determines_its_look_and_loses_the_rest() {
        let jfif = segment(0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x01\x01rgb");
        let icc = segment(0xe2, b"ICC_PROFILE\0\x01\x01profile");
        let tables = segment(0xdb, &[0; 65]);
        let scan = [&segment(0xda, &[1, 1, 0, 0, 63, 0])[..], b"data\xff\0more\xff\xd0again"].concat();
        let private = [
            segment(0xe1, b"Exif\0\0GPS"),
            segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0owner"),
            segment(0xed, b"Photoshop 3.0\0IPTC"),
            segment(0xe2, b"MPF\0"),
            segment(0xfe, b"comment"),
        ];
        let parts = [b"\xff\xd8", &jfif[..], &private.concat(), &icc, &tables, &scan, b"\xff\xd9", b"a film behind it"];
        let stripped = jpeg(&parts.concat(), TURNED).expect("a picture");
        let plain = segment(0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0");
        let exif = segment(0xe1, &[&b"Exif\0\0"[..], &orientation_only(TURNED).expect("Exif")].concat());
        assert_eq!(stripped, [b"\xff\xd8", &plain[..], &exif, &icc, &tables, &scan, b"\xff\xd9"].concat());
    }

    #[test]
    fn a_png_and_a_webp_keep_their_pictures() {
        let chunk = |kind: &[u8; 4], body: &[u8]| png_chunk(*kind, body).expect("a chunk");
        let (header, data, end) = (chunk(b"IHDR", &[0; 13]), chunk(b"IDAT", b"x"), chunk(b"IEND", b""));
        let text = [chunk(b"tEXt", b"Author\0me"), chunk(b"eXIf", b"GPS"), chunk(b"tIME", &[0; 7])].concat();
        let whole = [b"\x89PNG\r\n\x1a\n", &header[..], &text, &data, &end, b"behind"].concat();
        let stripped = png(&whole, Orientation::default()).expect("a picture");
        assert_eq!(stripped, [b"\x89PNG\r\n\x1a\n", &header[..], &data, &end].concat());

        let chunk = |kind: &[u8; 4], body: &[u8]| {
            [&kind[..], &u32::try_from(body.len()).expect("short").to_le_bytes(), body].concat()
        };
        let riff = |chunks: &[u8]| chunk(b"RIFF", &[b"WEBP", chunks].concat());
        let (picture, profile) = (chunk(b"VP8L", b"data"), chunk(b"ICCP", b"icc!"));
        let flags = |flags: u8| chunk(b"VP8X", &[flags, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let private = [chunk(b"EXIF", b"GPS!"), chunk(b"XMP ", b"me")].concat();
        let whole = riff(&[&flags(0x2c)[..], &profile, &picture, &private].concat());
        let stripped = webp(&whole, Orientation::default()).expect("a picture");
        assert_eq!(stripped, riff(&[&flags(0x20)[..], &profile, &picture].concat()));
        let turned = webp(&whole, TURNED).expect("a picture");
        assert!(turned.windows(4).any(|window| window == b"EXIF") && !turned.windows(3).any(|w| w == b"GPS"));
    }
}
