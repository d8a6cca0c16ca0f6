//! What a CRM keeps in a bin after an erasure stands in the certificate.

use serde_json::{Value, json};

use super::trial::Trial;
use super::vendors::{Vendor, hubspot, salesforce, zendesk, zoho};
use crate::support::cmd::Run;
use crate::support::processes::wait_until;

/// The certificate in the store, and what the CRM still has.
fn certificate(trial: &Trial, number: &str) -> (Value, Vec<Value>) {
    let path = trial.rig.dir.path().join("store/.catalog/certificates/acme").join(format!("{number}.json"));
    let certificate: Value = serde_json::from_slice(&std::fs::read(path).expect("a certificate")).expect("JSON");
    let all = certificate["residues"].as_array().expect("residues").clone();
    let at = all.into_iter().filter(|residue| residue["at"] == "crm").collect();
    (certificate, at)
}

/// `days` of the bin; nothing where nothing is left.
fn is_certified(vendor: Vendor, days: Option<i64>) {
    let Some(mut trial) = Trial::start(vendor) else { return };
    let name = trial.vendor.name;
    trial.publish();
    trial.settled();
    let event = &trial.events[0];
    let manifest =
        json!({ "event_id": event["id"], "time": event["time"], "state": "normalized", "data": event["data"] });
    std::fs::write(trial.rig.dir.path().join("store/acme/m0/manifest.json"), manifest.to_string()).expect("a manifest");
    let run = Run::of(&mut trial.rig.command(&["erase", "--tenant", "acme", "--media-id", "m0"])).exits(0);
    let told: Value = serde_json::from_str(&run.stdout).expect("a certificate");
    let number = told["number"].as_str().expect("a number").to_owned();
    let marker = trial.marker(0);
    wait_until("the note is gone", || trial.counts(&marker).notes == 0);
    wait_until("the queue is empty", || trial.rig.bus.depth("deliver.crm").ready == 0);
    match days {
        None => {
            trial.deliverer.take().expect("one that runs").stops();
            assert!(certificate(&trial, &number).1.is_empty(), "{name}");
        }
        Some(days) => {
            wait_until("the bin is in the certificate", || !certificate(&trial, &number).1.is_empty());
            let (certificate, at) = certificate(&trial, &number);
            assert_eq!((at.len(), &at[0]["what"]), (1, &json!("destination-bin")), "{name}: {certificate:#}");
            let until: jiff::Timestamp = at[0]["until"].as_str().expect("a date").parse().expect("a time");
            let left_s = until.as_second() - jiff::Timestamp::now().as_second();
            assert!((days * 86_400 - 60..=(days + 1) * 86_400).contains(&left_s), "{name}: {until}");
            assert_eq!(certificate["number"], number.as_str());
            assert!(
                certificate["residues"].as_array().expect("residues").len() >= 6,
                "the others stay: {certificate:#}"
            );
            trial.deliverer.take().expect("one that runs").stops();
        }
    }
}

#[test]
fn the_bins_of_hubspot_salesforce_and_zoho_stand_in_the_certificate_with_their_dates() {
    is_certified(hubspot(), Some(90));
    is_certified(salesforce(), Some(15));
    is_certified(zoho(), Some(60));
}

#[test]
fn zendesk_redacts_and_has_no_bin() {
    is_certified(zendesk(true), None);
}
