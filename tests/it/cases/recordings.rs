//! Sounds and films.

use super::Check;
use super::got::Got;
use crate::support::media::{Shown, is_color};

/// Louder than this is a tone, and not what a codec left of one beside it.
const AUDIBLE: f64 = 0.02;

pub const CHECKS: &[(&str, Check)] = &[
    ("alac.mka", hears_440),
    ("caf_mp3.caf", hears_440),
    ("caf_pcm_s32.caf", hears_440),
    ("wav_adpcm_yamaha.wav", hears_440),
    ("wav_g722.wav", hears_440),
    ("wav_mp2.wav", hears_440),
    ("opus_ambisonic.opus", ambisonic),
    ("opus_dtx_silence.mp4", gaps_are_heard),
    ("opus_dtx_silence.webm", gaps_are_heard),
    ("stereo_inverted.wav", not_silent),
    ("wav_16_channels_half_lost.wav", sixteen_tones),
    ("wav_stereo_mask_fc_lfe.wav", both_tones),
    ("wav_stereo_mask_side.wav", left_and_right),
    ("silent_alac.mkv", film_with_440),
    ("silent_latm.ts", film_with_440),
    ("silent_pcm_s16be.mkv", film_with_440),
    ("film_hevc.mpg", is_a_film),
    ("film_mpeg4.ts", is_a_film),
    ("film_prores.mov", is_a_film),
    ("edit_middle_cut.mp4", cut_stays_hidden),
    ("two_sample_descriptions_moov_last.mp4", both_descriptions),
    ("empty_first_sound_track.mp4", second_track_is_heard),
    ("film_and_large_still_track.mp4", film_before_still),
    ("mkv_bit_rate_not_declared.mkv", encoded_for_its_rate),
    ("mkv_bit_rate_same_in_mp4.mp4", encoded_for_its_rate),
    ("mp4_fragmented_duration_unknown.mp4", lasts_two_seconds),
    ("webm_duration_in_ns.webm", lasts_three_seconds),
    ("ts_five_clips_of_800ms.ts", five_clips),
    ("webm_turned_mid_call.webm", keeps_its_shape),
];

fn hears_440(got: &Got) -> Result<String, String> {
    let amplitude = got.heard(1).tone(0, 440.0, (0.1, 0.6));
    got.verdict(got.is("audio") && amplitude > AUDIBLE, &format!("440 Hz at {amplitude:.3}"))
}

fn film_with_440(got: &Got) -> Result<String, String> {
    let amplitude = got.heard(1).tone(0, 440.0, (0.1, 0.6));
    got.verdict(got.is("video") && amplitude > AUDIBLE, &format!("440 Hz at {amplitude:.3}"))
}

fn ambisonic(got: &Got) -> Result<String, String> {
    let amplitude = got.heard(1).tone(0, 440.0, (0.1, 1.3));
    got.verdict(got.lasts(1500) && amplitude > AUDIBLE, &format!("440 Hz at {amplitude:.3}"))
}

fn gaps_are_heard(got: &Got) -> Result<String, String> {
    let second = got.heard(1).begins_after(3.0);
    let in_place = second.is_some_and(|at| (at - 8.0).abs() < 0.1);
    got.verdict(got.lasts(10_000) && in_place && !got.damaged(), &format!("second speaker at {second:.2?} s"))
}

fn not_silent(got: &Got) -> Result<String, String> {
    let heard = got.heard(1);
    let rms = heard.rms(0.0, heard.seconds());
    got.verdict(got.is("audio") && rms > 0.02, &format!("RMS {rms:.4}"))
}

fn sixteen_tones(got: &Got) -> Result<String, String> {
    let heard = got.heard(1);
    let tones: Vec<f64> = (3..=18).map(|n| heard.tone(0, f64::from(n) * 100.0, (0.0, 0.2))).collect();
    let weakest = tones.iter().copied().fold(f64::MAX, f64::min);
    let loudest = tones.iter().copied().fold(0.0, f64::max);
    got.verdict(weakest > loudest / 4.0 && loudest > 0.0, &format!("16 tones from {weakest:.4} to {loudest:.4}"))
}

fn both_tones(got: &Got) -> Result<String, String> {
    let heard = got.heard(1);
    let [first, second] = [440.0, 700.0].map(|hz| heard.tone(0, hz, (0.1, 0.9)));
    let alike = first > AUDIBLE && second > AUDIBLE && first / second < 4.0 && second / first < 4.0;
    got.verdict(alike, &format!("440 Hz at {first:.3}, 700 Hz at {second:.3}"))
}

fn left_and_right(got: &Got) -> Result<String, String> {
    let heard = got.heard(2);
    let left = (heard.tone(0, 440.0, (0.1, 0.9)), heard.tone(0, 700.0, (0.1, 0.9)));
    let right = (heard.tone(1, 440.0, (0.1, 0.9)), heard.tone(1, 700.0, (0.1, 0.9)));
    let apart = left.0 > AUDIBLE && left.1 < left.0 / 10.0 && right.1 > AUDIBLE && right.0 < right.1 / 10.0;
    got.verdict(got.lasts(1000) && apart, &format!("440 and 700 Hz left {left:.3?}, right {right:.3?}"))
}

/// A film, or at least not something else that has its sound alone.
fn is_a_film(got: &Got) -> Result<String, String> {
    let frames = got.frames();
    got.verdict(got.is("video") && frames > 0, &format!("{frames} frames"))
}

const RED: [u8; 3] = [254, 0, 0];
const BLUE: [u8; 3] = [0, 0, 254];

fn cut_stays_hidden(got: &Got) -> Result<String, String> {
    let Some(film) = got.playback() else { return got.verdict(false, "no playback asset") };
    let frames = got.frames();
    let [early, late] = [0.5, 1.5].map(|at| Shown::of(&film, at).color(0.5, 0.5));
    let heard = got.heard(1);
    let seconds = heard.seconds();
    let hidden = heard.tone(0, 700.0, (0.0, seconds));
    let (first, second) = (heard.tone(0, 440.0, (0.1, 0.9)), heard.tone(0, 1000.0, (1.1, 1.9)));
    let text = format!(
        "{frames} frames, {early:?} then {late:?}; {seconds:.2} s of sound, 440 Hz {first:.3}, 1000 Hz {second:.3}, \
         hidden 700 Hz {hidden:.3}"
    );
    let shown = frames == 20 && is_color(early, RED) && is_color(late, BLUE);
    let sounds = first > AUDIBLE && second > AUDIBLE && hidden < AUDIBLE / 2.0 && (1.9..2.1).contains(&seconds);
    got.verdict(got.lasts(2000) && shown && sounds, &text)
}

/// Mean difference from the input as the ffmpeg program decodes it, of 255; above this it is another picture.
const SAME_PICTURE: f64 = 10.0;

fn both_descriptions(got: &Got) -> Result<String, String> {
    let Some(film) = got.playback() else { return got.verdict(false, "no playback asset") };
    let frames = got.frames();
    let difference = [0.5, 1.2, 1.5, 1.9].map(|at| Shown::of(&film, at).difference(&Shown::of(&got.input, at)));
    let worst = difference.into_iter().fold(0.0, f64::max);
    got.verdict(frames == 50 && worst < SAME_PICTURE, &format!("{frames} frames, differing by at most {worst:.1}"))
}

fn second_track_is_heard(got: &Got) -> Result<String, String> {
    let amplitude = got.heard(1).tone(0, 700.0, (0.2, 1.8));
    got.verdict(got.lasts(2000) && amplitude > AUDIBLE, &format!("700 Hz at {amplitude:.3}"))
}

fn film_before_still(got: &Got) -> Result<String, String> {
    let frames = got.frames();
    let size = got.playback().map(|film| Shown::of(&film, 1.0)).map(|shown| (shown.width, shown.height));
    let right = got.lasts(2000) && frames == 20 && size == Some((160, 120));
    got.verdict(right, &format!("{frames} frames of {size:?}"))
}

fn encoded_for_its_rate(got: &Got) -> Result<String, String> {
    got.verdict(got.action() == "encoded" && got.says("bit-rate"), "")
}

fn lasts_two_seconds(got: &Got) -> Result<String, String> {
    // The last packet of its sound goes on for longer than its picture, by one frame of AAC at 16 kHz.
    let lasts = got.length_ms().is_some_and(|ms| (1900..=2150).contains(&ms));
    got.verdict(lasts && !got.damaged() && got.playback().is_some(), "")
}

fn lasts_three_seconds(got: &Got) -> Result<String, String> {
    got.verdict(got.lasts(3000) && !got.damaged() && got.playback().is_some(), "")
}

fn five_clips(got: &Got) -> Result<String, String> {
    let frames = got.frames();
    let times = got.playback().map(|film| crate::support::media::frame_times(&film, "v")).unwrap_or_default();
    let widest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    got.verdict(got.lasts(4000) && widest < 0.3, &format!("{frames} frames at most {widest:.3} s apart"))
}

/// The second half is upright in a film that lies: dark on both sides, its own picture between.
fn keeps_its_shape(got: &Got) -> Result<String, String> {
    let Some(film) = got.playback() else { return got.verdict(false, "no playback asset") };
    let late = Shown::of(&film, 1.7);
    let (left, middle, right) = (late.color(0.03, 0.5), late.color(0.5, 0.5), late.color(0.97, 0.5));
    let dark = |color: [u8; 3]| color.iter().all(|part| *part < 40);
    let upright = late.height > late.width;
    let text = format!("{}x{}, {left:?} {middle:?} {right:?}", late.width, late.height);
    got.verdict(upright || (dark(left) && dark(right) && !dark(middle)), &text)
}
