//! The page of an operator: what waits, what it is replayed to, and who may.

use std::time::Duration;

use mediamill::privacy::audit::{Action, entries};
use serde_json::{Value, json};

use super::office::{desk, rig, run};
use super::pages::assert_html_breaks_no_rule;
use super::{Answer, Desk, token};
use crate::catalog::role::{erased, rejected};
use crate::privacy::world::{message, sent};
use crate::support::bus::Letter;
use crate::support::rabbit::calm;
use crate::support::rig::{headers, letter};

const PHONE: &str = "+15550100";
const ROLES: [(&str, &str); 6] = [
    ("access.operator.tenants", "*"),
    ("access.operator.actions", "operate"),
    ("access.viewer.tenants", "*"),
    ("access.viewer.actions", "view,original,export,erase,hold,audit,revoke"),
    ("access.officer.tenants", "acme"),
    ("access.officer.actions", "erase,audit"),
];

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

async fn replay(desk: &Desk, claims: &Value, form: &str, more: &str) -> Answer {
    let bearer = token(claims);
    desk.raw(&format!(
        "POST /operations/replays HTTP/1.1\r\nhost: c\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n\
         content-type: application/x-www-form-urlencoded\r\n{more}content-length: {}\r\n\r\n{form}",
        form.len()
    ))
    .await
}

/// A dead letter of the audio lane that is there for this code.
fn dead(media_id: &str, code: &str) -> Letter {
    let mut letter = letter(&sent(media_id, message(PHONE, media_id)));
    letter.properties =
        letter.properties.with_headers(headers(&[("x-mediamill-code", code), ("x-mediamill-lane", "audio")]));
    letter
}

#[test]
fn an_operator_sees_what_waits_and_replays_it() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let office = rig.worker_of(rig.command(&["privacy"]));
    let operator = json!({ "roles": ["operator"] });
    let bare = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let desk = desk(&rig, &ROLES).await;
        let answer = desk.get(&["operator"], "/operations").await;
        assert!(text(&answer).contains("Nothing waits"), "a queue that is not declared has no letters");
        answer
    });
    assert_eq!((bare.status, bare.header("content-type")), (200, Some("text/html; charset=utf-8")));

    rig.declare();
    for (media_id, code) in [("a", "store.forbidden"), ("b", "store.forbidden"), ("m1", "source.unavailable")] {
        rig.bus.put("dead", &dead(media_id, code));
    }
    rig.bus.put("dead", &letter(&json!("<script>alert(1)</script>")));
    let page = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let desk = desk(&rig, &ROLES).await;
        text(&desk.get(&["operator"], "/operations?replayed=1").await)
    });
    assert_html_breaks_no_rule(&page, "operations");
    run(async {
        let desk = desk(&rig, &ROLES).await;
        let page = text(&desk.get(&["operator"], "/operations").await);
        for shown in [
            "<code>store.forbidden</code>",
            "<code>source.unavailable</code>",
            "<code>none</code>",
            "<td>2</td><td><code>audio</code></td>",
            "None: every erasure that was asked for has its certificate",
            "<dt>normalized</dt><dd>4</dd>",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert_eq!(page.matches("<script").count(), 1, "its own");

        // Only for those who may, by their own page, and of what there is.
        for roles in [&["viewer"][..], &["officer"], &["agent"], &[]] {
            assert_eq!(desk.get(roles, "/operations").await.status, 403, "{roles:?}");
            let answer = replay(&desk, &json!({ "roles": roles }), "queue=dead&reason=none", "").await;
            assert_eq!((answer.status, answer.code()), (403, "catalog.forbidden".to_owned()), "{roles:?}");
        }
        assert_eq!(desk.ask("GET", "/operations", &[]).await.status, 401);
        let confined = json!({ "roles": ["operator"], "tenants": ["acme"] });
        assert_eq!(replay(&desk, &confined, "queue=dead&reason=none", "").await.status, 403, "it is of all tenants");
        let foreign = "sec-fetch-site: cross-site\r\n";
        assert_eq!(replay(&desk, &operator, "queue=dead&reason=none", foreign).await.status, 403);
        for form in [
            "",
            "queue=dead",
            "reason=none",
            "queue=audio&reason=none",
            "queue=../dead&reason=none",
            "queue=dead&reason=x",
        ] {
            assert_eq!(replay(&desk, &operator, form, "").await.status, 400, "{form}");
        }
        assert_eq!(desk.get(&["operator"], "/operations/replays").await.status, 405);

        let answer = replay(&desk, &operator, "queue=dead&reason=store.forbidden", "").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("../operations?replayed=2")),
            "{}",
            answer.head
        );
        let page = text(&desk.get(&["operator"], "/operations?replayed=2").await);
        assert!(page.contains("2 messages were moved back") && !page.contains("store.forbidden"), "{page}");
        let log = entries(&desk.store).await.expect("a log");
        let replays: Vec<_> = log.iter().filter(|entry| entry.action == Action::Replay).collect();
        assert_eq!(replays.len(), 1, "refused ones moved nothing");
        assert_eq!(replays[0].about.as_deref(), Some("replay store.forbidden of dead"));
    });
    assert_eq!((rig.bus.depth("audio").ready, rig.bus.depth("dead").ready), (2, 2));
    // Outcomes that the catalogue could not store.
    rig.bus.bind_queue("catalog.dead", "of.no.key");
    [rejected("m1"), rejected("m2"), erased("m1")].iter().for_each(|letter| rig.bus.put("catalog.dead", letter));
    the_letters_of_a_person_go_with_an_erasure(&rig);
    assert_eq!(rig.bus.depth("catalog.dead").ready, 2, "another person's stays, and what tells of an erasure");
    assert_eq!(rig.bus.depth("dead").ready, 1, "what nobody can read stays");
    office.stops();
}

/// Asked for over HTTP, carried out by the privacy role.
fn the_letters_of_a_person_go_with_an_erasure(rig: &crate::support::rig::Rig) {
    run(async {
        super::office::declare(rig).await;
        let desk = desk(rig, &ROLES).await;
        let asked = json!({ "tenant": "acme", "contact": { "phone": PHONE } });
        let answer = super::office::post(&desk, &["officer"], "/v1/erasures", &asked).await;
        assert_eq!(answer.status, 202, "{}", answer.head);
        let path = answer.header("location").expect("a path").to_owned();
        for _ in 0..600 {
            let answer = desk.get(&["officer"], &path).await.json();
            if answer["state"] == "done" {
                assert_eq!(answer["certificate"]["dead_letters"], 2, "{answer:#}");
                let residues = answer["certificate"]["residues"].to_string();
                assert!(!residues.contains("\"dead-letters\""), "{residues}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} is not done");
    });
}
