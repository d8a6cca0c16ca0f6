//! S3 servers that are not ours: s3s-fs in this process, over a real port, and moto from PyPI.
//!
//! ```ignore
//! let s3 = S3::start();                                  // or S3::moto()
//! let store = Store::connect(&s3.store_config()).await?;
//! let worker = program().envs(s3.env());
//! let behind_a_proxy = s3.access().via(&gate.url()).config();
//! ```

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mediamill::config::{self, load};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use super::cmd::repo_file;
use super::host::Host;
use super::keeper;
use super::say::no_service;

const BUCKET: &str = "media";
const ACCESS_KEY_ID: &str = "tester";
const SECRET_ACCESS_KEY: &str = "not a secret";

/// A running server with one bucket.
pub struct S3 {
    access: Access,
    server: Server,
}

enum Server {
    Here { root: tempfile::TempDir, _host: Host },
    Moto { _process: Process },
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Access {
    endpoint: String,
    secret: String,
}

impl Access {
    /// The same server at another address: through a proxy.
    pub fn via(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// The same server with credentials that it does not accept.
    pub fn with_wrong_secret(&self) -> Self {
        Self { secret: "wrong".to_owned(), ..self.clone() }
    }

    /// As a store's configuration, with timeouts for tests.
    pub fn config(&self) -> config::Store {
        let env = self.env().into_iter().map(|(name, value)| (name.into(), value.into()));
        load(None, env, &[]).unwrap_or_else(|err| panic!("{err}")).store
    }

    /// As the environment of the program.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("URL", "s3://media/assets"),
            ("ENDPOINT", &self.endpoint),
            ("PATH_STYLE", "true"),
            ("REGION", "eu-west-1"),
            ("ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("SECRET_ACCESS_KEY", &self.secret),
            ("MULTIPART_BYTES", "5242880"),
            ("CONNECT_TIMEOUT_S", "2"),
            ("ATTEMPT_TIMEOUT_S", "5"),
            ("OPERATION_TIMEOUT_S", "20"),
        ]
        .map(|(key, value)| (format!("MEDIAMILL_STORE_{key}"), value.to_owned()))
        .to_vec()
    }
}

impl S3 {
    /// s3s-fs, in this process. It keeps objects as files, checks signatures, and knows nothing of tags.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let service = builder.build();
        let host = Host::new();
        let (listener, address) = host.listen();
        host.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // Connections that tests cut are no news.
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self::at(format!("http://{address}"), Server::Here { root, _host: host })
    }

    /// moto. It knows tags, encryption, storage classes and unfinished uploads, and believes every signature.
    ///
    /// Nothing where it is not installed, unless services are demanded.
    pub async fn moto() -> Option<Self> {
        let program = repo_file("target/venv/bin/moto_server");
        if !program.exists() {
            no_service("moto is not installed; scripts/venv.sh does that");
            return None;
        }
        let (process, endpoint) = Process::start(&program);
        let s3 = Self::at(endpoint, Server::Moto { _process: process });
        let made = reqwest::Client::new().put(format!("{}/{BUCKET}", s3.endpoint())).send().await;
        assert!(made.expect("moto answers").status().is_success(), "no bucket");
        Some(s3)
    }

    fn at(endpoint: String, server: Server) -> Self {
        Self { access: Access { endpoint, secret: SECRET_ACCESS_KEY.to_owned() }, server }
    }

    /// Its address, as a URL.
    pub fn endpoint(&self) -> String {
        self.access.endpoint.clone()
    }

    /// The bucket that is there.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// How to reach it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// As a store's configuration, with timeouts for tests.
    pub fn store_config(&self) -> config::Store {
        self.access.config()
    }

    /// As the environment of the program.
    pub fn env(&self) -> Vec<(String, String)> {
        self.access.env()
    }

    /// Has the bucket keep every version of an object from now on. Of moto only.
    pub async fn keep_versions(&self) {
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let url = format!("{}/{BUCKET}?versioning", self.endpoint());
        let answer = reqwest::Client::new().put(url).body(body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// How many versions of an object, and how many marks of deletions, the bucket has. Of moto only.
    pub async fn versions(&self, key: &str) -> (usize, usize) {
        let (mut versions, mut marks, mut at) = (0, 0, String::new());
        loop {
            let url = format!("{}/{BUCKET}?versions&prefix={key}{at}", self.endpoint());
            let listed = reqwest::get(url).await.expect("an answer").text().await.expect("a list");
            let named = format!("<Key>{key}</Key>");
            let of = |tag: &str| listed.split(tag).skip(1).filter(|entry| entry.contains(&named)).count();
            versions += of("<Version>");
            marks += of("<DeleteMarker>");
            let text = |tag: &str| Some(listed.split_once(&format!("<{tag}>"))?.1.split_once('<')?.0.to_owned());
            let Some(marker) = text("NextKeyMarker") else { return (versions, marks) };
            let version = text("NextVersionIdMarker").unwrap_or_default();
            at = format!("&key-marker={marker}&version-id-marker={version}");
        }
    }

    /// An object's file. Of s3s-fs only.
    pub fn file(&self, key: &str) -> PathBuf {
        self.root().join(BUCKET).join(key)
    }

    /// What there is of uploads that were begun, and neither completed nor aborted: with s3s-fs their files, with moto
    /// themselves.
    pub async fn pending_uploads(&self) -> usize {
        match &self.server {
            Server::Here { root, .. } => {
                let names = std::fs::read_dir(root.path()).expect("a directory").flatten();
                names.filter(|entry| is_upload(&entry.file_name().to_string_lossy())).count()
            }
            Server::Moto { .. } => {
                let listed = reqwest::get(format!("{}/{BUCKET}?uploads", self.endpoint())).await.expect("an answer");
                listed.text().await.expect("a list").matches("<UploadId>").count()
            }
        }
    }

    fn root(&self) -> &Path {
        match &self.server {
            Server::Here { root, .. } => root.path(),
            Server::Moto { .. } => panic!("moto keeps no files"),
        }
    }
}

/// s3s-fs marks an upload with one file and keeps its parts in others.
fn is_upload(name: &str) -> bool {
    name.starts_with(".upload")
}

/// moto's process, killed when dropped.
struct Process(Child);

impl Process {
    /// Starts it on a port of its choice, which it tells on its standard error.
    fn start(program: &Path) -> (Self, String) {
        use std::io::{BufRead, BufReader};
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = keeper::spawn(&mut command);
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let endpoint = lines.find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()));
        // Whoever does not read what it says stops it one day.
        std::thread::spawn(move || lines.for_each(drop));
        (Self(child), endpoint.expect("moto says where it listens"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        keeper::end(&mut self.0);
    }
}
