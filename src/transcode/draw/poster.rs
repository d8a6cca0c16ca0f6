//! Makes a poster (a still picture of a video) from keyframes that seeking finds, without decoding the whole video.

use ffmpeg_next as ff;

use super::picture::{self, PosterPicker};
use crate::error::Fault;
use crate::plan::{Facts, Media, Picture};
use crate::task::Limits;
use crate::transcode::av::{self, Decoder, Input, PictureFilter};

/// Packets that are read after a seek before giving up on a frame.
const PACKETS: usize = 400;

/// The best of a few keyframes, upright; none where nothing can be decoded.
///
/// # Errors
/// This machine's trouble; a film without a decodable keyframe just has no poster.
pub(in crate::transcode) fn poster_of(
    input: &mut Input,
    facts: &Facts,
    index: usize,
    limits: &Limits,
) -> Result<Option<ff::frame::Video>, Fault> {
    let Some(Media::Video(source)) = facts.streams.get(index).map(|s| &s.media) else { return Ok(None) };
    let Some(stream) = input.stream(index) else { return Ok(None) };
    let Ok(mut decoder) = Decoder::<ff::frame::Video>::open(&stream, 1, limits.pixels) else { return Ok(None) };
    let length = i64::try_from(facts.duration_ms.unwrap_or(0)).unwrap_or(0);
    input.keep_only(&[index]);
    let mut picker = PosterPicker::default();
    let mut looked = -1;
    // The picker prefers what it is offered from one second on; places are offered as if they were in order.
    for place in [1000.min(length / 2), length / 4, length / 2, 0] {
        if place == looked || picker.is_done() || input.seek_ms(place).is_err() {
            continue;
        }
        looked = place;
        decoder.flush();
        if let Some(frame) = first_frame(input, index, &mut decoder)?
            && let Ok(frame) = show(frame, source)
        {
            picker.offer(&frame, place.max(1000));
        }
    }
    Ok(picker.into_frame())
}

fn first_frame(
    input: &mut Input,
    index: usize,
    decoder: &mut Decoder<ff::frame::Video>,
) -> Result<Option<ff::frame::Video>, Fault> {
    let mut packet = ff::Packet::empty();
    let mut found = None;
    let mut keep = |frame: &mut ff::frame::Video| {
        if found.is_none() {
            found = Some(std::mem::replace(frame, ff::frame::Video::empty()));
        }
        Ok(())
    };
    let mut ended = true;
    for _ in 0..PACKETS {
        if !input.read(&mut packet).unwrap_or(false) {
            break;
        }
        if packet.stream() == index && packet.is_key() {
            // An edit list may hide it, but it is what there is.
            packet.set_flags(ff::packet::Flags::KEY);
            // One keyframe is enough; draining gets it out without the frames that follow.
            decoder.push(Some(&packet), &mut keep)?;
            ended = false;
            break;
        }
    }
    if !ended {
        decoder.push(None, &mut keep)?;
    }
    Ok(found)
}

/// A decoded frame as a film shows it, in 8-bit planar YUV.
pub(in crate::transcode) fn show(mut frame: ff::frame::Video, source: &Picture) -> Result<ff::frame::Video, ff::Error> {
    av::assume_color(&mut frame);
    let (width, height) = picture::before_turning(source.displayed(), source.orientation);
    let color = av::frame_color(&frame);
    let scale = match color.transfer {
        16 | 18 => picture::tone_map(width, height, color.transfer),
        _ => format!("scale={width}:{height}"),
    };
    let chain = format!("{scale}{},setsar=1,format=yuv420p", picture::upright(source.orientation));
    PictureFilter::apply(&frame, &chain)
}

/// The picture that goes with a sound, or none where it cannot be read.
///
/// # Errors
/// This machine's trouble.
pub(in crate::transcode) fn cover_of(
    input: &Input,
    facts: &Facts,
    packet: &ff::Packet,
    limits: &Limits,
) -> Result<Option<ff::frame::Video>, Fault> {
    let Some(Media::Video(source)) = facts.streams.get(packet.stream()).map(|s| &s.media) else { return Ok(None) };
    let Some(stream) = input.stream(packet.stream()) else { return Ok(None) };
    let Ok(mut decoder) = Decoder::<ff::frame::Video>::open(&stream, 1, limits.pixels) else { return Ok(None) };
    let mut found = None;
    let mut keep = |frame: &mut ff::frame::Video| {
        found.get_or_insert_with(|| std::mem::replace(frame, ff::frame::Video::empty()));
        Ok(())
    };
    decoder.push(Some(packet), &mut keep)?;
    decoder.push(None, &mut keep)?;
    match found {
        Some(frame) => Ok(show(picture::flatten(frame)?, source).ok()),
        None => Ok(None),
    }
}
