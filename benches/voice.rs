//! Where the time of a voice note goes, stage by stage, in this process: the next speed-up is the longest line. And how
//! far all of it is above the codecs' own floor: the same decode, resampling and encode with nothing else.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "support/stages.rs"]
mod stages;
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use ffmpeg_next as ff;
use mediamill::task::Task;
use mediamill::transcode;
use stages::Stages;
use support::{note, scratch, spec};

const ROUNDS: usize = 41;
const BATCH: u32 = 50;
/// As the `crm` profile has it.
const RATE: u32 = 24_000;
const BIT_RATE: usize = 40_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let note_file = note(folder.path(), 0);
    let here = std::env::current_dir().expect("a directory");
    let stages = Stages::install();
    (transcode::WORK.warm)();

    let (mut floors, mut totals, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(floor(&note_file));
        stages.clear();
        totals.push(whole(&note_file));
        shares.push(stages.take());
    }
    std::env::set_current_dir(here).expect("the directory before");
    let (floor, total) = (median(&mut floors), median(&mut totals));
    println!("A voice note of 14 s (Opus 16 kb/s) with the profile crm, median of {ROUNDS}, in ms");
    let mut listed = Duration::ZERO;
    for name in Stages::names(&shares) {
        let mut times: Vec<Duration> =
            shares.iter().map(|round| round.get(name).copied().unwrap_or_default()).collect();
        let time = median(&mut times);
        listed += time;
        println!("{name:<10} {:>7.2} {:>4.0} %", ms(time), 100.0 * time.as_secs_f64() / total.as_secs_f64());
    }
    println!("{:<10} {:>7.2}", "the rest", ms(total.saturating_sub(listed)));
    println!("{:<10} {:>7.2}", "all", ms(total));
    println!("{:<10} {:>7.2}  decode, resample and encode with nothing else", "floor", ms(floor));
    println!("{:.2} times the floor", total.as_secs_f64() / floor.as_secs_f64());

    let notes: Vec<_> = (0..BATCH).map(|n| note(folder.path(), n)).collect();
    let time: Duration = notes.iter().map(|note| whole(note)).sum();
    println!(
        "{BATCH} different notes one after another: {:.1} a second on one core",
        f64::from(BATCH) / time.as_secs_f64()
    );
}

fn whole(note: &Path) -> Duration {
    let scratch = scratch(note);
    std::env::set_current_dir(scratch.path()).expect("the scratch directory");
    let (spec, begun) = (spec(Task::Normalize), Instant::now());
    (transcode::WORK.run)(&spec, &mut |_| ()).expect("a report");
    begun.elapsed()
}

/// The packets are read before the clock starts.
fn floor(note: &Path) -> Duration {
    let mut input = ff::format::input(note).expect("an Ogg file");
    let stream = input.streams().best(ff::media::Type::Audio).expect("a sound");
    let (index, parameters) = (stream.index(), stream.parameters());
    let packets: Vec<ff::Packet> =
        input.packets().filter(|(stream, _)| stream.index() == index).map(|(_, packet)| packet).collect();
    let begun = Instant::now();
    let samples = decode(parameters, &packets).expect("decoded");
    assert!(encode(&samples).expect("encoded") > 10_000, "fewer bytes than 14 s have");
    begun.elapsed()
}

fn decode(parameters: ff::codec::Parameters, packets: &[ff::Packet]) -> Result<Vec<f32>, ff::Error> {
    let mut decoder = ff::codec::Context::from_parameters(parameters)?.decoder().audio()?;
    let mut resampler = None;
    let mut samples = Vec::new();
    let (mut frame, mut converted) = (ff::frame::Audio::empty(), ff::frame::Audio::empty());
    for packet in packets.iter().map(Some).chain([None]) {
        match packet {
            Some(packet) => decoder.send_packet(packet)?,
            None => decoder.send_eof()?,
        }
        while decoder.receive_frame(&mut frame).is_ok() {
            let resampler = match &mut resampler {
                Some(resampler) => resampler,
                none => none.insert(ff::software::resampling::Context::get(
                    frame.format(),
                    frame.channel_layout(),
                    frame.rate(),
                    planar(),
                    ff::ChannelLayout::MONO,
                    RATE,
                )?),
            };
            resampler.run(&frame, &mut converted)?;
            samples.extend_from_slice(&converted.plane::<f32>(0)[..converted.samples()]);
        }
    }
    Ok(samples)
}

/// Bytes of MP3.
fn encode(samples: &[f32]) -> Result<usize, ff::Error> {
    let codec = ff::encoder::find_by_name("libmp3lame").ok_or(ff::Error::EncoderNotFound)?;
    let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().audio()?;
    encoder.set_rate(RATE.cast_signed());
    encoder.set_format(planar());
    encoder.set_channel_layout(ff::ChannelLayout::MONO);
    encoder.set_time_base(ff::Rational::new(1, RATE.cast_signed()));
    encoder.set_bit_rate(BIT_RATE);
    let mut options = ff::Dictionary::new();
    let profile = spec(Task::Normalize).profile;
    options.set("compression_level", &profile.audio.compression_level.to_string());
    let mut encoder = encoder.open_as_with(codec, options)?;
    let (mut bytes, mut packet) = (0, ff::Packet::empty());
    let mut drain = |encoder: &mut ff::encoder::Audio| {
        while encoder.receive_packet(&mut packet).is_ok() {
            bytes += packet.size();
        }
    };
    for (n, piece) in (0_i64..).zip(samples.chunks_exact(encoder.frame_size() as usize)) {
        let mut frame = ff::frame::Audio::new(planar(), piece.len(), ff::ChannelLayout::MONO);
        frame.set_rate(RATE);
        frame.set_pts(Some(n * i64::from(encoder.frame_size())));
        frame.plane_mut::<f32>(0)[..piece.len()].copy_from_slice(piece);
        encoder.send_frame(&frame)?;
        drain(&mut encoder);
    }
    encoder.send_eof()?;
    drain(&mut encoder);
    Ok(bytes)
}

fn planar() -> ff::format::Sample {
    ff::format::Sample::F32(ff::format::sample::Type::Planar)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
