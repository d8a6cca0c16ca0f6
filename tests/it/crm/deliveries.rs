//! `mediamill deliver` against the fakes: exactly one note and one file, whatever happens to the process between a request and its
//! answer.

use serde_json::json;

use super::trial::Trial;
use super::vendors::{Vendor, chatwoot, hubspot, salesforce, zendesk, zoho};
use crate::support::crm::Call;
use crate::support::say::say;

/// The calls of one media, as the table in the vendor's page has them.
fn said(calls: &[Call]) -> String {
    let lines = calls.iter().map(|call| format!("{} {} {}", call.units, call.method, call.path));
    lines.collect::<Vec<_>>().join("\n")
}

/// The process is killed at every call of a delivery, before what it asks for is done and afterwards, and once the delivery is in
/// the ledger. `KILLS` is how many kills a CRM gets in all; a CRM with two `ways` shares them. Before a call the step in front of it
/// is in the ledger; after it, and before its answer, it is done and not in the ledger.
fn exactly_once(vendor: Vendor, way: &str, ways: usize) {
    let Some(mut trial) = Trial::start(vendor) else { return };
    let name = trial.vendor.name;
    trial.publish();
    trial.settled();
    // The token is there, and what is looked up once: this is what every further media costs.
    trial.crm.forget_calls();
    trial.publish();
    trial.settled();
    let calls = trial.crm.calls();
    say(format!("{name}, calls of one media:\n{}", said(&calls)));
    let most = 2 * calls.len() + 1;
    let kills = std::env::var("KILLS").map_or(most, |kills| kills.parse::<usize>().expect("a number of kills") / ways);
    for kill in 0..kills {
        let point = kill % most;
        match calls.get(point / 2) {
            None => {
                trial.killed_at_the_end();
                trial.last_balances(&format!("{name}: killed with the delivery in the ledger"));
            }
            Some(call) => {
                let fault = ["hold-before", "hold-after"][point % 2];
                trial.killed(fault, point / 2);
                trial.last_balances(&format!("{name}: {fault} at {}", said(std::slice::from_ref(call))));
            }
        }
    }
    trial.tells(&format!("{name}{way}"), kills);
    trial.balances(name);
    trial.redelivered();
    trial.erased();
    trial.deliverer.take().expect("one that runs").stops();
}

#[test]
fn an_answer_that_is_lost_makes_no_second_note() {
    let Some(mut trial) = Trial::start(salesforce()) else { return };
    trial.publish();
    trial.settled();
    trial.crm.forget_calls();
    trial.publish();
    trial.settled();
    let calls = trial.crm.calls();
    for n in 0..calls.len() {
        for fault in ["drop-before", "drop-after"] {
            trial.crm.faults(json!([{"fault": fault, "skip": n}]));
            trial.publish();
            trial.settled();
            trial.balances(&format!("{fault} at {}", said(&calls[n..=n])));
        }
    }
}

#[test]
fn salesforce_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(salesforce(), "", 1);
}

#[test]
fn a_ticket_of_zendesk_gets_every_comment_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zendesk(true), ", ticket named", 2);
}

#[test]
fn zendesk_gets_every_ticket_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zendesk(false), ", ticket made", 2);
}

#[test]
fn zoho_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zoho(), "", 1);
}

#[test]
fn a_conversation_of_chatwoot_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(chatwoot(true), ", conversation named", 2);
}

#[test]
fn the_last_conversation_of_a_contact_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(chatwoot(false), ", the last conversation", 2);
}

#[test]
fn hubspot_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(hubspot(), "", 1);
}
