//! A small server with Azure's Blob API (`tests/azure/server.py`), on which Microsoft's own client agrees with the tests: signatures and
//! links are checked by that client's library.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mediamill::config::{self, load};
use tokio::time::sleep;

use super::cmd::repo_file;
use super::keeper;
use super::rabbit::free_ports;
use super::say::no_service;

/// The account and the key of the public emulator, which everybody has.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "media";
const START: Duration = Duration::from_secs(30);

/// A running server without a container.
pub struct Azure {
    url: String,
    process: Child,
}

impl Azure {
    /// Nothing where the library is not installed, unless services are demanded.
    pub async fn start(keeps_versions: bool) -> Option<Self> {
        let python = python()?;
        let [port] = free_ports();
        let mut command = Command::new(python);
        command.arg(repo_file("tests/azure/server.py")).arg(port.to_string());
        command.args(keeps_versions.then_some("--versions"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = keeper::spawn(&mut command);
        let azure = Self { url: format!("http://127.0.0.1:{port}"), process };
        let deadline = Instant::now() + START;
        while reqwest::get(&azure.url).await.is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            sleep(Duration::from_millis(100)).await;
        }
        Some(azure)
    }

    /// Makes the container of the configuration.
    pub async fn has_container(&self) {
        let url = format!("{}/make/{CONTAINER}", self.url);
        let made = reqwest::Client::new().put(url).body("").send().await.expect("an answer");
        assert!(made.status().is_success(), "no container: {made:?}");
    }

    /// Its address, as a URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Runs the vendor's client against it. What it says.
    pub fn judged(&self, keeps_versions: bool) -> String {
        let python = python().expect("it runs the server");
        let mut command = Command::new(python);
        command.arg(repo_file("tests/azure/judge.py")).arg(format!("{}/{ACCOUNT}", self.url));
        command.args(keeps_versions.then_some("--versions"));
        let output = command.output().expect("a judge");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    }

    /// As a store's configuration, with timeouts for tests.
    pub fn store_config(&self) -> config::Store {
        store_config_at(&self.url)
    }
}

impl Drop for Azure {
    fn drop(&mut self) {
        keeper::end(&mut self.process);
    }
}

/// The configuration of a store, at any address.
pub fn store_config_at(url: &str) -> config::Store {
    let endpoint = format!("{url}/{ACCOUNT}");
    let env = [
        ("URL", "az://media/assets"),
        ("ENDPOINT", &endpoint),
        ("AZURE_ACCOUNT", ACCOUNT),
        ("AZURE_KEY", KEY),
        ("MULTIPART_BYTES", "5242880"),
        ("CONNECT_TIMEOUT_S", "2"),
        ("ATTEMPT_TIMEOUT_S", "5"),
        ("OPERATION_TIMEOUT_S", "20"),
    ];
    let env = env.map(|(key, value)| (format!("MEDIAMILL_STORE_{key}").into(), value.to_owned().into()));
    load(None, env, &[]).unwrap_or_else(|err| panic!("{err}")).store
}

/// The interpreter that has the library.
fn python() -> Option<std::path::PathBuf> {
    let python = repo_file("target/venv/bin/python");
    let lib = std::fs::read_dir(repo_file("target/venv/lib")).into_iter().flatten().flatten();
    let there = lib.into_iter().any(|version| version.path().join("site-packages/azure/storage/blob").is_dir());
    if !there {
        no_service("azure-storage-blob is not installed; scripts/venv.sh does that");
    }
    there.then_some(python)
}
