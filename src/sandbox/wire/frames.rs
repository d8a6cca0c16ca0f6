//! Frames on the job socket: a length of four bytes, little endian, then JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest frame. The child may be hostile, so the length is checked before the frame is read.
pub(in crate::sandbox) const MAX_FRAME_BYTES: usize = 1 << 20;

/// Encodes `value` as one frame.
pub(in crate::sandbox) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a frame of {length} bytes is too long")));
    }
    let prefix = u32::try_from(length).map_err(io::Error::other)?.to_le_bytes();
    frame[..4].copy_from_slice(&prefix);
    Ok(frame)
}

/// Writes one frame, blocking.
pub(in crate::sandbox) fn write<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    to.write_all(&encode(value)?)
}

/// Reads one frame, blocking.
pub(in crate::sandbox) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix)?;
    let mut body = vec![0; checked_length(prefix)?];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Reads one frame, and returns it with the number of bytes of its JSON; `None` if the other side has closed its end,
/// even in the middle of a frame.
pub(in crate::sandbox) async fn read_async<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(T, usize)>> {
    let mut prefix = [0; 4];
    let mut body = Vec::new();
    let heard = async {
        from.read_exact(&mut prefix).await?;
        body.resize(checked_length(prefix)?, 0);
        from.read_exact(&mut body).await
    };
    match heard.await {
        Ok(_) => Ok(Some((serde_json::from_slice(&body)?, body.len()))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

fn checked_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame announces {length} bytes, more than the limit"),
        ));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_decoded_as_it_was_encoded() {
        let frame = encode(&vec!["a", "é"]).expect("encodes");
        let back: Vec<String> = read(&mut frame.as_slice()).expect("decodes");
        assert_eq!(back, ["a", "é"]);
    }

    #[test]
    fn a_claimed_length_is_refused_before_it_is_allocated() {
        let error = read::<String>(&mut [255_u8; 8].as_slice()).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_frame_cut_short_is_the_end_and_broken_json_is_an_error() {
        let whole = encode(&1_u8).expect("encodes");
        assert_eq!(read_async::<u8>(&mut &whole[..4]).await.expect("no error"), None);
        let bad = [&1_u32.to_le_bytes()[..], b"x"].concat();
        read_async::<u8>(&mut bad.as_slice()).await.expect_err("not JSON");
    }
}
