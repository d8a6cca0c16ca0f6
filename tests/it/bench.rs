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
    let prices = [
        "--price-per-gb-month",
        "0.02",
        "--price-per-cpu-hour",
        "0.05",
        "--price-per-1000-puts",
        "0.005",
        "--target",
        "quality=60",
    ];
    let run = bench(&dir, "out", &[&sweep[..], &prices].concat()).exits(0);
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
    assert!(number(&of("voice", 40, 18)["cost"]["cpu"]) > 0.0);
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

#[test]
fn the_page_shows_every_point_and_plays_the_worst_files() {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let dir = Dir::new();
    corpus(&dir);
    bench(&dir, "out", &["--sweep", "video.crf=24,36"]).exits(0);
    let page = browser.open(&dir.path().join("out/report.html"), 1280);
    let count = |browser: &mut Chromium, selector: &str| {
        browser.ask(&page, &format!("document.querySelectorAll({selector:?}).length")).as_u64().expect("a count")
    };
    assert_eq!(count(&mut browser, "tbody tr"), 4, "two classes, two points each");
    assert_eq!(count(&mut browser, "svg circle.file"), 4, "each encoded file's score");
    assert_eq!(count(&mut browser, ".front"), 4, "two plots for each class");
    assert_eq!(count(&mut browser, "audio, video"), 2 * 4, "each beside its original");
    let sorted = "const head = document.querySelectorAll('section')[1].querySelectorAll('th button')[3]; head.click(); \
                  head.click(); document.querySelectorAll('section')[1].querySelector('td').textContent";
    assert_eq!(browser.ask(&page, sorted), "crm video.crf=24", "the larger first");
    let plays = "Promise.all([...document.querySelectorAll('audio, video')].map((player) => new Promise((done) => { \
                 if (player.readyState > 0) return done(true); \
                 player.onloadedmetadata = () => done(true); player.onerror = () => done(false); })))";
    assert_eq!(browser.ask(&page, plays), serde_json::json!(vec![true; 8]));
    assert_eq!(browser.complaints, [""; 0]);
}
