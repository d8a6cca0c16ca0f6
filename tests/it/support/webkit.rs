//! WebKitGTK, which shows pages and plays media much as Safari does (Debian: webkit2gtk-driver, xvfb, xauth, gstreamer1.0-libav,
//! gstreamer1.0-plugins-good).
//!
//! Spoken to by W3C WebDriver (<https://www.w3.org/TR/webdriver2/>), on a display of its own that nobody sees.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::keeper;
use super::rabbit::free_ports;

/// A page and what it is asked may take so long.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long driver and display may take to start.
const START: Duration = Duration::from_secs(60);
const HEIGHT: u32 = 900;

/// A running browser; gone when this is.
pub struct WebKit {
    driver: Child,
    http: reqwest::Client,
    /// The address of the session.
    session: String,
    _home: tempfile::TempDir,
}

impl WebKit {
    /// Starts it; nothing where it is not installed.
    pub async fn start() -> Option<Self> {
        let all = "command -v WebKitWebDriver && command -v xvfb-run && command -v xauth";
        let found = Command::new("sh").args(["-c", all]).stdout(Stdio::null()).status().expect("a shell");
        if !found.success() {
            return None;
        }
        let [port] = free_ports();
        let home = keeper::new_dir();
        let mut command = Command::new("xvfb-run");
        command.args(["--auto-servernum", "--server-args=-screen 0 1400x1000x24", "WebKitWebDriver"]);
        command.arg(format!("--port={port}")).env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
        command.env("TMPDIR", home.path());
        let driver = keeper::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let mut browser =
            Self { driver, http: reqwest::Client::new(), session: format!("http://127.0.0.1:{port}"), _home: home };
        browser.is_up().await;
        let opened = browser.post("session", &json!({ "capabilities": { "alwaysMatch": {} } })).await;
        let id = opened["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {opened}"));
        browser.session = format!("{}/session/{id}", browser.session);
        let script = u64::try_from(PATIENCE.as_millis()).expect("small");
        browser.post("timeouts", &json!({ "script": script })).await;
        Some(browser)
    }

    async fn is_up(&self) {
        let deadline = Instant::now() + START;
        while self.http.get(format!("{}/status", self.session)).send().await.is_err() {
            assert!(Instant::now() < deadline, "WebKitWebDriver does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens a page and waits until it is loaded, in a window of this width in pixels.
    pub async fn visit(&self, url: &str, width: u32) {
        self.post("window/rect", &json!({ "width": width, "height": HEIGHT })).await;
        self.post("url", &json!({ "url": url })).await;
    }

    /// Clicks an element as a person does. Without one, WebKit lets no script play anything.
    pub async fn click(&self, selector: &str) {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector })).await;
        let id = found.as_object().and_then(|reference| reference.values().next()?.as_str());
        let id = id.unwrap_or_else(|| panic!("{selector}: {found}"));
        self.post(&format!("element/{id}/click"), &json!({})).await;
    }

    /// The value of an expression, awaited where it is a promise.
    pub async fn ask(&self, expression: &str) -> Value {
        self.attempt(expression).await.unwrap_or_else(|error| panic!("{error}: {expression}"))
    }

    /// The same, or the error that it ends with.
    pub async fn attempt(&self, expression: &str) -> Result<Value, String> {
        let script = format!(
            "const said = arguments[arguments.length - 1]; (async () => ({expression}))().then(value => said({{ value }}), error => said({{ error: String(error) }}))"
        );
        let answer = self.post("execute/async", &json!({ "script": script, "args": [] })).await;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].clone()),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.session)).timeout(PATIENCE);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = answer.status();
        let text = answer.text().await.expect("an answer");
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["value"].clone()
    }
}

impl Drop for WebKit {
    fn drop(&mut self) {
        // The display removes its lock only where it is asked to end.
        let group = rustix::process::Pid::from_child(&self.driver);
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).ok();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && self.driver.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        keeper::end(&mut self.driver);
    }
}
