//! A provider of OpenID Connect that is not ours (`tests/judges/provider.py`: Authlib and joserfc), in a process of its own, which
//! ends with its handle.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::cmd::repo_file;
use super::say::no_service;

/// A running provider.
pub struct Provider {
    authority: String,
    child: Child,
}

impl Provider {
    /// Of one client, which people come back to at this address. Nothing where it is not installed.
    pub fn start(client_id: &str, client_secret: &str, callback: &str) -> Option<Self> {
        let python = repo_file("target/venv-login/bin/python");
        if !python.exists() {
            no_service("Authlib is not installed; scripts/venv.sh login does that");
            return None;
        }
        let mut command = Command::new(python);
        command.arg("-B").arg(repo_file("tests/judges/provider.py")).args([client_id, client_secret, callback]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("Python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        Some(Self { authority: format!("127.0.0.1:{}", line.trim()), child })
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// What it does from now on; `good` is as it should be.
    pub fn mode(&self, mode: &str) -> Value {
        let answer = self.get(&format!("/control?mode={mode}"));
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
    }

    /// Where people come back to from now on, without characters that a query would have to encode.
    pub fn comes_back_to(&self, callback: &str) {
        self.get(&format!("/control?callback={callback}"));
    }

    /// Where a browser is sent that opens this URL of the provider.
    pub fn visit(&self, url: &str) -> String {
        let path = url.strip_prefix(&self.issuer()).unwrap_or_else(|| panic!("{url} is none of the provider's"));
        let answer = self.get(path);
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        location.unwrap_or_else(|| panic!("no redirect: {answer}")).to_owned()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).expect("the provider listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.authority);
        stream.write_all(head.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
