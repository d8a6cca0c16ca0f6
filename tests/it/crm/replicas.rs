//! Two replicas of `deliver` with one ledger, in PostgreSQL, one of which is killed.

use serde_json::json;

use super::trial::Trial;
use super::vendors::{Vendor, chatwoot, hubspot, salesforce, zendesk, zoho};
use crate::deliver::{deliverer, rig};
use crate::support::crm::Crm;
use crate::support::postgres::{Postgres, server};
use crate::support::processes::wait_until;

/// Media that are sent at once to both.
const BURST: usize = 8;

/// The database of an address.
fn database(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().expect("a name")
}

/// Which process has the claim of the media at work.
fn owner(postgres: &Postgres, database: &str) -> String {
    let mut found = String::new();
    wait_until("a claim", || {
        found = postgres.psql(database, "SELECT owner FROM deliver_claim LIMIT 1");
        !found.is_empty()
    });
    found
}

/// Kills whichever of the two is at work while its call is held, so that the other one has to end what it began.
fn once_with_two(vendor: Vendor) {
    let (Some(mut rig), Some(postgres)) = (rig(), server()) else { return };
    let url = postgres.database();
    rig.set("LEDGER_URL", &url);
    // Claims last for four requests.
    rig.set("DELIVER__CRM__TIMEOUT_S", 2);
    let crm = Crm::start(vendor.name);
    let mut trial = Trial::in_rig(vendor, crm, rig);
    trial.publish();
    trial.settled();
    trial.crm.forget_calls();
    // The only one: so the other one will be the one with another id.
    trial.crm.faults(json!([{"fault": "hold-before"}]));
    trial.publish();
    trial.crm.wait_held();
    let first = owner(postgres, database(&url));
    trial.crm.faults(json!([]));
    trial.crm.release();
    trial.settled();
    let calls = trial.crm.calls().len();
    let mut survivor = (trial.deliverer.take().expect("one that runs"), first);
    for fault in ["hold-before", "hold-after"] {
        let other = deliverer(&trial.rig);
        trial.crm.faults(json!([{"fault": fault, "skip": calls - 1}]));
        trial.publish();
        trial.again(3);
        trial.crm.wait_held();
        let at_work = owner(postgres, database(&url));
        trial.crm.faults(json!([]));
        if at_work == survivor.1 {
            survivor.0.kill();
            survivor = (other, String::new());
        } else {
            other.kill();
        }
        trial.crm.release();
        trial.settled();
        trial.balances(&format!("{fault} with two replicas"));
        if survivor.1.is_empty() {
            survivor.1 = "the other one".to_owned();
        }
    }
    let other = deliverer(&trial.rig);
    for _ in 0..BURST {
        trial.publish();
        trial.again(2);
    }
    wait_until("some notes", || trial.counts(&trial.marker(0)).all_notes >= trial.events.len() - BURST + 2);
    other.kill();
    trial.settled();
    trial.balances("a burst with two replicas, one killed");
    trial.tells(&format!("{}, two replicas", trial.vendor.name), 3);
    trial.deliverer = Some(survivor.0);
    trial.erased();
    trial.deliverer.take().expect("one that runs").stops();
}

#[test]
fn two_replicas_and_a_kill_leave_one_note_in_hubspot() {
    once_with_two(hubspot());
}

#[test]
fn two_replicas_and_a_kill_leave_one_task_in_salesforce() {
    once_with_two(salesforce());
}

#[test]
fn two_replicas_and_a_kill_leave_one_comment_in_zendesk() {
    once_with_two(zendesk(true));
}

#[test]
fn two_replicas_and_a_kill_leave_one_note_in_zoho() {
    once_with_two(zoho());
}

#[test]
fn two_replicas_and_a_kill_leave_one_message_in_chatwoot() {
    once_with_two(chatwoot(true));
}
