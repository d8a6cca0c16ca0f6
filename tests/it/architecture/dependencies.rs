//! The packages that this one depends on, as `cargo metadata` has them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::sources;
use crate::support::cmd::repo_file;

/// Packages of which two versions are built, and who asks for the older one. A new pair needs its reason here.
const TWICE: [(&str, &str); 36] = [
    ("atoi", "sqlx-postgres"),
    ("base64", "lapin's key store"),
    ("bitflags", "ebur128"),
    ("block-buffer", "digest 0.10"),
    ("const-oid", "digest 0.10"),
    ("cpufeatures", "digest 0.10"),
    ("crypto-common", "digest 0.10"),
    ("der", "rsa in openidconnect, lapin's key store"),
    ("digest", "lapin's key store, and the crates of digests beside it"),
    ("embedded-io", "postcard in phonenumber"),
    ("getrandom", "rand 0.8 and 0.9"),
    ("hashbrown", "hashlink in sqlx"),
    ("hmac", "lapin's key store, and the signatures of channels"),
    ("indexmap", "serde_with in openidconnect, which names it and does not build it"),
    ("itertools", "ndarray-stats in ViSQOL"),
    ("jiff", "serde_with in openidconnect, likewise"),
    ("jiff-core", "jiff"),
    ("miniz_oxide", "png"),
    ("nom", "asn1-rs in lapin's TLS"),
    ("pem-rfc7468", "rsa in openidconnect"),
    ("pkcs8", "rsa in openidconnect"),
    ("rand", "ndarray-linalg in ViSQOL, OpenTelemetry"),
    ("rand_chacha", "rand 0.8"),
    ("rand_core", "rand 0.8 and 0.9"),
    ("regex-syntax", "regex-cache in phonenumber"),
    ("schemars", "serde_with in openidconnect, which names it and does not build it"),
    ("sha1", "lapin's key store, and the signatures of channels"),
    ("sha2", "lapin's key store"),
    ("signature", "rsa in openidconnect"),
    ("spin", "flume in lapin"),
    ("spki", "rsa in openidconnect, lapin's key store"),
    ("syn", "macros of other packages"),
    ("synstructure", "macros of other packages"),
    ("thiserror", "openidconnect"),
    ("thiserror-impl", "openidconnect"),
    ("untrusted", "aws-lc-rs"),
];

/// Packages that no line of code names: they give others what these need.
const NOT_NAMED: [(&str, &str); 0] = [];

fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").current_dir(repo_file("")).output().expect("rustc");
    let about = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("the host's name").to_owned();
    // A build fetches the packages of its own platform only; those of others would have to be fetched for this.
    let flags = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let output = Command::new(env!("CARGO")).args(flags).current_dir(repo_file("")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn a_package_is_built_in_one_version_or_there_is_a_reason() {
    let metadata = metadata();
    let used: BTreeSet<&str> =
        list(&metadata["resolve"], "nodes").iter().filter_map(|node| node["id"].as_str()).collect();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in list(&metadata, "packages") {
        if let (Some(id), Some(name), Some(version)) =
            (package["id"].as_str(), package["name"].as_str(), package["version"].as_str())
            && used.contains(id)
        {
            versions.entry(name).or_default().insert(version);
        }
    }
    assert!(versions.len() > 300, "only {} packages: is the test blind?", versions.len());
    let twice: BTreeSet<&str> = versions.iter().filter(|(_, all)| all.len() > 1).map(|(name, _)| *name).collect();
    assert_eq!(twice, TWICE.iter().map(|(name, _)| *name).collect(), "packages that are built in several versions");
}

#[test]
fn every_dependency_is_used() {
    let metadata = metadata();
    let packages = list(&metadata, "packages");
    let own = packages.iter().find(|package| package["name"] == "mediamill").expect("this package");
    let production = sources("src");
    let tests: Vec<_> = ["tests", "benches", "examples"].into_iter().flat_map(sources).collect();
    let mut unused = Vec::new();
    for dependency in list(own, "dependencies") {
        let package = dependency["name"].as_str().expect("a name");
        let target = packages.iter().find(|other| other["name"] == package);
        // A library may have another name than its package.
        let libraries = target.into_iter().flat_map(|package| list(package, "targets"));
        let library = libraries.filter(|target| target["kind"][0] == "lib" || target["kind"][0] == "proc-macro");
        let name = library.filter_map(|target| target["name"].as_str()).next().unwrap_or(package).replace('-', "_");
        let name = dependency["rename"].as_str().map_or(name, ToOwned::to_owned);
        let is_named = |source: &super::Source| source.uses(&name) || source.text.contains(&format!("#[{name}"));
        let is_for_tests = dependency["kind"] == "dev";
        let used = production.iter().any(&is_named) || (is_for_tests && tests.iter().any(&is_named));
        if !used && !NOT_NAMED.iter().any(|(allowed, _)| *allowed == package) {
            unused.push(package);
        }
    }
    assert_eq!(unused, [""; 0], "dependencies that no line of code names");
}
