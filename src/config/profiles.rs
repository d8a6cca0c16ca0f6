//! The profiles that a worker has: the built-in ones, and those of a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ConfigErrors;
use super::layer::line_of;
use crate::profile::RawProfile;

const BUILT_IN: [(&str, &str); 7] = [
    ("crm.toml", include_str!("profiles/crm.toml")),
    ("voice.toml", include_str!("profiles/voice.toml")),
    ("video-480p.toml", include_str!("profiles/video-480p.toml")),
    ("archive.toml", include_str!("profiles/archive.toml")),
    ("whatsapp-voice.toml", include_str!("profiles/whatsapp-voice.toml")),
    ("whatsapp-video.toml", include_str!("profiles/whatsapp-video.toml")),
    ("whatsapp-image.toml", include_str!("profiles/whatsapp-image.toml")),
];

/// Hex digits of the version: enough to tell profiles apart, short enough for a log line.
const VERSION_DIGITS: usize = 12;

/// One profile, and which text it is.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedProfile {
    /// As written.
    pub raw: RawProfile,
    /// First 12 hex digits of the SHA-256 of its JSON with sorted keys.
    pub version: String,
    /// The file it was read from; `None` for a built-in one.
    pub file: Option<PathBuf>,
}

impl LoadedProfile {
    /// A profile as written, with the version that follows from it.
    #[must_use]
    pub fn new(raw: RawProfile, file: Option<PathBuf>) -> Self {
        Self { version: version_of(&raw), raw, file }
    }
}

/// All profiles by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiles(BTreeMap<String, LoadedProfile>);

impl Profiles {
    /// The built-in profiles, and the `*.toml` of a directory, which may replace built-in ones. An empty path is none.
    ///
    /// # Errors
    /// Every profile that cannot be read, has unknown keys or is a second one of its name; with file and line.
    pub fn load(directory: &Path) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut profiles = BTreeMap::new();
        for (name, text) in BUILT_IN {
            if let Some(profile) = read(name, text, None, &mut errors) {
                profiles.insert(profile.raw.name.clone(), profile);
            }
        }
        for path in toml_files(directory, &mut errors) {
            let place = path.display().to_string();
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    errors.push(place, format!("cannot be read: {error}"));
                    continue;
                }
            };
            let Some(profile) = read(&place, &text, Some(path), &mut errors) else { continue };
            let name = profile.raw.name.clone();
            if let Some(other) = profiles.insert(name.clone(), profile).and_then(|other| other.file) {
                errors.push(place, format!("profile {name:?} is also in {}", other.display()));
            }
        }
        errors.or_ok(Self(profiles))
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LoadedProfile> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &LoadedProfile> {
        self.0.values()
    }
}

fn toml_files(directory: &Path, errors: &mut ConfigErrors) -> Vec<PathBuf> {
    if directory.as_os_str().is_empty() {
        return Vec::new();
    }
    let mut paths = Vec::new();
    match std::fs::read_dir(directory) {
        Ok(entries) => {
            let found = entries.filter_map(Result::ok).map(|entry| entry.path());
            paths.extend(found.filter(|path| path.extension().is_some_and(|extension| extension == "toml")));
        }
        Err(error) => errors.push(directory.display(), format!("cannot be read: {error}")),
    }
    paths.sort();
    paths
}

fn read(place: &str, text: &str, file: Option<PathBuf>, errors: &mut ConfigErrors) -> Option<LoadedProfile> {
    let raw: RawProfile = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            errors.push(format!("{place}:{line}"), error.message().trim_end());
            return None;
        }
    };
    // Here, where file and line are at hand: a job would find out too late, and every job would.
    if let Err(wrong) = crate::profile::Profile::from_raw(&raw) {
        for crate::profile::ProfileError { key, problem } in wrong {
            errors.push(format!("{place}:{}", line_of_key(text, key)), format!("{key}: {problem}"));
        }
        return None;
    }
    Some(LoadedProfile::new(raw, file))
}

/// Line of a key such as `video.crf`, from 1; the table's line, or 1, where the key is not written.
fn line_of_key(text: &str, dotted: &str) -> usize {
    let Ok(document) = toml::de::DeTable::parse(text) else { return 1 };
    let mut line = 1;
    let mut table = Some(document.get_ref());
    for part in dotted.split('.') {
        let found = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == part));
        let Some((key, value)) = found else { break };
        line = line_of(text, key.span().start);
        table = value.get_ref().as_table();
    }
    line
}

/// A hash of everything that the profile says, after defaults: comments and the order of keys do not count.
fn version_of(raw: &RawProfile) -> String {
    let canonical = serde_json::to_value(raw).map(|value| sorted(value).to_string()).unwrap_or_default();
    let mut digits = hex::encode(Sha256::digest(canonical));
    digits.truncate(VERSION_DIGITS);
    digits
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        dir
    }

    fn crm_with(from: &str, to: &str) -> String {
        assert!(BUILT_IN[0].1.contains(from), "{from}");
        BUILT_IN[0].1.replace(from, to)
    }

    #[test]
    fn the_built_in_profiles_are_valid_and_of_different_versions() {
        let profiles = Profiles::load(Path::new("")).expect("valid");
        let names: Vec<_> = profiles.iter().map(|profile| profile.raw.name.as_str()).collect();
        let whatsapp = ["whatsapp-image", "whatsapp-video", "whatsapp-voice"];
        assert_eq!(names, [&["archive", "crm", "video-480p", "voice"][..], &whatsapp].concat());
        let versions: std::collections::BTreeSet<_> = profiles.iter().map(|profile| &profile.version).collect();
        assert_eq!(versions.len(), BUILT_IN.len());
        assert!(versions.iter().all(|version| version.len() == 12));
    }

    #[test]
    fn the_version_follows_the_contents_and_not_the_text() {
        let load = |text: &str| {
            let dir = directory(&[("a.toml", text)]);
            Profiles::load(dir.path()).expect("valid").get("crm").expect("crm").version.clone()
        };
        let built_in = Profiles::load(Path::new("")).expect("valid").get("crm").expect("crm").version.clone();
        assert_eq!(load(&format!("# a comment\n{}", BUILT_IN[0].1)), built_in);
        assert_ne!(load(&crm_with("crf = 25.0", "crf = 24.0")), built_in);
    }

    #[test]
    fn a_directory_adds_and_replaces() {
        let mine = crm_with("name = \"crm\"", "name = \"mine\"");
        let dir = directory(&[("mine.toml", &mine), ("crm.toml", BUILT_IN[0].1), ("notes.txt", "not a profile")]);
        let profiles = Profiles::load(dir.path()).expect("valid");
        assert_eq!(profiles.iter().count(), BUILT_IN.len() + 1);
        assert!(profiles.get("crm").expect("crm").file.is_some());
        assert!(profiles.get("mine").is_some());
        assert!(profiles.get("other").is_none());
    }

    #[test]
    fn mistakes_name_file_and_line() {
        let dir = directory(&[
            ("a.toml", &crm_with("max_channels = 2", "max_channls = 2")),
            ("b.toml", &crm_with("crf = 25.0", "crf = \"low\"")),
            ("c.toml", &crm_with("name = \"crm\"", "name = \"My CRM\"")),
            ("d.toml", &crm_with("name = \"crm\"", "name = \"d\"")),
            ("e.toml", &crm_with("name = \"crm\"", "name = \"d\"")),
            ("f.toml", &crm_with("crf = 25.0", "crf = 99.0").replace("preset = \"veryfast", "preset = \"quick")),
        ]);
        let text = Profiles::load(dir.path()).expect_err("wrong").to_string();
        let line = |needle: &str| 1 + BUILT_IN[0].1.lines().position(|line| line.contains(needle)).expect(needle);
        for expected in [
            format!("a.toml:{}: unknown field `max_channls`", line("max_channels")),
            format!("b.toml:{}: invalid type", line("crf = ")),
            format!("c.toml:{}: name: must be", line("name")),
            format!("f.toml:{}: video.crf: ", line("crf = ")),
            format!("f.toml:{}: video.preset: ", line("preset = ")),
            "e.toml: profile \"d\" is also in".to_owned(),
        ] {
            assert!(text.contains(&expected), "{expected} is not in:\n{text}");
        }
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let text = Profiles::load(Path::new("does-not-exist")).expect_err("wrong").to_string();
        assert!(text.contains("cannot be read"), "{text}");
    }
}
