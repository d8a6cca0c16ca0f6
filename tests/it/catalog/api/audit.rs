//! What the audit log says of what was opened, by whom.

use std::process::Command;

use jiff::Timestamp;
use mediamill::events::Role;
use mediamill::links::Links;
use mediamill::privacy::audit::{Action, Entry, entries};
use mediamill::privacy::{ContactKey, IdKind};
use serde_json::{Value, json};

use super::links::path;
use super::{Answer, Desk, token};
use crate::privacy::audit::go;
use crate::privacy::steps::{normalized, world};
use crate::privacy::world::{KEY, SEED, fed};
use crate::support::azure::Azure;
use crate::support::cmd::{Dir, Run};

const PHONE: &str = "+15550100";
const FILE: &str = "/v1/media/acme/m0/playback.mp3";

/// A desk with an audit log, whose store is `dir/store`, and the hash of [`PHONE`], whose media is `m0`.
async fn desk(dir: &Dir, extra: &[(&str, &str)]) -> (Desk, String) {
    let (config, _command) = world(dir);
    normalized(&dir.path().join("store"), "m0", PHONE, "a caption");
    let hash = ContactKey::new(&config.privacy).expect("a key").known_as("acme", IdKind::Phone, PHONE).remove(0);
    let url = config.store.url.clone();
    let keys = [
        ("store.url", url.as_str()),
        ("privacy.key", KEY),
        ("privacy.audit_key", SEED),
        ("access.privacy.tenants", "acme"),
        ("access.privacy.actions", "export"),
    ];
    let desk = Box::pin(Desk::open(&[&keys[..], extra].concat())).await;
    desk.put_of("acme", "m0", 9, vec![hash.as_str().to_owned()]).await;
    (desk, hash.as_str().to_owned())
}

async fn revoke(desk: &Desk, link: &str) -> Answer {
    let body = json!({ "link": link }).to_string();
    let bearer = token(&json!({ "roles": ["lead"] }));
    desk.raw(&format!(
        "POST /v1/revocations HTTP/1.1\r\nhost: c\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await
}

/// Actor, action, media and what it is about.
fn said(entry: &Entry) -> (&str, Action, &str, &str) {
    let text = |text: &'static str| text;
    let media = entry.media_id.as_deref().unwrap_or_else(|| text(""));
    (&entry.actor, entry.action, media, entry.about.as_deref().unwrap_or_else(|| text("")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_after_its_entry_is_stored() {
    let dir = Dir::new();
    let (desk, hash) = desk(&dir, &[]).await;
    let links = Links::new(&desk.config.links).expect("configured");
    let link = links.media("acme", "m0", "salesforce", Timestamp::now());
    let contact = links.contact("acme", &hash, "zendesk", Timestamp::now());
    let original = "/v1/media/acme/m0/original.ogg".to_owned();
    let by_link = path(&link.object(Role::Playback, "x/audio.mp3"));
    let (page, zip) = (path(link.page()), format!("/k/acme/{hash}/all.zip"));
    let search = format!("/v1/media?tenant=acme&contact={hash}");
    let seen = async || entries(&desk.store).await.expect("a log").pop().expect("an entry");
    for (roles, path, action, media, about) in [
        (&["lead"][..], FILE, Action::View, "m0", "playback.mp3"),
        (&["lead"], &original, Action::Original, "m0", "original.ogg"),
        (&["lead"], "/v1/media/acme/m0", Action::View, "m0", "facts"),
        (&["lead"], "/m/acme/m0/", Action::View, "m0", "page"),
        (&["lead"], &search, Action::View, "", "search"),
        (&["lead"], &format!("/k/acme/{hash}/"), Action::View, "", "timeline"),
        (&["privacy"], &zip, Action::Export, "", "all.zip"),
        (&[], &by_link, Action::View, "m0", "playback.mp3"),
        (&[], &page, Action::View, "m0", "page"),
        (&[], &self::path(&contact), Action::View, "", "timeline"),
    ] {
        let answer = if roles.is_empty() { desk.ask("GET", path, &[]).await } else { desk.get(roles, path).await };
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        let entry = seen().await;
        let (actor, rest) = (said(&entry).0, (said(&entry).1, said(&entry).2, said(&entry).3));
        assert_eq!(rest, (action, media, about), "{path}");
        let actor_ok = if roles.is_empty() { actor.starts_with("link ") } else { actor == "user maria" };
        assert!(actor_ok && !actor.contains('/'), "{path}: {actor}");
        assert_eq!(entry.contact.iter().map(|hash| hash.as_str()).collect::<Vec<_>>(), [&hash], "{path}");
    }
    assert!(seen().await.actor.ends_with(" of zendesk"), "a link is named by its id and destination");
    assert_eq!(revoke(&desk, link.page()).await.status, 200);
    let entry = seen().await;
    assert_eq!((entry.action, entry.actor.as_str()), (Action::Link, "user maria"));
    assert!(entry.about.is_some_and(|about| about.starts_with("revoked ") && about.ends_with(" of salesforce")));
}

/// Refusals do not wait: they are in the log with what comes next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_an_entry_and_names_nothing_that_the_caller_made_up() {
    let dir = Dir::new();
    let (desk, _hash) = desk(&dir, &[]).await;
    let forged = "/c/salesforce.0.forged/m/acme/m0/playback.mp3";
    assert_eq!(desk.get(&["clerk"], FILE).await.status, 403);
    assert_eq!(desk.get(&["agent"], "/v1/media/globex/theirs/playback.mp3").await.status, 404);
    assert_eq!(desk.get(&["agent"], "/v1/media?tenant=+15550199").await.status, 404);
    assert_eq!(desk.get(&["agent"], "/v1/media/acme/+15550199/playback.mp3").await.status, 404);
    assert_eq!(desk.ask("GET", FILE, &[]).await.status, 401);
    assert_eq!(desk.ask("GET", forged, &[]).await.status, 404);
    assert_eq!(desk.get(&["lead"], FILE).await.status, 200);
    let log = entries(&desk.store).await.expect("a log");
    let found: Vec<_> = log.iter().map(|entry| (said(entry), entry.tenant.as_str())).collect();
    let refused = Action::Refused;
    assert_eq!(
        found,
        [
            (("user maria", refused, "m0", "catalog.forbidden"), "acme"),
            (("user maria", refused, "theirs", "catalog.not-found"), "globex"),
            (("user maria", refused, "", "catalog.not-found"), ""),
            (("nobody known", refused, "", "catalog.unauthorized"), ""),
            (("nobody known", refused, "", "catalog.not-found"), ""),
            (("user maria", Action::View, "m0", "playback.mp3"), "acme"),
        ]
    );
    let text = serde_json::to_string(&log).expect("JSON");
    assert!(!text.contains("5550199") && !text.contains("forged"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_that_asks_for_many_parts_is_one_entry_and_another_person_another() {
    for (repeat, expected) in [("300", 2), ("0", 22)] {
        let dir = Dir::new();
        let (desk, _hash) = desk(&dir, &[("catalog.audit_repeat_s", repeat)]).await;
        for (sub, times) in [("maria", 20), ("jose", 2)] {
            let bearer = format!("Bearer {}", token(&json!({ "roles": ["lead"], "sub": sub })));
            for n in 0..times {
                let range = format!("bytes={n}-{}", n + 9);
                let answer = desk.ask("GET", FILE, &[("authorization", &bearer), ("range", &range)]).await;
                assert_eq!(answer.status, 206);
            }
        }
        assert_eq!(entries(&desk.store).await.expect("a log").len(), expected, "{repeat}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_log_takes_nothing_nothing_is_shown() {
    let dir = Dir::new();
    let (desk, _hash) = desk(&dir, &[]).await;
    let audit = dir.path().join("store/.catalog/audit");
    std::fs::create_dir_all(audit.parent().expect("a folder")).expect("a folder");
    std::fs::write(&audit, "in the way").expect("written");
    for path in [FILE, "/v1/media/acme/m0", "/m/acme/m0/", "/v1/media?tenant=acme"] {
        let answer = desk.get(&["lead"], path).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "store.unavailable"), "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("alert(1)"), "{path}");
    }
    assert_eq!(desk.ask("GET", FILE, &[]).await.status, 401);
    std::fs::remove_file(&audit).expect("removed");
    assert_eq!(desk.get(&["lead"], FILE).await.status, 200);
    let log = entries(&desk.store).await.expect("a log");
    let found: Vec<_> = log.iter().map(|entry| entry.action).collect();
    assert!(found.contains(&Action::View) && found.contains(&Action::Refused), "the refusal was kept: {found:?}");
}

/// Many at once, sealed at the end, verified by this program and by Go's packages; the person is told who opened it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_told_who_opened_it_and_others_verify_the_log() {
    let dir = Dir::new();
    let (desk, hash) = desk(&dir, &[]).await;
    desk.put_of("acme", "other", 10, vec!["ab".repeat(32)]).await;
    let ask = async |n: usize| {
        let bearer = format!("Bearer {}", token(&json!({ "roles": ["lead"], "sub": format!("agent-{n}") })));
        let path = if n.is_multiple_of(2) { FILE } else { "/v1/media/acme/other/playback.mp3" };
        desk.ask("GET", path, &[("authorization", &bearer)]).await.status
    };
    let statuses = futures_util::future::join_all((0..40).map(ask)).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(desk.get(&["lead"], "/v1/media?tenant=acme").await.status, 200);
    let (_, command) = world(&dir);
    Run::of(&mut command(&["audit", "checkpoint"])).exits(0);
    let ours = Run::of(&mut command(&["audit", "verify"])).exits(0);
    assert!(ours.stdout.contains("41 entries, 41 of them signed, 1 checkpoints"), "{ours:?}");
    let told = fed(command(&["subject", "--tenant", "acme"]), &format!("phone={PHONE}\n")).exits(0);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let audit = told["audit"].as_array().expect("entries");
    assert_eq!(audit.len(), 21, "20 files and one list: {audit:?}");
    assert!((0..40).step_by(2).all(|n| audit.iter().any(|entry| entry["actor"] == format!("user agent-{n}"))));
    assert!(audit.iter().all(|entry| entry["contact"] == json!([hash])), "nobody else is named: {audit:?}");
    let tools = Dir::new();
    let Some(go) = go(&tools) else { return };
    let key = Run::of(&mut command(&["audit", "key"])).exits(0).stdout.trim().to_owned();
    let theirs = Run::of(Command::new(&go).arg(dir.path().join("store/.catalog/audit")).arg(&key)).exits(0);
    // Telling the person is an entry behind the checkpoint.
    assert_eq!(theirs.stdout, "42 entries, 1 checkpoints\n");
}

#[tokio::test]
async fn an_archived_file_is_409_and_comes_back() {
    let Some(azure) = Azure::start(false).await else { return };
    azure.has_container().await;
    let store = azure.store_config();
    let (key, endpoint) = (store.azure_key.expose().to_string(), store.endpoint.clone());
    let desk = Desk::open(&[
        ("store.url", &store.url),
        ("store.endpoint", &endpoint),
        ("store.azure_account", &store.azure_account),
        ("store.azure_key", &key),
        ("store.storage_class", "Archive"),
    ])
    .await;
    for way in ["", "?mode=proxy"] {
        for role in ["playback.mp3", "original.ogg"] {
            let media = if way.is_empty() { "m" } else { "old" };
            let path = format!("/v1/media/acme/{media}/{role}{way}");
            let cold = desk.get(&["lead"], &path).await;
            assert_eq!((cold.status, cold.code().as_str()), (409, "store.archived"), "{path} {}", cold.head);
            let back = desk.get(&["lead"], &path).await;
            assert_eq!(back.status, if way.is_empty() { 302 } else { 200 }, "{path} {}", back.head);
        }
    }
}
