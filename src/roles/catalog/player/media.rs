//! The page of one media.

use super::document;
use super::html::{length, size, text, time};
use crate::links::{object_name, role_name};
use crate::roles::catalog::Object;
use crate::roles::catalog::index::Row;
use crate::vocabulary::Role;

/// What the page shows.
#[derive(Debug)]
pub(in crate::roles::catalog) struct Facts<'a> {
    /// The media.
    pub(in crate::roles::catalog) row: &'a Row,
    /// The files that the reader may have.
    pub(in crate::roles::catalog) objects: Vec<Object>,
    /// Heights of the waveform.
    pub(in crate::roles::catalog) bars: Vec<u8>,
    /// Where the page of the contact is, for a reader who came from there.
    pub(in crate::roles::catalog) back: Option<String>,
}

/// The page of one media. Files stand below its own address.
pub(in crate::roles::catalog) fn media_page(facts: &Facts<'_>) -> String {
    let row = facts.row;
    let kind = row.kind.as_deref().unwrap_or("file");
    let name = row.file_name.clone().unwrap_or_else(|| word_for(kind).to_owned());
    let back = facts
        .back
        .as_ref()
        .map(|back| format!("<p class=\"back\"><a href=\"{}\">All media of this contact</a></p>", text(back)));
    let caption = row.caption.as_ref().map(|caption| format!("<p class=\"caption\">{}</p>", text(caption)));
    let transcript = row.transcript.as_ref().map(|transcript| {
        format!(
            "<section aria-labelledby=\"t\"><h2 id=\"t\">Transcript</h2><p class=\"transcript\">{}</p></section>",
            text(transcript)
        )
    });
    let body = format!(
        "<main>{}<h1>{}</h1>{}{}{}{}{}</main>",
        back.unwrap_or_default(),
        text(&name),
        player(facts),
        caption.unwrap_or_default(),
        transcript.unwrap_or_default(),
        details(row, facts),
        downloads(facts),
    );
    document(&name, &body)
}

/// A name for a file that has none.
pub(super) fn word_for(kind: &str) -> &'static str {
    match kind {
        "audio" => "Voice message",
        "video" => "Video",
        "image" => "Picture",
        "document" => "Document",
        _ => "File",
    }
}

fn find<'a>(facts: &'a Facts<'_>, role: Role) -> Option<&'a Object> {
    facts.objects.iter().find(|object| object.role == role)
}

/// The file's name below the page's address.
fn path(object: &Object) -> String {
    object_name(object.role, &object.key)
}

fn player(facts: &Facts<'_>) -> String {
    let playback = find(facts, Role::Playback);
    let poster = find(facts, Role::Thumbnail).map(|object| format!(" poster=\"{}\"", path(object))).unwrap_or_default();
    match (facts.row.kind.as_deref(), playback) {
        (Some("audio"), Some(object)) => sound(facts, object),
        (_, Some(object)) => {
            format!(
                "<video class=\"media\" controls playsinline preload=\"metadata\"{poster} src=\"{}\"></video>",
                path(object)
            )
        }
        (_, None) => {
            let picture = [Role::Rendition, Role::Thumbnail].into_iter().find_map(|role| find(facts, role));
            match picture {
                Some(object) => format!("<img class=\"media\" alt=\"\" src=\"{}\">", path(object)),
                None if facts.row.state.as_str() == "normalized" => String::new(),
                None => format!(
                    "<p class=\"note\">This file could not be prepared ({}).</p>",
                    text(facts.row.code.as_deref().unwrap_or("unknown"))
                ),
            }
        }
    }
}

/// The browser's own player, which the script replaces.
fn sound(facts: &Facts<'_>, object: &Object) -> String {
    let ms = object.duration_ms.unwrap_or(0);
    let bars = facts.bars.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!(
        "<div class=\"player\" data-bars=\"{bars}\" data-ms=\"{ms}\">\
         <audio class=\"media\" controls preload=\"metadata\" src=\"{}\"></audio>\
         <div class=\"own\" hidden><button type=\"button\" class=\"play\" aria-label=\"Play\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">\
         <path class=\"i-play\" d=\"M7 4v16l13-8z\"/><path class=\"i-pause\" d=\"M6 4h4v16H6zM14 4h4v16h-4z\"/></svg></button>\
         <div class=\"wave\" role=\"slider\" tabindex=\"0\" aria-label=\"Position\" aria-valuemin=\"0\" aria-valuemax=\"{}\" \
         aria-valuenow=\"0\" aria-valuetext=\"0:00 of {}\"><canvas></canvas></div>\
         <div class=\"row\"><span class=\"clock\"><span class=\"now\">0:00</span> / {}</span>\
         <label>Speed <select class=\"speed\"><option value=\"0.75\">0.75×</option><option value=\"1\" selected>1×</option>\
         <option value=\"1.25\">1.25×</option><option value=\"1.5\">1.5×</option><option value=\"2\">2×</option></select></label></div>\
         <p class=\"trouble\" role=\"status\"></p></div></div>",
        path(object),
        ms / 1000,
        length(ms),
        length(ms),
    )
}

fn details(row: &Row, facts: &Facts<'_>) -> String {
    let playback = find(facts, Role::Playback);
    let mut list = vec![("Sent", time(row.sent_at))];
    if let Some(channel) = &row.channel {
        list.push(("Channel", text(channel)));
    }
    if let Some(direction) = &row.direction {
        let word = match direction.as_str() {
            "inbound" => "from the customer",
            "outbound" => "to the customer",
            other => other,
        };
        list.push(("Direction", text(word)));
    }
    if let Some(ms) = playback.and_then(|object| object.duration_ms) {
        list.push(("Length", length(ms)));
    }
    if !row.tags.is_empty() {
        list.push(("Labels", text(&row.tags.join(", "))));
    }
    if let Some(expires_at) = row.expires_at {
        list.push(("Kept until", time(expires_at)));
    }
    let list: String =
        list.into_iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect();
    format!("<dl>{list}</dl>")
}

fn downloads(facts: &Facts<'_>) -> String {
    let wanted = [Role::Playback, Role::Rendition, Role::Original];
    let items: String = wanted
        .into_iter()
        .filter_map(|role| find(facts, role))
        .map(|object| {
            let word = if object.role == Role::Original { "Original" } else { "Download" };
            let (path, role, size) = (path(object), role_name(object.role), size(object.size_bytes));
            format!("<a class=\"button\" href=\"{path}?download=1\" download data-role=\"{role}\">{word} <small>{size}</small></a>")
        })
        .collect();
    if items.is_empty() { String::new() } else { format!("<p class=\"downloads\">{items}</p>") }
}
