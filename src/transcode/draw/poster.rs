//! Makes a poster (a still picture of a video) from keyframes that are found by seeking, without decoding the whole
//! video.

use ffmpeg_next as ff;

use super::picture::{self, PosterPicker};
use crate::error::Fault;
use crate::plan::{Facts, Media, Picture};
use crate::task::Limits;
use crate::transcode::av::{self, Decoder, Input, PictureFilter};

/// How many packets are read after a seek before the search for a frame ends.
const PACKETS: usize = 400;
/// How many packets are decoded of a video whose sampled keyframes show nothing: three minutes at 25 frames a second,
/// with sound.
const MOST_PACKETS: usize = 10_000;
/// A time after all those at which the sampled keyframes were offered.
const AFTER_SAMPLES_MS: i64 = 10_000;

/// The best of a few keyframes, upright; `None` if none can be decoded.
///
/// # Errors
/// Failures of this machine. A video without a decodable keyframe has no poster, which is no error.
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
    // The picker prefers frames from one second on. Sampled frames are offered as if they followed each other in time.
    let mut offered_ms = 1000;
    let eighth = |n: i64| length * n / 8;
    let places = [1000.min(length / 2), eighth(2), eighth(4), 0];
    // More places if the first ones show nothing, as in a video that is dark for a long time.
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
        search_from_start(input, (index, source), &mut decoder, &mut picker)?;
    }
    Ok(picker.into_frame())
}

/// Decodes a video from its start until a frame shows something. Used when its keyframes show nothing.
fn search_from_start(
    input: &mut Input,
    (index, source): (usize, &Picture),
    decoder: &mut Decoder<ff::frame::Video>,
    picker: &mut PosterPicker,
) -> Result<(), Fault> {
    let time_base = input.stream(index).map_or(ff::Rational::new(1, 1000), |stream| stream.time_base());
    // The picker only rates frames that are a quarter of a second apart, so the others are not converted for it.
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
                        picker.offer(&frame, ms.max(1000).saturating_add(AFTER_SAMPLES_MS));
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
        // A frame that an edit list hides is not used: it is decoded, and the first frame behind it is taken. Otherwise
        // one keyframe is enough; draining the decoder returns it without the frames that follow.
        if !av::is_hidden(&packet) {
            break;
        }
    }
    if !ended {
        decoder.push(None, &mut keep)?;
    }
    Ok(found)
}

/// Converts a decoded frame as the video output would show it, to 8-bit planar YUV.
pub(in crate::transcode) fn show(mut frame: ff::frame::Video, source: &Picture) -> Result<ff::frame::Video, ff::Error> {
    av::assume_color(&mut frame);
    let (width, height) = picture::before_turning(source.displayed(), source.orientation);
    let scale = picture::to_srgb(width, height, &frame).unwrap_or_else(|| format!("scale={width}:{height}"));
    let chain = format!("{scale}{},setsar=1,format=yuv420p", picture::upright(source.orientation));
    PictureFilter::apply(&frame, &chain)
}

/// The cover picture of a sound; `None` if it cannot be read.
///
/// # Errors
/// Failures of this machine.
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
