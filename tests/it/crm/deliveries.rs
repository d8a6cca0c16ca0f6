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

fn exactly_once(vendor: Vendor) {
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
    let most = 2 * calls.len();
    let kills = std::env::var("KILLS").map_or(most, |kills| kills.parse().expect("a number of kills"));
    for kill in 0..kills {
        let (n, fault) = (kill % most / 2, ["hold-before", "hold-after"][kill % 2]);
        trial.killed(fault, n);
        trial.balances(&format!("{name}: {fault} at {}", said(&calls[n..=n])));
    }
    say(format!("{name}: {kills} kills, {} media, each with one note and one file", trial.events.len()));
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
    exactly_once(salesforce());
}

#[test]
fn a_ticket_of_zendesk_gets_every_comment_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zendesk(true));
}

#[test]
fn zendesk_gets_every_ticket_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zendesk(false));
}

#[test]
fn zoho_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(zoho());
}

#[test]
fn a_conversation_of_chatwoot_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(chatwoot(true));
}

#[test]
fn the_last_conversation_of_a_contact_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(chatwoot(false));
}

#[test]
fn hubspot_gets_everything_once_although_the_process_is_killed_at_every_call() {
    exactly_once(hubspot());
}
