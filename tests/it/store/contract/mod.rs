//! The contract: one suite, as a function, for every backend. An object is there as a whole, with the SHA-256 that was
//! told of it, or it is not there.

mod conditions;
mod links;
mod lists;
mod objects;
mod removal;

use std::path::Path;

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store};

use crate::support::cmd::{Dir, repo_file};
use crate::support::faults::broken_as;
#[cfg(feature = "gcp")]
use crate::support::gcs::Gcs;
use crate::support::s3::S3;

const OGG: PutOptions<'_> = PutOptions::of("audio/ogg");

/// Two parts of S3's smallest size, and a third one of a single byte.
const LARGE_BYTES: usize = (10 << 20) + 1;

/// What a server is able to do, so that the suite knows what to ask of a backend that stands on it. All of it is asked of at
/// least one server for each backend.
pub(super) struct Server {
    /// It puts an object where there is none, and refuses to where there is one.
    pub(super) makes_once: bool,
    /// It gives the version of what is read.
    pub(super) has_versions: bool,
    /// Its lists have pages of the size that is asked for.
    pub(super) has_pages: bool,
    /// It compares versions before it replaces an object.
    pub(super) compares_versions: bool,
    /// It does so, and puts new objects, whatever else happens at the same moment.
    pub(super) is_atomic: bool,
    /// It lists keys in the order of their bytes, and not in that of a tree of folders.
    pub(super) lists_by_bytes: bool,
    /// It has links for people without credentials.
    pub(super) signs: bool,
    /// It refuses links that were changed or have expired.
    pub(super) checks_links: bool,
    /// It answers a link with the headers that the link asks for.
    pub(super) overrides_headers: bool,
}

const DIRECTORY: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: true,
    lists_by_bytes: true,
    signs: false,
    checks_links: false,
    overrides_headers: false,
};

/// It writes an object and its checksum one after the other.
const S3S: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: false,
    lists_by_bytes: true,
    signs: true,
    checks_links: true,
    overrides_headers: false,
};

/// It takes `If-Match` with every PUT and looks at none, and believes every signature.
const MOTO: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: false,
    is_atomic: false,
    lists_by_bytes: true,
    signs: true,
    checks_links: false,
    overrides_headers: true,
};

const SEAWEED: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: true,
    lists_by_bytes: false,
    signs: true,
    checks_links: true,
    overrides_headers: true,
};

/// fake-gcs-server. It compares generations, though not at the same moment with what else happens, and takes wrong checksums.
#[cfg(feature = "gcp")]
const FAKE_GCS: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: false,
    lists_by_bytes: true,
    signs: false,
    checks_links: false,
    overrides_headers: false,
};

/// gcp-storage-emulator. It refuses wrong checksums, and knows no condition, no page and no generation of what is read.
#[cfg(feature = "gcp")]
const GCP_EMULATOR: Server = Server {
    makes_once: false,
    has_versions: false,
    has_pages: false,
    compares_versions: false,
    is_atomic: false,
    lists_by_bytes: true,
    signs: false,
    checks_links: false,
    overrides_headers: false,
};

/// A server of ours, which is judged by the vendor's client before it is used.
#[cfg(feature = "azure")]
pub(super) const AZURE: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: true,
    lists_by_bytes: true,
    signs: true,
    checks_links: true,
    overrides_headers: true,
};

/// The table in docs/stores.md says of each server what is asked of it.
#[test]
fn the_document_says_what_is_asked_of_which_server() {
    let document = std::fs::read_to_string(repo_file("docs/stores.md")).expect("a document");
    for (name, server) in [
        ("a directory", &DIRECTORY),
        ("s3s-fs", &S3S),
        ("moto", &MOTO),
        ("seaweedfs", &SEAWEED),
        #[cfg(feature = "gcp")]
        ("fake-gcs-server", &FAKE_GCS),
        #[cfg(feature = "gcp")]
        ("gcp-storage-emulator", &GCP_EMULATOR),
        #[cfg(feature = "azure")]
        ("a server of ours (Azure)", &AZURE),
    ] {
        let asked = [
            server.makes_once,
            server.has_versions,
            server.compares_versions,
            server.is_atomic,
            server.has_pages,
            server.lists_by_bytes,
            server.signs,
            server.checks_links,
            server.overrides_headers,
        ];
        let cells = asked.map(|asked| if asked { "yes" } else { "–" }).join(" | ");
        let row = format!("| {name} | {cells} |");
        assert!(document.contains(&row), "docs/stores.md should have\n{row}");
    }
}

/// A real account, whose configuration stands in the environment.
#[tokio::test]
#[ignore = "wants an account: make store-live STORE=…"]
async fn a_real_store_keeps_the_contract() {
    let env = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MEDIAMILL_STORE_"));
    let config = mediamill::config::load(None, env, &[]).unwrap_or_else(|err| panic!("{err}")).store;
    run(&Store::connect(&config).await.expect("a store"), &REAL).await;
}

/// A real store has all of it.
const REAL: Server = Server {
    makes_once: true,
    has_versions: true,
    has_pages: true,
    compares_versions: true,
    is_atomic: true,
    lists_by_bytes: true,
    signs: true,
    checks_links: true,
    overrides_headers: true,
};

/// Puts a store through everything that holds for all of them. It leaves objects behind.
pub(super) async fn run(store: &Store, server: &Server) {
    let dir = Dir::new();
    objects::comes_back_as_it_went(store, &dir).await;
    objects::is_replaced_as_a_whole(store, &dir).await;
    objects::is_addressed_by_its_bytes(store, &dir).await;
    objects::goes_into_a_file(store, &dir).await;
    objects::is_refused_with_another_hash(store, &dir).await;
    objects::goes_in_parts(store, &dir).await;
    objects::is_read_in_parts(store, &dir).await;
    objects::takes_any_id(store).await;
    objects::is_named_by_a_key(store, &dir).await;
    objects::has_a_size_and_a_time(store).await;
    objects::is_too_large_for_memory(store).await;
    if server.makes_once {
        conditions::is_made_once(store).await;
    }
    if server.has_versions {
        conditions::is_read_with_its_version(store).await;
    }
    if server.compares_versions {
        conditions::is_replaced_against_a_version(store).await;
    }
    if server.is_atomic {
        conditions::is_made_by_one_of_many(store).await;
        conditions::is_replaced_by_one_of_many(store).await;
        conditions::stays_removed(store).await;
    }
    lists::is_listed(store, server).await;
    if server.has_pages {
        lists::is_listed_while_it_changes(store).await;
    }
    lists::is_listed_by_media(store).await;
    removal::is_removed_for_good(store).await;
    removal::is_purged_by_folder(store).await;
    links::is_read_by_a_link(store, server).await;
    store.check().await.expect("readable");
    store.check_write().await.expect("writable");
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let dir = Dir::new();
    run(&Store::local(dir.path()), &DIRECTORY).await;
    let names = walk(dir.path());
    assert!(names.iter().all(|name| !name.contains(".~")), "temporary files are left: {names:?}");
    has_no_bucket(&Store::local(dir.path().join("none"))).await;
}

#[tokio::test]
async fn s3s_keeps_the_contract() {
    for checksums in ["sha256", "when-required"] {
        let s3 = S3::start();
        let mut config = s3.store_config();
        config.checksums = checksums.to_owned();
        run(&Store::connect(&config).await.expect("a store"), &S3S).await;
        assert_eq!(s3.pending_uploads().await, 0);
    }
}

#[tokio::test]
async fn moto_keeps_the_contract() {
    for checksums in ["sha256", "when-required"] {
        let Some(s3) = S3::moto().await else { return };
        let mut config = s3.store_config();
        config.checksums = checksums.to_owned();
        run(&Store::connect(&config).await.expect("a store"), &MOTO).await;
        assert_eq!(s3.pending_uploads().await, 0);
        config.url = "s3://nobodys-bucket".to_owned();
        has_no_bucket(&Store::connect(&config).await.expect("a store")).await;
    }
}

#[tokio::test]
async fn seaweedfs_keeps_the_contract() {
    let Some(s3) = S3::seaweed().await else { return };
    run(&Store::connect(&s3.store_config()).await.expect("a store"), &SEAWEED).await;
    assert_eq!(s3.pending_uploads().await, 0);
}

#[tokio::test]
async fn a_bucket_with_versions_keeps_the_contract() {
    let Some(s3) = S3::moto().await else { return };
    s3.keep_versions().await;
    run(&Store::connect(&s3.store_config()).await.expect("a store"), &MOTO).await;
    assert_eq!(s3.pending_uploads().await, 0);
}

#[cfg(feature = "gcp")]
#[tokio::test]
async fn fake_gcs_server_keeps_the_contract() {
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let mut config = gcs.store_config();
    run(&Store::connect(&config).await.expect("a store"), &FAKE_GCS).await;
    config.url = "gs://nobodys-bucket".to_owned();
    has_no_bucket(&Store::connect(&config).await.expect("a store")).await;
}

#[cfg(feature = "gcp")]
#[tokio::test]
async fn gcp_storage_emulator_keeps_the_contract() {
    let Some(gcs) = Gcs::gcp_storage_emulator().await else { return };
    let mut config = gcs.store_config();
    run(&Store::connect(&config).await.expect("a store"), &GCP_EMULATOR).await;
    config.url = "gs://nobodys-bucket".to_owned();
    has_no_bucket(&Store::connect(&config).await.expect("a store")).await;
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let s3 = S3::start();
    let store = Store::connect(&s3.access().with_wrong_secret().config()).await.expect("a store");
    let dir = Dir::new();
    let file = dir.write("f", "hello");
    let text = broken_as(Code::StoreForbidden, store.put_file("k", &file, OGG).await);
    assert!(text.contains("SignatureDoesNotMatch") && !text.contains("wrong"), "{text}");
    broken_as(Code::StoreForbidden, store.get("k").await);
    broken_as(Code::StoreForbidden, store.get_range("k", 0..1).await);
    broken_as(Code::StoreForbidden, store.head("k").await);
    broken_as(Code::StoreForbidden, store.list("", None, 1).await);
    broken_as(Code::StoreForbidden, store.delete("k").await);
    broken_as(Code::StoreForbidden, store.delete_all_versions("k").await);
    broken_as(Code::StoreForbidden, store.check().await);
}

pub(super) async fn has_no_bucket(store: &Store) {
    let dir = Dir::new();
    let small = dir.write("f", "hello");
    let large = dir.write("g", noise(LARGE_BYTES));
    broken_as(Code::StoreMissing, store.put_file("k", &small, OGG).await);
    broken_as(Code::StoreMissing, store.put_file("k", &large, OGG).await);
    broken_as(Code::StoreMissing, store.get("k").await);
    broken_as(Code::StoreMissing, store.get_range("k", 0..1).await);
    broken_as(Code::StoreMissing, store.head("k").await);
    broken_as(Code::StoreMissing, store.list("", None, 1).await);
    broken_as(Code::StoreMissing, store.list("k/", None, 1).await);
    broken_as(Code::StoreMissing, store.delete("k").await);
    broken_as(Code::StoreMissing, store.delete_all_versions("k").await);
    broken_as(Code::StoreMissing, store.check().await);
    broken_as(Code::StoreMissing, store.check_write().await);
}

/// Bytes that no part of has the same hash as another.
pub(super) fn noise(size: usize) -> Vec<u8> {
    (0..size.div_ceil(8) as u64)
        .flat_map(|n| n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(size)
        .collect()
}

fn walk(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }).collect()
}
