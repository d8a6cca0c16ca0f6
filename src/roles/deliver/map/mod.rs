//! Maps: what becomes of an event at a destination, as data.
//!
//! A map is a TOML file. Its values are expressions and templates of minijinja over the event, with fuel for each field and limits
//! on sizes, so that no map and no event can take a process's time or memory. An expression whose value is undefined is an error,
//! unless it says `|default(…)`: a misspelt field shall not empty a field of the CRM.

mod builtin;
mod context;
mod evaluate;
mod file;
mod filters;
pub mod phone;
mod prepared;

use std::path::Path;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, escape_formatter};
use sha2::{Digest, Sha256};

pub use builtin::builtin;
pub use context::{context, file_stem, media_key};
pub use file::{By, Format, How, Missing};
pub use filters::take;
pub use prepared::{Activity, Attachment, Match, Prepared};

use file::{AMENDMENTS, File};

use super::subject::Word;
use crate::config;

/// Steps of minijinja's machine that one expression or template may take.
const FUEL: u64 = 50_000;
/// How deep macros may call each other.
const RECURSION: usize = 20;
/// Most bytes of a map.
const MAX_MAP_BYTES: u64 = 256 << 10;

/// A map that is ready to be used.
#[derive(Debug)]
pub struct Map {
    file: File,
    outcomes: Vec<Word>,
    /// First 12 hex digits of the SHA-256 of its text.
    version: String,
    environment: Environment<'static>,
}

/// Why a map cannot be used, or not for this event. No value of an event is in it: the place in the map, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MapError(pub(super) String);

impl Map {
    /// The map of a destination: the file that it names, or the built-in one of its kind.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn load(config: &config::Destination) -> Result<Self, MapError> {
        if config.map.is_empty() {
            let text = builtin(config.kind);
            let text =
                text.ok_or_else(|| MapError("there is no built-in map for this kind of destination".to_owned()))?;
            return Self::read(text, &config.region);
        }
        Self::open(Path::new(&config.map), &config.region)
    }

    /// A map in a file.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn open(path: &Path, region: &str) -> Result<Self, MapError> {
        let wrong = |text: String| MapError(format!("{}: {text}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > MAX_MAP_BYTES {
            return Err(wrong(format!("the map has more than {MAX_MAP_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::read(&text, region).map_err(|MapError(text)| wrong(text))
    }

    /// A map as text. Everything in it is parsed now, so that a mistake is found before the first event.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn read(text: &str, region: &str) -> Result<Self, MapError> {
        let file: File = toml::from_str(text).map_err(|error| MapError(error.to_string()))?;
        let outcomes = file.outcomes.iter().map(|word| Word::parse(word));
        let outcomes = outcomes.collect::<Option<Vec<_>>>().filter(|words| !words.is_empty());
        let outcomes =
            outcomes.ok_or_else(|| MapError("outcomes: has a word that is no outcome, or none".to_owned()))?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        environment.set_formatter(format);
        filters::add_to(&mut environment, region);
        let body = if file.activity.format == Format::Html { "body.html" } else { "body.txt" };
        for (name, text) in [("title.txt", &file.activity.title), (body, &file.activity.body)] {
            let added = environment.add_template_owned(name, text.clone());
            added.map_err(|error| evaluate::wrong("activity", &error))?;
        }
        for (word, text) in &file.amend {
            if !AMENDMENTS.contains(&word.as_str()) {
                return Err(MapError(format!("amend.{word}: must be one of {}", AMENDMENTS.join(", "))));
            }
            let name = amendment_name(word, file.activity.format);
            let added = environment.add_template_owned(name, text.clone());
            added.map_err(|error| evaluate::wrong("amend", &error))?;
        }
        let version = hex::encode(Sha256::digest(text))[..12].to_owned();
        let map = Self { file, outcomes, version, environment };
        map.parse_all()?;
        Ok(map)
    }

    /// Which events it is for.
    #[must_use]
    pub fn outcomes(&self) -> &[Word] {
        &self.outcomes
    }

    /// Which text it is: the beginning of its SHA-256 in hex.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether some events add to notes that were written before.
    #[must_use]
    pub fn amends(&self) -> bool {
        !self.file.amend.is_empty()
    }

    /// Whether its texts are HTML.
    #[must_use]
    pub fn is_html(&self) -> bool {
        self.file.activity.format == Format::Html
    }

    /// What is done where no record matches.
    #[must_use]
    pub const fn on_missing(&self) -> Missing {
        self.file.on_missing
    }
}

/// The name of a template of `[amend]`.
fn amendment_name(word: &str, format: Format) -> String {
    format!("amend.{word}.{}", if format == Format::Html { "html" } else { "txt" })
}

/// As minijinja's own, but a slash stays a slash: some CRMs show links as they are written.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let is_html = matches!(state.auto_escape(), AutoEscape::Html);
    match value.as_str().filter(|_| is_html && !value.is_safe()) {
        None => escape_formatter(out, state, value),
        Some(text) => {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let text = text.replace('"', "&quot;").replace('\'', "&#39;");
            out.write_str(&text).map_err(Error::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::DestinationKind;
    use crate::events::{Event, NORMALIZED_TYPE};
    use crate::roles::deliver::subject::Subject;

    fn seen(data: serde_json::Value) -> serde_json::Value {
        let (id, source, kind) = ("e1".to_owned(), "mediamill".to_owned(), NORMALIZED_TYPE.to_owned());
        let time = Some("2026-11-22T10:00:00Z".to_owned());
        let event = Event { id, source, kind, subject: None, time, trace: None, data };
        let subject = Subject::of(&event).expect("a subject");
        let links = [("page".to_owned(), "https://media.example/c/1/".to_owned())].into();
        context(&event, &subject, &links, "mediamill e1")
    }

    fn map(text: &str) -> Result<Map, MapError> {
        Map::read(&format!("outcomes = [\"normalized\"]\n{text}"), "BR")
    }

    const NOTE: &str = "[activity]\nkind = \"note\"\nbody = \"{{ data.media_id }}\"\n";

    #[test]
    fn values_keep_their_types_and_absent_ones_are_errors_unless_they_may_be() {
        let text = format!("[fields]\nn = \"data.n // 1000\"\nl = \"data.l\"\nz = \"data.z|default(none)\"\n{NOTE}");
        let data = json!({ "tenant": "acme", "media_id": "<m>", "n": 9_007_199_254_740_993_i64, "l": [1, "b"] });
        let prepared = map(&text).expect("a map").prepare(&seen(data)).expect("evaluated").expect("wanted");
        assert_eq!(
            prepared.fields,
            [("l".to_owned(), json!([1, "b"])), ("n".to_owned(), json!(9_007_199_254_740_i64))]
        );
        assert_eq!(prepared.activity.body, "&lt;m&gt;");
        let wrong = map(&format!("[fields]\nz = \"data.z\"\n{NOTE}")).expect("a map");
        let error = wrong.prepare(&seen(json!({ "tenant": "acme", "media_id": "m" }))).expect_err("absent");
        assert!(error.to_string().starts_with("fields.z"), "{error}");
    }

    #[test]
    fn no_map_takes_much_time_or_memory_or_reads_files() {
        let data = json!({ "tenant": "acme", "media_id": "secret" });
        for body in [
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            "{{ 'x' * 4000000000 }}",
            "{% set n = namespace(x='xxxxxxxxxx') %}{% for a in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ 'x' * 300000 }}",
            "{{ data.media_id.nothing }}",
        ] {
            let map = map(&format!("[activity]\nkind = \"note\"\nbody = \"{body}\"\n")).expect("a map");
            let error = map.prepare(&seen(data.clone())).expect_err(body).to_string();
            assert!(error.starts_with("activity.body") && !error.contains("secret"), "{body}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_map_is_found_when_it_is_read() {
        for text in [
            "when = \"data.(\"",
            "outcome = 1",
            "on_missing = \"ignore\"",
            "[fields]\na = \"data.a|nofilter(\"",
            "[[match]]\nby = \"name\"\nvalue = \"data.a\"",
        ] {
            assert!(map(&format!("{text}\n{NOTE}")).is_err(), "{text}");
        }
        let reads = "[activity]\nkind = \"note\"\nbody = \"{% include '/etc/passwd' %}\"\n";
        assert!(map(reads).is_err(), "no template reads files");
        assert!(Map::read(NOTE, "").is_err() && Map::read(&format!("outcomes = [\"x\"]\n{NOTE}"), "").is_err());
        let kinds = [
            DestinationKind::Hubspot,
            DestinationKind::Salesforce,
            DestinationKind::Zendesk,
            DestinationKind::Zoho,
            DestinationKind::Chatwoot,
        ];
        for kind in kinds {
            let text = builtin(kind).expect("a map");
            Map::read(text, "").expect("it can be read");
        }
    }

    #[test]
    fn a_file_that_is_too_large_becomes_a_link_and_names_say_nothing_of_the_customer() {
        let asset = |size: u64| json!({ "role": "playback", "key": "a/m/0/audio.mp3", "mime_type": "audio/mpeg", "size_bytes": size, "sha256": "abcdef0123" });
        let text = format!("{NOTE}[[attach]]\nroles = [\"rendition\", \"playback\"]\nas = \"file\"\nmax_bytes = 100\n");
        let map = map(&text).expect("a map");
        let files = |size| {
            let data = json!({ "tenant": "acme", "media_id": "m", "assets": [asset(size)], "original": { "file_name": "Zoe.ogg" } });
            map.prepare(&seen(data)).expect("evaluated").expect("wanted").files
        };
        assert!(files(101).is_empty());
        let name = files(100)[0].file.file_name.clone();
        assert!(name.starts_with(&format!("{}-abcdef01", file_stem("acme", "m"))) && name.ends_with(".mp3"), "{name}");
    }

    #[test]
    fn the_builtin_map_of_hubspot_makes_a_note_of_anything() {
        let map = Map::read(builtin(DestinationKind::Hubspot).expect("a map"), "").expect("it can be read");
        for data in [
            json!({ "tenant": "acme", "media_id": "m" }),
            json!({ "tenant": "acme", "media_id": "m", "context": 7, "message": null, "kind": "audio", "original": { "duration_ms": 61_000 } }),
            json!({ "tenant": "acme", "media_id": "m", "message": { "phone": "+5511987654321", "caption": "x" }, "context": { "deal": 7 } }),
        ] {
            let prepared = map.prepare(&seen(data)).expect("evaluated").expect("wanted");
            assert!(
                prepared.activity.body.contains("https://media.example/c/1/")
                    && prepared.activity.body.contains("mediamill e1")
            );
        }
    }
}
