//! What media cost by the prices of a store and of processors.

use std::collections::BTreeMap;

use super::placement::{Placement, STANDARD};
use super::record::{ClassPrices, Cost, Prices, Run, Share};
use super::stats::to_f64;

/// A month of the prices.
const MONTH_DAYS: f64 = 365.0 / 12.0;
/// Longest name of a currency.
const MAX_CURRENCY_CHARS: usize = 16;

/// Reads a file of prices.
///
/// # Errors
/// What is wrong with it, with the line number or the key.
pub fn parse(text: &str) -> Result<Prices, String> {
    let prices: Prices = toml::from_str(text).map_err(|error| error.to_string())?;
    let chars = prices.currency.chars().count();
    if chars == 0 || chars > MAX_CURRENCY_CHARS || prices.currency.chars().any(char::is_control) {
        return Err(format!("currency: must have 1 to {MAX_CURRENCY_CHARS} characters"));
    }
    if prices.gb_bytes == 0 || prices.kept_days == 0 {
        return Err("gb_bytes and kept_days: must be at least 1".to_owned());
    }
    match prices.figures().into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
        Some((key, value)) => Err(format!("{key}: {value} must be a number from 0 on")),
        None => Ok(prices),
    }
}

impl Prices {
    /// All prices, each with its key.
    fn figures(&self) -> Vec<(String, f64)> {
        let mut figures =
            vec![("per_cpu_hour".to_owned(), self.per_cpu_hour), ("plays_per_media".to_owned(), self.plays_per_media)];
        let classes = self.class.iter().map(|(name, class)| (format!("class.{name}"), class));
        for (table, class) in classes.chain([(STANDARD.to_owned(), &self.standard)]) {
            let of_class = [
                ("per_gb_month", class.per_gb_month),
                ("per_1000_puts", class.per_1000_puts),
                ("per_1000_gets", class.per_1000_gets),
                ("per_gb_read", class.per_gb_read),
            ];
            figures.extend(of_class.map(|(key, value)| (format!("{table}.{key}"), value)));
        }
        figures
    }

    /// Whether there are prices of every class that objects may have.
    ///
    /// # Errors
    /// The table that is missing.
    pub fn cover(&self, placement: &Placement) -> Result<(), String> {
        match placement.classes().find(|(class, _)| self.of(class).is_none()) {
            Some((class, key)) => Err(format!("there is no [class.{class}], which {key} gives to objects")),
            None => Ok(()),
        }
    }

    fn of(&self, class: &str) -> Option<&ClassPrices> {
        if class == STANDARD {
            return Some(&self.standard);
        }
        self.class.iter().find(|(name, _)| name.eq_ignore_ascii_case(class)).map(|(_, prices)| prices)
    }

    fn gigabytes(&self, bytes: u64) -> f64 {
        to_f64(bytes) / to_f64(self.gb_bytes)
    }

    /// What 1,000 media cost of which these are some, over the time that they are stored. `cpu_s` is the CPU time of all of them.
    #[must_use]
    pub fn cost(&self, media: &[&Run], cpu_s: f64, placement: &Placement) -> Cost {
        let Some(point) = media.first().map(|run| run.point.as_str()) else { return Cost::default() };
        let retention_days = placement.retention_days(point);
        let days = retention_days.unwrap_or(self.kept_days);
        let mut cost = Cost { days, cpu: cpu_s / 3600.0 * self.per_cpu_hour, ..Cost::default() };
        let mut billed_bytes = 0;
        for (run, stored) in media.iter().flat_map(|run| run.stored.iter().map(move |stored| (run, stored))) {
            let class = self.of(placement.class_of(stored, point)).unwrap_or(&self.standard);
            let billed = stored.size_bytes.max(class.min_object_bytes) + class.overhead_bytes;
            billed_bytes += billed + class.overhead_standard_bytes;
            let day = self.gigabytes(billed) * class.per_gb_month / MONTH_DAYS;
            let standard_day = self.gigabytes(class.overhead_standard_bytes) * self.standard.per_gb_month / MONTH_DAYS;
            cost.storage += (day + standard_day) * f64::from(days);
            // Only what is deleted is deleted early.
            let missing_days = retention_days.map_or(0, |days| class.min_days.saturating_sub(days));
            cost.early_deletion += day * f64::from(missing_days);
            cost.requests += to_f64(placement.puts_of(stored)) / 1000.0 * class.per_1000_puts;
            if run.played() == Some(stored) {
                let play = class.per_1000_gets / 1000.0 + self.gigabytes(stored.size_bytes) * class.per_gb_read;
                cost.reading += play * self.plays_per_media;
            }
        }
        let count = to_f64(media.len() as u64);
        for figure in
            [&mut cost.storage, &mut cost.requests, &mut cost.early_deletion, &mut cost.reading, &mut cost.cpu]
        {
            *figure *= 1000.0 / count;
        }
        cost.total = cost.storage + cost.requests + cost.early_deletion + cost.reading + cost.cpu;
        cost.billed_bytes_per_media = to_f64(billed_bytes) / count;
        cost
    }
}

/// What a media has in each class, on average.
#[must_use]
pub fn shares(media: &[&Run], placement: &Placement) -> BTreeMap<String, Share> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let each = 1.0 / to_f64(media.len().max(1) as u64);
    for (run, stored) in media.iter().flat_map(|run| run.stored.iter().map(move |stored| (run, stored))) {
        let share = shares.entry(placement.class_of(stored, &run.point).to_owned()).or_default();
        share.objects += each;
        share.puts += to_f64(placement.puts_of(stored)) * each;
        share.bytes += to_f64(stored.size_bytes) * each;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::placement::tests::{object, placement};
    use crate::profile_lab::report::tests::run;

    const PRICES: &str = r#"
        currency = "EUR"
        per_cpu_hour = 0.036
        plays_per_media = 2
        [standard]
        per_gb_month = 0.02
        per_1000_puts = 0.005
        per_1000_gets = 0.0004
        per_gb_read = 0
        [class.STANDARD_IA]
        per_gb_month = 0.73
        per_1000_puts = 0.01
        per_1000_gets = 0.001
        per_gb_read = 0.02
        min_object_bytes = 131_072
        min_days = 30
        [class.GLACIER]
        per_gb_month = 0.5
        per_1000_puts = 0.03
        per_1000_gets = 0.0004
        per_gb_read = 0.01
        overhead_bytes = 32_768
        overhead_standard_bytes = 8_192
    "#;

    fn prices() -> Prices {
        parse(PRICES).expect("prices")
    }

    fn media(objects: &[(&str, u64)]) -> Run {
        let stored = objects.iter().map(|(name, size_bytes)| object(name, *size_bytes)).collect();
        Run { stored, ..run("crm", "file", 0, 0, None) }
    }

    #[track_caller]
    fn assert_money(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn each_figure_is_that_of_the_class_of_each_object() {
        let infrequent = [("store.url", "s3://bucket"), ("store.class", "infrequent")];
        let placement = placement(&infrequent, "crm", 0);
        let note = media(&[("audio.mp3", 200_000), ("original.ogg", 60_000), ("manifest.json", 5_000)]);
        let cost = prices().cost(&[&note], 1.0, &placement);
        // 365 days are 12 months: 0.2 GB at 0.73, and 0.065 GB at 0.02.
        assert_eq!(cost.days, 365);
        assert_money(cost.storage, 1.752 + 0.0156);
        assert_money(cost.billed_bytes_per_media, 265_000.0);
        // 1,000 at 0.01, and 2,000 at 0.005 for 1,000.
        assert_money(cost.requests, 0.01 + 0.01);
        assert_money(cost.early_deletion, 0.0);
        // 2,000 times 200,000 bytes: 2 at 0.001, and 0.4 GB at 0.02.
        assert_money(cost.reading, 0.002 + 0.008);
        // 1,000 s of 3,600 at 0.036.
        assert_money(cost.cpu, 0.01);
        assert_money(cost.total, 1.7676 + 0.02 + 0.01 + 0.01);
        // Of two media each counts for 500.
        let small = media(&[("original.ogg", 10_000), ("manifest.json", 5_000)]);
        let both = prices().cost(&[&note, &small], 1.0, &placement);
        assert_money(both.storage, (1.7676 + 0.0036) / 2.0);
        // The original is played where there is no asset: 1,000 times of 10,000 bytes in the standard class.
        assert_money(both.reading, (0.01 + 0.0008) / 2.0);
        assert_money(both.cpu, 0.005);
    }

    #[test]
    fn small_objects_are_billed_as_the_smallest_size_and_early_deletion_for_the_rest_of_the_days() {
        let all = [("store.url", "s3://bucket"), ("store.storage_class", "standard_ia")];
        let objects =
            [("audio.mp3", 107_472), ("waveform.png", 4_761), ("peaks.json", 2_812), ("original.ogg", 40_169)];
        let note = media(&objects);
        let cost = prices().cost(&[&note], 0.0, &placement(&all, "crm", 10));
        assert_money(cost.billed_bytes_per_media, 4.0 * 131_072.0);
        // 0.73 a month are 0.024 a day: 10 of 30 days are stored, 20 are billed without.
        assert_eq!(cost.days, 10);
        assert_money(cost.storage, 0.524_288 * 0.24);
        assert_money(cost.early_deletion, 0.524_288 * 0.48);
        // What is played is read as it is.
        assert_money(cost.reading, 0.002 + 0.214_944 * 0.02);
        let later = prices().cost(&[&note], 0.0, &placement(&all, "crm", 30));
        assert_money(later.early_deletion, 0.0);
        let short = Prices { kept_days: 10, ..prices() };
        let kept = short.cost(&[&note], 0.0, &placement(&all, "crm", 0));
        assert_eq!((kept.days, kept.early_deletion), (10, 0.0), "nothing deletes them");
    }

    #[test]
    fn what_a_class_adds_to_each_object_is_billed() {
        let settings = [("store.url", "s3://b"), ("store.class", "archive"), ("store.class_roles", "original")];
        let placement = placement(&settings, "crm", 0);
        let cost = prices().cost(&[&media(&[("original.ogg", 1_000_000)])], 0.0, &placement);
        assert_money(cost.billed_bytes_per_media, 1_040_960.0);
        assert_money(cost.storage, 12.0 * (1.032_768 * 0.5 + 0.008_192 * 0.02));
        let binary = Prices { gb_bytes: 1 << 30, kept_days: 730, ..prices() };
        let cost = binary.cost(&[&media(&[("manifest.json", 1 << 30)])], 0.0, &placement);
        assert_money(cost.storage, 1000.0 * 24.0 * 0.02);
    }

    #[test]
    fn shares_are_those_of_one_media_and_count_the_parts_of_large_files() {
        let infrequent = [("store.url", "s3://bucket"), ("store.class", "infrequent")];
        let placement = placement(&infrequent, "crm", 0);
        let film = media(&[("video.mp4", 40_000_000), ("thumbnail.jpg", 9_000), ("manifest.json", 5_000)]);
        let shares = shares(&[&film, &media(&[("original.mp4", 6_000)])], &placement);
        // Three parts of 16 MiB, and three requests around them.
        let infrequent = Share { objects: 0.5, puts: 3.0, bytes: 20_000_000.0 };
        let standard = Share { objects: 1.5, puts: 1.5, bytes: 10_000.0 };
        assert_eq!(shares, [("STANDARD_IA".to_owned(), infrequent), (STANDARD.to_owned(), standard)].into());
        assert_eq!(super::shares(&[], &placement), BTreeMap::new());
    }

    #[test]
    fn a_wrong_file_is_refused_with_what_is_wrong() {
        let wrong = |from: &str, to: &str| parse(&PRICES.replacen(from, to, 1)).expect_err(to);
        assert!(wrong("per_cpu_hour = 0.036", "").contains("missing field `per_cpu_hour`"));
        assert!(wrong("per_gb_read = 0\n", "").contains("missing field `per_gb_read`"));
        let unknown = wrong("per_1000_puts = 0.005", "per_1000_put = 0.005");
        assert!(unknown.contains("line 7") && unknown.contains("unknown field `per_1000_put`"), "{unknown}");
        assert_eq!(wrong("= 0.73", "= -1"), "class.STANDARD_IA.per_gb_month: -1 must be a number from 0 on");
        assert_eq!(wrong("= 0.036", "= nan"), "per_cpu_hour: NaN must be a number from 0 on");
        assert!(wrong("\"EUR\"", "\"\"").starts_with("currency: "));
        assert!(wrong("plays_per_media = 2", "kept_days = 0").starts_with("gb_bytes and kept_days: "));
        let rare = placement(&[("store.url", "s3://bucket"), ("store.class", "rare")], "crm", 0);
        assert_eq!(
            prices().cover(&rare).expect_err("no prices"),
            "there is no [class.GLACIER_IR], which store.class gives to objects"
        );
    }
}
