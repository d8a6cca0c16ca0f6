//! `mediamill.alert.v1`: an operator is needed, as an event, so that it can also reach one where nobody watches metrics.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::codes::action;
use super::subject::ALERT_TYPE;
use crate::error::Code;
use crate::events::Event;

/// The routing key of alerts.
pub(super) const KEY: &str = "alert";

/// The event that a destination was stopped. Its id follows from what it says.
pub(super) fn stopped(source: &str, destination: &str, code: Code, explanation: &str, at: Timestamp) -> Event {
    let id = Sha256::digest(format!("{destination}\n{code}\n{}", at.as_second()));
    let data = json!({
        "role": "deliver",
        "destination": destination,
        "code": code.as_str(),
        "meaning": code.meaning(),
        "explanation": explanation,
        "action": action(code),
        "resume": format!("mediamill deliver resume {destination}"),
    });
    Event {
        id: format!("alert-{}", &hex::encode(id)[..32]),
        source: source.to_owned(),
        kind: ALERT_TYPE.to_owned(),
        subject: Some(destination.to_owned()),
        time: Some(at.to_string()),
        trace: None,
        data,
    }
}
