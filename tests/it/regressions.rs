//! Files that ended a child by a signal, each by the name of what went wrong, rebuilt as small as it gets.

use mediamill::task::Task;

use crate::support::boxes::chunk;
use crate::support::trial::Trial;
use crate::support::{jail, judge};

/// How the file ends: one of these, and nothing else that a file must not do.
#[track_caller]
fn ends(input: &[u8], expected: &[&str]) {
    let sandbox = jail::start(jail::options());
    let spec = jail::spec(Task::Normalize);
    let trial = Trial::run(&sandbox, &spec, "a file".to_owned(), input, judge::objections);
    assert_eq!(trial.complaints(&spec), Vec::<String>::new(), "{trial:?}");
    assert!(expected.contains(&trial.label().as_str()), "{trial:?}");
}

/// A WAV of 44.1 kHz mono in 32-bit floats.
fn floats(samples: impl Iterator<Item = f32>) -> Vec<u8> {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let rates = [44_100_u32.to_le_bytes(), 176_400_u32.to_le_bytes()].concat();
    let data: Vec<u8> = samples.flat_map(f32::to_le_bytes).collect();
    let format = chunk(b"fmt ", &[&words(&[3, 1]), &rates, &words(&[4, 32])]);
    chunk(b"RIFF", &[b"WAVE", &format, &chunk(b"data", &[&data])])
}

/// Mutant 797 of seed 1: a WAV of floats that lost a byte, so that every sample is made of two. LAME 3.100 asserts
/// that energies are not negative (`psymodel.c`, `calc_energy`), and NaN is neither negative nor not.
#[test]
fn lame_asserts_on_samples_far_beyond_full_scale() {
    let loud = floats((0..4000).map(|n| if n * 7 % 11 < 5 { 1e25 } else { -1e25 }));
    ends(&loud, &["media.crashed-decoder (signal 6)", "Encoded"]);
}
