//! Small files of kinds that came out wrong once: each normalized by the program, what should come of it beside what did.
//! `MEDIAMILL_CASES` names their folder, else `../shared/cases` beside the clone; read in place. A case is a file with its
//! description, `<name>.md`, whose line `Expected:` says in words what the check of that name asks for.

mod got;
mod pictures;
mod recordings;

use std::path::{Path, PathBuf};

use crate::support::cmd::{Dir, repo_file};
use crate::support::say::{say, skipped};
use got::Got;

/// What a case has to come out as: what was found, as an error where that is wrong.
type Check = fn(&Got) -> Result<String, String>;

/// Why a test of cases is skipped.
pub(crate) const NO_FOLDER: &str = "no folder of cases: MEDIAMILL_CASES is not set and ../shared/cases is not there";

pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MEDIAMILL_CASES").map(PathBuf::from) {
        assert!(named.is_dir(), "MEDIAMILL_CASES names {}, which is no folder", named.display());
        return Some(named);
    }
    Some(repo_file("../shared/cases")).filter(|folder| folder.is_dir())
}

/// The files of the folder that are cases: those with a description.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_case = |path: &PathBuf| {
        path.with_extension("md").is_file() && path.extension().is_some_and(|extension| extension != "md")
    };
    let mut cases: Vec<PathBuf> = paths.filter(is_case).collect();
    cases.sort();
    cases
}

fn expected_in_words(case: &Path) -> String {
    let text = std::fs::read_to_string(case.with_extension("md")).expect("a description");
    let line = text.lines().find_map(|line| line.strip_prefix("Expected: "));
    line.unwrap_or_else(|| text.lines().next().unwrap_or_default()).to_owned()
}

fn check_of(name: &str) -> Option<Check> {
    recordings::CHECKS.iter().chain(pictures::CHECKS).find(|(of, _)| *of == name).map(|(_, check)| *check)
}

#[test]
fn every_case_comes_out_as_expected() {
    let Some(folder) = folder() else {
        return skipped(NO_FOLDER);
    };
    let cases = cases(&folder);
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    let dir = Dir::new();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for case in &cases {
        let name = case.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let outcome = match check_of(name) {
            Some(check) => check(&Got::of(&dir, case)),
            None => Err("no check is written for this case".to_owned()),
        };
        let (word, got) = match &outcome {
            Ok(got) => ("right", got),
            Err(got) => ("WRONG", got),
        };
        let line = format!("{word}  {name}\n    expected: {}\n    got:      {got}\n", expected_in_words(case));
        table += &line;
        if outcome.is_err() {
            wrong.push(name.to_owned());
        }
    }
    say(format_args!("{table}{} cases, {} wrong", cases.len(), wrong.len()));
    assert!(wrong.is_empty(), "{} of {} cases come out wrong: {}", wrong.len(), cases.len(), wrong.join(", "));
}
