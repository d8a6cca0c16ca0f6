//! `mediamill.alert.v1` of a destination that was stopped: so that it can also reach an operator where nobody watches metrics.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::codes::action;
use crate::error::Code;
use crate::events::{ALERT_TYPE, Alert, Event};

/// The event that a destination was stopped. Its id follows from what it says.
pub(super) fn stopped(source: &str, destination: &str, code: Code, explanation: &str, at: Timestamp) -> Event {
    let id = Sha256::digest(format!("{destination}\n{code}\n{}", at.as_second()));
    let data = Alert {
        role: "deliver".to_owned(),
        destination: Some(destination.to_owned()),
        code: code.as_str().to_owned(),
        meaning: code.meaning().to_owned(),
        explanation: explanation.to_owned(),
        action: action(code).to_owned(),
        resume: Some(format!("mediamill deliver resume {destination}")),
    };
    Event {
        id: format!("alert-{}", &hex::encode(id)[..32]),
        source: source.to_owned(),
        kind: ALERT_TYPE.to_owned(),
        subject: Some(destination.to_owned()),
        time: Some(at.to_string()),
        trace: None,
        data: json!(data),
    }
}
