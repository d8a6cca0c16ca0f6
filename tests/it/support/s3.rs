//! S3 servers that are not ours: s3s-fs in this process, over a real port, and moto and seaweedfs from PyPI.
//!
//! ```ignore
//! let s3 = S3::start();                                  // or S3::moto(), S3::seaweed()
//! let store = Store::connect(&s3.store_config()).await?;
//! let worker = program().envs(s3.env());
//! let behind_a_proxy = s3.access().via(&gate.url()).config();
//! ```

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, CreateBucketConfiguration,
    DefaultRetention, Destination, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
    ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter, ReplicationRuleStatus, VersioningConfiguration,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mediamill::config::{self, load};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::time::sleep;

use super::cmd::repo_file;
use super::host::Host;
use super::keeper;
use super::rabbit::free_ports;
use super::say::no_service;

const BUCKET: &str = "media";
const ACCESS_KEY_ID: &str = "tester";
const SECRET_ACCESS_KEY: &str = "not a secret";

/// It is ready after 4 s where nothing else is running.
const SEAWEED_START: Duration = Duration::from_secs(60);

/// A running server with one bucket.
pub struct S3 {
    access: Access,
    server: Server,
}

enum Server {
    Here { root: tempfile::TempDir, _host: Host },
    Moto { _process: Process },
    Seaweed { _process: Process, _dir: tempfile::TempDir },
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
        Self::moto_with_pages_of(1000).await
    }

    /// moto that lists so many versions at once.
    pub async fn moto_with_pages_of(size: usize) -> Option<Self> {
        let program = repo_file("target/venv/bin/moto_server");
        if !program.exists() {
            no_service("moto is not installed; scripts/venv.sh does that");
            return None;
        }
        let (process, endpoint) = Process::start(&program, size);
        let s3 = Self::at(endpoint, Server::Moto { _process: process });
        let made = reqwest::Client::new().put(format!("{}/{BUCKET}", s3.endpoint())).send().await;
        assert!(made.expect("moto answers").status().is_success(), "no bucket");
        Some(s3)
    }

    /// seaweedfs. It checks signatures, checksums and conditions, and knows versions.
    ///
    /// Nothing where it is not installed, unless services are demanded.
    pub async fn seaweed() -> Option<Self> {
        let program = repo_file("target/venv/bin/weed");
        if !program.exists() {
            no_service("seaweedfs is not installed; scripts/venv.sh does that");
            return None;
        }
        let dir = keeper::new_dir();
        let [port, ports @ ..] = free_ports::<8>();
        let process = Process(keeper::spawn(&mut weed(&program, dir.path(), port, ports)));
        let s3 = Self::at(format!("http://127.0.0.1:{port}"), Server::Seaweed { _process: process, _dir: dir });
        let deadline = Instant::now() + SEAWEED_START;
        // Its parts begin one after the other: nothing is there before all of them are.
        while let Err(error) = s3.client().create_bucket().bucket(BUCKET).send().await {
            assert!(Instant::now() < deadline, "no bucket: {error:?}");
            sleep(Duration::from_millis(200)).await;
        }
        Some(s3)
    }

    fn at(endpoint: String, server: Server) -> Self {
        Self { access: Access { endpoint, secret: SECRET_ACCESS_KEY.to_owned() }, server }
    }

    /// Its address, as a URL.
    pub fn endpoint(&self) -> String {
        self.access.endpoint.clone()
    }

    /// Whether it is moto.
    pub fn is_moto(&self) -> bool {
        matches!(self.server, Server::Moto { .. })
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

    /// Has the bucket keep every version of an object from now on. Not of s3s-fs.
    pub async fn keep_versions(&self) {
        let kept = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.client().put_bucket_versioning().bucket(BUCKET).versioning_configuration(kept);
        request.send().await.expect("versions are kept");
    }

    /// Makes another bucket, whose objects are locked for so many days and copied to the bucket of the configuration.
    pub async fn lock_and_copy(&self, bucket: &str, days: i32) {
        let client = self.client();
        let here = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
        let make = client.create_bucket().bucket(bucket).create_bucket_configuration(here);
        make.object_lock_enabled_for_bucket(true).send().await.expect("a bucket");
        let retention = DefaultRetention::builder().days(days).mode(ObjectLockRetentionMode::Governance).build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(retention).build())
            .build();
        let put = client.put_object_lock_configuration().bucket(bucket).object_lock_configuration(lock);
        put.send().await.expect("a lock");
        self.keep_versions().await;
        let target = Destination::builder().bucket(format!("arn:aws:s3:::{BUCKET}")).build().expect("a target");
        let rule = ReplicationRule::builder().status(ReplicationRuleStatus::Enabled).destination(target);
        let rules = ReplicationConfiguration::builder().role("arn:aws:iam::123456789012:role/r");
        let everything = ReplicationRuleFilter::builder().prefix("").build();
        let rule = rule.priority(1).filter(everything);
        let rules = rules.rules(rule.build().expect("a rule")).build().expect("rules");
        let put = client.put_bucket_replication().bucket(bucket).replication_configuration(rules);
        put.send().await.expect("replication");
    }

    /// How many versions of an object, and how many marks of deletions, the bucket has. Not of s3s-fs.
    pub async fn versions(&self, key: &str) -> (usize, usize) {
        let request = self.client().list_object_versions().bucket(BUCKET).prefix(key).max_keys(1000);
        let listed = request.send().await.expect("a list");
        assert_ne!(listed.is_truncated(), Some(true));
        let versions = listed.versions().iter().filter(|version| version.key() == Some(key));
        (versions.count(), listed.delete_markers().iter().filter(|marker| marker.key() == Some(key)).count())
    }

    /// The storage class of an object; nothing where it is the usual one.
    pub async fn class(&self, key: &str) -> Option<String> {
        let head = self.client().head_object().bucket(BUCKET).key(key).send().await.expect("an object");
        let class = head.storage_class().map(|class| class.as_str().to_owned());
        class.filter(|class| class != "STANDARD")
    }

    /// The ids of the rules that the bucket has after it was given these, in the form that the vendor's tool takes.
    pub async fn rules_after(&self, printed: &str) -> Vec<String> {
        let rules: serde_json::Value = serde_json::from_str(printed).expect("JSON");
        let rule = |rule: &serde_json::Value| {
            let number = |value: &serde_json::Value| value.as_i64().and_then(|days| i32::try_from(days).ok());
            let prefix = rule["Filter"]["Prefix"].as_str().expect("a prefix");
            let uploads = number(&rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
                .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
            let versions = number(&rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
                .map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
            let marks = rule["Expiration"]["ExpiredObjectDeleteMarker"]
                .as_bool()
                .map(|on| LifecycleExpiration::builder().expired_object_delete_marker(on).build());
            LifecycleRule::builder()
                .id(rule["ID"].as_str().expect("an id"))
                .status(ExpirationStatus::from(rule["Status"].as_str().expect("a status")))
                .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
                .set_abort_incomplete_multipart_upload(uploads)
                .set_noncurrent_version_expiration(versions)
                .set_expiration(marks)
                .build()
                .expect("a rule")
        };
        let all = rules["Rules"].as_array().expect("rules").iter().map(rule).collect();
        let all = BucketLifecycleConfiguration::builder().set_rules(Some(all)).build().expect("rules");
        let put = self.client().put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(all);
        put.send().await.expect("rules that the server takes");
        let got = self.client().get_bucket_lifecycle_configuration().bucket(BUCKET).send().await.expect("rules");
        got.rules().iter().filter_map(|rule| rule.id().map(str::to_owned)).collect()
    }

    /// A client that is not ours.
    fn client(&self) -> Client {
        let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials)
            .endpoint_url(self.endpoint())
            .force_path_style(true);
        Client::from_conf(config.build())
    }

    /// An object's file. Of s3s-fs only.
    pub fn file(&self, key: &str) -> PathBuf {
        self.root().join(BUCKET).join(key)
    }

    /// What there is of uploads that were begun, and neither completed nor aborted: with s3s-fs their files, with others
    /// themselves.
    pub async fn pending_uploads(&self) -> usize {
        match &self.server {
            Server::Here { root, .. } => {
                let names = std::fs::read_dir(root.path()).expect("a directory").flatten();
                names.filter(|entry| is_upload(&entry.file_name().to_string_lossy())).count()
            }
            Server::Moto { .. } | Server::Seaweed { .. } => {
                let listed = self.client().list_multipart_uploads().bucket(BUCKET).send().await.expect("a list");
                listed.uploads().len()
            }
        }
    }

    fn root(&self) -> &Path {
        match &self.server {
            Server::Here { root, .. } => root.path(),
            Server::Moto { .. } | Server::Seaweed { .. } => panic!("it keeps no files of this name"),
        }
    }
}

/// s3s-fs marks an upload with one file and keeps its parts in others.
fn is_upload(name: &str) -> bool {
    name.starts_with(".upload")
}

/// seaweedfs with one volume and this key. `ports` are those of its other parts.
fn weed(program: &Path, dir: &Path, port: u16, ports: [u16; 7]) -> Command {
    let identity = serde_json::json!({"identities": [{
        "name": "tester",
        "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    let config = dir.join("s3.json");
    std::fs::write(&config, identity.to_string()).expect("written");
    let mut command = Command::new(program);
    command.arg("server").arg(format!("-dir={}", dir.display())).arg(format!("-s3.config={}", config.display()));
    command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=20"]);
    command.args(["-master.volumeSizeLimitMB=64", "-s3.iam=false"]).arg(format!("-s3.port={port}"));
    // These two have ports of their own, so that a second server on this machine would end at once.
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
    let names = ["s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"];
    for (name, port) in names.into_iter().chain(["filer.port", "filer.port.grpc"]).zip(ports) {
        command.arg(format!("-{name}={port}"));
    }
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The process of moto or seaweedfs, killed when dropped.
struct Process(Child);

impl Process {
    /// Starts it on a port of its choice, which it tells on its standard error.
    fn start(program: &Path, page_size: usize) -> (Self, String) {
        use std::io::{BufRead, BufReader};
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("MOTO_S3_DEFAULT_MAX_KEYS", page_size.to_string());
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
