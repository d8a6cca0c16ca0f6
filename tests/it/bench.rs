//! `mediamill bench` over files whose quality is known beforehand.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::chromium::Chromium;
use crate::support::cmd::{Dir, Run, repo_file};
use crate::support::say::no_service;

/// A voice note, a film that has to be encoded, a film that has not, and a picture that nothing is measured of.
fn corpus(dir: &Dir) {
    std::fs::create_dir(dir.path().join("corpus")).expect("a folder");
    for name in ["voice-note.ogg", "browser.webm", "conforming.mp4", "photo-exif.jpg"] {
        std::fs::copy(repo_file(&format!("fixtures/{name}")), dir.path().join("corpus").join(name)).expect("a fixture");
    }
}

fn bench(dir: &Dir, out: &str, more: &[&str]) -> Run {
    let mut command: Command = dir.command();
    command.args(["bench", "--corpus", "corpus", "--profile", "crm", "--repeat", "2", "--out", out]).args(more);
    Run::of(&mut command)
}

fn report(dir: &Dir, out: &str) -> Value {
    let text = std::fs::read(dir.path().join(out).join("report.json")).expect("a report");
    serde_json::from_slice(&text).expect("JSON")
}

fn summaries(report: &Value) -> BTreeMap<(String, String), Value> {
    let summaries = report["summaries"].as_array().expect("summaries").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    summaries.map(|summary| ((text(&summary["class"]), text(&summary["point"])), summary.clone())).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn figures_follow_the_settings_and_runs_are_resumed_and_judged() {
    let dir = Dir::new();
    corpus(&dir);
    let sweep = ["--sweep", "audio.bit_rate=8k,40k", "--sweep", "video.crf=18,40"];
    let run = bench(&dir, "out", &[&sweep[..], &["--target", "quality=60"]].concat()).exits(0);
    let all = report(&dir, "out");
    assert_eq!(all["corpus"]["left_aside"], serde_json::json!({ "photo-exif.jpg": "kept-original" }));
    // The picture is looked at once, everything else twice by each of four points.
    assert_eq!(all["runs"].as_array().map(Vec::len), Some(1 + 3 * 4 * 2));
    let by = summaries(&all);
    assert_eq!(by.len(), 8, "voice and video by four points");
    let of = |class: &str, kbit: u32, crf: u32| {
        let point = format!("crm audio.bit_rate={kbit}000 video.crf={crf}");
        by.get(&(class.to_owned(), point.clone())).unwrap_or_else(|| panic!("no {class} {point}"))
    };
    let mos = |kbit| number(&of("voice", kbit, 18)["scores"]["mos"]["mean"]);
    assert!(mos(40) > 4.2 && mos(8) < mos(40) - 0.5, "{} {}", mos(40), mos(8));
    let ssimulacra2 = |crf| number(&of("video", 40, crf)["scores"]["ssimulacra2"]["mean"]);
    assert!(
        ssimulacra2(18) > 70.0 && ssimulacra2(40) < ssimulacra2(18) - 20.0,
        "{} {}",
        ssimulacra2(18),
        ssimulacra2(40)
    );
    let (fine, coarse) = (of("video", 40, 18), of("video", 40, 40));
    assert!(number(&fine["scores"]["ssim"]["mean"]) > number(&coarse["scores"]["ssim"]["mean"]));
    assert!(number(&fine["scores"]["psnr_db"]["mean"]) > number(&coarse["scores"]["psnr_db"]["mean"]) + 5.0);
    assert_eq!((&fine["files"], &fine["encoded"]), (&2.into(), &1.into()), "a conforming film is copied");
    assert!(number(&of("voice", 40, 18)["scores"]["loudness_error_lu"]["mean"]) < 0.3);
    for run in all["runs"].as_array().expect("runs").iter().filter(|run| run["outcome"] == "encoded") {
        assert!(run["scores"].is_null() || run["scores"]["unmatched_frames"].as_u64().unwrap_or(0) == 0, "{run}");
    }
    assert!(of("voice", 40, 18)["cost"].is_null(), "no prices were given");
    assert!(run.stdout.contains("voice: crm audio.bit_rate=40000"), "{}", run.stdout);
    let csv = std::fs::read_to_string(dir.path().join("out/report.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 1 + 8);

    // Half of the journal is gone, as after an interruption: the rest is not measured again.
    let journal = dir.path().join("out/runs.jsonl");
    let lines = std::fs::read_to_string(&journal).expect("a journal");
    let kept: Vec<&str> = lines.lines().take(13).collect();
    std::fs::write(&journal, kept.join("\n") + "\n").expect("written");
    bench(&dir, "out", &sweep).exits(0);
    let again = std::fs::read_to_string(&journal).expect("a journal");
    assert_eq!(again.lines().count(), lines.lines().count());
    assert!(again.lines().zip(kept).all(|(now, then)| now == then));

    // Against itself nothing has moved; a gate that cannot hold is broken all the same.
    let gates = dir.write("gates.toml", "[gates]\nfailed_max = 0\nbytes_growth_percent_max = 0.1\nmos_min = 1.5\n");
    let gates = gates.to_str().expect("UTF-8");
    let judged = [&sweep[..], &["--compare", "out/report.json", "--gates", gates]].concat();
    bench(&dir, "out", &judged).exits(0);
    dir.write("gates.toml", "[gates]\nssimulacra2_min = 99.0\n");
    let run = bench(&dir, "out", &judged).exits(4);
    assert!(run.stderr.contains("gate broken: ssimulacra2_min: video crm"), "{}", run.stderr);
}

/// Prices whose products can be computed by hand.
const PRICES: &str = "
currency = 'EUR'
per_cpu_hour = 3.6
plays_per_media = 2
[standard]
per_gb_month = 10
per_1000_puts = 0.005
per_1000_gets = 0.001
per_gb_read = 0
[class.STANDARD_IA]
per_gb_month = 0.73
per_1000_puts = 0.01
per_1000_gets = 0.002
per_gb_read = 1
min_object_bytes = 131_072
min_days = 30
";

/// An object of the first job over this file: its bytes.
fn stored(report: &Value, file: &str) -> BTreeMap<String, f64> {
    let mut runs = report["runs"].as_array().expect("runs").iter();
    let run = runs.find(|run| run["file"] == file).unwrap_or_else(|| panic!("{file} was not run"));
    let objects = run["stored"].as_array().expect("objects").iter();
    let pair = |object: &Value| (object["object"].as_str().expect("a name").to_owned(), number(&object["size_bytes"]));
    objects.map(pair).collect()
}

#[test]
fn the_objects_are_those_that_a_worker_stores() {
    let dir = Dir::new();
    corpus(&dir);
    bench(&dir, "out", &[]).exits(0);
    let report = report(&dir, "out");
    for (n, name) in ["voice-note.ogg", "browser.webm", "conforming.mp4", "photo-exif.jpg"].iter().enumerate() {
        let folder = format!("normalized-{n}");
        let file = format!("corpus/{name}");
        dir.run(["normalize", "--profile", "crm", "--out", &folder, "--", &file]).exits(0);
        let mut expected = BTreeMap::new();
        let mut folders = vec![dir.path().join(&folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let name = entry.file_name().into_string().expect("UTF-8");
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if name != "index.html" {
                    expected.insert(name, entry.metadata().expect("a size").len());
                }
            }
        }
        let mut found = stored(&report, name);
        let manifest = found.remove("manifest.json").expect("a manifest");
        let written = expected.remove("manifest.json").expect("a manifest");
        #[expect(clippy::cast_precision_loss, reason = "small files")]
        let expected: BTreeMap<String, f64> = expected.into_iter().map(|(name, size)| (name, size as f64)).collect();
        assert_eq!(found, expected, "{name}");
        // Its ids are others, and times have more or fewer digits.
        #[expect(clippy::cast_precision_loss, reason = "a small file")]
        let difference = (manifest - written as f64).abs();
        assert!(difference < 600.0, "{name}: {manifest} or {written}");
    }
}

#[test]
fn prices_are_those_of_the_classes_that_objects_have() {
    let dir = Dir::new();
    corpus(&dir);
    dir.write("prices.toml", PRICES);
    let prices = ["--prices", "prices.toml"];
    let run = bench(&dir, "out", &prices).exits(0);
    assert!(run.stdout.contains("Cost of 1,000 voice files in EUR, each played 2 times:"), "{}", run.stdout);
    let report_now = report(&dir, "out");
    let voice = |report: &Value| summaries(report)[&("voice".to_owned(), "crm".to_owned())].clone();
    let (note, summary) = (stored(&report_now, "voice-note.ogg"), voice(&report_now));
    let names: Vec<&str> = note.keys().map(String::as_str).collect();
    assert_eq!(names, ["audio.mp3", "manifest.json", "original.ogg"]);
    let bytes: f64 = note.values().sum();
    let near = |found: &Value, expected: f64| {
        assert!((number(found) - expected).abs() < 1e-9 * expected.max(1.0), "{found} is not {expected}");
    };
    let cost = &summary["cost"];
    near(&cost["days"], 365.0);
    near(&cost["storage"], bytes * 1000.0 / 1e9 * 10.0 * 12.0);
    near(&cost["requests"], 3.0 * 0.005);
    near(&cost["reading"], 2.0 * 0.001);
    near(&cost["early_deletion"], 0.0);
    near(&cost["cpu"], number(&summary["cpu_s"]) * 1000.0 / 3600.0 * 3.6);
    let sum: f64 =
        ["storage", "requests", "early_deletion", "reading", "cpu"].iter().map(|key| number(&cost[*key])).sum();
    near(&cost["total"], sum);
    near(&summary["stored"]["standard"]["bytes"], bytes);

    // All objects in a class with a smallest size, for 10 of 30 days: 0.73 a month are 0.024 a day.
    let infrequent = ["store.url=s3://bucket", "store.storage_class=STANDARD_IA", "privacy.retention_days=10"];
    let set: Vec<&str> = infrequent.iter().flat_map(|setting| ["--set", setting]).chain(prices).collect();
    let journal = std::fs::read(dir.path().join("out/runs.jsonl")).expect("a journal");
    bench(&dir, "out", &set).exits(0);
    assert!(
        std::fs::read(dir.path().join("out/runs.jsonl")).expect("a journal") == journal,
        "nothing is measured again"
    );
    let summary = voice(&report(&dir, "out"));
    let billed: f64 = note.values().map(|bytes| bytes.max(131_072.0)).sum();
    near(&summary["cost"]["billed_bytes_per_media"], billed);
    near(&summary["cost"]["storage"], billed / 1e6 * 0.24);
    near(&summary["cost"]["early_deletion"], billed / 1e6 * 0.48);
    near(&summary["cost"]["requests"], 3.0 * 0.01);
    near(&summary["cost"]["reading"], 2.0 * (0.002 + note["audio.mp3"] / 1e6));
    let csv = std::fs::read_to_string(dir.path().join("out/report.csv")).expect("a table");
    let (head, row) = (csv.lines().next().expect("a head"), csv.lines().find(|line| line.starts_with("voice,")));
    let column = head.split(',').position(|name| name == "early_deletion_per_1000").expect("a column");
    let field = row.and_then(|row| row.split(',').nth(column)).expect("a field");
    assert_eq!(field, format!("{:.4}", billed / 1e6 * 0.48));

    // What cannot be priced is refused before anything is measured.
    let rare = ["--set", "store.url=s3://bucket", "--set", "store.class=rare"];
    let run = bench(&dir, "other", &[&rare[..], &prices].concat()).exits(2);
    assert!(
        run.stderr.contains("prices.toml: there is no [class.GLACIER_IR], which store.class gives"),
        "{}",
        run.stderr
    );
    assert!(!dir.path().join("other/runs.jsonl").exists());
}

#[test]
fn the_files_of_vendors_are_complete_once_prices_are_filled_in() {
    for vendor in ["s3", "gcs", "azure"] {
        let text = std::fs::read_to_string(repo_file(&format!("examples/prices/{vendor}.toml"))).expect("a file");
        let empty = mediamill::profile_lab::price::parse(&text).expect_err("it has no prices");
        assert!(empty.contains("missing field `per_"), "{empty}");
        let fill = |line: &str| match line.strip_prefix("# ").filter(|rest| rest.starts_with("per_")) {
            Some(key) => format!("{key} 1"),
            None => line.to_owned(),
        };
        let filled: Vec<String> = text.lines().map(fill).collect();
        let prices = mediamill::profile_lab::price::parse(&filled.join("\n")).expect(vendor);
        let root = match vendor {
            "s3" => "s3://bucket",
            "gcs" => "gs://bucket",
            _ => "az://container",
        };
        let location = mediamill::config::Location::parse(root).expect("an address");
        for (name, class) in &prices.class {
            let known = mediamill::config::StorageClass::find(&location, name).expect("a class of this store");
            assert_eq!((known.name, known.min_days), (name.as_str(), class.min_days), "{vendor}");
        }
    }
}

#[test]
fn the_page_shows_every_point_and_plays_the_worst_files() {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let dir = Dir::new();
    corpus(&dir);
    dir.write("prices.toml", PRICES);
    bench(&dir, "out", &["--sweep", "video.crf=24,36", "--prices", "prices.toml"]).exits(0);
    let page = browser.open(&dir.path().join("out/report.html"), 1280);
    let count = |browser: &mut Chromium, selector: &str| {
        browser.ask(&page, &format!("document.querySelectorAll({selector:?}).length")).as_u64().expect("a count")
    };
    assert_eq!(count(&mut browser, "[aria-label=voice] tbody tr"), 2, "two points");
    assert_eq!(count(&mut browser, "[aria-label=video] tbody tr"), 2, "two points");
    assert_eq!(count(&mut browser, ".costs tbody tr"), 4, "two classes, two points each");
    let figures = "const cells = [...document.querySelector('.costs tbody tr').children].map((cell) => cell.textContent); \
                   const [sum, ...parts] = cells.slice(1, 7).map(Number); \
                   [cells.length, Math.abs(sum - parts.reduce((all, part) => all + part, 0)) < 0.001, sum > 0]";
    assert_eq!(browser.ask(&page, figures), serde_json::json!([12, true, true]), "the figures and their sum");
    assert_eq!(count(&mut browser, "svg circle.file"), 4, "each encoded file's score");
    assert_eq!(count(&mut browser, ".front"), 4, "two plots for each class");
    assert_eq!(count(&mut browser, "audio, video"), 2 * 4, "each beside its original");
    let sorted = "const head = document.querySelector('[aria-label=video]').querySelectorAll('th button')[3]; head.click(); \
                  head.click(); document.querySelector('[aria-label=video]').querySelector('td').textContent";
    assert_eq!(browser.ask(&page, sorted), "crm video.crf=24", "the larger first");
    let plays = "Promise.all([...document.querySelectorAll('audio, video')].map((player) => new Promise((done) => { \
                 if (player.readyState > 0) return done(true); \
                 player.onloadedmetadata = () => done(true); player.onerror = () => done(false); })))";
    assert_eq!(browser.ask(&page, plays), serde_json::json!(vec![true; 8]));
    assert_eq!(browser.complaints, [""; 0]);
}
