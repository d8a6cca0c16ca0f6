//! Repairs a PNG that is cut off (PNG, third edition, 5.3): the existing part can be decoded if its last chunk declares
//! no more data than there is.

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// An empty IEND chunk.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The file with its last chunk shortened to the existing data, and an end chunk. `None` if it is not cut off within
/// its pixels.
pub(super) fn ended(png: &[u8]) -> Option<Vec<u8>> {
    let mut at = SIGNATURE.len();
    if !png.starts_with(SIGNATURE) {
        return None;
    }
    let mut has_pixels = false;
    loop {
        let Some(header) = png.get(at..at + 8) else {
            // It is cut off between two chunks, or within the header of one.
            return has_pixels.then(|| [&png[..at.min(png.len())], END].concat());
        };
        let length = usize::try_from(u32::from_be_bytes(header[..4].try_into().ok()?)).ok()?;
        let is_pixels = &header[4..] == b"IDAT";
        has_pixels |= is_pixels;
        let next = at.checked_add(12)?.checked_add(length)?;
        if &header[4..] == b"IEND" {
            return None;
        }
        if next > png.len() {
            let data = &png[at + 8..];
            let length = u32::try_from(data.len().min(length)).ok()?;
            // The decoder does not check this checksum.
            let whole = [&png[..at], &length.to_be_bytes(), b"IDAT", &data[..length as usize], &[0; 4], END];
            return if is_pixels { Some(whole.concat()) } else { None };
        }
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_off_is_ended_there() {
        let header = [&b"\0\0\0\x0dIHDR"[..], &[0; 17]].concat();
        let pixels = b"\0\0\0\x04IDATabcd\0\0\0\0";
        let whole = [SIGNATURE, &header, pixels, END].concat();
        assert_eq!(ended(&whole), None);
        let start = [SIGNATURE, &header].concat();
        assert_eq!(ended(&start), None);
        let cut = [&start[..], &pixels[..10]].concat();
        assert_eq!(ended(&cut), Some([&start[..], b"\0\0\0\x02IDATab\0\0\0\0", END].concat()));
        assert_eq!(ended(&whole[..whole.len() - END.len()]), Some(whole));
    }
}
