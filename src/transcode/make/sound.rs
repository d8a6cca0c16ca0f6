//! Makes the outputs of a sound: decodes and measures it, encodes or keeps it, and writes its peaks.

use ffmpeg_next as ff;

use super::{AUDIO_FRAME_MS, CopyAttempt, keep, note, or_why_not, original_instead, remux_if_larger, remux_instead};
use crate::error::{Code, Fault};
use crate::plan::{AudioCodec, AudioSettings, Facts, How, Output, Plan, Track, encode_plan, fit_audio, prefer_audio};
use crate::task::{INPUT, Produced};
use crate::transcode::av::{self, AudioEncoder, Input, Mix, Muxer, OutputStream};
use crate::transcode::check::prove::{Expectation, prove};
use crate::transcode::draw::poster;
use crate::transcode::draw::waveform::{self, PeakMeter};
use crate::transcode::job::{Findings, Job, Trouble, bit_rate, scratch, size_of};
use crate::transcode::pass::clock::Clock;
use crate::transcode::pass::copy_streams::create_mp3;
use crate::transcode::pass::packets::each_packet;
use crate::transcode::pass::sound::{Sound, SoundReader, SoundSource};
use crate::transcode::read::probe;
use crate::transcode::still::write_thumbnail;
use crate::vocabulary::{Action, Role};

/// A sound output that was written and checked.
struct MadeSound {
    plan: Plan,
    peaks: PeakMeter,
    /// `None` if people open the original.
    file: Option<&'static str>,
}

/// The name of the encoded file, for MP3 and Ogg alike. The object gets its own name.
const ENCODED: &str = "audio.mp3";
/// The name of an output with the original's stream: in another container, or because the encoded one was larger.
const ORIGINAL_STREAM: &str = "stream";

pub(super) fn make_sound(
    input: Input,
    facts: &Facts,
    plan: Plan,
    job: &mut Job<'_>,
) -> Result<(Plan, Findings), Fault> {
    let (mut sound, mut findings) = decode_sound(input, facts, &plan, job)?;
    let duration_ms = sound.duration_ms();
    let MadeSound { mut plan, peaks, file } = match plan.audio.as_ref().and_then(Track::settings).cloned() {
        Some(settings) => encode_sound(&mut sound, settings, facts, plan, job)?,
        None => keep_sound(&mut sound, facts, plan, job)?,
    };
    if plan.action != Action::Encoded {
        // Loudness was measured but not changed.
        sound.loudness.gain_db = 0.0;
    }
    if let Some(channel) = sound.taken_channel().filter(|_| plan.action == Action::Encoded) {
        let text =
            format!("the two channels have opposite polarity and cancel each other: only channel {channel} is used");
        plan.reasons.push(note("encode", "opposite-polarity", text));
    }
    let (object, mime_type, codec) = match plan.output {
        Output::M4a => ("audio.m4a", "audio/mp4", "aac"),
        // The MIME type with the codecs parameter, which channels require.
        Output::Ogg => ("audio.ogg", "audio/ogg; codecs=opus", "opus"),
        Output::Mp3 | Output::Mp4 | Output::Nothing => ("audio.mp3", "audio/mpeg", "mp3"),
    };
    findings.loudness = Some(sound.loudness);
    if let Some(file) = file {
        findings.produced.push(Produced {
            role: Role::Playback,
            file: file.to_owned(),
            object: object.to_owned(),
            mime_type: mime_type.to_owned(),
            codecs: vec![codec.to_owned()],
            width: None,
            height: None,
            duration_ms: Some(duration_ms),
            bit_rate: bit_rate(size_of(file)?, duration_ms),
        });
    }
    write_waveform(peaks, job, &mut findings)?;
    findings.duration_ms = Some(duration_ms);
    Ok((plan, findings))
}

/// Decodes and measures a sound. It is decoded again only if it is long, or if mixing its channels cancelled the sound.
fn decode_sound(input: Input, facts: &Facts, plan: &Plan, job: &mut Job<'_>) -> Result<(Sound, Findings), Fault> {
    let (sound, findings) = decode_mixed(input, facts, plan, Mix::All, job)?;
    match sound.opposed {
        Some(channel) => decode_mixed(probe::open(INPUT, facts.container)?, facts, plan, Mix::Only(channel), job),
        None => Ok((sound, findings)),
    }
}

/// Decodes once. A cover picture among the packets becomes the thumbnail.
fn decode_mixed(
    mut input: Input,
    facts: &Facts,
    plan: &Plan,
    mix: Mix,
    job: &mut Job<'_>,
) -> Result<(Sound, Findings), Fault> {
    let missing = || Fault::broken(Code::WorkerBroken, "a sound without an audio stream was planned");
    let track = plan.audio.as_ref().ok_or_else(missing)?;
    let stream = input.stream(track.index).ok_or_else(missing)?;
    let (rate, channels) = match track.settings() {
        Some(settings) => (settings.sample_rate_hz, settings.channels),
        None => (stream.sample_rate().clamp(8000, 48_000), stream.channels().clamp(1, 2)),
    };
    let source = SoundSource {
        path: INPUT,
        container: facts.container,
        index: track.index,
        read: None,
        rate,
        channels,
        clock: Clock::of_sound(facts.container),
        mix,
        max_duration_s: job.limits.duration_s,
        until_ms: None,
    };
    let mut reader = SoundReader::open(&input, source)?;
    let cover = facts.cover_art().map(|stream| stream.index);
    let mut findings = Findings::default();
    let mut thumbnail = None;
    each_packet(&mut input, &mut findings.damage, &mut |input, packet| {
        if packet.stream() == track.index {
            reader.push(Some(packet))?;
            job.advance(i64::try_from(reader.duration_ms()).unwrap_or(i64::MAX), facts.duration_ms);
        } else if Some(packet.stream()) == cover && thumbnail.is_none() {
            thumbnail = cover_thumbnail(input, facts, packet, job)?;
        }
        Ok(())
    })?;
    findings.produced.extend(thumbnail);
    let sound = reader.finish(job.profile.audio.loudness)?;
    if sound.frames() == 0 {
        return Err(Fault::rejected(Code::MediaUnreadable, "no sound can be decoded"));
    }
    findings.damage.packets = sound.packets;
    findings.damage.bad_packets = sound.bad_packets;
    Ok((sound, findings))
}

/// A cover that cannot be read is no reason to reject the sound.
fn cover_thumbnail(
    input: &Input,
    facts: &Facts,
    packet: &ff::Packet,
    job: &Job<'_>,
) -> Result<Option<Produced>, Fault> {
    let Some(frame) = poster::cover_of(input, facts, packet, job.limits)? else { return Ok(None) };
    write_thumbnail(&frame, job).map(Some)
}

fn encode_sound(
    sound: &mut Sound,
    settings: AudioSettings,
    facts: &Facts,
    mut plan: Plan,
    job: &mut Job<'_>,
) -> Result<MadeSound, Fault> {
    let mut peaks = peak_meter(sound, job);
    let preferred = job.profile.audio.preferred_max_bytes;
    let settings = preferred.map_or(settings.clone(), |most| prefer_audio(&settings, most, sound.duration_ms()));
    set_audio(&mut plan, settings.clone());
    write_sound(sound, &settings, facts, Some(&mut peaks))?;
    let size = size_of(ENCODED)?;
    if let Some(most) = preferred.filter(|most| size > *most) {
        let text = format!("{size} bytes, wanted are at most {most}: a lower bit rate would spoil speech");
        plan.reasons.push(note("encode", "above-preferred", text));
    }
    if let Some(max_bytes) = job.profile.max_bytes.filter(|max| size > *max) {
        let text = format!("{} ms of sound do not fit into {max_bytes} bytes", sound.duration_ms());
        let cannot_fit = Fault::rejected(Code::MediaCannotFit, text);
        let Some(smaller) = fit_audio(&settings, max_bytes, sound.duration_ms()) else { return Err(cannot_fit) };
        plan.reasons.push(note("encode", "budget", format!("{} bit/s fit into {max_bytes} bytes", smaller.bit_rate)));
        set_audio(&mut plan, smaller.clone());
        have_format(sound, &smaller, facts, &plan, job)?;
        write_sound(sound, &smaller, facts, None)?;
        if size_of(ENCODED)? > max_bytes {
            return Err(cannot_fit);
        }
    } else if sound.bad_packets == 0
        // The copied stream would contain damage that a decoder can skip.
        && let Some(remux) = remux_if_larger(facts, size, job)
        && let CopyAttempt::Proven(_) = keep(facts, &remux, ORIGINAL_STREAM, Some(sound.duration_ms()), job)?
    {
        let file = Some(kept_file(&remux));
        return Ok(MadeSound { plan: remux, peaks: measured(sound, job)?, file });
    }
    let (duration_ms, frame_ms) = (sound.duration_ms(), AUDIO_FRAME_MS);
    match or_why_not(prove(&Expectation { file: ENCODED, plan: &plan, duration_ms, frame_ms, pictures: None }))? {
        Ok(()) => Ok(MadeSound { plan, peaks, file: Some(ENCODED) }),
        Err(why) => keep_instead(sound, facts, &why, job),
    }
}

/// If the encoded output must not be published: the original's stream, or else the original itself.
fn keep_instead(sound: &mut Sound, facts: &Facts, why: &str, job: &mut Job<'_>) -> Result<MadeSound, Fault> {
    if sound.bad_packets == 0
        && let Some(remux) = remux_instead(facts, why, job)
        && let CopyAttempt::Proven(_) = keep(facts, &remux, ORIGINAL_STREAM, Some(sound.duration_ms()), job)?
    {
        let file = Some(kept_file(&remux));
        return Ok(MadeSound { plan: remux, peaks: measured(sound, job)?, file });
    }
    Ok(MadeSound { plan: original_instead(why), peaks: measured(sound, job)?, file: None })
}

fn kept_file(plan: &Plan) -> &'static str {
    if plan.action == Action::Copied { INPUT } else { ORIGINAL_STREAM }
}

fn set_audio(plan: &mut Plan, settings: AudioSettings) {
    if let Some(track) = &mut plan.audio {
        track.how = How::Encode(settings);
    }
}

/// Decodes again if a budget, or a failed copy, needs another sample rate than the one decoded to. Rare.
fn have_format(
    sound: &mut Sound,
    settings: &AudioSettings,
    facts: &Facts,
    plan: &Plan,
    job: &mut Job<'_>,
) -> Result<(), Fault> {
    if (sound.rate, sound.channels) != (settings.sample_rate_hz, settings.channels) {
        *sound = decode_sound(probe::open(INPUT, facts.container)?, facts, plan, job)?.0;
    }
    Ok(())
}

fn peak_meter(sound: &Sound, job: &Job<'_>) -> PeakMeter {
    PeakMeter::new(sound.channels, sound.rate, sound.frames(), &job.profile.waveform)
}

fn measured(sound: &mut Sound, job: &Job<'_>) -> Result<PeakMeter, Fault> {
    let mut peaks = peak_meter(sound, job);
    sound.measure(&mut peaks)?;
    Ok(peaks)
}

fn write_sound(
    sound: &mut Sound,
    settings: &AudioSettings,
    facts: &Facts,
    peaks: Option<&mut PeakMeter>,
) -> Result<(), Fault> {
    let mut encoder = AudioEncoder::open(settings).map_err(av::writing("opening the audio encoder"))?;
    let stream = OutputStream {
        parameters: encoder.parameters(),
        time_base: encoder.time_base(),
        display_matrix: None,
        frame_rate: None,
        sample_aspect_ratio: None,
    };
    let mut muxer = match settings.codec {
        // No tags: the recipient is a customer, and the file's own metadata may be personal.
        AudioCodec::Opus => {
            Muxer::create(ENCODED, "ogg", vec![stream], &[], &[]).map_err(av::writing("starting the output"))?
        }
        AudioCodec::Mp3 | AudioCodec::Aac => create_mp3(ENCODED, stream, facts)?,
    };
    sound.encode(&mut encoder, peaks, &mut |mut packet| muxer.write(0, &mut packet).map_err(Trouble::from))?;
    stage!("write").in_scope(|| muxer.finish()).map_err(av::writing("writing the index"))
}

/// Keeps the sound unchanged; at most its container is replaced.
fn keep_sound(sound: &mut Sound, facts: &Facts, plan: Plan, job: &mut Job<'_>) -> Result<MadeSound, Fault> {
    let kept = match sound.bad_packets {
        0 => keep(facts, &plan, ORIGINAL_STREAM, Some(sound.duration_ms()), job)?,
        bad => CopyAttempt::Not("proof", format!("{bad} packets cannot be decoded")),
    };
    match kept {
        CopyAttempt::Proven(_) => Ok(MadeSound { file: Some(kept_file(&plan)), peaks: measured(sound, job)?, plan }),
        CopyAttempt::Not(reason, detail) => {
            let plan = encode_plan(facts, job.profile, (reason, &detail));
            let settings = plan.audio.as_ref().and_then(Track::settings).cloned();
            let settings = settings.ok_or_else(|| Fault::broken(Code::WorkerBroken, "nothing to encode"))?;
            have_format(sound, &settings, facts, &plan, job)?;
            encode_sound(sound, settings, facts, plan, job)
        }
    }
}

/// The peaks go into the report or into a file, as the profile says; a picture of them is drawn if it asks for one.
fn write_waveform(peaks: PeakMeter, job: &Job<'_>, findings: &mut Findings) -> Result<(), Fault> {
    let _drawing = stage!("waveform").entered();
    let profile = &job.profile.waveform;
    let peaks = peaks.finish();
    if profile.has_picture {
        let picture = waveform::draw(&peaks, profile)?;
        std::fs::write("waveform.png", picture).map_err(scratch)?;
        let size = Some((profile.width, profile.height));
        findings.produced.push(side_file(Role::Waveform, "waveform.png", "image/png", size));
    }
    if profile.is_inline {
        findings.peaks = Some(peaks);
        return Ok(());
    }
    std::fs::write("peaks.json", serde_json::to_vec(&peaks).map_err(std::io::Error::from).map_err(scratch)?)
        .map_err(scratch)?;
    findings.produced.push(side_file(Role::Peaks, "peaks.json", "application/json", None));
    Ok(())
}

fn side_file(role: Role, file: &str, mime_type: &str, size: Option<(u32, u32)>) -> Produced {
    Produced {
        role,
        file: file.to_owned(),
        object: file.to_owned(),
        mime_type: mime_type.to_owned(),
        codecs: Vec::new(),
        width: size.map(|size| size.0),
        height: size.map(|size| size.1),
        duration_ms: None,
        bit_rate: None,
    }
}
