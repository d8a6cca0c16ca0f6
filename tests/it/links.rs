//! Links between documents: every relative link leads to a file of the repository, and every anchor to a heading of it.

use std::path::{Path, PathBuf};

use crate::support::cmd::repo_file;

/// Folders with documents; the documents of the repository's root are found beside them.
const FOLDERS: [&str; 3] = ["docs", "docs/channels", "examples"];

/// Every Markdown file, relative to the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [""].iter().chain(&FOLDERS) {
        let entries = std::fs::read_dir(repo_file(folder)).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let names = entries.map(|entry| Path::new(folder).join(entry.expect("readable").file_name()));
        found.extend(names.filter(|name| name.extension().is_some_and(|extension| extension == "md")));
    }
    found
}

fn read(document: &Path) -> String {
    std::fs::read_to_string(repo_file("").join(document))
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

/// The lines of a document that are not inside a code block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The targets of all links of the form `[text](target)`. A link may be broken over two lines.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text).collect::<Vec<_>>().join("\n");
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// The anchor of a heading as forges make it: lower case, punctuation removed, blanks to hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    prose(text).filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// What is wrong with a link in a document, where something is.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        repo_file("").join(document)
    } else {
        repo_file("").join(document).parent().expect("a folder").join(file)
    };
    if !path.exists() {
        return Some(format!("{}: {target}: no such file", document.display()));
    }
    let is_document = path.extension().is_some_and(|extension| extension == "md");
    if fragment.is_empty() || !is_document {
        return (!fragment.is_empty()).then(|| format!("{}: {target}: an anchor of no document", document.display()));
    }
    let text = std::fs::read_to_string(&path).expect("readable");
    let known = anchors(&text).iter().any(|anchor| anchor == fragment);
    (!known).then(|| format!("{}: {target}: no such heading", document.display()))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    let mut problems = Vec::new();
    for document in documents() {
        for target in links(&read(&document)) {
            seen += 1;
            problems.extend(problem(&document, &target));
        }
    }
    assert!(seen > 50, "only {seen} links were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_wrong_link_is_found() {
    let here = Path::new("docs/events.md");
    for wrong in ["nothing.md", "#no-such-heading", "operations.md#no-such-heading", "../README.md#no-such-heading"] {
        assert!(problem(here, wrong).is_some(), "{wrong}");
    }
    for right in ["#codes", "operations.md#metrics", "../README.md", "../examples/consumer.py"] {
        assert_eq!(problem(here, right), None, "{right}");
    }
    assert_eq!(links("a [b](c.md)\n```\n[d](e.md)\n```\n[f\ng](h.md#i)"), ["c.md", "h.md#i"]);
    assert_eq!(anchor("## What a `child` can, still do"), "what-a-child-can-still-do");
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let mut reached = vec![PathBuf::from("README.md")];
    let mut next = 0;
    while let Some(document) = reached.get(next).cloned() {
        next += 1;
        for target in links(&read(&document)) {
            let file = target.split('#').next().expect("a first part");
            if target.contains("://") || !file.ends_with(".md") {
                continue;
            }
            let folder = document.parent().expect("a folder");
            let path = match file.strip_prefix("../") {
                Some(file) => folder.parent().expect("a folder above").join(file),
                None => folder.join(file),
            };
            if !reached.contains(&path) {
                reached.push(path);
            }
        }
    }
    let lost: Vec<_> = documents().into_iter().filter(|document| !reached.contains(document)).collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

/// Paths of the repository in code marks, such as the folders of docs/architecture.md.
#[test]
fn every_path_that_a_document_names_exists() {
    const FOLDERS: [&str; 8] = ["src", "tests", "docs", "docker", "scripts", "benches", "examples", "fixtures"];
    let (mut seen, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = prose(&read(&document)).collect::<Vec<_>>().join(" ");
        for path in text.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(&format!("{folder}/")));
            if is_path && !path.contains(' ') {
                seen += 1;
                missing.extend((!repo_file(path).exists()).then(|| format!("{}: {path}", document.display())));
            }
        }
    }
    assert!(seen > 40, "only {seen} paths were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_document_is_unfinished() {
    for document in documents() {
        for word in ["TODO", "FIXME", "TBD"] {
            assert!(!read(&document).contains(word), "{}: {word}", document.display());
        }
    }
}
