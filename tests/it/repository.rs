//! What holds for the repository as a whole: one version of Rust, and no host of a package registry.

use std::path::{Path, PathBuf};

use crate::support::cmd::repo_file;

/// Folders and files that are read; `src` and `tests` name public hosts in test data.
const PLACES: [&str; 14] = [
    ".ci",
    "benches",
    "docker",
    "docs",
    "examples",
    "scripts",
    "Cargo.toml",
    "Makefile",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "deny.toml",
    "rust-toolchain.toml",
    "_typos.toml",
];

fn files(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_dir() {
        for entry in std::fs::read_dir(place).expect("readable") {
            files(&entry.expect("readable").path(), found);
        }
    } else {
        found.push(place.to_owned());
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repo_file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The mirrors of Debian, crates and Python packages are those of the machine's own settings.
#[test]
fn no_host_of_a_package_registry_is_named() {
    // In pieces, so that this file does not name them.
    let hosts = [["debian", ".org"], ["crates", ".io"], ["pypi", ".org"], ["python", "hosted.org"], ["ubuntu", ".com"]];
    let hosts = hosts.map(|pieces| pieces.concat());
    let mut found = Vec::new();
    PLACES.iter().for_each(|place| files(&repo_file(place), &mut found));
    assert!(found.len() > 40, "only {} files were read", found.len());
    let named: Vec<_> = found
        .iter()
        .flat_map(|path| {
            let text = String::from_utf8_lossy(&std::fs::read(path).expect("readable")).into_owned();
            let of_path =
                move |host: &String| text.contains(host.as_str()).then(|| format!("{}: {host}", path.display()));
            hosts.iter().filter_map(of_path).collect::<Vec<_>>()
        })
        .collect();
    assert!(named.is_empty(), "{}", named.join("\n"));
}

#[test]
fn there_is_one_version_of_rust() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().expect("TOML");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("a channel").to_owned();
    let version = channel.rsplit_once('.').expect("three numbers").0;
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    assert_eq!(manifest["package"]["rust-version"].as_str(), Some(version));
    for (file, words) in [
        ("docker/Dockerfile", format!("rust:{version}-slim")),
        ("scripts/base-images.sh", format!("rust:{version}-slim")),
        ("scripts/install.sh", format!("Rust {version}")),
        ("README.md", format!("Rust {version}")),
        ("CONTRIBUTING.md", format!("Rust {version}")),
    ] {
        let text = read(file);
        assert!(text.contains(&words), "{file} does not say {words:?}");
        let others: Vec<_> =
            words.split(version).next().map(|before| text.matches(before).count()).into_iter().collect();
        assert_eq!(others, [text.matches(&words).count()], "{file} names another version");
    }
}
