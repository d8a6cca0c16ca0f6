//! The gallery in a real browser: every player plays, seeks and knows its length and size; every picture shows.

use std::path::Path;

use serde_json::{Value, json};

use crate::cases;
use crate::normalize::{asset, fixture_run, normalize};
use crate::support::chromium::Chromium;
use crate::support::cmd::Dir;
use crate::support::say::{no_service, say, skipped};

/// What the browser may take for the length of a file and what the event says, apart from each other, in seconds.
const TOLERANCE_S: f64 = 0.06;

/// Plays every player of a page, one after the other: to the point where it could play through, from its middle on.
const PLAY_ALL: &str = r#"(async () => {
  const until = (element, name) => new Promise((resolve, reject) => {
    const fail = () => reject(new Error(element.error ? element.error.message : `no ${name}`));
    setTimeout(fail, 20000);
    element.addEventListener(name, resolve, { once: true });
    element.addEventListener('error', fail, { once: true });
  });
  const results = [];
  for (const player of document.querySelectorAll('audio, video')) {
    const result = { src: decodeURIComponent(player.getAttribute('src')) };
    try {
      player.preload = 'auto';
      player.muted = true;
      const ready = until(player, 'canplaythrough');
      player.load();
      await ready;
      const { duration } = player;
      Object.assign(result, { duration, width: player.videoWidth || null, height: player.videoHeight || null });
      const sought = until(player, 'seeked');
      player.currentTime = duration / 2;
      await sought;
      result.middle = player.currentTime;
      const began = performance.now();
      await player.play();
      while (!player.ended && player.currentTime - result.middle < 0.1 && performance.now() - began < 20000) {
        await new Promise(resolve => setTimeout(resolve, 20));
      }
      result.played = player.currentTime - result.middle;
      player.pause();
    } catch (error) {
      result.error = String(error);
    }
    results.push(result);
  }
  return results;
})()"#;

/// Every picture of a page, and whether it shows anything.
const ALL_PICTURES: &str = r#"(async () => {
  const pictures = [...document.images];
  for (const picture of pictures) picture.loading = 'eager';
  await Promise.allSettled(pictures.map(picture => picture.decode()));
  const posters = await Promise.all([...document.querySelectorAll('video[poster]')].map(video => {
    const picture = new Image();
    picture.src = video.poster;
    return picture.decode().then(() => picture, () => picture);
  }));
  return [...pictures, ...posters].map(picture => ({ src: picture.src, width: picture.naturalWidth }));
})()"#;

/// Whether anything of the page is wider than it, or a player or its text is cut.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// What is wrong with how a gallery plays, a line each; nothing without a browser.
fn play(out: &Path, lines: &[Value]) -> Option<Vec<String>> {
    let Some(mut browser) = Chromium::start() else {
        no_service("Chromium is not installed (Debian: chromium)");
        return None;
    };
    let page = browser.open(&out.join("index.html"), 1280);
    let mut wrong = Vec::new();
    let played = browser.ask(&page, PLAY_ALL);
    let played = played.as_array().expect("results");
    let expected: Vec<&Value> =
        lines.iter().filter_map(|line| asset(out, line, "playback").map(|(_, asset)| asset)).collect();
    assert_eq!(played.len(), expected.len(), "players and playback assets");
    for result in played {
        // The address is the key with its percent signs encoded once more.
        let found = expected.iter().find(|asset| asset["key"] == result["src"]);
        let asset = found.unwrap_or_else(|| panic!("no asset for {}", result["src"]));
        wrong.extend(objections(asset, result).into_iter().map(|what| format!("{}: {what}", asset["key"])));
    }
    let pictures = browser.ask(&page, ALL_PICTURES);
    for picture in pictures.as_array().expect("pictures").iter().filter(|picture| picture["width"] == 0) {
        wrong.push(format!("{} shows nothing", picture["src"]));
    }
    for width in [1280, 360] {
        let page = browser.open(&out.join("index.html"), width);
        let overflow = browser.ask(&page, OVERFLOW);
        if overflow != json!(0) {
            wrong.push(format!("at {width} pixels the page is {overflow} pixels too wide"));
        }
    }
    wrong.extend(browser.complaints.iter().cloned());
    say(format_args!("{} players played in Chromium", played.len()));
    Some(wrong)
}

fn objections(asset: &Value, result: &Value) -> Vec<String> {
    if let Some(error) = result["error"].as_str() {
        return vec![error.to_owned()];
    }
    let mut wrong = Vec::new();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (seen, said) = (number(&result["duration"]), number(&asset["duration_ms"]) / 1000.0);
    let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance;
    if !near(seen, said, TOLERANCE_S) {
        wrong.push(format!("lasts {seen:.3} s, the event says {said:.3} s"));
    }
    if asset["mime_type"] == "video/mp4" {
        let (shown, told) = ((&result["width"], &result["height"]), (&asset["width"], &asset["height"]));
        if shown != told {
            wrong.push(format!("shows {shown:?}, the event says {told:?}"));
        }
    }
    if !near(number(&result["middle"]), seen / 2.0, 0.05) {
        wrong.push(format!("was sent to {:.3} s and is at {}", seen / 2.0, result["middle"]));
    }
    let enough = 0.1_f64.min(seen / 2.0 - 0.05);
    if number(&result["played"]).is_nan() || number(&result["played"]) < enough {
        wrong.push(format!("played {} s from its middle", result["played"]));
    }
    wrong
}

#[test]
fn every_fixture_plays_in_a_browser() {
    let (out, lines) = fixture_run();
    if let Some(wrong) = play(&out, lines) {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Plays what becomes of the files of a folder.
fn plays(folder: &Path) {
    let dir = Dir::new();
    let run = normalize(&dir, &[folder], &[]);
    assert!(matches!(run.code, Some(0 | 3)), "exit code {:?}: {}", run.code, run.stderr);
    if let Some(wrong) = play(&dir.path().join("out"), &run.json_lines()) {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn every_output_of_the_corpus_plays_in_a_browser() {
    match std::env::var_os("MEDIAMILL_CORPUS") {
        Some(folder) => plays(Path::new(&folder)),
        None => skipped("MEDIAMILL_CORPUS does not name the folder of real files"),
    }
}

#[test]
fn every_output_of_a_case_plays_in_a_browser() {
    match cases::folder() {
        Some(folder) => plays(&folder),
        None => skipped(cases::NO_FOLDER),
    }
}
