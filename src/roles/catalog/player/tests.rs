use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::roles::catalog::Object;
use crate::roles::catalog::index::{MediaState, Place, Row};
use crate::vocabulary::Role;

const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>\u{202e}gpj.exe";

fn row(kind: &str) -> Row {
    Row {
        tenant: "acme".to_owned(),
        media_id: EVIL.to_owned(),
        state: MediaState::Normalized,
        revision: 1,
        outcome_at: Timestamp::UNIX_EPOCH,
        sent_at: Timestamp::UNIX_EPOCH,
        expires_at: Some(Timestamp::UNIX_EPOCH),
        kind: Some(kind.to_owned()),
        channel: Some(EVIL.to_owned()),
        direction: Some(EVIL.to_owned()),
        profile: None,
        code: Some(EVIL.to_owned()),
        file_name: Some(EVIL.to_owned()),
        caption: Some(EVIL.to_owned()),
        transcript: Some(EVIL.to_owned()),
        certificate: None,
        tags: vec![EVIL.to_owned()],
        contacts: Vec::new(),
        data: Value::Null,
        place: Place { sent_at: 0, id: 1 },
    }
}

fn object(role: Role, key: &str) -> Object {
    Object {
        role,
        key: key.to_owned(),
        mime_type: "audio/mpeg".to_owned(),
        size_bytes: 107_472,
        sha256: "ab".to_owned(),
        duration_ms: Some(21_388),
    }
}

fn objects() -> Vec<Object> {
    let evil = format!("acme/m/x/a.{EVIL}");
    [Role::Playback, Role::Thumbnail, Role::Original].into_iter().map(|role| object(role, &evil)).collect()
}

/// Nothing of the page was written by a customer but text.
fn assert_tame(page: &str) {
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(!page.contains("<img src=x") && !page.contains("onerror='") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("&quot;&gt;&lt;script&gt;"), "is the test blind?");
    for outside in ["http://", "https://", "//cdn", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn names_and_texts_are_text_wherever_they_stand() {
    for kind in ["audio", "video", "image", "document"] {
        let row = row(kind);
        let facts = Facts { row: &row, objects: objects(), bars: vec![1, 100], back: Some("../".to_owned()) };
        let page = media_page(&facts);
        assert_tame(&page);
        assert!(page.len() <= 30_000, "{kind}: {} bytes", page.len());
        let timeline = Timeline {
            entries: vec![Entry { row, objects: objects() }],
            kind: EVIL.to_owned(),
            words: EVIL.to_owned(),
            older: Some(format!("q={EVIL}")),
            is_later_page: true,
        };
        assert_tame(&timeline_page(&timeline));
    }
}

#[test]
fn the_page_of_operators_is_tame_and_says_what_is_not_known() {
    let letters = DeadLetterQueue {
        queue: EVIL.to_owned(),
        reason: EVIL.to_owned(),
        meaning: "the store refused",
        back_to: EVIL.to_owned(),
        count: 7,
    };
    let begun = |number: &str, requested_at: &str, held| Begun {
        number: number.to_owned(),
        tenant: EVIL.to_owned(),
        selected_by: "contact",
        requested_at: requested_at.parse().expect("a time"),
        media: Some(3),
        held,
    };
    let now = "2026-11-27T12:00:00Z".parse().expect("a time");
    let page = operations_page(
        &Operations {
            counts: vec![(EVIL.to_owned(), 12)],
            letters: Some(vec![letters; 10]),
            more_letters: 9,
            unrouted: 2,
            erasures: Some(vec![begun(EVIL, "2026-11-27T11:59:00Z", 0), begun("b", "2026-11-27T10:59:00Z", 1)]),
            replayed: Some(1),
        },
        now,
    );
    assert_tame(&page);
    assert!(page.len() <= 30_000, "{} bytes", page.len());
    assert_eq!(page.matches("late: is").count(), 1, "the one of an hour ago: {page}");
    for shown in ["1 message was moved back", "9 more were not looked at", "2 requests have", "3, of which 1 are held"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let unknown = operations_page(&Operations::default(), now);
    assert!(
        unknown.contains("The broker does not answer") && unknown.contains("The store does not answer"),
        "{unknown}"
    );
}

#[test]
fn a_page_of_a_timeline_is_small() {
    let entry = || {
        let mut row = row("audio");
        (row.caption, row.media_id) =
            (Some("Here is the invoice".to_owned()), "whatsapp-4dcb8976f4011bd036eaf3ff4a1a4565".to_owned());
        (row.file_name, row.transcript, row.code) = (None, Some("what was said ".repeat(10)), None);
        Entry {
            row,
            objects: vec![object(Role::Playback, "a/b/c/audio.mp3"), object(Role::Original, "a/b/c/original.ogg")],
        }
    };
    let timeline = Timeline { entries: (0..25).map(|_| entry()).collect(), ..Timeline::default() };
    let page = timeline_page(&timeline);
    assert!(page.len() <= 30_000, "{} bytes", page.len());
}

#[test]
fn the_policy_admits_what_stands_in_the_page() {
    let policy = policy(Some("https://bucket.example"), &["https://crm.example".to_owned()]);
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors https://crm.example"),
        "{policy}"
    );
    assert!(policy.contains("media-src 'self' https://bucket.example") && !policy.contains("unsafe"), "{policy}");
    assert!(super::policy(None, &[]).contains("frame-ancestors 'none'"));
}

#[test]
fn peaks_become_bars() {
    assert_eq!(
        bars(&serde_json::json!({ "version": 2, "data": [-10, 5, -100, 100, 0, 0, -50, 20] })),
        [10, 100, 0, 50]
    );
    for value in [serde_json::json!({}), serde_json::json!({ "data": 1 }), serde_json::Value::Null] {
        assert_eq!(bars(&value), [0_u8; 0], "{value}");
    }
    let long = serde_json::json!({ "data": (0..10_000).map(|n| n % 128).collect::<Vec<_>>() });
    assert_eq!(bars(&long).len(), 240);
}
