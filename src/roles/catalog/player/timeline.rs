//! The page of a contact: media in the order of time, the latest first.

use super::document;
use super::html::{length, text, time};
use super::media::word_for;
use crate::links::{object_name, segment};
use crate::roles::catalog::Object;
use crate::roles::catalog::index::Row;
use crate::vocabulary::Role;

/// Longest beginning of a transcript in the list, in characters.
const TRANSCRIPT: usize = 300;

/// One media of the list.
#[derive(Debug)]
pub(in crate::roles::catalog) struct Entry {
    /// The media.
    pub(in crate::roles::catalog) row: Row,
    /// The files that the reader may have.
    pub(in crate::roles::catalog) objects: Vec<Object>,
}

/// What the page shows.
#[derive(Debug, Default)]
pub(in crate::roles::catalog) struct Timeline {
    /// The media, the latest first.
    pub(in crate::roles::catalog) entries: Vec<Entry>,
    /// The kind that was asked for.
    pub(in crate::roles::catalog) kind: String,
    /// The words that were asked for.
    pub(in crate::roles::catalog) words: String,
    /// The query of the page with older media.
    pub(in crate::roles::catalog) older: Option<String>,
    /// Whether this is not the first page.
    pub(in crate::roles::catalog) is_later_page: bool,
}

/// The page of a contact. The pages and files of its media stand below its own address.
pub(in crate::roles::catalog) fn timeline_page(timeline: &Timeline) -> String {
    let options: String = [
        ("", "Everything"),
        ("audio", "Voice and sound"),
        ("video", "Videos"),
        ("image", "Pictures"),
        ("document", "Documents"),
    ]
    .iter()
    .map(|(value, name)| {
        let selected = if *value == timeline.kind { " selected" } else { "" };
        format!("<option value=\"{value}\"{selected}>{name}</option>")
    })
    .collect();
    let items: String = timeline.entries.iter().map(item).collect();
    let list = if items.is_empty() {
        "<p class=\"note\">Nothing is here.</p>".to_owned()
    } else {
        format!("<ol class=\"timeline\">{items}</ol>")
    };
    let newest = if timeline.is_later_page { "<a class=\"button\" href=\"?\">Newest</a>" } else { "" };
    let older = timeline
        .older
        .as_ref()
        .map(|query| format!("<a class=\"button\" rel=\"next\" href=\"?{}\">Older</a>", text(query)));
    let body = format!(
        "<main><h1>Media of this contact</h1>\
         <form class=\"filter\" method=\"get\" role=\"search\"><label>Show <select name=\"kind\">{options}</select></label>\
         <label>Words <input type=\"search\" name=\"q\" maxlength=\"200\" value=\"{}\"></label><button>Search</button></form>\
         {list}<nav class=\"pager\" aria-label=\"Pages\">{newest}{}<a class=\"button\" href=\"all.zip\" download>Download all</a></nav></main>",
        text(&timeline.words),
        older.unwrap_or_default(),
    );
    document("Media of this contact", &body)
}

fn item(entry: &Entry) -> String {
    let row = &entry.row;
    let base = segment(&row.media_id);
    let find = |role: Role| entry.objects.iter().find(|object| object.role == role);
    let path = |object: &Object| format!("{base}/{}", object_name(object.role, &object.key));
    let playback = find(Role::Playback);
    let shown = match (row.kind.as_deref(), playback) {
        (Some("audio"), Some(object)) => {
            format!("<audio controls preload=\"none\" src=\"{}\"></audio>", path(object))
        }
        _ => find(Role::Thumbnail).map_or_else(String::new, |object| {
            format!("<a href=\"{base}/\"><img loading=\"lazy\" alt=\"\" src=\"{}\"></a>", path(object))
        }),
    };
    let caption = row.caption.as_ref().map(|caption| format!("<p class=\"caption\">{}</p>", text(caption)));
    let transcript = row.transcript.as_ref().map(|words| {
        let beginning: String = words.chars().take(TRANSCRIPT).collect();
        format!("<p class=\"transcript\">{}</p>", text(&beginning))
    });
    let note = row.code.as_ref().map(|code| format!("<p class=\"note\">Could not be prepared ({}).</p>", text(code)));
    let name = row.file_name.as_deref().unwrap_or_else(|| word_for(row.kind.as_deref().unwrap_or("file")));
    let seconds = playback.and_then(|object| object.duration_ms).map(|ms| format!(" · {}", length(ms)));
    let save = [Role::Playback, Role::Rendition, Role::Original].into_iter().find_map(find);
    let save = save.map(|object| format!("<a href=\"{}?download=1\" download>Download</a>", path(object)));
    let side = if row.direction.as_deref() == Some("outbound") { " class=\"out\"" } else { "" };
    format!(
        "<li{side}><p class=\"head\">{} · <a href=\"{base}/\">{}</a>{}</p>{shown}{}{}{}<p class=\"foot\">{}</p></li>",
        time(row.sent_at),
        text(name),
        seconds.unwrap_or_default(),
        caption.unwrap_or_default(),
        transcript.unwrap_or_default(),
        note.unwrap_or_default(),
        save.unwrap_or_default(),
    )
}
