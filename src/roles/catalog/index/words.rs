//! Texts as the words that are searched for: letters and digits in lower case, Latin letters without their marks, so that `acao`
//! finds *Ação*. Each word has the tenant's mark in front: the index of words is then one for each tenant, and a search takes no
//! longer because other tenants use the same words. Both databases index the same words, so that they find the same media.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

/// Longest word in bytes; of a longer one its beginning is kept.
const MAX_WORD_BYTES: usize = 64;
/// Most different words of one text: beyond what anybody says in four hours.
const MAX_WORDS: usize = 20_000;
/// Most words of a question.
pub(super) const MAX_ASKED: usize = 16;

/// What stands in front of each word of a tenant.
fn mark(tenant: &str) -> String {
    format!("t{}", &hex::encode(Sha256::digest(tenant))[..8])
}

/// The words of texts, each once, with single spaces between them.
pub(super) fn words<'a>(tenant: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let mark = mark(tenant);
    let words: BTreeSet<String> = texts.into_iter().flat_map(split).take(MAX_WORDS).collect();
    words.into_iter().map(|word| format!("{mark}{word}")).collect::<Vec<_>>().join(" ")
}

/// The words that somebody asks for, with the tenant's mark, each of which may be the beginning of one.
pub(super) fn asked(tenant: &str, text: &str) -> Vec<String> {
    let mark = mark(tenant);
    split(text).take(MAX_ASKED).map(|word| format!("{mark}{word}")).collect()
}

fn split(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.map(folded).filter(|word| !word.is_empty())
}

fn folded(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(plain) => text.push_str(plain),
            None if c.is_alphanumeric() => text.push(c),
            // A mark that stands alone after the change to lower case.
            None => {}
        }
    }
    let end = (0..=text.len().min(MAX_WORD_BYTES)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// A Latin letter without its mark.
const fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_words(text: &str) -> Vec<String> {
        let words = words("acme", [text]);
        words.split(' ').filter(|word| !word.is_empty()).map(|word| word[9..].to_owned()).collect()
    }

    #[test]
    fn texts_are_words_without_marks_and_case() {
        assert_eq!(plain_words("AÇÃO-da_Loja.pdf ação 2026"), ["2026", "acao", "da", "loja", "pdf"]);
        assert_eq!(plain_words("Straße, 語 İstanbul"), ["istanbul", "strasse", "語"]);
        assert_eq!(plain_words("\0 … 🎧 ''"), [""; 0]);
        assert_eq!(plain_words(&"é".repeat(500))[0].len(), MAX_WORD_BYTES);
        assert_eq!(asked("acme", &"a ".repeat(50)).len(), MAX_ASKED);
    }

    #[test]
    fn tenants_have_words_of_their_own() {
        assert_ne!(words("acme", ["invoice"]), words("globex", ["invoice"]));
        let asked = asked("acme", "Invoic\" OR *");
        assert!(
            asked.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())),
            "{asked:?}"
        );
    }
}
