//! The text of an exported WhatsApp chat: who sent which file.
//!
//! A line of a file is `[<time>] <name>: <attached: FILE>` from an iPhone and `<time> - <name>: FILE (file attached)` from
//! Android, with the words in parentheses in the phone's language. The time is written as the phone's region writes it, which
//! the text does not say (3/4 is in March or in April), so that it is not read.

use std::collections::{HashMap, HashSet};

/// Marks of direction that WhatsApp puts before and into lines.
const MARKS: [char; 4] = ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202c}'];

/// The name of who sent each of these files, as far as the text tells.
pub(super) fn senders(text: &str, files: &HashSet<String>) -> HashMap<String, String> {
    let mut senders = HashMap::new();
    for line in text.lines() {
        let line = line.replace(MARKS, "");
        if let Some((name, file)) = sent(&line)
            && files.contains(file)
        {
            senders.entry(file.to_owned()).or_insert_with(|| name.to_owned());
        }
    }
    senders
}

/// The name and the file of a line that has both.
fn sent(line: &str) -> Option<(&str, &str)> {
    let behind_time = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?.1,
        None => line.split_once(" - ")?.1,
    };
    let (name, said) = behind_time.split_once(": ")?;
    let file = match said.strip_prefix("<").and_then(|said| said.strip_suffix('>')) {
        Some(attached) => attached.split_once(": ")?.1,
        None => said.rsplit_once(" (")?.0,
    };
    Some((name.trim(), file.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_text_is_not() {
        let text = "\u{200e}[27/11/2026, 10:00:01] Ana Lima: \u{200e}<attached: 00000012-AUDIO-2026-11-27.opus>\n\
            27/11/26, 10:00 - Zoë: PTT-20261127-WA0001.opus (Datei angehängt)\n\
            27/11/26, 10:01 - Ana Lima: see photo.jpg (please)\n\
            27/11/26, 10:02 - Ana Lima: IMG (1).jpg (file attached)\n\
            27/11/26, 10:03 - Messages are end-to-end encrypted.\n\
            a line that goes on: with <attached: x.opus>\n";
        let files =
            ["00000012-AUDIO-2026-11-27.opus", "PTT-20261127-WA0001.opus", "photo.jpg", "IMG (1).jpg", "x.opus"];
        let files: HashSet<String> = files.map(str::to_owned).into();
        let found = senders(text, &files);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found["00000012-AUDIO-2026-11-27.opus"], "Ana Lima");
        assert_eq!(found["PTT-20261127-WA0001.opus"], "Zoë");
        assert_eq!(found["IMG (1).jpg"], "Ana Lima");
    }
}
