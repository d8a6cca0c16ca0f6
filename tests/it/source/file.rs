//! Files of this machine: below the configured roots for events, anything for the person at the keyboard.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use mediamill::config::{Config, load};
use mediamill::error::Code;
use mediamill::events::{Declared, Origin};
use mediamill::source::{Fetched, SourceError, Sources};
use mediamill::store::Store;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::support::cmd::Dir;
use crate::support::faults::rejected_as;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn sources(roots: &[&Path]) -> Sources {
    let mut config: Config = load(None, [], &[]).expect("the defaults");
    config.source.file_roots = roots.iter().map(|root| (*root).to_owned()).collect();
    Sources::new(&config, &Store::local("unused")).expect("sources")
}

async fn fetch(sources: &Sources, dir: &Dir, path: &Path) -> Result<Fetched, SourceError> {
    let origin = Origin::File { path: path.to_str().expect("UTF-8").to_owned() };
    sources.fetch("acme", &origin, None, 1 << 20, &dir.path().join("dest")).await
}

#[tokio::test]
async fn a_file_below_a_root_arrives_with_its_hash() {
    let dir = Dir::new();
    let file = dir.write("root/a/b c.ogg", "hello");
    dir.write("dest", "something older and longer");
    let sources = sources(&[&dir.path().join("root")]);
    let fetched = fetch(&sources, &dir, &file).await.expect("fetched");
    assert_eq!(fetched, Fetched { size_bytes: 5, sha256: HELLO.to_owned() });
    assert_eq!(std::fs::read(dir.path().join("dest")).expect("dest"), b"hello");
}

#[tokio::test]
async fn what_belongs_to_tenants_is_not_read_for_others() {
    let dir = Dir::new();
    let object = dir.write("store/acme/1/audio.mp3", "hello");
    let waiting = dir.write("store/.inbox/2/hello.ogg", "hello");
    let mut config: Config = load(None, [], &[]).expect("the defaults");
    config.source.file_roots = vec![dir.path().to_owned()];
    let sources = Sources::new(&config, &Store::local(dir.path().join("store"))).expect("sources");
    rejected_as(Code::SourceDenied, fetch(&sources, &dir, &object).await);
    rejected_as(Code::SourceDenied, fetch(&sources, &dir, &dir.path().join("store")).await);
    fetch(&sources, &dir, &waiting).await.expect("fetched");
}

#[tokio::test]
async fn nothing_outside_the_roots_can_be_named() {
    let dir = Dir::new();
    let secret = dir.write("secret", "hello");
    dir.write("rootless/x", "hello");
    let root = dir.path().join("root");
    dir.write("root/in/x", "hello");
    for path in [
        secret.as_path(),
        &root.join("../secret"),
        &root.join("in/../../secret"),
        &dir.path().join("rootless/x"),
        &root,
        Path::new("in/x"),
        Path::new(""),
        Path::new("/etc/passwd\0"),
    ] {
        rejected_as(Code::SourceDenied, fetch(&sources(&[&root]), &dir, path).await);
    }
    rejected_as(Code::SourceDenied, fetch(&sources(&[]), &dir, &root.join("in/x")).await);
}

#[tokio::test]
async fn symbolic_links_lead_anywhere_but_out() {
    let dir = Dir::new();
    let root = dir.path().join("root");
    dir.write("root/in/x", "hello");
    dir.write("outside/x", "hello");
    let link = |to: &Path, name: &str| symlink(to, root.join(name)).expect("a link");
    link(Path::new("in"), "folder");
    link(Path::new("../outside"), "up");
    link(&dir.path().join("outside/x"), "absolute");
    link(Path::new("/proc/self/root"), "magic");
    link(Path::new("loop"), "loop");
    let sources = sources(&[&root]);
    fetch(&sources, &dir, &root.join("folder/x")).await.expect("a link that stays inside");
    for name in ["up/x", "absolute", "magic/etc/passwd", "loop"] {
        rejected_as(Code::SourceDenied, fetch(&sources, &dir, &root.join(name)).await);
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused_without_waiting() {
    let dir = Dir::new();
    let root = dir.path().join("root");
    dir.write("root/folder/x", "hello");
    dir.write("root/empty", "");
    mkfifoat(CWD, root.join("pipe"), Mode::RUSR | Mode::WUSR).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket");
    let sources = sources(&[&root]);
    for name in ["folder", "pipe", "socket"] {
        rejected_as(Code::SourceInvalid, fetch(&sources, &dir, &root.join(name)).await);
    }
    rejected_as(Code::MediaEmpty, fetch(&sources, &dir, &root.join("empty")).await);
    for name in ["none", "none/x", "empty/x", &"n".repeat(300)] {
        rejected_as(Code::SourceNotFound, fetch(&sources, &dir, &root.join(name)).await);
    }
}

#[tokio::test]
async fn what_was_declared_is_checked() {
    let dir = Dir::new();
    let file = dir.write("root/x", "hello");
    let sources = sources(&[&dir.path().join("root")]);
    let origin = Origin::File { path: file.to_str().expect("UTF-8").to_owned() };
    let dest = dir.path().join("dest");
    let fetch = async |sha256: Option<&str>, size_bytes: Option<u64>, limit: u64| {
        let declared = Declared { sha256: sha256.map(str::to_owned), size_bytes, ..Declared::default() };
        sources.fetch("acme", &origin, Some(&declared), limit, &dest).await
    };
    for sha256 in [HELLO, &HELLO.to_uppercase(), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="] {
        fetch(Some(sha256), Some(5), 5).await.expect(sha256);
    }
    fetch(Some("LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"), None, 5).await.expect("URL-safe, without padding");
    rejected_as(Code::SourceHashMismatch, fetch(Some(&HELLO.replace('2', "3")), Some(5), 5).await);
    rejected_as(Code::SourceSizeMismatch, fetch(None, Some(6), 9).await);
    rejected_as(Code::SourceSizeMismatch, fetch(None, Some(4), 9).await);
    rejected_as(Code::LimitBytes, fetch(None, None, 4).await);
    rejected_as(Code::EventInvalid, fetch(Some("not a hash"), None, 9).await);
}

#[tokio::test]
async fn the_person_at_the_keyboard_may_name_any_file() {
    let dir = Dir::new();
    let dest = dir.path().join("dest");
    let sources = sources(&[]);
    for name in [&b"-dash \"quoted\" it's.ogg"[..], b"\xff\xfe not UTF-8.mp4"] {
        let file = dir.write(OsStr::from_bytes(name), "hello");
        assert_eq!(sources.fetch_local(&file, 5, &dest).await.expect("fetched").sha256, HELLO);
        symlink(&file, dir.path().join("link")).expect("a link");
        sources.fetch_local(&dir.path().join("link"), 5, &dest).await.expect("through a link");
        std::fs::remove_file(dir.path().join("link")).expect("removed");
        rejected_as(Code::LimitBytes, sources.fetch_local(&file, 4, &dest).await);
    }
    rejected_as(Code::SourceInvalid, sources.fetch_local(dir.path(), 9, &dest).await);
    rejected_as(Code::SourceNotFound, sources.fetch_local(&dir.path().join("none"), 9, &dest).await);
    rejected_as(Code::SourceInvalid, sources.fetch_local(Path::new("/dev/zero"), 9, &dest).await);
}
