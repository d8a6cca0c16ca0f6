//! `deliver check --live`: the map against the CRM's own description of its fields.

use std::process::Output;

use super::trial::Trial;
use super::vendors::{Vendor, hubspot, salesforce, zendesk, zoho};

/// A map whose only fields are these, each with its expression.
fn map(kind: &str, fields: &str, activity: &str) -> String {
    format!(
        "outcomes = [\"normalized\"]\n[[match]]\nby = \"id\"\nvalue = \"'1'\"\n[fields]\n{fields}\n[activity]\nkind = \"{kind}\"\n\
         body = \"x\"\n[activity.fields]\n{activity}\n"
    )
}

fn checked(trial: &Trial, text: &str) -> Output {
    let path = |name: &str| trial.rig.dir.path().join(name);
    std::fs::write(path("map.toml"), text).expect("a map");
    std::fs::write(path("event.json"), crate::deliver::normalized("shown").to_string()).expect("an event");
    let (map, event) = (path("map.toml").display().to_string(), path("event.json").display().to_string());
    let args = ["deliver", "check", "crm", "--map", &map, "--event", &event, "--live"];
    trial.rig.command(&args).output().expect("it runs")
}

/// With good fields it succeeds; with wrong ones it says each of these, and exits with 3.
fn compares(vendor: Vendor, kind: &str, good: (&str, &str), wrong: (&str, &str), said: &[&str]) {
    let Some(trial) = Trial::start(vendor) else { return };
    let name = trial.vendor.name;
    let run = checked(&trial, &map(kind, good.0, good.1));
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{name}: {text}");
    assert!(text.contains("its own description knows every field"), "{name}: {text}");
    let run = checked(&trial, &map(kind, wrong.0, wrong.1));
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(3), "{name}: {text}");
    for words in said {
        assert!(text.contains(words), "{name}: {words} in {text}");
    }
    let calls = trial.crm.calls();
    assert!(
        calls.iter().all(|call| call.method == "GET" || call.path.contains("token")),
        "nothing is written: {calls:#?}"
    );
}

#[test]
fn hubspots_properties_are_compared() {
    let said = ["fields.no_such: of contacts, it does not exist"];
    compares(hubspot(), "note", ("firstname = \"'Ann'\"", ""), ("no_such = \"'x'\"", ""), &said);
}

#[test]
fn salesforces_description_is_compared() {
    let said = [
        "fields.No_Such__c: of Contact, it does not exist",
        "fields.FirstName: of Contact, it takes 40 characters, and the value has 41",
        "activity.fields.CallDurationInSeconds: of Task, it holds a number",
    ];
    let wrong = ("No_Such__c = \"'x'\"\nFirstName = \"'x' * 41\"", "CallDurationInSeconds = \"'long'\"");
    compares(salesforce(), "task", ("FirstName = \"'Ann'\"", "CallDurationInSeconds = \"7\""), wrong, &said);
}

#[test]
fn zohos_fields_are_compared() {
    let said =
        ["fields.No_Such: of Contacts, it does not exist", "fields.Last_Name: of Contacts, it takes 80 characters"];
    let wrong = ("No_Such = \"'x'\"\nLast_Name = \"'x' * 81\"", "");
    compares(zoho(), "note", ("Last_Name = \"'Ann'\"", ""), wrong, &said);
}

#[test]
fn zendesks_fields_are_compared() {
    let said = ["fields.no_such: of user_fields, it does not exist", "activity.fields.no such: of ticket_fields"];
    let wrong = ("no_such = \"'x'\"", "\"No such\" = \"'x'\"");
    compares(zendesk(true), "comment", ("", "priority = \"'low'\""), wrong, &said);
}
