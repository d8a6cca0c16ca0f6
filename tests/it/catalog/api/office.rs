//! What a privacy officer asks over HTTP: erasures, holds, and what is held of a person.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use mediamill::broker::{Publisher, Topology};
use mediamill::privacy::audit::{Action, entries};
use mediamill::privacy::{ContactKey, IdKind};
use mediamill::roles::catalog::index::Change;
use mediamill::roles::privacy::queues;
use serde_json::{Value, json};

use super::{Answer, Desk, token};
use crate::privacy::steps::normalized;
use crate::privacy::world::{KEY, SEED, fed, objects};
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::Rig;

const PHONE: &str = "+15550100";
const OTHER: &str = "+15550101";

/// A rig where people are known, with media of two persons in its store.
pub(super) fn rig(rabbit: &Rabbit) -> Rig {
    let mut rig = Rig::deaf(rabbit);
    rig.set("PRIVACY_KEY", KEY);
    rig.set("PRIVACY_AUDIT_KEY", SEED);
    let store = rig.dir.path().join("store");
    for (media_id, phone) in [("m0", PHONE), ("m1", PHONE), ("m2", OTHER)] {
        normalized(&store, media_id, phone, &format!("caption of {media_id}"));
    }
    rig
}

/// A catalogue over the store and the broker of a rig.
pub(super) async fn desk(rig: &Rig, extra: &[(&str, &str)]) -> Desk {
    let config = rig.config();
    let (store, broker) = (config.store.url.clone(), config.broker.url.expose().to_string());
    let keys = [
        ("store.url", store.as_str()),
        ("broker.url", &broker),
        ("broker.exchange", &config.broker.exchange),
        ("privacy.key", KEY),
        ("privacy.audit_key", SEED),
        ("access.officer.tenants", "acme"),
        ("access.officer.actions", "export,erase,hold"),
        ("access.auditor.tenants", "acme"),
        ("access.auditor.actions", "audit"),
    ];
    Box::pin(Desk::open(&[&keys[..], extra].concat())).await
}

/// Declares the queue of the privacy role, which nobody consumes.
pub(super) async fn declare(rig: &Rig) {
    let config = rig.config();
    let topology = Topology::new(&config.broker, queues(&config).collect()).expect("a topology");
    Publisher::new(&config.broker, topology).connect().await.expect("declared");
}

pub(super) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(test);
}

pub(super) async fn post(desk: &Desk, roles: &[&str], path: &str, body: &Value) -> Answer {
    post_with(desk, &json!({ "roles": roles }), path, body, "content-type: application/json\r\n").await
}

async fn post_with(desk: &Desk, claims: &Value, path: &str, body: &Value, headers: &str) -> Answer {
    let (bearer, body) = (token(claims), body.to_string());
    desk.raw(&format!(
        "POST {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n{headers}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await
}

/// The state of an erasure once it is done.
async fn done(desk: &Desk, path: &str) -> Value {
    for _ in 0..600 {
        let answer = desk.get(&["auditor"], path).await;
        if answer.status == 200 && answer.json()["state"] == "done" {
            return answer.json();
        }
        assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.head);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} is not done");
}

#[test]
fn what_an_officer_asks_for_is_carried_out() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let office = rig.worker_of(rig.command(&["privacy"]));
    let store = rig.dir.path().join("store");
    run(async {
        declare(&rig).await;
        let desk = desk(&rig, &[]).await;
        let ana = json!({ "tenant": "acme", "contact": { "phone": PHONE } });
        let with = |more: Value| {
            let mut body = ana.clone();
            more.as_object().expect("members").iter().for_each(|(key, value)| body[key] = value.clone());
            body
        };
        // What is held: as the command says it.
        let told = post(&desk, &["officer"], "/v1/subjects", &ana).await;
        assert_eq!(told.status, 200, "{}", told.head);
        let ids = |told: &Value| {
            told["media"].as_array().expect("media").iter().map(|m| m["media_id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&told.json()), [json!("m0"), json!("m1")]);
        let printed = fed(rig.command(&["subject", "--tenant", "acme"]), &format!("phone={PHONE}\n")).exits(0);
        let mut printed: Value = serde_json::from_str(&printed.stdout).expect("JSON");
        assert_eq!(printed["audit"][0]["actor"], "user maria", "who asked over HTTP is known");
        let mut told = told.json();
        for index in [&mut told, &mut printed] {
            (index["made_at"], index["audit"]) = (Value::Null, Value::Null);
        }
        assert_eq!(told, printed);

        // A hold is in force when it is answered, and an erasure leaves out what is held.
        let held = post(&desk, &["officer"], "/v1/holds", &with(json!({ "case_id": "case-7", "held": true }))).await;
        assert_eq!((held.status, &held.json()["held"]), (202, &json!(true)), "{}", held.head);
        let told = post(&desk, &["officer"], "/v1/subjects", &ana).await.json();
        assert_eq!(told["holds"]["case-7"]["held"], true);
        let erase = post(&desk, &["officer"], "/v1/erasures", &with(json!({ "reason": "gdpr-17" }))).await;
        assert_eq!(erase.status, 202, "{}", erase.head);
        let path = erase.header("location").expect("where it stands").to_owned();
        assert!(path.ends_with(erase.json()["id"].as_str().expect("an id")));
        let first = done(&desk, &path).await;
        assert_eq!(first["certificate"]["refused"][0]["held_for"], json!(["case-7"]), "{first:#}");
        assert_eq!(
            (first["certificate"]["media"].clone(), first["certificate"]["reason"].clone()),
            (json!(0), json!("gdpr-17"))
        );

        // Released, what had been refused is erased.
        let freed = post(&desk, &["officer"], "/v1/holds", &with(json!({ "case_id": "case-7", "held": false }))).await;
        assert_eq!(freed.status, 202, "{}", freed.head);
        let second = done(&desk, &format!("/v1/erasures/acme/{}", freed.json()["id"].as_str().expect("an id"))).await;
        assert_eq!(second["certificate"]["media"], 2, "{second:#}");
        for (media_id, objects_left) in [("m0", 1), ("m1", 1), ("m2", 3)] {
            assert_eq!(objects(&store, media_id).len(), objects_left, "{media_id}");
        }
        // By media, and by conversation.
        let one = post(&desk, &["officer"], "/v1/erasures", &json!({ "tenant": "acme", "media_id": "m2" })).await;
        let third = done(&desk, one.header("location").expect("a path")).await;
        assert_eq!((third["selected_by"].clone(), objects(&store, "m2").len()), (json!("media"), 1));
        normalized(&store, "m3", OTHER, "late");
        let talk = json!({ "tenant": "acme", "conversation_id": format!("with {OTHER}") });
        let talk = post(&desk, &["officer"], "/v1/erasures", &talk).await;
        let fourth = done(&desk, talk.header("location").expect("a path")).await;
        assert_eq!((fourth["certificate"]["media"].clone(), objects(&store, "m3").len()), (json!(1), 1));

        let log = entries(&desk.store).await.expect("a log");
        let by_officer =
            |action| log.iter().filter(|entry| entry.actor == "user maria" && entry.action == action).count();
        let counts = [Action::Subject, Action::HoldSet, Action::HoldLifted, Action::EraseBegun].map(by_officer);
        assert_eq!(counts, [1, 1, 1, 3], "the same question again within catalog.audit_repeat_s is one entry");
        let texts = format!("{first}{second}{third}{fourth}{path}{}", serde_json::to_string(&log).expect("JSON"));
        assert!(!texts.contains("5550100") && !texts.contains("5550101"), "nobody is named: {texts}");
    });
    assert!(!office.stops().contains("555010"), "nobody is named in the log");
}

/// A role of the table: its name, what it is confined to, its actions.
type Grant = (&'static str, &'static str, Option<&'static str>, &'static [&'static str]);

/// Every role with every endpoint, at its own tenant, another one, one that is unknown, and for a media that was erased.
#[test]
fn the_table_of_roles_endpoints_and_tenants_holds() {
    const GRANTS: [Grant; 7] = [
        ("eraser", "acme", None, &["erase"]),
        ("holder", "acme", None, &["hold"]),
        ("exporter", "acme", None, &["export"]),
        ("auditor", "acme", None, &["audit"]),
        ("agent", "acme", None, &["view", "original"]),
        ("videos", "acme", Some("video"), &["export", "erase", "hold"]),
        ("root", "*", None, &["view", "original", "export", "erase", "hold", "audit", "revoke"]),
    ];
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let mut flags: Vec<(String, String)> = Vec::new();
    for (name, tenant, kind, actions) in GRANTS {
        flags.push((format!("access.{name}.tenants"), tenant.to_owned()));
        flags.push((format!("access.{name}.actions"), actions.join(",")));
        flags.extend(kind.map(|kind| (format!("access.{name}.kinds"), kind.to_owned())));
    }
    let flags: Vec<(&str, &str)> = flags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    run(async {
        declare(&rig).await;
        let desk = desk(&rig, &flags).await;
        let erased = Change::Erased {
            tenant: "acme".to_owned(),
            media_id: "gone".to_owned(),
            certificate: "cert-7".to_owned(),
            erased_at: Timestamp::now(),
        };
        desk.index.apply(&[erased]).await.expect("stored");
        let endpoints = [("/v1/erasures", "erase", 202), ("/v1/holds", "hold", 202), ("/v1/subjects", "export", 200)];
        let mut seen = 0;
        for (role, own, kind, actions) in GRANTS {
            for (path, action, good) in endpoints {
                for tenant in ["acme", "globex", "nowhere"] {
                    for what in [
                        json!({ "media_id": "m" }),
                        json!({ "media_id": "gone" }),
                        json!({ "contact": { "phone": OTHER } }),
                    ] {
                        let mut body = what.clone();
                        body["tenant"] = json!(tenant);
                        if action == "hold" {
                            (body["case_id"], body["held"]) = (json!("case-1"), json!(true));
                        }
                        let expected = match (own == "*" || own == tenant, actions.contains(&action) && kind.is_none())
                        {
                            (false, _) => 404,
                            (true, false) => 403,
                            (true, true) => good,
                        };
                        let answer = post(&desk, &[role], path, &body).await;
                        assert_eq!(answer.status, expected, "{role} {path} {body}: {}", answer.head);
                        seen += 1;
                    }
                }
            }
            for (tenant, own_status) in [("acme", 404), ("globex", 404), ("nowhere", 404)] {
                let may = (actions.contains(&"erase") || actions.contains(&"audit")) && kind.is_none();
                let expected = if (own == "*" || own == tenant) && !may { 403 } else { own_status };
                let answer = desk.get(&[role], &format!("/v1/erasures/{tenant}/none")).await;
                assert_eq!(answer.status, expected, "{role} {tenant}");
            }
        }
        assert_eq!(seen, 7 * 3 * 9);
        for path in ["/v1/erasures", "/v1/holds", "/v1/subjects"] {
            let request = format!("POST {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(desk.raw(&request).await.status, 401, "{path}");
            assert_eq!(desk.get(&["root"], path).await.status, 405, "{path}");
        }
    });
}

#[test]
fn an_erasure_of_another_tenant_is_not_there_and_a_token_for_one_contact_asks_for_that_one() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    run(async {
        declare(&rig).await;
        let extra = [("access.root.tenants", "*"), ("access.root.actions", "erase,export")];
        let desk = desk(&rig, &extra).await;
        let body = json!({ "tenant": "globex", "media_id": "theirs" });
        let begun = post(&desk, &["root"], "/v1/erasures", &body).await;
        let id = begun.json()["id"].as_str().expect("an id").to_owned();
        let there = desk.get(&["root"], &format!("/v1/erasures/globex/{id}")).await;
        assert_eq!((there.status, &there.json()["state"]), (200, &json!("begun")));
        assert_eq!(desk.get(&["root"], &format!("/v1/erasures/acme/{id}")).await.status, 404);
        assert_eq!(desk.get(&["officer"], &format!("/v1/erasures/globex/{id}")).await.status, 404);

        let hash =
            ContactKey::new(&desk.config.privacy).expect("a key").known_as("acme", IdKind::Phone, PHONE).remove(0);
        let claims = json!({ "roles": ["root"], "contact": hash.as_str() });
        for (phone, status) in [(PHONE, 200), (OTHER, 404)] {
            let body = json!({ "tenant": "acme", "contact": { "phone": phone } });
            let answer = post_with(&desk, &claims, "/v1/subjects", &body, "content-type: application/json\r\n").await;
            assert_eq!(answer.status, status, "{phone}");
        }
        let path = format!("/v1/erasures/globex/{id}");
        let bearer = format!("Bearer {}", token(&claims));
        assert_eq!(desk.ask("GET", &path, &[("authorization", &bearer)]).await.status, 404);
    });
}

#[test]
fn a_request_that_is_wrong_or_comes_from_another_site_changes_nothing() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    run(async {
        declare(&rig).await;
        let desk = desk(&rig, &[]).await;
        let good = json!({ "tenant": "acme", "contact": { "phone": PHONE } });
        for body in [
            json!([]),
            json!({ "tenant": "acme" }),
            json!({ "tenant": "acme", "contact": {} }),
            json!({ "tenant": "acme", "contact": { "phone": "" } }),
            json!({ "tenant": "acme", "contact": { "fone": PHONE } }),
            json!({ "tenant": "acme", "phone": PHONE }),
            json!({ "tenant": "acme", "media_id": "m0", "contact": { "phone": PHONE } }),
            json!({ "tenant": "acme", "media_id": "m".repeat(1025) }),
            json!({ "tenant": "acme", "media_id": "m0", "sent_until": "2026-01-01T00:00:00Z" }),
            json!({ "tenant": "acme", "media_id": "m0", "erased_at": "2999-01-01T00:00:00Z" }),
            json!({ "tenant": "acme", "media_id": "m0", "reason": "a\nb" }),
            json!({ "tenant": "acme", "media_id": "m0", "reason": PHONE.repeat(2000) }),
        ] {
            let answer = post(&desk, &["officer"], "/v1/erasures", &body).await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!((answer.status, answer.code().as_str()), (400, "catalog.invalid"), "{body}: {text}");
            assert!(!text.contains("5550100") && !text.contains("fone"), "it repeats nothing of the body: {text}");
        }
        let claims = json!({ "roles": ["officer"] });
        let json_type = "content-type: application/json\r\n";
        for (headers, status) in [
            ("content-type: text/plain\r\n", 400),
            ("", 400),
            (&*format!("{json_type}origin: https://evil.example\r\n"), 403),
            (&format!("{json_type}origin: null\r\n"), 403),
            (&format!("{json_type}sec-fetch-site: cross-site\r\n"), 403),
            (&format!("{json_type}sec-fetch-site: same-site\r\norigin: https://media.example.test\r\n"), 403),
        ] {
            for path in ["/v1/erasures", "/v1/holds", "/v1/subjects"] {
                let answer = post_with(&desk, &claims, path, &good, headers).await;
                assert_eq!(answer.status, status, "{path} {headers}: {}", String::from_utf8_lossy(&answer.body));
            }
        }
        let revoke = json!({ "link": "https://media.example.test/x/c/a/m/acme/m/" });
        let foreign = "origin: https://evil.example\r\n";
        assert_eq!(
            post_with(&desk, &json!({ "roles": ["lead"] }), "/v1/revocations", &revoke, foreign).await.status,
            403
        );
        assert!(!rig.dir.path().join("store/.catalog/erasures").exists(), "nothing was begun");
        for origin in ["origin: https://media.example.test\r\nsec-fetch-site: same-origin\r\n", "origin: http://c\r\n"]
        {
            let answer = post_with(&desk, &claims, "/v1/subjects", &good, &format!("{json_type}{origin}")).await;
            assert_eq!(answer.status, 200, "{origin}");
        }
    });
}

/// Where nobody can be told, the answer says so, and what was begun is finished all the same.
#[test]
fn an_erasure_that_nobody_was_told_of_is_finished_later() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    run(async {
        let desk = desk(&rig, &[]).await;
        let body = json!({ "tenant": "acme", "contact": { "phone": PHONE } });
        let answer = post(&desk, &["officer"], "/v1/erasures", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "broker.unroutable"), "{}", answer.head);
        let nowhere = self::desk(&rig, &[("broker.url", "amqp://127.0.0.1:1/%2f")]).await;
        let answer = post(&nowhere, &["officer"], "/v1/erasures", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "broker.unavailable"), "{}", answer.head);
    });
    let resumed = fed(rig.command(&["erase", "--resume", "--offline"]), "").exits(0);
    assert_eq!(resumed.stdout.matches("\"finished_at\"").count(), 2, "{resumed:?}");
    let store = rig.dir.path().join("store");
    assert_eq!((objects(&store, "m0").len(), objects(&store, "m2").len()), (1, 3));
}
