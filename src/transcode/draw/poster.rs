//! Makes a poster (a still picture of a video) from keyframes that seeking finds, without decoding the whole video.

use ffmpeg_next as ff;

use super::picture::{self, PosterPicker};
use crate::error::Fault;
use crate::plan::{Facts, Media, Picture};
use crate::task::Limits;
use crate::transcode::av::{self, Decoder, Input, PictureFilter};

/// Packets that are read after a seek before giving up on a frame.
const PACKETS: usize = 400;
/// Packets that are decoded of a film whose keyframes show nothing: three minutes at 25 frames a second, and some sound.
const MOST_PACKETS: usize = 10_000;
/// Later than all times at which keyframes were offered.
const LOOKED_MS: i64 = 10_000;

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
    // The picker prefers what it is offered from one second on; places are offered as if they were in order.
    let mut offered_ms = 1000;
    let eighth = |n: i64| length * n / 8;
    let places = [1000.min(length / 2), eighth(2), eighth(4), 0];
    // Where those show nothing: a film that is dark for long.
    let more = [eighth(6), eighth(7), eighth(1), eighth(3), eighth(5), length * 15 / 16];
    for (n, place) in places.into_iter().chain(more).enumerate() {
        let enough = picker.is_done() || (n >= places.len() && picker.shows_something());
        if enough || input.seek_ms(place).is_err() {
            continue;
        }
        decoder.flush();
        if let Some(frame) = first_frame(input, index, &mut decoder)?
            && let Ok(frame) = show(frame, source)
        {
            picker.offer(&frame, offered_ms);
            offered_ms += 250;
        }
    }
    if !picker.shows_something() && input.seek_ms(0).is_ok() {
        decoder.flush();
        look_through(input, (index, source), &mut decoder, &mut picker)?;
    }
    Ok(picker.into_frame())
}

/// Decodes a film from its start until there is something to see: its keyframes show nothing.
fn look_through(
    input: &mut Input,
    (index, source): (usize, &Picture),
    decoder: &mut Decoder<ff::frame::Video>,
    picker: &mut PosterPicker,
) -> Result<(), Fault> {
    let time_base = input.stream(index).map_or(ff::Rational::new(1, 1000), |stream| stream.time_base());
    // The picker looks at frames that are a quarter of a second apart; the others need not be converted for it.
    let mut next_ms = i64::MIN;
    let mut packet = ff::Packet::empty();
    for _ in 0..MOST_PACKETS {
        if picker.shows_something() || !input.read(&mut packet).unwrap_or(false) {
            break;
        }
        if packet.stream() == index {
            decoder.push(Some(&packet), &mut |frame| {
                let ms = av::to_ms(frame.timestamp().unwrap_or(0), time_base);
                if ms >= next_ms {
                    next_ms = ms.saturating_add(250);
                    let frame = std::mem::replace(frame, ff::frame::Video::empty());
                    if let Ok(frame) = show(frame, source) {
                        picker.offer(&frame, ms.max(1000).saturating_add(LOOKED_MS));
                    }
                }
                Ok(())
            })?;
        }
    }
    Ok(())
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
        if packet.stream() != index || (ended && !packet.is_key()) {
            continue;
        }
        decoder.push(Some(&packet), &mut keep)?;
        ended = false;
        // What an edit list hides is no poster: it is decoded, and the first frame behind it is taken. Else one keyframe is
        // enough; draining gets it out without the frames that follow.
        if !av::is_hidden(&packet) {
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
    let scale = picture::to_srgb(width, height, &frame).unwrap_or_else(|| format!("scale={width}:{height}"));
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
