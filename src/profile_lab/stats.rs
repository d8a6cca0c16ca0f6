//! Percentiles, means, and confidence intervals of means.

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom. For more, the quantile of the normal
/// distribution is used.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL_95: f64 = 1.960;

/// The smallest value that is not exceeded by this percentage of all values (nearest rank); 0 if there are none.
pub(super) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank between 0 and the number of values"
    )]
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The middle value.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The mean; `None` if there are no values.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 values")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.iter().sum::<f64>() / count)
}

/// A count, or a number of bytes or milliseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) const fn to_f64(count: u64) -> f64 {
    count as f64
}

/// A mean with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) mean: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// `None` for fewer than two values, which have no known spread.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mean = mean(values).filter(|_| values.len() > 1)?;
        let freedom = values.len() - 1;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 values")]
        let (count, degrees) = (values.len() as f64, freedom as f64);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / degrees;
        let t = T_95.get(freedom - 1).copied().unwrap_or(NORMAL_95);
        let half = t * (variance / count).sqrt();
        Some(Self { mean, low: mean - half, high: mean + half })
    }

    /// Whether the interval excludes zero.
    pub(super) fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([1.0, 50.0, 95.0, 99.0, 100.0].map(|p| percentile(&values, p)), [1.0, 50.0, 95.0, 99.0, 100.0]);
        assert_eq!(percentile(&[3.0, 1.0], 50.0), 1.0);
        assert_eq!(percentile(&[], 50.0), 0.0);
    }

    #[test]
    fn an_interval_uses_students_t() {
        // Computed by hand: mean 2, s = 1, n = 3, t(2) = 4.303.
        let interval = Interval::of(&[1.0, 2.0, 3.0]).expect("three values");
        assert!((interval.high - 2.0 - 4.303 / 3f64.sqrt()).abs() < 1e-9, "{interval:?}");
        assert!(!interval.excludes_zero());
        assert!(Interval::of(&[0.5, 0.5]).expect("two").excludes_zero());
        assert_eq!(Interval::of(&[1.0]), None);
    }
}
