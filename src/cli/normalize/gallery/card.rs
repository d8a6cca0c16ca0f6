//! The part of the page about one file: a player, what was done to the file, and why.

use super::super::super::{describe, units};
use super::super::FinishedFile;
use super::html::{escape, href};
use super::mark;
use crate::events::{Asset, Kind, Normalized, Peaks, Rejected, Role};
use crate::roles::worker::Outcome;

/// Most bars of a waveform.
const BARS: usize = 160;

/// The card of a file.
pub(super) fn card(done: &FinishedFile, preload: &str) -> String {
    let name = escape(&units::printable(&done.input.label));
    let body = match &done.outcome {
        Outcome::Normalized(manifest) => normalized(&manifest.data, &name, preload),
        Outcome::Rejected(ended) | Outcome::Failed(ended) => unfinished(&ended.data, &name, done.outcome.as_str()),
    };
    format!("<article data-mark=\"{}\">\n{body}</article>\n", mark(&done.outcome))
}

fn normalized(data: &Normalized, name: &str, preload: &str) -> String {
    let action = data.decision.action.as_str();
    let mut facts = vec![("from", from(data)), ("to", to(data))];
    facts.extend(data.loudness.and_then(|loudness| {
        let lufs = loudness.integrated_lufs?;
        Some(("loudness", format!("{lufs:.1} LUFS, {:+.1} dB gain", loudness.gain_db)))
    }));
    facts.extend(data.original.damage.map(|damage| {
        let packets = format!("{} of {} packets", damage.bad_packets, damage.packets);
        let text = match (damage.truncated, damage.bad_packets) {
            (true, 0) => "cut off".to_owned(),
            (true, _) => format!("{packets}, cut off"),
            (false, _) => packets,
        };
        ("damaged", text)
    }));
    facts.extend(data.original.created_at.as_ref().map(|at| ("recorded", at.replace(".000000Z", "Z"))));
    facts.push(("took", format!("{} s", units::seconds(data.timings_ms.total))));
    let list: String = facts.iter().map(|(key, value)| format!("<dt>{key}</dt><dd>{}</dd>", escape(value))).collect();
    format!(
        "{media}<div class=\"text\">\n<h2>{name}</h2>\n<p class=\"marks\"><b>{kind}</b><b class=\"{action}\">{action}</b>\
         <span>{profile}</span></p>\n{size}<dl>{list}</dl>\n{reasons}{links}</div>\n",
        media = media(data, name, preload),
        kind = data.kind.as_str(),
        profile = escape(&data.decision.profile),
        size = size(data),
        reasons = reasons(data),
        links = links(data),
    )
}

fn unfinished(data: &Rejected, name: &str, outcome: &str) -> String {
    let tries = if data.attempts > 1 { format!(", {} attempts", data.attempts) } else { String::new() };
    format!(
        "<div class=\"stage none\"><span>{code}</span></div>\n<div class=\"text\">\n<h2>{name}</h2>\n\
         <p class=\"marks\"><b class=\"{outcome}\">{outcome}</b><span>{stage}{tries}</span></p>\n<p>{why}</p>\n</div>\n",
        code = escape(&data.code),
        stage = data.stage.as_str(),
        why = escape(&data.explanation),
    )
}

fn asset(data: &Normalized, role: Role) -> Option<&Asset> {
    data.assets.iter().find(|asset| asset.role == role)
}

/// A player, a picture, or a placeholder for a document.
fn media(data: &Normalized, name: &str, preload: &str) -> String {
    let thumbnail = asset(data, Role::Thumbnail);
    match (data.kind, asset(data, Role::Playback)) {
        (Kind::Video, Some(playback)) => {
            let poster = thumbnail.map(|asset| format!(" poster=\"{}\"", href(&asset.key))).unwrap_or_default();
            let size = match (playback.width, playback.height) {
                (Some(width), Some(height)) => format!(" width=\"{width}\" height=\"{height}\""),
                _ => String::new(),
            };
            format!(
                "<div class=\"stage\"><video controls playsinline preload=\"{preload}\"{poster}{size} \
                 src=\"{}\" aria-label=\"{name}\"></video></div>\n",
                href(&playback.key)
            )
        }
        (Kind::Audio, Some(playback)) => {
            let wave = data.peaks.as_ref().map(wave).unwrap_or_default();
            let cover = thumbnail.map(|asset| format!("<img class=\"cover\" src=\"{}\" alt=\"\">", href(&asset.key)));
            format!(
                "<div class=\"stage sound\">{}{wave}<audio controls preload=\"{preload}\" src=\"{}\" \
                 aria-label=\"{name}\"></audio></div>\n",
                cover.unwrap_or_default(),
                href(&playback.key)
            )
        }
        _ => match (thumbnail, data.original.key.as_deref()) {
            (Some(thumbnail), Some(original)) => format!(
                "<a class=\"stage\" href=\"{}\"><img src=\"{}\" alt=\"{name}\" loading=\"lazy\"></a>\n",
                href(original),
                href(&thumbnail.key)
            ),
            _ => format!("<div class=\"stage none\"><span>.{}</span></div>\n", escape(&data.original.container)),
        },
    }
}

/// The waveform twice: the upper one is revealed as far as the sound was played.
fn wave(peaks: &Peaks) -> String {
    let levels: Vec<u8> =
        peaks.data.chunks_exact(2).map(|pair| pair[0].unsigned_abs().max(pair[1].unsigned_abs())).collect();
    let loudest = levels.iter().copied().max().unwrap_or(0).max(1);
    let bars = levels.len().min(BARS);
    let path: String = (0..bars)
        .map(|n| {
            let stretch = &levels[n * levels.len() / bars..(n + 1) * levels.len() / bars];
            let level = stretch.iter().copied().max().unwrap_or(0);
            // At least a dot, so that silence is visible as a line.
            let tall = (u32::from(level) * 100 / u32::from(loudest)).max(2);
            format!("M{n} {}v{tall}", 50 - tall / 2)
        })
        .collect();
    let drawing = |class: &str| {
        format!(
            "<svg{class} viewBox=\"-1 0 {} 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>",
            bars + 1
        )
    };
    format!("<div class=\"wave\">{}{}</div>", drawing(""), drawing(" class=\"played\""))
}

fn size(data: &Normalized) -> String {
    let (before, after) = (data.decision.bytes_before, data.decision.bytes_after);
    let larger = before.max(after).max(1);
    let bar = |bytes: u64, class: &str| {
        format!("<i class=\"{class}\" style=\"width:{}%\"></i>", bytes.saturating_mul(100).div_ceil(larger))
    };
    if before == after {
        return format!("<div class=\"size\"><span>{}</span></div>\n", units::bytes(before));
    }
    let change = match units::saved(before, after).strip_prefix('-') {
        Some(grown) => format!("{grown} larger"),
        None => format!("{} saved", units::saved(before, after)),
    };
    let figures = format!("{} → {} · {change}", units::bytes(before), units::bytes(after));
    format!(
        "<div class=\"size\"><span>{figures}</span><div>{}{}</div></div>\n",
        bar(before, "before"),
        bar(after, "after")
    )
}

/// The reasons, stream by stream.
fn reasons(data: &Normalized) -> String {
    let items = data.decision.reasons.iter().map(|reason| {
        let (place, verdict, why) = describe::reason(reason);
        format!("<li>{place}: <b>{}</b> {}</li>", escape(verdict), escape(&why))
    });
    let items: String = items.collect();
    format!("<ul class=\"reasons\">{items}</ul>\n")
}

/// Links to all stored objects.
fn links(data: &Normalized) -> String {
    let mut links: Vec<(&str, &str)> = data.assets.iter().map(|asset| (role(asset.role), asset.key.as_str())).collect();
    let original = data.original.key.as_deref();
    // If the original is what plays, it is stored once and serves as both.
    if let Some(key) = original.filter(|key| links.iter().all(|(name, other)| *name != "original" && other != key)) {
        links.push(("original", key));
    }
    let same = |name: &str, key: &str| name == "playback" && original == Some(key);
    let items = links.iter().map(|(name, key)| {
        let text = if same(name, key) { "playback = original" } else { name };
        format!("<a href=\"{}\">{text}</a>", href(key))
    });
    let none = if original.is_none() { "<span>original not kept</span>" } else { "" };
    format!("<p class=\"links\">{}{none}</p>\n", items.collect::<String>())
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Playback => "playback",
        Role::Thumbnail => "thumbnail",
        Role::Rendition => "rendition",
        Role::Waveform => "waveform",
        Role::Peaks => "peaks",
        Role::Original => "original",
    }
}

/// The input: container, length, streams.
fn from(data: &Normalized) -> String {
    let original = &data.original;
    let mut parts = vec![original.container.clone()];
    parts.extend(original.duration_ms.map(units::clock));
    parts.extend(original.streams.iter().map(describe::stream));
    if original.streams.is_empty() {
        parts.push(original.mime_type.clone());
    }
    parts.join(" · ")
}

/// What is played now.
fn to(data: &Normalized) -> String {
    let Some(playback) = asset(data, Role::Playback) else { return "the unchanged original".to_owned() };
    let mut parts = vec![playback.mime_type.clone(), playback.codecs.join(" + ")];
    if let (Some(width), Some(height)) = (playback.width, playback.height) {
        parts.push(format!("{width}×{height}"));
    }
    parts.extend(playback.duration_ms.map(units::clock));
    parts.extend(playback.bit_rate.map(|rate| format!("{} kbit/s", rate.div_ceil(1000))));
    parts.join(" · ")
}
