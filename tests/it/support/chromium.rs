//! A headless Chromium that opens pages and answers questions about them (Debian: chromium).
//!
//! Spoken to in the Chrome DevTools Protocol over its pipe: descriptor 3 takes and descriptor 4 gives JSON, each message
//! with a zero byte behind it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A page and what it is asked may take so long.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running browser; gone when this is.
pub struct Chromium {
    process: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    last_id: u64,
    /// What pages complained about: uncaught errors, what they could not load.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// An open page.
pub struct Page(String);

impl Chromium {
    /// Starts it; nothing where it is not installed.
    pub fn start() -> Option<Self> {
        let profile = tempfile::tempdir().expect("a directory");
        let mut process = Command::new("sh")
            // Standard input and output become the pipe; what it says otherwise is noise.
            .args([
                "-c",
                "command -v chromium >/dev/null || exit 0; exec 3<&0 4>&1 </dev/null >/dev/null 2>&1 chromium \"$@\"",
                "-",
            ])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--mute-audio"])
            .args(["--autoplay-policy=no-user-gesture-required", "--no-first-run", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let orders = process.stdin.take().expect("its input");
        let output = process.stdout.take().expect("its output");
        let (said, answers) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if said.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, orders, answers, last_id: 0, complaints: Vec::new(), _profile: profile };
        browser.call(None, "Browser.getVersion", &json!({})).map(|_| browser)
    }

    /// Opens a file and waits until it is loaded, at this width in pixels.
    pub fn open(&mut self, file: &Path, width: u32) -> Page {
        let url = url::Url::from_file_path(file).expect("an absolute path");
        self.visit(url.as_str(), width)
    }

    /// As [`Chromium::open`], at an address.
    pub fn visit(&mut self, url: &str, width: u32) -> Page {
        let target = self.must(None, "Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.must(None, "Target.attachToTarget", &attach)["sessionId"].clone();
        let page = Page(session.as_str().expect("a session").to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.must(Some(&page), domain, &json!({}));
        }
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.must(Some(&page), "Emulation.setDeviceMetricsOverride", &size);
        self.must(Some(&page), "Page.navigate", &json!({ "url": url }));
        self.wait_for("the page to load", |message| message["method"] == "Page.loadEventFired").expect("loaded");
        page
    }

    /// The value of an expression, awaited where it is a promise.
    pub fn ask(&mut self, page: &Page, expression: &str) -> Value {
        let question = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.must(Some(page), "Runtime.evaluate", &question);
        assert!(answer.get("exceptionDetails").is_none(), "{}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The page is shown as to somebody who prefers this colour scheme, `light` or `dark`.
    pub fn prefer(&mut self, page: &Page, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.must(Some(page), "Emulation.setEmulatedMedia", &features);
    }

    fn must(&mut self, page: Option<&Page>, method: &str, params: &Value) -> Value {
        self.call(page, method, params).unwrap_or_else(|| panic!("{method}: the browser is gone"))
    }

    /// Nothing where the browser is not there.
    fn call(&mut self, page: Option<&Page>, method: &str, params: &Value) -> Option<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(Page(session)) = page {
            order["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&order).expect("JSON");
        bytes.push(0);
        self.orders.write_all(&bytes).ok()?;
        let answer = self.wait_for(method, |message| message["id"] == id)?;
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        Some(answer["result"].clone())
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) if is_it(&message) => return Some(message),
                Ok(message) => self.complaints.extend(complaint(&message)),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("not in time: {what}"),
            }
        }
    }
}

fn complaint(message: &Value) -> Option<String> {
    let params = &message["params"];
    match message["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Log.entryAdded" if params["entry"]["level"] == "error" => Some(params["entry"].to_string()),
        _ => None,
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its helpers end with it: their pipes close.
        drop((self.process.kill(), self.process.wait()));
    }
}
