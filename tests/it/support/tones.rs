//! How loud one frequency is.

/// Its amplitude in part of a sound (one bin of a Fourier transform).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "short sounds"
)]
pub fn tone(samples: &[f32], rate: u32, hz: f64, (from_s, to_s): (f64, f64)) -> f64 {
    let place = |seconds: f64| ((seconds * f64::from(rate)) as usize).min(samples.len());
    let part = &samples[place(from_s)..place(to_s)];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in part.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    2.0 * re.hypot(im) / part.len().max(1) as f64
}
