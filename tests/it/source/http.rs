//! URLs that other people chose: what they answer, how slowly, and where they lead.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mediamill::config::{Config, load};
use mediamill::error::{Code, Fault};
use mediamill::events::{Declared, Origin};
use mediamill::source::{Fetched, Peers, SourceError, Sources};
use mediamill::store::Store;
use tokio::time::{Duration, Instant};

use crate::support::cmd::Dir;
use crate::support::faults::{rejected_as, transient_as};
use crate::support::http::{Asked, Http, Step, answer, ok, redirect};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const LIMIT: u64 = 1 << 20;

/// Sources that may reach these hosts, and give up after a second.
fn sources(allow_hosts: &[&str]) -> Sources {
    let mut config: Config = load(None, [], &[]).expect("the defaults");
    config.source.http_allow_plain = true;
    config.source.http_allow_hosts = allow_hosts.iter().map(|&host| host.to_owned()).collect();
    config.source.read_timeout_s = 1;
    config.source.total_timeout_s = 3;
    Sources::new(&config, &Store::local("unused")).expect("sources")
}

async fn fetch_with(
    sources: &Sources,
    url: &str,
    declared: Option<&Declared>,
) -> Result<(Fetched, Vec<u8>), SourceError> {
    let dir = Dir::new();
    let dest = dir.path().join("dest");
    let origin = Origin::Http { url: url.to_owned() };
    let fetched = sources.fetch("acme", &origin, declared, LIMIT, &dest).await?;
    Ok((fetched, std::fs::read(dest).expect("dest")))
}

/// Fetches from a server that answers so.
async fn fetch(
    script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> Result<(Fetched, Vec<u8>), SourceError> {
    let server = Http::start(script);
    fetch_with(&sources(&[&server.authority()]), &server.url("/x.ogg?signature=s3cr3t"), None).await
}

#[tokio::test]
async fn a_file_arrives_with_its_hash() {
    let hello = Fetched { size_bytes: 5, sha256: HELLO.to_owned() };
    assert_eq!(fetch(|_| ok("hello")).await.expect("fetched"), (hello.clone(), b"hello".to_vec()));
    let chunked = |_: &Asked| answer("200 OK", &["transfer-encoding: chunked"], "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    assert_eq!(fetch(chunked).await.expect("fetched").0, hello);
    // As servers of the last century do: the end of the connection is the end of the file.
    assert_eq!(fetch(|_| answer("200 OK", &[], "hello")).await.expect("fetched").0, hello);
}

#[tokio::test]
async fn what_was_declared_is_checked() {
    let server = Http::start(|_| ok("hello"));
    let sources = sources(&[&server.authority()]);
    let fetch = async |sha256: Option<&str>, size_bytes: Option<u64>| {
        let declared = Declared { sha256: sha256.map(str::to_owned), size_bytes, ..Declared::default() };
        fetch_with(&sources, &server.url("/"), Some(&declared)).await
    };
    fetch(Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="), Some(5)).await.expect("fetched");
    rejected_as(Code::SourceHashMismatch, fetch(Some(&"0".repeat(64)), None).await);
    rejected_as(Code::SourceSizeMismatch, fetch(None, Some(4)).await);
    rejected_as(Code::SourceSizeMismatch, fetch(None, Some(6)).await);
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_fetched_again() {
    let declared = Declared { sha256: Some(HELLO.to_owned()), ..Declared::default() };
    let fetch = async |bodies: [&'static str; 2]| {
        let count = AtomicUsize::new(0);
        let server = Http::start(move |_| ok(bodies[count.fetch_add(1, Ordering::SeqCst) % 2]));
        fetch_with(&sources(&[&server.authority()]), &server.url("/"), Some(&declared)).await
    };
    assert_eq!(fetch(["hellO", "hello"]).await.expect("fetched").1, b"hello");
    transient_as(Code::SourceUnavailable, fetch(["hellO", "Hello"]).await);
    rejected_as(Code::SourceHashMismatch, fetch(["hellO", "hellO"]).await);
    // A link that works once.
    rejected_as(Code::SourceHashMismatch, fetch(["hellO", ""]).await);
}

#[tokio::test]
async fn trouble_of_this_machine_in_a_second_fetch_is_not_the_files_fault() {
    let dir = Dir::new();
    let dest = dir.path().join("dest");
    let (at, count) = (dest.clone(), AtomicUsize::new(0));
    let server = Http::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 1 {
            // The second time the scratch file cannot be written.
            std::fs::remove_file(&at).expect("the first fetch wrote it");
            std::fs::create_dir(&at).expect("a directory in its place");
        }
        ok("other bytes than declared")
    });
    let declared = Declared { sha256: Some(HELLO.to_owned()), ..Declared::default() };
    let origin = Origin::Http { url: server.url("/") };
    let result = sources(&[&server.authority()]).fetch("acme", &origin, Some(&declared), LIMIT, &dest).await;
    transient_as(Code::WorkerScratch, result);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_transfer_that_trickles_is_given_up_long_before_its_time_is_over() {
    let mut config: Config = load(None, [], &[]).expect("the defaults");
    config.source.http_allow_plain = true;
    config.source.min_rate_window_s = 1;
    let dripped = |_: &Asked| {
        let body = Step::Drip(vec![7; 4096], Duration::from_millis(100));
        [answer("200 OK", &["content-length: 4096"], ""), vec![body]].concat()
    };
    let server = Http::start(dripped);
    config.source.http_allow_hosts = vec![server.authority()];
    let slow = Sources::new(&config, &Store::local("unused")).expect("sources");
    let started = Instant::now();
    let said = transient_as(Code::SourceTimeout, fetch_with(&slow, &server.url("/"), None).await);
    assert!(said.contains("4096 bytes a second"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(60), "the whole transfer may take 300 s, and would take 400");
    // Nobody minds where the configuration does not.
    config.source.min_bytes_per_s = 0;
    config.source.total_timeout_s = 3;
    let patient = Sources::new(&config, &Store::local("unused")).expect("sources");
    let said = transient_as(Code::SourceTimeout, fetch_with(&patient, &server.url("/"), None).await);
    assert!(said.contains("within 3 s"), "{said}");
}

#[tokio::test]
async fn statuses_decide_what_becomes_of_the_job() {
    let status = |status: &'static str| fetch(move |_| answer(status, &["content-length: 4"], "nope"));
    rejected_as(Code::SourceForbidden, status("401 Unauthorized").await);
    rejected_as(Code::SourceForbidden, status("403 Forbidden").await);
    rejected_as(Code::SourceNotFound, status("404 Not Found").await);
    rejected_as(Code::SourceNotFound, status("410 Gone").await);
    rejected_as(Code::SourceInvalid, status("400 Bad Request").await);
    rejected_as(Code::SourceInvalid, status("206 Partial Content").await);
    for passing in ["408 Request Timeout", "425 Too Early", "429 Too Many Requests", "500 No", "502 No", "503 No"] {
        transient_as(Code::SourceUnavailable, status(passing).await);
    }
    let busy = fetch(|_| answer("429 Too Many Requests", &["retry-after: 90", "content-length: 0"], "")).await;
    let fault = busy.map_err(Fault::from).expect_err("busy");
    assert!(matches!(fault, Fault::Transient { retry_after: Some(wish), .. } if wish.as_secs() == 90), "{fault:?}");
}

#[tokio::test]
async fn sizes_that_lie_are_found_out() {
    rejected_as(Code::MediaEmpty, fetch(|_| ok("")).await);
    let too_much = format!("content-length: {}", LIMIT + 1);
    // Before a byte is read: the body would never come.
    let announced = move |_: &Asked| [answer("200 OK", &[&too_much], ""), vec![Step::Stall]].concat();
    rejected_as(Code::LimitBytes, fetch(announced).await);
    let endless = |head: &'static str, piece: Vec<u8>| {
        move |_: &Asked| [answer("200 OK", &[head], ""), vec![Step::Forever(piece.clone())]].concat()
    };
    let chunk = [&b"8000\r\n"[..], &[7; 0x8000], b"\r\n"].concat();
    rejected_as(Code::LimitBytes, fetch(endless("x: y", vec![7; 0x8000])).await);
    rejected_as(Code::LimitBytes, fetch(endless("transfer-encoding: chunked", chunk)).await);
    // A body that is shorter than announced was cut off; one that is longer ends where it was to end.
    transient_as(Code::SourceUnavailable, fetch(|_| answer("200 OK", &["content-length: 6"], "hello")).await);
    let cut = |_: &Asked| answer("200 OK", &["transfer-encoding: chunked"], "5\r\nhello\r\n");
    transient_as(Code::SourceUnavailable, fetch(cut).await);
    assert_eq!(
        fetch(|_| answer("200 OK", &["content-length: 5"], "hello and more")).await.expect("fetched").1,
        b"hello"
    );
}

#[tokio::test]
async fn endless_bodies_end_where_the_declared_size_does() {
    let server = Http::start(|_| [answer("200 OK", &[], ""), vec![Step::Forever(vec![7; 4096])]].concat());
    let declared = Declared { size_bytes: Some(10), ..Declared::default() };
    let result = fetch_with(&sources(&[&server.authority()]), &server.url("/"), Some(&declared)).await;
    rejected_as(Code::SourceSizeMismatch, result);
}

#[tokio::test]
async fn slow_ones_have_their_time_and_no_more() {
    let started = Instant::now();
    transient_as(Code::SourceTimeout, fetch(|_| vec![Step::Stall]).await);
    let stalled = |_: &Asked| [answer("200 OK", &["content-length: 9"], "hello"), vec![Step::Stall]].concat();
    transient_as(Code::SourceTimeout, fetch(stalled).await);
    // A byte now and then: each read is quick, all together they are not.
    let dripped = |_: &Asked| {
        let body = Step::Drip(vec![7; 4096], Duration::from_millis(200));
        [answer("200 OK", &["content-length: 4096"], ""), vec![body]].concat()
    };
    transient_as(Code::SourceTimeout, fetch(dripped).await);
    let head = |_: &Asked| vec![Step::Drip(b"HTTP/1.1 200 OK\r\n".repeat(99), Duration::from_millis(100))];
    transient_as(Code::SourceTimeout, fetch(head).await);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn nonsense_and_silence_are_passing_trouble() {
    transient_as(Code::SourceUnavailable, fetch(|_| Vec::new()).await);
    transient_as(Code::SourceUnavailable, fetch(|_| vec![Step::Send(b"SSH-2.0-OpenSSH\r\n".to_vec())]).await);
    let gone = Http::start(|_| ok("")).authority();
    let result = fetch_with(&sources(&[&gone]), &format!("http://{gone}/"), None).await;
    transient_as(Code::SourceUnavailable, result);
    let plain = Http::start(|_| ok("hello"));
    let result = fetch_with(&sources(&[&plain.authority()]), &format!("https://{}/", plain.authority()), None).await;
    transient_as(Code::SourceUnavailable, result);
    let nobody = fetch_with(&sources(&["no-such-host.invalid"]), "http://no-such-host.invalid/", None).await;
    transient_as(Code::SourceUnavailable, nobody);
}

#[tokio::test]
async fn redirects_are_followed_a_few_times() {
    for status in [301, 302, 303, 307, 308] {
        let script = move |asked: &Asked| match asked.path.as_str() {
            "/there?x=1" => ok("hello"),
            _ => redirect(status, "/there?x=1"),
        };
        assert_eq!(fetch(script).await.expect("fetched").1, b"hello", "{status}");
    }
    let said = rejected_as(Code::SourceInvalid, fetch(|_| redirect(302, "/x.ogg?signature=s3cr3t")).await);
    assert!(said.contains("more than 3 redirects"), "{said}");
    rejected_as(Code::SourceInvalid, fetch(|_| answer("302 Found", &["content-length: 0"], "")).await);
    rejected_as(Code::SourceInvalid, fetch(|_| redirect(302, "http://[::1/")).await);
}

#[tokio::test]
async fn every_redirect_is_checked_like_the_first() {
    let inside = Http::start(|_| ok("secret"));
    let port = inside.authority().rsplit_once(':').expect("a port").1.to_owned();
    for location in [
        inside.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        let to = location.clone();
        rejected_as(Code::SourceDenied, fetch(move |_| redirect(302, &to)).await);
    }
    assert_eq!(inside.asked().len(), 0, "not even asked");
}

#[tokio::test]
async fn names_are_judged_by_what_they_resolve_to() {
    let inside = Http::start(|_| ok("secret"));
    let port = inside.authority().rsplit_once(':').expect("a port").1.to_owned();
    let none = sources(&[]);
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "127.1", "0", "0.0.0.0", "[::1]", "[::]"] {
        rejected_as(Code::SourceDenied, fetch_with(&none, &format!("http://{host}:{port}/"), None).await);
    }
    assert_eq!(inside.asked().len(), 0, "not even asked");
    // The same names, allowed: by name for every port, or for one.
    for allowed in ["localhost".to_owned(), format!("localhost:{port}")] {
        let sources = sources(&[&allowed]);
        fetch_with(&sources, &format!("http://localhost:{port}/"), None).await.expect(&allowed);
        rejected_as(Code::SourceDenied, fetch_with(&sources, &inside.url("/"), None).await);
    }
    let other = sources(&["localhost:1"]);
    rejected_as(Code::SourceDenied, fetch_with(&other, &format!("http://localhost:{port}/"), None).await);
}

/// Remembers where a fetch leads, and lets nobody connect where it says so.
struct Eyes {
    met: Mutex<Vec<Vec<IpAddr>>>,
    refuse: bool,
}

impl Peers for Eyes {
    fn meets(&self, networks: &[IpAddr]) -> Result<(), SourceError> {
        self.met.lock().expect("no panic").push(networks.to_vec());
        if self.refuse { Err(SourceError::Timeout("not now".to_owned())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn whoever_watches_hears_where_each_step_leads_before_it_is_taken() {
    let there = Http::start(|_| ok("hello"));
    let port = there.authority().rsplit_once(':').expect("a port").1.to_owned();
    let to = format!("http://localhost:{port}/");
    let here = Http::start(move |_| redirect(302, &to));
    let sources = sources(&[&here.authority(), "localhost"]);
    let origin = Origin::Http { url: here.url("/") };
    let dir = Dir::new();
    let dest = dir.path().join("dest");
    let watching = Eyes { met: Mutex::default(), refuse: false };
    sources.fetch_by(&watching, "acme", &origin, None, LIMIT, &dest).await.expect("fetched");
    let met = watching.met.into_inner().expect("no panic");
    let loopback = IpAddr::from([127, 0, 0, 1]);
    assert!(met.len() == 2 && met[0] == [loopback] && met[1].contains(&loopback), "{met:?}");

    let refusing = Eyes { met: Mutex::default(), refuse: true };
    let result = sources.fetch_by(&refusing, "acme", &origin, None, LIMIT, &dest).await;
    transient_as(Code::SourceTimeout, result);
    assert_eq!(here.asked().len(), 1, "not asked again");
}

#[tokio::test]
async fn credentials_go_to_the_host_they_were_meant_for() {
    let elsewhere = Http::start(|_| ok("hello"));
    let there = elsewhere.url("/there");
    let here = Http::start(move |asked| match asked.path.as_str() {
        "/relative" => redirect(302, "/away"),
        _ => redirect(302, &there),
    });
    let url = here.url("/relative").replace("http://", "http://user:pass@");
    let sources = sources(&[&here.authority(), &elsewhere.authority()]);
    assert_eq!(fetch_with(&sources, &url, None).await.expect("fetched").1, b"hello");
    let sent = |asked: &Asked, name: &str| asked.headers.iter().any(|line| line.starts_with(name));
    assert!(here.asked().iter().all(|asked| sent(asked, "authorization: basic dxnlcjpwyxnz")), "{:?}", here.asked());
    for asked in here.asked().iter().chain(&elsewhere.asked()) {
        assert!(!sent(asked, "referer:") && !sent(asked, "cookie:") && sent(asked, "accept-encoding: identity"));
    }
    assert!(!sent(&elsewhere.asked()[0], "authorization:"), "{:?}", elsewhere.asked());
}

#[tokio::test]
async fn nothing_is_unpacked() {
    let packed = fetch(|_| answer("200 OK", &["content-encoding: gzip", "content-length: 5"], "hello")).await;
    rejected_as(Code::SourceInvalid, packed);
    // What S3 keeps of an upload in chunks, and what other servers write where there is nothing to say.
    for harmless in ["content-encoding: aws-chunked", "content-encoding: none", "content-encoding:"] {
        let fetched = fetch(move |_| answer("200 OK", &[harmless, "content-length: 5"], "hello")).await;
        assert_eq!(fetched.expect(harmless).1, b"hello");
    }
}

#[tokio::test]
async fn no_error_repeats_the_url() {
    let scripts: [fn(&Asked) -> Vec<Step>; 6] = [
        |_| Vec::new(),
        |_| vec![Step::Stall],
        |_| answer("404 Not Found", &[], ""),
        |_| answer("200 OK", &["content-length: 9"], "short"),
        |_| redirect(302, "/again?signature=s3cr3t"),
        |_| redirect(302, "http://10.0.0.1/?signature=s3cr3t"),
    ];
    for script in scripts {
        let err = fetch(script).await.expect_err("no file");
        assert!(!format!("{err} {err:?}").contains("s3cr3t"), "{err:?}");
    }
}
