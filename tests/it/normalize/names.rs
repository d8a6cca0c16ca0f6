//! Names that people give to files, and those that somebody gives who wants to see what happens.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{fixtures, normalize};
use crate::support::cmd::{Dir, Run, repo_file};

/// One small sound under many names; `-` and `--` must come after `--` or with a path before them.
const NAMES: &[&[u8]] = &[
    b"two words.amr",
    b"two  words.amr",
    b"it's \"quoted\" `so` $HOME.amr",
    b"-out.amr",
    b"--profile",
    b".hidden",
    b"<img src=x onerror=alert(1)>.amr",
    b"a\nb\x1b[2J.amr",
    b"..amr",
    b"100%25 #1?x=y&z.amr",
    "Gr\u{fc}\u{df}e \u{1f600} \u{202e}rma.\u{8a9e}".as_bytes(),
    b"\xff\xfe not utf-8 \xc3.amr",
    b"CON.amr",
    b"manifest.json",
];

fn sound() -> Vec<u8> {
    std::fs::read(fixtures().join("voice-amr.amr")).expect("a fixture")
}

#[test]
fn any_name_works_and_each_file_has_results_of_its_own() {
    let dir = Dir::new();
    let sound = sound();
    for name in NAMES {
        dir.write(Path::new("in").join(OsStr::from_bytes(name)), &sound);
        dir.write(Path::new("in/again").join(OsStr::from_bytes(name)), &sound);
    }
    dir.write("in/again/deeper/two words.amr", &sound);
    let long = "n".repeat(250);
    dir.write(Path::new("in").join(&long), &sound);
    let lines = normalize(&dir, &[Path::new("in")], &[]).exits(0).json_lines();
    assert_eq!(lines.len(), 2 * NAMES.len() + 2);
    let mut keys: Vec<&str> = Vec::new();
    for line in &lines {
        assert_eq!(line["outcome"], "normalized", "{line}");
        for asset in line["assets"].as_array().expect("assets") {
            let key = asset["key"].as_str().expect("a key");
            assert!(dir.path().join("out").join(key).is_file(), "{key}");
            keys.push(key);
        }
    }
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "two files share an object");
    let page = std::fs::read_to_string(dir.path().join("out/index.html")).expect("a gallery");
    assert!(!page.contains("<img src=x"), "a name became markup");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "a name steers what shows it");
}

#[test]
fn files_can_be_named_in_any_way_on_the_command_line() {
    let dir = Dir::new();
    for name in NAMES {
        dir.write(OsStr::from_bytes(name), sound());
    }
    let paths: Vec<&Path> = NAMES.iter().map(|name| Path::new(OsStr::from_bytes(name))).collect();
    let lines = normalize(&dir, &paths, &[]).exits(0).json_lines();
    assert_eq!(lines.len(), NAMES.len());
    // The same file twice is two results; the one of the folder, too.
    dir.write("folder/two words.amr", sound());
    let twice = [Path::new("two words.amr"), Path::new("./two words.amr"), Path::new("folder")];
    assert_eq!(normalize(&dir, &twice, &["--jobs", "3"]).exits(0).json_lines().len(), 3);
}

#[test]
fn the_table_is_safe_to_print_and_totals_are_right() {
    let dir = Dir::new();
    dir.write("a\x1b[2Jb.amr", sound());
    dir.write("empty.ogg", "");
    let run = dir.run(["normalize", "a\x1b[2Jb.amr", "empty.ogg", "--out", "out"]).exits(3);
    assert!(!run.stdout.contains('\x1b'), "{}", run.stdout);
    assert!(run.stdout.contains("rejected empty.ogg: the file has no bytes (media.empty)"), "{}", run.stdout);
    assert!(run.stdout.contains(": 1 normalized, 1 rejected, 0 failed;"), "{}", run.stdout);
    assert!(run.stdout.lines().last().is_some_and(|line| line.ends_with("index.html")), "{}", run.stdout);
}

#[test]
fn exit_codes_tell_usage_rejection_and_failure_apart() {
    let dir = Dir::new();
    let (good, bad) = (dir.write("good.amr", sound()), dir.write("bad.bin", b"\x07\x08\x09 nothing"));
    dir.run(["normalize", "--out", "out"]).exits(2);
    dir.run(["normalize", "missing.ogg", "--out", "out"]).exits(2);
    dir.run(["normalize", "good.amr", "--out", "out", "--profile", "none"]).exits(2);
    dir.run(["normalize", "good.amr", "--out", "out", "--jobs", "0"]).exits(2);
    dir.run(["normalize", "good.amr"]).exits(2);
    std::fs::create_dir(dir.path().join("empty")).expect("a folder");
    dir.run(["normalize", "empty", "--out", "out"]).exits(2);
    dir.run(["normalize", ".", "--out", "."]).exits(2);
    normalize(&dir, &[&good], &[]).exits(0);
    let lines = normalize(&dir, &[&good, &bad], &[]).exits(3).json_lines();
    assert_eq!(lines.iter().filter(|line| line["code"] == "media.unsupported").count(), 1);
    // No space for anything: passing trouble, tried again at once and then given up.
    let full = ["--set", "worker.scratch_min_free_bytes=4611686018427387904"];
    let lines = normalize(&dir, &[&good], &full).exits(1).json_lines();
    assert_eq!((&lines[0]["outcome"], &lines[0]["code"]), (&"failed".into(), &"worker.scratch".into()));
    assert_eq!(lines[0]["attempts"], 2);
}

#[test]
fn results_never_become_inputs_and_links_end() {
    let dir = Dir::new();
    dir.write("in/a.amr", sound());
    dir.write("in/.b/c.amr", sound());
    std::os::unix::fs::symlink("..", dir.path().join("in/.b/up")).expect("a loop");
    let into = |out: &str| Run::of(dir.command().args(["normalize", "in", "--format", "json", "--out", out]));
    for _ in 0..2 {
        let lines = into("in/out").exits(0).json_lines();
        assert_eq!(lines.len(), 2);
    }
    // Somebody else's results are files like any others.
    assert!(into("elsewhere").exits(0).json_lines().len() > 2);
}

#[test]
fn a_suspect_file_has_a_second_try_and_is_then_rejected() {
    let dir = Dir::new();
    let film = fixtures().join("flash-beep.mkv");
    // As slow as x264 can be: no machine does that in a second.
    let profile = std::fs::read_to_string(repo_file("src/config/profiles/video-480p.toml")).expect("a profile");
    let slow = profile.replace("name = \"video-480p\"", "name = \"slow\"").replace("veryfast", "veryslow");
    dir.write("profiles/slow.toml", slow);
    let sets = ["--set", "limits.cpu_s=1", "--set", "worker.profiles_dir=profiles", "--profile", "slow"];
    let lines = normalize(&dir, &[&film], &sets);
    let lines = lines.exits(3).json_lines();
    assert_eq!((&lines[0]["outcome"], &lines[0]["code"]), (&"rejected".into(), &"media.limit-cpu".into()));
    assert_eq!(lines[0]["attempts"], 2);
    assert!(!dir.path().join("out/local").exists(), "nothing of it was stored");
}
