//! The codecs' own floor of a voice note: decoding, resampling and encoding with nothing else, in this process.

use std::path::Path;
use std::time::Duration;

use ffmpeg_next as ff;
use mediamill::task::JobSpec;

use super::usage::cpu_time;

/// As the `crm` profile has it for Opus of 16 kbit/s.
const RATE: u32 = 24_000;
const BIT_RATE: usize = 32_000;

/// The floor of one note in CPU time. The packets are read before the clock starts.
///
/// `made` is the MP3 that the job `spec` made of it: the floor is one of the same sound in the same quality only if it has
/// about as many bytes.
pub(crate) fn floor(note: &Path, made: &Path, spec: &JobSpec) -> Duration {
    let mut input = ff::format::input(note).expect("an Ogg file");
    let stream = input.streams().best(ff::media::Type::Audio).expect("a sound");
    let (index, parameters) = (stream.index(), stream.parameters());
    let packets: Vec<ff::Packet> =
        input.packets().filter(|(stream, _)| stream.index() == index).map(|(_, packet)| packet).collect();
    let begun = cpu_time();
    let samples = decode(parameters, &packets).expect("decoded");
    let bytes = encode(&samples, spec.profile.audio.compression_level).expect("encoded");
    let time = cpu_time() - begun;
    let wanted = usize::try_from(std::fs::metadata(made).expect("an MP3").len()).expect("a small file");
    assert!(bytes.abs_diff(wanted) < wanted / 50, "the floor has {bytes} bytes, the job made {wanted}");
    time
}

fn decode(parameters: ff::codec::Parameters, packets: &[ff::Packet]) -> Result<Vec<f32>, ff::Error> {
    let mut decoder = ff::codec::Context::from_parameters(parameters)?.decoder().audio()?;
    let mut resampler = None;
    let mut samples = Vec::new();
    let mut frame = ff::frame::Audio::empty();
    // Room for the longest packet: what a call has no room for stays in the resampler.
    let mut converted = ff::frame::Audio::new(planar(), RATE as usize, ff::ChannelLayout::MONO);
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
            converted.set_samples(0);
            resampler.run(&frame, &mut converted)?;
            samples.extend_from_slice(&converted.plane::<f32>(0)[..converted.samples()]);
        }
    }
    Ok(samples)
}

/// Bytes of MP3.
fn encode(samples: &[f32], compression_level: u8) -> Result<usize, ff::Error> {
    let codec = ff::encoder::find_by_name("libmp3lame").ok_or(ff::Error::EncoderNotFound)?;
    let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().audio()?;
    encoder.set_rate(RATE.cast_signed());
    encoder.set_format(planar());
    encoder.set_channel_layout(ff::ChannelLayout::MONO);
    encoder.set_time_base(ff::Rational::new(1, RATE.cast_signed()));
    encoder.set_bit_rate(BIT_RATE);
    let mut options = ff::Dictionary::new();
    options.set("compression_level", &compression_level.to_string());
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
