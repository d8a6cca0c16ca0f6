//! The import graph of `src/`, read off the text: which file uses what of which other file.
//!
//! A path is followed through `pub use` to the file that declares the item. Test code (`#[cfg(test)] mod …` and files named
//! `tests.rs`) is left out, and so is a file's use of what its own folder's `mod.rs` declares: a folder is one module.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// Longest chain of re-exports that is followed.
const MAX_REEXPORTS: usize = 10;

/// A path in segments, from the crate's root: `["sandbox", "wire", "Answer"]`.
type Path = Vec<String>;

pub struct Graph {
    /// Module path of each file, and its code.
    files: BTreeMap<Path, String>,
    /// Module and name of a re-exported item, and what it stands for.
    reexports: BTreeMap<(Path, String), Path>,
    /// File, and the files that it uses, with the path by which it names them.
    uses: BTreeMap<Path, BTreeMap<Path, Path>>,
}

impl Graph {
    pub fn of(sources: &[Source]) -> Self {
        let files = sources.iter().filter(|source| !source.name.ends_with("tests.rs") && source.name != "main.rs");
        let files = files.map(|source| (module_of(&source.name), production_code(source))).collect();
        let mut graph = Self { files, reexports: BTreeMap::new(), uses: BTreeMap::new() };
        for (module, code) in &graph.files {
            for (public, tree) in use_statements(code) {
                for path in leaves(&tree).into_iter().filter(|_| public) {
                    if let (Some(path), Some(name)) = (graph.absolute(module, &path), path.last()) {
                        graph.reexports.insert((module.clone(), name.clone()), path);
                    }
                }
            }
        }
        graph.uses = graph.files.iter().map(|(module, code)| (module.clone(), graph.used_by(module, code))).collect();
        graph
    }

    fn used_by(&self, module: &Path, code: &str) -> BTreeMap<Path, Path> {
        let private = use_statements(code).into_iter().filter(|(public, _)| !public);
        let mut paths: Vec<Path> = private.flat_map(|(_, tree)| leaves(&tree)).collect();
        paths.extend(inline_paths(code));
        let mut used = BTreeMap::new();
        for path in paths {
            let Some(path) = self.absolute(module, &path) else { continue };
            let file = self.declared_in(path.clone());
            if !module.starts_with(&file) && self.files.contains_key(&file) {
                used.insert(file, path);
            }
        }
        used
    }

    /// A path as written in `module`, from the crate's root; `None` for another crate's.
    fn absolute(&self, module: &Path, path: &Path) -> Option<Path> {
        let (first, mut rest) = path.split_first()?;
        let mut base = module.clone();
        match first.as_str() {
            "crate" => return Some(rest.to_vec()),
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => {
                base.push(first.clone());
                return self.files.contains_key(&base).then(|| [base, rest.to_vec()].concat());
            }
        }
        while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
            base.pop();
            rest = after;
        }
        Some([base, rest.to_vec()].concat())
    }

    /// The file that declares what a path names.
    fn declared_in(&self, mut path: Path) -> Path {
        for _ in 0..MAX_REEXPORTS {
            let file = self.nearest_file(&path);
            let next = path.get(file.len()).and_then(|item| self.reexports.get(&(file.clone(), item.clone())));
            match next {
                Some(next) => path = [next.clone(), path[file.len() + 1..].to_vec()].concat(),
                None => return file,
            }
        }
        panic!("{} is re-exported in a circle", path.join("::"));
    }

    fn nearest_file(&self, path: &Path) -> Path {
        let longest = (0..=path.len()).rev().map(|length| path[..length].to_vec());
        longest.into_iter().find(|prefix| self.files.contains_key(prefix)).unwrap_or_default()
    }

    /// Each use of one top-level module by another: names of both, and an example.
    pub fn between_modules(&self) -> BTreeMap<(String, String), String> {
        let mut arrows = BTreeMap::new();
        for (from, used) in &self.uses {
            for (to, path) in used {
                if let Some((a, b)) = from.first().zip(to.first()).filter(|(a, b)| a != b) {
                    let example = format!("{} uses {}", from.join("::"), path.join("::"));
                    arrows.insert((a.clone(), b.clone()), example);
                }
            }
        }
        arrows
    }

    /// Files that lead back to themselves, by circle.
    pub fn circles_of_files(&self) -> Vec<String> {
        let arrows: BTreeMap<&Path, BTreeSet<&Path>> =
            self.uses.iter().map(|(from, used)| (from, used.keys().collect())).collect();
        circles(&arrows).into_iter().map(|circle| names(circle.into_iter().map(|file| file.join("::")))).collect()
    }

    /// Top-level modules that lead back to themselves, by circle.
    pub fn circles_of_modules(&self) -> Vec<String> {
        let between = self.between_modules();
        let mut arrows: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (from, to) in between.keys() {
            arrows.entry(from).or_default().insert(to);
        }
        circles(&arrows).into_iter().map(|circle| names(circle.into_iter().cloned())).collect()
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }
}

fn names(circle: impl Iterator<Item = String>) -> String {
    circle.collect::<Vec<_>>().join(" <-> ")
}

/// Sets of nodes each of which reaches all others of its set.
fn circles<'a, N: Ord>(arrows: &BTreeMap<&'a N, BTreeSet<&'a N>>) -> Vec<Vec<&'a N>> {
    let reached: BTreeMap<&N, BTreeSet<&N>> = arrows.keys().map(|from| (*from, reachable(arrows, from))).collect();
    let mut found: BTreeSet<Vec<&N>> = BTreeSet::new();
    for (node, reach) in reached.iter().filter(|(node, reach)| reach.contains(*node)) {
        let back = |other: &&&N| reached.get(**other).is_some_and(|reach| reach.contains(node));
        found.insert(reach.iter().filter(back).copied().collect());
    }
    found.into_iter().collect()
}

fn reachable<'a, N: Ord>(arrows: &BTreeMap<&'a N, BTreeSet<&'a N>>, from: &N) -> BTreeSet<&'a N> {
    let (mut seen, mut next) = (BTreeSet::new(), arrows.get(from).into_iter().flatten().copied().collect::<Vec<_>>());
    while let Some(node) = next.pop() {
        if seen.insert(node) {
            next.extend(arrows.get(node).into_iter().flatten());
        }
    }
    seen
}

/// `sandbox/wire/mod.rs` is the module `sandbox::wire`; `lib.rs` is the crate's root.
fn module_of(name: &str) -> Path {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let segments = stem.split('/').filter(|segment| !matches!(*segment, "mod" | "lib"));
    segments.map(ToOwned::to_owned).collect()
}

fn production_code(source: &Source) -> String {
    let lines: Vec<String> = source.code().collect();
    let is_test_module = |pair: &[String]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
    let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// Each `use …;` of a file: whether it is public, and its tree.
fn use_statements(code: &str) -> Vec<(bool, String)> {
    let mut statements = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = rest[line..at].trim();
        let starts = before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')'));
        let tail = &rest[at + 4..];
        let end = tail.find(';').unwrap_or(tail.len());
        if starts {
            statements.push((!before.is_empty(), tail[..end].to_owned()));
        }
        rest = &tail[if starts { end } else { 0 }..];
    }
    statements
}

/// The single paths of a `use` tree, without their new names.
fn leaves(tree: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('{') {
            Some((prefix, inner)) => {
                let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
                let prefix = segments(prefix.trim_end_matches("::"));
                found.extend(leaves(inner).into_iter().map(|leaf| [prefix.clone(), leaf].concat()));
            }
            None => found.push(segments(part.split(" as ").next().unwrap_or(part))),
        }
    }
    found
}

fn segments(path: &str) -> Path {
    let named = path.split("::").map(str::trim).filter(|segment| !segment.is_empty());
    let mut path: Path = named.map(ToOwned::to_owned).collect();
    // `a::{self, b}` names `a` itself.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    path
}

/// `crate::a::b` and `super::a::b` outside of `use` statements.
fn inline_paths(code: &str) -> Vec<Path> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let starts = |word: &&str| ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start));
    // `pub(in crate::sandbox)` is no use: one segment after `crate`, closed by a bracket.
    let code = code.replace("pub(in crate::", "pub(in ");
    code.split(|c| !is_word(c)).filter(starts).map(segments).filter(|path| path.len() > 1).collect()
}
