//! The lists of what destinations accept, and whether a file is accepted.

use serde::Deserialize;

use crate::task::Report;
use crate::vocabulary::{Kind, StreamDetail};

const RULES: &str = include_str!("accepted.toml");

/// All rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rule: Vec<Rule>,
}

/// One kind of file that a destination accepts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) destination: String,
    /// A stable name for the output.
    pub(super) name: String,
    /// Accepted MIME types, by content; `*` means all.
    types: Vec<String>,
    /// MIME types that are excluded.
    #[serde(default)]
    except: Vec<String>,
    /// Accepted kinds of files; empty means all.
    #[serde(default)]
    kinds: Vec<Kind>,
    /// Accepted codecs of streams; empty means all.
    #[serde(default)]
    codecs: Vec<String>,
    max_channels: Option<u32>,
    /// Whether the rule is for animated pictures or for still ones.
    #[serde(default)]
    animated: bool,
    max_bytes: u64,
    /// A larger file is accepted, but displayed in a less useful form.
    preferred_max_bytes: Option<u64>,
    /// The MIME type that the destination must be told, if it has more than the file's own type.
    pub(super) mime_type: Option<String>,
    /// Whether a page of the vendor confirms the rule.
    pub(super) verified: bool,
}

/// The result of comparing a file with a destination.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fit {
    /// The file is accepted by this rule. The text says what is displayed worse, if anything.
    Yes(Rule, Option<String>),
    /// No rule accepts the file: the nearest rule, and why it does not.
    No(Option<Rule>, String),
}

/// The rules of the requested destinations.
///
/// # Errors
/// The name of an unknown destination, or what is wrong with the lists.
pub(super) fn rules(destinations: &[String]) -> Result<Vec<Rule>, String> {
    let Rules { rule: rules } = toml::from_str(RULES).map_err(|error| format!("accepted.toml: {error}"))?;
    let mut known: Vec<&str> = rules.iter().map(|rule| rule.destination.as_str()).collect();
    known.dedup();
    match destinations.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("--for: {unknown:?} is not a known destination; known are {}", known.join(", "))),
        None => Ok(rules),
    }
}

/// Compares a file of this size, with this report of a child, with a destination.
pub(super) fn fit(destination: &str, rules: &[Rule], report: &Report, size_bytes: u64) -> Fit {
    let of_type = |rule: &&Rule| rule.destination == destination && rule.has_type(report);
    let mut nearest = None;
    for rule in rules.iter().filter(of_type) {
        match rule.obstacle(report, size_bytes) {
            None => {
                let preferred = rule.preferred_max_bytes.filter(|most| size_bytes > *most);
                return Fit::Yes(
                    rule.clone(),
                    preferred.map(|most| format!("above {most} bytes it is displayed in a less useful form")),
                );
            }
            Some(obstacle) => nearest = nearest.or(Some((rule.clone(), obstacle))),
        }
    }
    match nearest {
        Some((rule, obstacle)) => Fit::No(Some(rule), obstacle),
        None => Fit::No(None, format!("no rule accepts {}", report.mime_type)),
    }
}

impl Rule {
    fn has_type(&self, report: &Report) -> bool {
        let is = |of: &String| of == "*" || *of == report.mime_type;
        let kind = self.kinds.is_empty() || self.kinds.contains(&report.kind);
        kind && self.types.iter().any(is) && !self.except.contains(&report.mime_type)
    }

    fn obstacle(&self, report: &Report, size_bytes: u64) -> Option<String> {
        let foreign = report.streams.iter().find(|stream| {
            let media = matches!(stream.detail, StreamDetail::Video { .. } | StreamDetail::Audio { .. });
            media && !self.codecs.is_empty() && !self.codecs.contains(&stream.codec)
        });
        let channels = report.streams.iter().filter_map(|stream| match stream.detail {
            StreamDetail::Audio { channels, .. } => Some(channels),
            _ => None,
        });
        let channels = channels.max().unwrap_or(0);
        let moves = report
            .streams
            .iter()
            .any(|stream| matches!(stream.detail, StreamDetail::Video { frames: Some(frames), .. } if frames > 1));
        let still = report.kind == Kind::Image && self.types.iter().any(|name| name == "image/webp");
        if let Some(stream) = foreign {
            return Some(format!("the codec {} is not one of {}", stream.codec, self.codecs.join(", ")));
        }
        if let Some(most) = self.max_channels.filter(|most| channels > *most) {
            return Some(format!("{channels} channels, at most {most}"));
        }
        if still && moves != self.animated {
            return Some(if moves { "it is animated".to_owned() } else { "it does not move".to_owned() });
        }
        (size_bytes > self.max_bytes).then(|| format!("{size_bytes} bytes, at most {}", self.max_bytes))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(kind: &str, mime_type: &str, streams: serde_json::Value) -> Report {
        let report = json!({
            "kind": kind, "mime_type": mime_type, "extension": "x", "container": "x", "streams": streams,
            "action": "kept-original", "reasons": [], "produced": [], "cpu_s": 0.0, "peak_memory_bytes": 0, "libav": {},
            "sandbox": { "mode": "", "landlock": "", "landlock_abi": 0, "seccomp": true },
        });
        serde_json::from_value(report).expect("a report")
    }

    fn sound(mime_type: &str, codec: &str, channels: u32) -> Report {
        let stream =
            json!({ "index": 0, "codec": codec, "type": "audio", "sample_rate_hz": 48000, "channels": channels });
        report("audio", mime_type, json!([stream]))
    }

    fn judged(destination: &str, report: &Report, size_bytes: u64) -> Result<String, String> {
        let rules = rules(&[destination.to_owned()]).expect("rules");
        match fit(destination, &rules, report, size_bytes) {
            Fit::Yes(rule, None) => Ok(rule.name),
            Fit::Yes(rule, Some(_)) => Ok(format!("{}, large", rule.name)),
            Fit::No(_, why) => Err(why),
        }
    }

    #[test]
    fn the_channel_takes_what_its_list_says() {
        let voice = sound("audio/ogg", "opus", 1);
        assert_eq!(judged("whatsapp", &voice, 500_000).as_deref(), Ok("whatsapp.voice"));
        assert_eq!(judged("whatsapp", &voice, 600_000).as_deref(), Ok("whatsapp.voice, large"));
        assert!(judged("whatsapp", &voice, 16_000_001).is_err());
        assert!(judged("whatsapp", &sound("audio/ogg", "opus", 2), 1).is_err());
        assert!(judged("whatsapp", &sound("audio/ogg", "vorbis", 1), 1).is_err());
        assert!(judged("whatsapp", &sound("audio/x-caf", "alac", 1), 1).is_err());
        assert!(judged("salesforce-channel", &sound("audio/mpeg", "mp3", 1), 1).is_ok());
        assert!(judged("salesforce-channel", &voice, 1).is_err());
        let webp = |frames: Option<u32>| {
            let stream = json!({
                "index": 0, "codec": "webp", "type": "video", "width": 1, "height": 1, "pixel_format": "",
                "dynamic_range": "sdr", "frames": frames,
            });
            report("image", "image/webp", json!([stream]))
        };
        assert_eq!(judged("whatsapp", &webp(None), 90_000).as_deref(), Ok("whatsapp.sticker"));
        assert!(judged("whatsapp", &webp(None), 200_000).is_err());
        assert_eq!(judged("whatsapp", &webp(Some(9)), 200_000).as_deref(), Ok("whatsapp.sticker-animated"));
        let pdf = report("document", "application/pdf", json!([]));
        assert_eq!(judged("whatsapp", &pdf, 9_000_000).as_deref(), Ok("whatsapp.document"));
    }

    #[test]
    fn rules_have_names_of_their_own_and_unknown_destinations_are_named() {
        let all = rules(&[]).expect("rules");
        let names: std::collections::BTreeSet<&str> = all.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|rule| rule.name.starts_with(&format!("{}.", rule.destination))));
        assert!(rules(&["carrier-pigeon".to_owned()]).is_err_and(|error| error.contains("carrier-pigeon")));
    }
}
