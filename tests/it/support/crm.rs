//! Stateful fakes of CRMs (`tests/crm`), each in a process of its own, which ends with its handle.
//!
//! ```ignore
//! let crm = Crm::start("hubspot");
//! crm.act(json!({"act": "create", "type": "contacts", "properties": {"email": "a@example.test"}}));
//! crm.faults(json!([{"fault": "hold-after", "method": "POST", "path": "/notes$"}]));   // tests/crm/faults.py has the list
//! crm.wait_held();                            // the note is written, its answer waits
//! crm.state()["objects"]["notes"];            // as the CRM has it
//! crm.calls().len();                          // what it cost
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::cmd::repo_file;
use super::processes::wait_until;

/// A running fake.
pub struct Crm {
    url: String,
    child: Child,
}

/// One call of the API.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Call {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// 0 where the connection ended before anything was done.
    pub status: u16,
    /// What the plan did with it.
    pub fault: Option<String>,
    /// What it costs of the account's quota.
    pub units: u32,
}

impl Crm {
    /// `hubspot`, `salesforce`, `zendesk`, `zoho` or `chatwoot`, with an empty account.
    pub fn start(name: &str) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(repo_file("tests/crm")).arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name}: {error}: {line:?}"));
        Self { url: told["url"].as_str().expect("a URL").to_owned(), child }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What the CRM holds.
    pub fn state(&self) -> Value {
        self.control("GET", "state", &Value::Null)
    }

    /// All calls, in the order of their ends.
    pub fn calls(&self) -> Vec<Call> {
        serde_json::from_value(self.control("GET", "calls", &Value::Null)).expect("calls")
    }

    /// Calls count from here.
    pub fn forget_calls(&self) {
        self.control("DELETE", "calls", &Value::Null);
    }

    /// Another fault plan.
    pub fn faults(&self, rules: Value) {
        self.control("PUT", "faults", &rules);
    }

    /// What a person or another program does in the CRM.
    pub fn act(&self, what: Value) -> Value {
        self.control("POST", "act", &what)
    }

    /// Waits until a call is held by the plan.
    #[track_caller]
    pub fn wait_held(&self) {
        wait_until("a call is held", || self.control("GET", "held", &Value::Null)["held"] != json!(0));
    }

    /// Calls that are held go on.
    pub fn release(&self) {
        self.control("POST", "release", &Value::Null);
    }

    #[track_caller]
    fn control(&self, method: &str, what: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "{method} /__fake/{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.authority(),
            body.len()
        );
        let mut stream = TcpStream::connect(self.authority()).expect("the fake listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all((head + &body).as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {what}: {answer}");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
