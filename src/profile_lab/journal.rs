//! A line for each finished job, written at once, so that an interrupted bench can be resumed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::BenchError;
use super::record::Run;

/// What identifies a job: build, profile version, file hash, repeat.
type Key = (String, String, String, u32);

fn key(run: &Run) -> Key {
    (run.build.clone(), run.profile_version.clone(), run.sha256.clone(), run.repeat)
}

/// The journal of one bench.
#[derive(Debug)]
pub struct Journal {
    file: File,
    known: HashMap<Key, Run>,
}

impl Journal {
    /// Reads an existing journal. A line that cannot be parsed was cut off by an interruption or is of another version, and
    /// one of a version that did not know what is stored tells too little; their jobs are done again.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn open(path: &Path) -> Result<Self, BenchError> {
        let open = || -> io::Result<Self> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            let mut known = HashMap::new();
            let mut last = Vec::new();
            for line in BufReader::new(&file).split(b'\n') {
                last = line?;
                let run = serde_json::from_slice::<Run>(&last).ok();
                if let Some(run) = run.filter(|run| run.class.is_none() || !run.stored.is_empty()) {
                    known.insert(key(&run), run);
                }
            }
            // Without a line end, the next line would be appended to half a line.
            if serde_json::from_slice::<Run>(&last).is_err() && !last.is_empty() {
                file.write_all(b"\n")?;
            }
            Ok(Self { file, known })
        };
        open().map_err(BenchError::at(path))
    }

    /// The result of a job that was already done.
    #[must_use]
    pub fn find(&self, build: &str, profile_version: &str, sha256: &str, repeat: u32) -> Option<&Run> {
        self.known.get(&(build.to_owned(), profile_version.to_owned(), sha256.to_owned(), repeat))
    }

    /// Appends a result.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn add(&mut self, run: &Run) -> Result<(), BenchError> {
        let mut line = serde_json::to_vec(run).map_err(io::Error::other)?;
        line.push(b'\n');
        Ok(self.file.write_all(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_lab::record::Class;

    fn run(file: &str) -> Run {
        Run {
            build: "b".to_owned(),
            point: "crm".to_owned(),
            profile_version: "v".to_owned(),
            file: file.to_owned(),
            sha256: file.to_owned(),
            repeat: 0,
            class: None,
            outcome: "copied".to_owned(),
            failed: false,
            bytes_before: 1,
            bytes_after: 1,
            stored: Vec::new(),
            duration_ms: 1,
            cpu_s: 0.1,
            wall_s: 0.1,
            peak_memory_bytes: 1,
            scores: None,
        }
    }

    #[test]
    fn an_interrupted_run_is_resumed_after_its_last_complete_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("runs.jsonl");
        Journal::open(&path).expect("new").add(&run("one")).expect("written");
        let mut text = std::fs::read(&path).expect("read");
        text.extend_from_slice(b"{\"build\":\"b\",\"poi");
        std::fs::write(&path, text).expect("written");
        Journal::open(&path).expect("again").add(&run("two")).expect("written");
        let journal = Journal::open(&path).expect("a third time");
        assert_eq!(journal.find("b", "v", "one", 0), Some(&run("one")));
        assert_eq!(journal.find("b", "v", "two", 0), Some(&run("two")));
        assert_eq!(journal.find("another build", "v", "one", 0), None);
    }

    #[test]
    fn a_job_is_done_again_where_its_line_does_not_say_what_is_stored() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("runs.jsonl");
        let mut older = serde_json::to_value(Run { class: Some(Class::Voice), ..run("one") }).expect("JSON");
        older.as_object_mut().expect("an object").remove("stored");
        std::fs::write(&path, format!("{older}\n")).expect("written");
        assert_eq!(Journal::open(&path).expect("a journal").find("b", "v", "one", 0), None);
    }
}
