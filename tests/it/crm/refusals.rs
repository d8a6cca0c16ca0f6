//! What CRMs refuse, and what `deliver` does then.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::trial::Trial;
use super::vendors::{Vendor, chatwoot, has, hubspot_app, list, salesforce, zendesk, zoho};
use crate::support::cmd::Run;
use crate::support::crm::Crm;
use crate::support::processes::wait_until;

fn token_calls(crm: &Crm) -> usize {
    crm.calls().iter().filter(|call| call.path.contains("oauth")).count()
}

#[test]
fn a_signed_assertion_gets_a_token_of_salesforce() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (private, public) = (path("key.pem"), path("public.pem"));
    let openssl = |args: &[&str]| Run::of(Command::new("openssl").args(args)).exits(0);
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &private]);
    openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    let keys = vec![
        ("client_id", "consumer".to_owned()),
        ("user", "integration@example.test".to_owned()),
        ("private_key", format!("file:{private}")),
    ];
    let crm = Crm::start("salesforce");
    crm.act(json!({"act": "set", "public_key": public}));
    let Some(mut trial) = Trial::with(Vendor { keys, ..salesforce() }, crm) else { return };
    trial.publish();
    trial.settled();
    trial.balances("a signed assertion");
}

#[test]
fn a_token_that_has_ended_is_renewed_once() {
    for vendor in [salesforce(), zendesk(true), zoho(), hubspot_app()] {
        let Some(mut trial) = Trial::start(vendor) else { return };
        trial.publish();
        trial.settled();
        trial.crm.forget_calls();
        trial.crm.faults(json!([{"fault": "expire", "skip": 1}]));
        trial.publish();
        trial.settled();
        trial.balances("an ended token");
        assert_eq!(token_calls(&trial.crm), 1, "{:#?}", trial.crm.calls());
    }
}

#[test]
fn a_revoked_grant_stops_the_destination_and_burns_nothing() {
    for vendor in [salesforce(), zendesk(true), zoho(), chatwoot(true), hubspot_app()] {
        let Some(mut trial) = Trial::start(vendor) else { return };
        trial.crm.act(json!({"act": "revoke"}));
        trial.publish();
        let stopped =
            |trial: &Trial| trial.deliverer.as_ref().is_some_and(|worker| worker.log().contains("deliver.forbidden"));
        wait_until("the destination is stopped", || stopped(&trial));
        trial.publish();
        trial.publish();
        std::thread::sleep(Duration::from_millis(500));
        let calls = trial.crm.calls();
        assert!(calls.len() <= 3, "{calls:#?}");
    }
}

#[test]
fn a_locked_record_is_tried_again() {
    for (vendor, path) in [(salesforce(), "/Task$"), (zendesk(true), "/tickets/"), (zoho(), "/Notes$")] {
        // Zoho's people hold a record for hours: that delay is longer than a test.
        let status = if vendor.name == "zoho" {
            json!([{"fault": "status", "status": 503, "path": path}])
        } else {
            json!([{"fault": "lock", "path": path}])
        };
        let Some(mut trial) = Trial::start(vendor) else { return };
        trial.crm.faults(status);
        trial.publish();
        trial.settled();
        trial.balances("a lock");
    }
}

#[test]
fn a_record_of_the_own_object_is_written_by_its_key() {
    let Some(mut rig) = crate::deliver::rig() else { return };
    let crm = Crm::start("salesforce");
    crm.act(json!({"act": "install"}));
    // The built-in map with the other kind of activity.
    let map = mediamill::roles::deliver::map::builtin(mediamill::config::DestinationKind::Salesforce).expect("a map");
    let (before, after) = map.split_once("[activity.fields]").expect("fields");
    let (_, files) = after.split_once("# Files of the media").expect("files");
    let map = format!(
        "{}[activity.fields]\nKind__c = \"data.kind\"\nOutcome__c = \"outcome\"\nLink__c = \"links.page|default(none)\"\n\n# Files of the media{files}",
        before.replace("kind = \"task\"", "kind = \"media\"")
    );
    let path = rig.dir.path().join("map.toml");
    std::fs::write(&path, map).expect("a map");
    rig.set("DELIVER__CRM__MAP", path.display());
    let vendor = Vendor {
        counts: |state, marker| {
            let live =
                |name: &str| list(state, &format!("/{name}")).into_iter().filter(|it| it["IsDeleted"] == false).count();
            super::vendors::Counts {
                notes: list(state, "/Mediamill_Media__c").into_iter().filter(|media| has(media, marker)).count(),
                all_notes: live("Mediamill_Media__c"),
                files: live("ContentVersion"),
                // At the record, the contact and the case.
                links: live("ContentDocumentLink") / 3,
                mails: 0,
            }
        },
        ..salesforce()
    };
    let mut trial = Trial::in_rig(vendor, crm, rig);
    for _ in 0..2 {
        trial.publish();
        trial.settled();
        trial.balances("an own object");
    }
    trial.killed("hold-after", 1);
    trial.balances("an own object after a kill");
    let state = trial.crm.state();
    let media = &state["Mediamill_Media__c"][0];
    assert_eq!(media["Kind__c"], "audio");
    assert!(media["Link__c"].as_str().is_some_and(|link| link.starts_with("https://media.example.test/")), "{media}");
    assert_eq!(media["Media_Key__c"].as_str().map(str::len), Some(64));
    trial.erased();
}

#[test]
fn a_closed_ticket_gets_a_follow_up() {
    let Some(mut trial) = Trial::start(zendesk(true)) else { return };
    let ticket = trial.context["ticket"].clone();
    trial.crm.act(json!({"act": "close", "id": ticket}));
    trial.publish();
    trial.settled();
    trial.balances("a closed ticket");
    let state = trial.crm.state();
    let made = list(&state, "/tickets").into_iter().find(|made| made["via_followup_source_id"] == ticket);
    assert!(made.is_some_and(|made| has(made, "mediamill ")), "{state:#}");
}

#[test]
fn people_are_found_by_numbers_however_they_are_written_and_never_the_first_of_two() {
    let salesforce_contact: fn(&Crm) -> Value = |crm| {
        crm.act(json!({"act": "create", "type": "Contact", "fields": {"LastName": "Ann", "MobilePhone": "(11) 99999-0001"}}));
        crm.act(json!({"act": "create", "type": "Contact", "fields": {"LastName": "Bo", "MobilePhone": "+1 415 999 90001"}}));
        // Without the digit that Brazil has added.
        json!({ "phone": "551199990001" })
    };
    let zoho_contact: fn(&Crm) -> Value = |crm| {
        crm.act(
            json!({"act": "create", "type": "Leads", "fields": {"Last_Name": "Ann", "Phone": "+55 11 99999-0001"}}),
        );
        json!({ "phone": "5511999990001" })
    };
    let zendesk_user: fn(&Crm) -> Value = |crm| {
        crm.act(json!({"act": "user", "name": "Ann", "phone": "+5511999990001"}));
        json!({ "phone": "551199990001" })
    };
    for (vendor, again) in [
        (Vendor { set_up: salesforce_contact, ..salesforce() }, salesforce_contact),
        (Vendor { set_up: zoho_contact, ..zoho() }, zoho_contact),
        (Vendor { set_up: zendesk_user, ..zendesk(false) }, zendesk_user),
    ] {
        let name = vendor.name;
        let Some(mut trial) = Trial::start(vendor) else { return };
        trial.publish();
        let marker = trial.marker(0);
        wait_until("the note", || trial.counts(&marker).notes == 1);
        again(&trial.crm);
        trial.publish();
        wait_until("a dead letter", || trial.rig.bus.depth("deliver.crm.dead").ready == 1);
        assert_eq!(trial.counts(&trial.marker(1)).notes, 0, "{name}");
    }
}

#[test]
fn a_rejected_media_leaves_a_note_that_says_why() {
    for vendor in [salesforce(), zendesk(true), zoho(), chatwoot(true), hubspot_app()] {
        let name = vendor.name;
        let Some(mut trial) = Trial::start(vendor) else { return };
        trial.publish_with("media.rejected", |event| {
            event["type"] = json!("mediamill.media.rejected.v1");
            event["data"]["assets"] = json!([]);
            event["data"]["original"].as_object_mut().expect("an object").remove("key");
            event["data"]["code"] = json!("media.no-audio");
            event["data"]["explanation"] = json!("there is no sound in it");
        });
        let marker = trial.marker(0);
        wait_until("the note", || trial.counts(&marker).notes == 1);
        let state = trial.crm.state();
        assert!(has(&state, "there is no sound in it") && has(&state, "media.no-audio"), "{name}: {state:#}");
        assert_eq!((trial.counts(&marker).files, trial.counts(&marker).mails), (0, 0), "{name}");
    }
}
