//! The pages by the rules of axe-core, and a timeline of 500 media, in a real browser.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use mediamill::links::Links;
use serde_json::json;

use super::Desk;
use super::browser::{OVERFLOW, Pages};
use super::links::path;
use crate::catalog::{entry, outcome};
use crate::support::chromium::{Chromium, Page};
use crate::support::cmd::repo_file;
use crate::support::say::no_service;

/// Media of the contact, of which `Desk` has three.
const MEDIA: usize = 500;
/// What a page may have without its media.
const MAX_PAGE_BYTES: u64 = 30_000;
/// What breaks a rule of WCAG 2.2 A and AA or a good practice, and where.
const RUN_AXE: &str = "axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', \
    'wcag22aa', 'best-practice'] }).then(found => ({ passed: found.passes.length, \
    broken: found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 200)}`)) }))";
/// The list, and how many bytes the document has.
const LIST: &str = "({ media: [...document.querySelectorAll('.timeline .head a')].map(a => a.getAttribute('href')), \
    next: document.querySelector('[rel=next]')?.href ?? null, players: document.querySelectorAll('.timeline audio').length, \
    times: [...document.querySelectorAll('.timeline time')].map(time => time.dateTime), \
    bytes: performance.getEntriesByType('navigation')[0].decodedBodySize })";

/// axe-core as the wheel of axe-playwright-python has it; nothing where it is not installed.
fn axe() -> Option<String> {
    let python = repo_file("target/venv-pages/lib");
    let versions = std::fs::read_dir(python).into_iter().flatten().flatten();
    let file = |version: PathBuf| version.join("site-packages/axe_playwright_python/axe.min.js");
    versions.map(|version| file(version.path())).find_map(|path| std::fs::read_to_string(path).ok())
}

#[track_caller]
fn assert_no_rule_is_broken(browser: &mut Chromium, page: &Page, axe: &str, what: &str) {
    browser.ask(page, &format!("{axe}\n;null"));
    let said = browser.ask(page, RUN_AXE);
    assert_eq!(said["broken"], json!([]), "{what}");
    assert!(said["passed"].as_u64().is_some_and(|rules| rules >= 10), "{what}: is the test blind? {said}");
}

/// A page that a browser cannot ask for itself, since it sends no token: in light and in dark, on a phone and on a desk.
pub(super) fn assert_html_breaks_no_rule(html: &str, what: &str) {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let Some(axe) = axe() else { return no_service("axe-core is not installed (scripts/venv.sh pages)") };
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("page.html");
    std::fs::write(&file, html).expect("a file");
    for scheme in ["light", "dark"] {
        for width in [360, 1280] {
            let page = browser.open(&file, width);
            browser.prefer(&page, scheme);
            assert_no_rule_is_broken(&mut browser, &page, &axe, &format!("{scheme}, {width} px: {what}"));
            assert_eq!(browser.ask(&page, OVERFLOW), json!(0), "{what} is wider than {width} px");
        }
    }
    assert_eq!(browser.complaints, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_breaks_a_rule_of_accessibility_in_light_and_in_dark() {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let Some(axe) = axe() else { return no_service("axe-core is not installed (scripts/venv.sh pages)") };
    let Pages { desk, media, contact } = Box::pin(Pages::open()).await;
    let logout = format!("http://{}/logout", desk.address);
    for scheme in ["light", "dark"] {
        for width in [360, 1280] {
            for url in [&media, &contact, &format!("{contact}?q=nothing-has-this-word"), &logout] {
                let page = browser.visit(url, width);
                browser.prefer(&page, scheme);
                assert_no_rule_is_broken(&mut browser, &page, &axe, &format!("{scheme}, {width} px: {url}"));
            }
        }
    }
    // Does it notice anything?
    let page = browser.visit(&media, 1280);
    browser.ask(&page, "document.querySelector('.play').removeAttribute('aria-label')");
    browser.ask(&page, &format!("{axe}\n;null"));
    let broken = browser.ask(&page, RUN_AXE)["broken"].to_string();
    assert!(broken.contains("button-name"), "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeline_of_500_media_shows_each_once_in_small_pages() {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let desk = Desk::open(&[]).await;
    let more = (3..MEDIA).map(|n| {
        let mut media = entry(&format!("whatsapp-{n:032x}"), 100 + i64::try_from(n).expect("small"));
        media.file_name = Some(format!("PTT-20261122-WA{n:04}.opus"));
        media.caption = Some("As discussed, the signed contract and what was said about it on the telephone. ".repeat(2));
        let file = |role: &str, name: &str, kind: &str| json!({ "role": role, "key": format!("acme/{n}/{n:032x}/{name}"), "mime_type": kind, "size_bytes": 107_472, "sha256": "ab", "duration_ms": 21388 });
        let assets =
            [file("playback", "audio.mp3", "audio/mpeg"), file("original", "original.ogg", "audio/ogg")];
        media.data = json!({ "assets": assets }).to_string();
        outcome(media)
    });
    desk.index.apply(&more.collect::<Vec<_>>()).await.expect("stored");
    let links = Links::new(&desk.config.links).expect("configured");
    let contact = path(&links.contact("acme", "c0ffee", "crm", Timestamp::now()));
    let (mut seen, mut times, mut pages, mut largest) = (BTreeSet::new(), Vec::new(), 0, 0);
    let mut next = Some(format!("http://{}{contact}", desk.address));
    while let Some(url) = next {
        let page = browser.visit(&url, 360);
        let said = browser.ask(&page, LIST);
        let list = |key: &str| -> Vec<String> { serde_json::from_value(said[key].clone()).expect("a list of texts") };
        assert_eq!(said["players"].as_u64(), u64::try_from(list("media").len()).ok(), "each can be played: {said}");
        for media in list("media") {
            assert!(seen.insert(media.clone()), "{media} is there twice");
        }
        times.extend(list("times"));
        largest = largest.max(said["bytes"].as_u64().expect("bytes"));
        next = said["next"].as_str().map(str::to_owned);
        pages += 1;
        assert!(pages <= MEDIA, "it has no end");
    }
    assert_eq!((seen.len(), pages), (MEDIA, MEDIA / 25));
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "the latest is first");
    assert!((1_000..=MAX_PAGE_BYTES).contains(&largest), "the largest page has {largest} bytes");
    assert_eq!(browser.complaints, [""; 0]);
}
