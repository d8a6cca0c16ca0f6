//! `mediamill normalize` and `probe` on real files, judged by the ffmpeg program.

mod corpus;
mod expected;
mod fixtures;
mod names;
mod probe;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::cmd::{Dir, Run, repo_file};

/// Runs `normalize` with JSON output into `out` below `dir`.
pub fn normalize(dir: &Dir, paths: &[&Path], more: &[&str]) -> Run {
    let mut command = dir.command();
    command.arg("normalize").args(more).args(["--format", "json", "--out", "out", "--"]).args(paths);
    Run::of(&mut command)
}

/// The line about the file of this name.
#[track_caller]
fn line_of<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let is = |line: &&Value| line["input"].as_str().is_some_and(|input| input.ends_with(&format!("/{name}")));
    lines.iter().find(is).unwrap_or_else(|| panic!("no line about {name}"))
}

/// Where an asset of this role was stored, with the asset's own words.
pub fn asset<'a>(out: &Path, line: &'a Value, role: &str) -> Option<(PathBuf, &'a Value)> {
    let asset = line["assets"].as_array()?.iter().find(|asset| asset["role"] == role)?;
    Some((out.join(asset["key"].as_str()?), asset))
}

fn fixtures() -> PathBuf {
    repo_file("fixtures")
}

/// The results of every fixture, from one run for all tests.
pub fn fixture_run() -> (PathBuf, &'static [Value]) {
    fixtures::results()
}
