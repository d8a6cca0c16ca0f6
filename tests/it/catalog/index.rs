//! One suite over both databases.

use mediamill::roles::catalog::index::{Change, Entry, Filter, Index, MediaState};

use super::{Empty, at, both, entry, outcome};
use crate::support::postgres;

fn filter() -> Filter {
    Filter { tenant: "acme".to_owned(), now: at(1_000_000), ..Filter::default() }
}

async fn ids(index: &dyn Index, filter: &Filter) -> Vec<String> {
    let rows = index.find(filter, None, 100).await.expect("an answer");
    rows.into_iter().map(|row| row.media_id).collect()
}

fn erased(media_id: &str) -> Change {
    Change::Erased {
        tenant: "acme".to_owned(),
        media_id: media_id.to_owned(),
        certificate: "cert-1".to_owned(),
        erased_at: at(50),
    }
}

fn transcribed(media_id: &str, text: &str, second: i64) -> Change {
    Change::Transcribed {
        tenant: "acme".to_owned(),
        media_id: media_id.to_owned(),
        text: text.to_owned(),
        transcribed_at: at(second),
    }
}

fn captioned(media_id: &str, text: Option<&str>, second: i64) -> Change {
    Change::Captioned {
        tenant: "acme".to_owned(),
        media_id: media_id.to_owned(),
        caption: text.map(ToOwned::to_owned),
        captioned_at: at(second),
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_stored() {
    for Empty { name, index, .. } in both().await {
        let stored = Entry {
            media_id: "m\0/ü".to_owned(),
            expires_at: Some(at(99)),
            file_name: Some("Ação\0.ogg".to_owned()),
            caption: Some("it's \"here\"; -- $1 ?".to_owned()),
            tags: vec!["vip".to_owned(), "a,b".to_owned()],
            data: r#"{"later":{"field":[1,null]}}"#.to_owned(),
            ..entry("", 5)
        };
        assert_eq!(index.apply(&[outcome(stored.clone())]).await.expect("stored"), 1, "{name}");
        let row = index.get("acme", "m\0/ü").await.expect("an answer").expect("a row");
        assert_eq!((row.state, row.revision, row.sent_at), (MediaState::Normalized, 1, at(5)), "{name}");
        assert_eq!((row.expires_at, row.caption), (Some(at(99)), stored.caption), "{name}");
        assert_eq!(row.data["later"]["field"][0], 1, "{name}");
        let mut tags = row.tags;
        tags.sort();
        assert_eq!(
            (tags, row.contacts),
            (vec!["a,b".to_owned(), "vip".to_owned()], vec!["c0ffee".to_owned()]),
            "{name}"
        );
        assert_eq!(index.get("globex", "m\0/ü").await.expect("an answer"), None, "{name}");
    }
}

/// What may happen to one media, in the order of time.
fn history(media_id: &str) -> Vec<Change> {
    let failed = Entry { state: MediaState::Failed, code: Some("source.timeout".to_owned()), ..entry(media_id, 0) };
    let later = Entry { revision: 2, outcome_at: at(9), file_name: Some("two.ogg".to_owned()), ..entry(media_id, 0) };
    vec![
        outcome(failed),
        outcome(Entry { caption: Some("first".to_owned()), ..entry(media_id, 0) }),
        outcome(later),
        transcribed(media_id, "spoken words", 3),
        transcribed(media_id, "better words", 4),
        captioned(media_id, Some("changed"), 5),
    ]
}

#[tokio::test]
async fn changes_lead_to_the_same_row_in_any_order_and_any_number_of_times() {
    for Empty { name, index, .. } in both().await {
        // Every rotation and its reverse, each change twice.
        for turn in 0..12 {
            let media_id = format!("m{turn}");
            let mut order = history(&media_id);
            order.rotate_left(turn % 6);
            if turn >= 6 {
                order.reverse();
            }
            for change in order.iter().chain(&order) {
                index.apply(std::slice::from_ref(change)).await.expect("stored");
            }
            assert_eq!(index.apply(&order).await.expect("stored") - changed_again(&order), 0, "{name} {turn}");
            let row = index.get("acme", &media_id).await.expect("an answer").expect("a row");
            assert_eq!((row.state, row.revision, row.code.as_deref()), (MediaState::Normalized, 2, None), "{name}");
            assert_eq!(row.file_name.as_deref(), Some("two.ogg"), "{name} {turn}");
            assert_eq!((row.caption.as_deref(), row.transcript.as_deref()), (Some("changed"), Some("better words")));
            for (text, found) in [("two", 1), ("changed", 1), ("better", 1), ("first", 0), ("spoken", 0)] {
                let filter = Filter { text: Some(text.to_owned()), ..filter() };
                assert_eq!(ids(&*index, &filter).await.len(), found, "{name} {turn} {text}");
            }
            index.apply(&[erased(&media_id)]).await.expect("stored");
        }
    }
}

/// The outcome that holds is written again when it comes again: nothing of it differs.
fn changed_again(order: &[Change]) -> u64 {
    u64::from(order.iter().any(|change| matches!(change, Change::Outcome(entry) if entry.revision == 2)))
}

#[tokio::test]
async fn what_was_erased_stays_erased_and_leaves_no_word() {
    for Empty { name, index, .. } in both().await {
        let media = Entry {
            file_name: Some("canaryfile.ogg".to_owned()),
            caption: Some("canarycaption".to_owned()),
            tags: vec!["canarytag".to_owned()],
            data: r#"{"x":"canarydata"}"#.to_owned(),
            ..entry("m", 0)
        };
        index.apply(&[outcome(media.clone()), transcribed("m", "canaryspeech", 1)]).await.expect("stored");
        assert_eq!(index.apply(&[erased("m"), erased("m")]).await.expect("stored"), 1, "{name}");
        let changes = [outcome(media), transcribed("m", "canaryspeech", 60), captioned("m", Some("canarycaption"), 60)];
        assert_eq!(index.apply(&changes).await.expect("stored"), 0, "{name}");
        let row = index.get("acme", "m").await.expect("an answer").expect("a row");
        assert_eq!((row.state, row.certificate.as_deref()), (MediaState::Erased, Some("cert-1")), "{name}");
        assert!(row.caption.is_none() && row.transcript.is_none() && row.tags.is_empty() && row.contacts.is_empty());
        assert_eq!((row.data, row.file_name), (serde_json::Value::Null, None), "{name}");
        assert_eq!(ids(&*index, &filter()).await, [""; 0], "{name}");
        let filter = Filter { text: Some("canaryspeech".to_owned()), ..filter() };
        assert_eq!(ids(&*index, &filter).await, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn sqlite_keeps_no_byte_of_what_was_erased() {
    let Empty { index, dir, .. } = Empty::sqlite().await;
    let words = ["canaryfile", "canarycaption", "canarytag", "canarydata", "canaryspeech"];
    let mut changes: Vec<Change> =
        (0..300).map(|n| outcome(Entry { caption: Some(format!("other{n}")), ..entry(&format!("o{n}"), n) })).collect();
    changes.push(outcome(Entry {
        file_name: Some("canaryfile.ogg".to_owned()),
        caption: Some("canarycaption".to_owned()),
        tags: vec!["canarytag".to_owned()],
        data: r#"{"x":"canarydata"}"#.to_owned(),
        ..entry("m", 150)
    }));
    changes.push(transcribed("m", "canaryspeech", 160));
    index.apply(&changes).await.expect("stored");
    let hits = |word: &str| -> usize {
        let files = std::fs::read_dir(dir.path()).expect("a directory").flatten();
        let bytes = files.map(|entry| std::fs::read(entry.path()).expect("a file"));
        bytes.map(|bytes| bytes.windows(word.len()).filter(|part| *part == word.as_bytes()).count()).sum()
    };
    assert!(words.iter().all(|word| hits(word) > 0), "is the test blind?");
    index.apply(&[erased("m")]).await.expect("stored");
    index.wipe_residues().await.expect("wiped");
    for word in words {
        assert_eq!(hits(word), 0, "{word}");
    }
    assert!(hits("other7") > 0);
}

#[tokio::test]
async fn pages_show_every_row_once_in_the_order_of_time() {
    for Empty { name, index, .. } in both().await {
        // Many of the same second.
        let changes: Vec<Change> = (0..95).map(|n| outcome(entry(&format!("m{n}"), n / 10))).collect();
        index.apply(&changes).await.expect("stored");
        for contact in [None, Some("c0ffee".to_owned())] {
            let filter = Filter { contact, ..filter() };
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = index.find(&filter, after, 20).await.expect("an answer");
                let Some(last) = page.last() else { break };
                after = Some(last.place);
                seen.extend(page.iter().map(|row| (row.place.sent_at, row.place.id)));
                // What comes meanwhile is newer, and moves nothing.
                let meanwhile = entry(&format!("n{}", seen.len()), 500);
                index
                    .apply(&[outcome(Entry { contacts: Vec::new(), tenant: "other".to_owned(), ..meanwhile })])
                    .await
                    .expect("stored");
            }
            assert_eq!(seen.len(), 95, "{name}");
            assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{name}");
        }
    }
}

#[tokio::test]
async fn each_condition_finds_what_it_says() {
    let rows = [
        Entry { kind: Some("video".to_owned()), tags: vec!["vip".to_owned(), "sale".to_owned()], ..entry("video", 1) },
        Entry { channel: Some("email".to_owned()), direction: Some("outbound".to_owned()), ..entry("mail", 2) },
        Entry { profile: Some("voice".to_owned()), contacts: vec!["beef".to_owned()], ..entry("beef", 3) },
        Entry { state: MediaState::Rejected, code: Some("media.empty".to_owned()), kind: None, ..entry("empty", 4) },
        Entry { caption: Some("Invoice of the Café".to_owned()), tags: vec!["vip".to_owned()], ..entry("cafe", 5) },
        Entry { expires_at: Some(at(10)), ..entry("expired", 6) },
        Entry { tenant: "globex".to_owned(), caption: Some("invoice".to_owned()), ..entry("theirs", 7) },
    ];
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..filter() };
    let some = |text: &str| Some(text.to_owned());
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let asked: Vec<(Filter, &[&str])> = vec![
        (filter(), &["cafe", "empty", "beef", "mail", "video"]),
        (Filter { now: at(8), ..filter() }, &["expired", "cafe", "empty", "beef", "mail", "video"]),
        (Filter { kinds: list(&["video", "image"]), ..filter() }, &["video"]),
        (Filter { channel: some("email"), ..filter() }, &["mail"]),
        (Filter { direction: some("outbound"), ..filter() }, &["mail"]),
        (Filter { profile: some("voice"), ..filter() }, &["beef"]),
        (Filter { contact: some("beef"), ..filter() }, &["beef"]),
        (Filter { code: some("media.empty"), ..filter() }, &["empty"]),
        (Filter { state: Some(MediaState::Rejected), ..filter() }, &["empty"]),
        (Filter { tags: list(&["vip"]), ..filter() }, &["cafe", "video"]),
        (Filter { tags: list(&["vip", "sale"]), ..filter() }, &["video"]),
        (Filter { any_tag: list(&["sale", "none"]), ..filter() }, &["video"]),
        (Filter { from: Some(at(2)), to: Some(at(4)), ..filter() }, &["beef", "mail"]),
        (text("invoice cafe"), &["cafe"]),
        (text("INVO"), &["cafe"]),
        (text("café!"), &["cafe"]),
        (text("invoice tea"), &[]),
        (text("\" OR * : & | ! ( '"), &[]),
        (text("…"), &[]),
    ];
    for Empty { name, index, .. } in both().await {
        let changes: Vec<Change> = rows.iter().cloned().map(outcome).collect();
        index.apply(&changes).await.expect("stored");
        for (filter, expected) in &asked {
            assert_eq!(ids(&*index, filter).await, *expected, "{name}: {filter:?}");
        }
        let due = index.due(at(10), 10).await.expect("an answer");
        assert_eq!(due.iter().map(|row| row.media_id.as_str()).collect::<Vec<_>>(), ["expired"], "{name}");
        let never = Change::Expires { tenant: "acme".to_owned(), media_id: "expired".to_owned(), expires_at: None };
        index.apply(&[never]).await.expect("stored");
        assert!(index.due(at(10), 10).await.expect("an answer").is_empty(), "{name}");
        index.revoke("link-1", at(1)).await.expect("stored");
        assert!(
            index.is_revoked("link-1").await.expect("an answer")
                && !index.is_revoked("link-2").await.expect("an answer")
        );
        index.wipe_residues().await.expect("wiped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_store_the_same_media_at_the_same_time_lose_nothing() {
    for Empty { name, index, .. } in both().await {
        let writers = (0..4_i64).map(|writer| {
            let index = std::sync::Arc::clone(&index);
            tokio::spawn(async move {
                for round in 0..10 {
                    // The same rows in another order each.
                    let mut batch: Vec<Change> = (0..20)
                        .map(|n| {
                            let revision = u32::try_from(round * 4 + writer).expect("small");
                            outcome(Entry { revision, ..entry(&format!("m{n}"), n) })
                        })
                        .collect();
                    batch.rotate_left(usize::try_from(writer * 5).expect("small"));
                    index.apply(&batch).await.expect("stored");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic");
        }
        let rows = index.find(&filter(), None, 100).await.expect("an answer");
        assert_eq!(rows.len(), 20, "{name}");
        assert!(rows.iter().all(|row| row.revision == 39 && row.contacts.len() == 1), "{name}");
    }
}

#[tokio::test]
async fn postgres_goes_on_after_all_connections_were_cut() {
    let Some(server) = postgres::server() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let Empty { index, url, .. } = Empty::at("postgres", server.database(), dir).await;
    index.apply(&[outcome(entry("m", 1))]).await.expect("stored");
    let name = url.split('?').next().and_then(|url| url.rsplit('/').next()).expect("a name");
    server
        .psql("postgres", &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    // At most each pooled connection fails once.
    let mut tries = 0;
    while let Err(error) = index.apply(&[outcome(entry("n", 2))]).await {
        tries += 1;
        assert!(tries <= 8, "{error}");
    }
    assert_eq!(ids(&*index, &filter()).await, ["n", "m"]);
}
