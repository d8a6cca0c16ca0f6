//! Points: profiles combined with values of the swept settings.

use serde_json::Value;

use super::BenchError;
use crate::config::LoadedProfile;
use crate::profile::RawProfile;

/// A profile with certain settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The label: `crm`, or `crm audio.bit_rate=24000`.
    pub label: String,
    /// The profile with these settings.
    pub profile: LoadedProfile,
}

/// A setting and the values to try for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    key: String,
    values: Vec<Value>,
}

impl Sweep {
    /// Parses `audio.bit_rate=24k,32k,40k`. `k` and `M` are powers of 1000.
    ///
    /// # Errors
    /// If the text is not of this form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (key, values) = text.split_once('=').ok_or("is not KEY=VALUE,VALUE")?;
        let values: Vec<Value> = values.split(',').map(value).collect();
        if key.is_empty() || values.contains(&Value::Null) {
            return Err("is not KEY=VALUE,VALUE".to_owned());
        }
        Ok(Self { key: key.to_owned(), values })
    }
}

fn value(text: &str) -> Value {
    let scaled = |suffix: char, factor: i64| {
        let number: i64 = text.strip_suffix(suffix)?.parse().ok()?;
        number.checked_mul(factor)
    };
    let number = scaled('k', 1000).or_else(|| scaled('M', 1_000_000)).or_else(|| text.parse().ok());
    match (number, text.parse::<f64>()) {
        _ if text.is_empty() => Value::Null,
        (Some(number), _) => number.into(),
        (None, Ok(number)) => number.into(),
        (None, Err(_)) => text.into(),
    }
}

/// Each profile by itself, or with every combination of the swept values.
///
/// # Errors
/// All settings that profiles do not have, or whose value is not possible.
pub fn points(profiles: &[&LoadedProfile], sweeps: &[Sweep]) -> Result<Vec<Point>, BenchError> {
    let (mut points, mut errors) = (Vec::new(), Vec::new());
    for profile in profiles {
        for settings in combinations(sweeps) {
            match point(profile, &settings) {
                Ok(point) => points.push(point),
                Err(problems) => errors.extend(problems),
            }
        }
    }
    if errors.is_empty() { Ok(points) } else { Err(BenchError::Usage(errors.join("\n"))) }
}

type Setting<'a> = (&'a str, &'a Value);

fn combinations(sweeps: &[Sweep]) -> Vec<Vec<Setting<'_>>> {
    let mut all: Vec<Vec<Setting<'_>>> = vec![Vec::new()];
    for Sweep { key, values } in sweeps {
        let mut longer = Vec::new();
        for settings in &all {
            longer.extend(values.iter().map(|value| [settings.as_slice(), &[(key.as_str(), value)]].concat()));
        }
        all = longer;
    }
    all
}

fn point(profile: &LoadedProfile, settings: &[Setting<'_>]) -> Result<Point, Vec<String>> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
    let label = std::iter::once(&profile.raw.name).chain(&words).cloned().collect::<Vec<_>>().join(" ");
    let wrong = |problem: String| vec![format!("--sweep: {label}: {problem}")];
    let mut json = serde_json::to_value(&profile.raw).map_err(|error| wrong(error.to_string()))?;
    for (key, value) in settings {
        let place = json.pointer_mut(&format!("/{}", key.replace('.', "/")));
        let place = place.ok_or_else(|| wrong(format!("no profile has the key {key}")))?;
        // A key with a float value also accepts 30 without a fraction.
        *place = match value.as_f64() {
            Some(number) if place.is_f64() => number.into(),
            _ => (*value).clone(),
        };
    }
    let raw: RawProfile = serde_json::from_value(json).map_err(|error| wrong(error.to_string()))?;
    crate::profile::Profile::from_raw(&raw)
        .map_err(|errors| errors.iter().flat_map(|error| wrong(error.to_string())).collect::<Vec<_>>())?;
    Ok(Point { label, profile: LoadedProfile::new(raw, None) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Profiles;

    fn labels(names: &[&str], sweeps: &[&str]) -> Result<Vec<String>, String> {
        let profiles = Profiles::load(Path::new("")).expect("built-in");
        let profiles: Vec<_> = names.iter().map(|name| profiles.get(name).expect(name)).collect();
        let sweeps: Vec<_> = sweeps.iter().map(|text| Sweep::parse(text).expect(text)).collect();
        let points = points(&profiles, &sweeps).map_err(|error| error.to_string())?;
        let mut versions: Vec<_> = points.iter().map(|point| &point.profile.version).collect();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), points.len(), "each point is a version of its own");
        Ok(points.into_iter().map(|point| point.label).collect())
    }

    #[test]
    fn sweeps_are_combined_over_every_profile() {
        assert_eq!(labels(&["crm", "voice"], &[]).expect("points"), ["crm", "voice"]);
        let swept = labels(&["crm"], &["audio.bit_rate=24k,32000", "video.crf=23,26.5"]).expect("points");
        assert_eq!(
            swept,
            [
                "crm audio.bit_rate=24000 video.crf=23",
                "crm audio.bit_rate=24000 video.crf=26.5",
                "crm audio.bit_rate=32000 video.crf=23",
                "crm audio.bit_rate=32000 video.crf=26.5",
            ]
        );
        assert_eq!(labels(&["crm"], &["video.preset=faster"]).expect("points"), ["crm video.preset=faster"]);
    }

    #[test]
    fn impossible_settings_are_reported_before_anything_runs() {
        let error = labels(&["crm"], &["audio.bitrate=24k"]).expect_err("no such key");
        assert_eq!(error, "--sweep: crm audio.bitrate=24000: no profile has the key audio.bitrate");
        let error = labels(&["crm"], &["video.preset=quick", "video.crf=1,99"]).expect_err("no such values");
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(Sweep::parse("audio.bit_rate").is_err() && Sweep::parse("audio.bit_rate=1,").is_err());
    }
}
