//! The real corpus: files that real devices and programs made. `MEDIAMILL_CORPUS` names its folder; read in place.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{asset, expected, normalize};
use crate::support::cmd::Dir;
use crate::support::oracle;
use crate::support::say::{say, skipped};

#[test]
fn every_file_of_the_corpus_ends_normalized_or_rejected_with_a_code() {
    let Some(folder) = std::env::var_os("MEDIAMILL_CORPUS").map(PathBuf::from) else {
        return skipped("MEDIAMILL_CORPUS does not name the folder of real files");
    };
    assert!(folder.is_dir(), "MEDIAMILL_CORPUS names {}, which is no folder", folder.display());
    let dir = Dir::new();
    let run = normalize(&dir, &[&folder], &[]);
    assert!(matches!(run.code, Some(0 | 3)), "exit code {:?}: {}", run.code, run.stderr);
    let mut lines = run.json_lines();
    lines.sort_by_key(|line| line["input"].to_string());
    assert!(lines.len() > 50, "{} files below {}", lines.len(), folder.display());
    say(table(&lines, &folder));

    let mut wrong = Vec::new();
    let out = dir.path().join("out");
    let mut rows = expected::rows();
    for line in &lines {
        let input = line["input"].as_str().expect("an input");
        let name = Path::new(input).strip_prefix(&folder).ok().and_then(Path::to_str).unwrap_or(input);
        // Another corpus than the one that the expectations are of has no rows: then only the rest is asked for.
        let differences = rows.remove(name).map(|row| expected::differences(&row, line)).unwrap_or_default();
        wrong.extend(differences.iter().map(|what| format!("{input}: {what}")));
        match line["outcome"].as_str() {
            Some("rejected") => assert!(line["code"].is_string(), "{line}"),
            Some("normalized") => wrong.extend(objection(&out, line).map(|why| format!("{input}: {why}"))),
            _ => wrong.push(format!("{input}: {} {}", line["outcome"], line["code"])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What ffmpeg has against the playback asset. A copy of damaged streams may be as damaged as they are.
fn objection(out: &Path, line: &Value) -> Option<String> {
    let (playback, _) = asset(out, line, "playback")?;
    let error = oracle::decodes(&playback).err()?;
    let copied = line["decision"]["action"] != "encoded";
    let came_so = copied && oracle::decodes(Path::new(line["input"].as_str()?)).is_err();
    (!came_so).then_some(error)
}

fn table(lines: &[Value], folder: &Path) -> String {
    let mut table = String::new();
    let mut totals = std::collections::BTreeMap::<&str, usize>::new();
    let (mut before, mut after) = (0, 0);
    for line in lines {
        let input = Path::new(line["input"].as_str().expect("an input"));
        let name = input.strip_prefix(folder).unwrap_or(input).display().to_string();
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let decision = &line["decision"];
        let (kind, end) = match line["outcome"].as_str() {
            Some("normalized") => (word(&line["kind"]), word(&decision["action"])),
            _ => (word(&line["outcome"]), word(&line["code"])),
        };
        *totals.entry(line["code"].as_str().or(line["outcome"].as_str()).unwrap_or("-")).or_default() += 1;
        before += decision["bytes_before"].as_u64().unwrap_or(0);
        after += decision["bytes_after"].as_u64().unwrap_or(0);
        table +=
            &format!("{name:<72} {kind:<9} {end:<18} {} → {}\n", decision["bytes_before"], decision["bytes_after"]);
    }
    format!("{table}{} files: {totals:?}; {before} → {after} bytes", lines.len())
}
