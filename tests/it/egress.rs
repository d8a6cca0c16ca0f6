//! Requests to servers that other people chose: where credentials go, which redirects are followed, what is too much.

use std::time::{Duration, SystemTime};

use mediamill::egress::{Anybody, Credential, Egress, EgressError, Hosts, Method, Options, Redirects, Request, Rules};
use mediamill::secrets::Secret;

use crate::support::http::{Asked, Http, Step, answer, ok, redirect};

fn egress(rules: Rules) -> Egress {
    let second = Duration::from_secs(1);
    Egress::new(Options { rules, connect_timeout: second, read_timeout: second, user_agent: String::new() })
}

/// A client that follows redirects to these hosts over plain HTTP.
fn following(servers: &[&Http]) -> Egress {
    let hosts: Vec<String> = servers.iter().map(|server| server.authority()).collect();
    egress(Rules::strict().with_plain(true).with_redirects(Redirects::Follow(5)).with_hosts(&hosts, "a.key"))
}

fn bearer(servers: &[&Http]) -> Credential {
    let hosts: Vec<String> = servers.iter().map(|server| format!("http://{}", server.authority())).collect();
    Credential::bearer(Secret::from("hunter2".to_owned()), Hosts::new(&hosts).expect("hosts"))
}

fn sent(asked: &Asked, header: &str) -> bool {
    asked.headers.iter().any(|line| line == header)
}

const TOKEN: &str = "authorization: bearer hunter2";

#[tokio::test]
async fn a_credential_stays_with_its_hosts_and_does_not_come_back() {
    let cdn = Http::start(|_| ok("file"));
    let to = cdn.url("/signed");
    let api = Http::start(move |asked| match asked.path.as_str() {
        "/media" => redirect(302, "/media/1"),
        _ => redirect(307, &to),
    });
    let egress = following(&[&api, &cdn]);
    let request = Request::get(api.url("/media")).credential(bearer(&[&api])).header("x-app", "1").expect("a header");
    let response = egress.open(&request, &Anybody).await.expect("an answer");
    assert!(!response.had_credential());
    assert_eq!(response.whole(100).await.expect("a body").body, "file");
    assert_eq!(api.asked().len(), 2);
    assert!(api.asked().iter().all(|asked| sent(asked, TOKEN) && sent(asked, "x-app: 1")), "{:?}", api.asked());
    let foreign = cdn.asked();
    assert!(
        foreign[0].headers.iter().all(|line| !line.contains("hunter2") && !line.starts_with("x-app")),
        "{foreign:?}"
    );

    // Out and back: the way back was chosen by somebody else.
    let back = api.url("/final");
    let elsewhere = Http::start(move |_| redirect(302, &back));
    let away = elsewhere.url("/");
    let home = Http::start(move |_| redirect(302, &away));
    let egress = following(&[&home, &elsewhere, &api, &cdn]);
    let request = Request::get(home.url("/")).credential(bearer(&[&home, &api]));
    egress.open(&request, &Anybody).await.expect("an answer");
    let last = api.asked().pop().expect("asked");
    assert!(last.path == "/final" && !sent(&last, TOKEN), "{last:?}");
}

#[tokio::test]
async fn a_credential_goes_on_to_another_host_of_its_own() {
    let files = Http::start(|_| ok("file"));
    let to = files.url("/1");
    let api = Http::start(move |_| redirect(302, &to));
    let request = Request::get(api.url("/")).credential(bearer(&[&api, &files]));
    let response = following(&[&api, &files]).open(&request, &Anybody).await.expect("an answer");
    assert!(response.had_credential() && sent(&files.asked()[0], TOKEN));
}

#[tokio::test]
async fn a_request_that_begins_outside_of_its_hosts_is_not_sent() {
    let (api, evil) = (Http::start(|_| ok("")), Http::start(|_| ok("")));
    let egress = following(&[&api, &evil]);
    let with_user = api.url("/").replace("http://", "http://user:pass@");
    let other_port = format!("http://127.0.0.1:1/{}", api.authority());
    for url in [evil.url("/"), with_user, other_port, evil.url(&format!("/@{}", api.authority()))] {
        let error = egress.call(&Request::get(&*url).credential(bearer(&[&api])), 10).await.expect_err(&url);
        assert!(matches!(&error, EgressError::Denied(text) if !text.contains("hunter2")), "{url}: {error:?}");
    }
    assert!(evil.asked().is_empty() && api.asked().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn the_value_is_the_one_that_the_secret_has_now() {
    let api = Http::start(|_| ok(""));
    let token = Secret::from("first".to_owned());
    let hosts = Hosts::new(&[format!("http://{}", api.authority())]).expect("hosts");
    let (egress, credential) = (following(&[&api]), Credential::bearer(token.clone(), hosts));
    for value in ["first", "second"] {
        Secret::adopt_all(&[(&token, &Secret::from(value.to_owned()))]);
        egress.call(&Request::get(api.url("/")).credential(credential.clone()), 10).await.expect("an answer");
        let asked = api.asked().pop().expect("asked");
        assert!(sent(&asked, &format!("authorization: bearer {value}")), "{asked:?}");
    }
}

#[tokio::test]
async fn methods_headers_and_bodies_arrive_and_any_status_is_an_answer() {
    let api = Http::start(|asked| match asked.method.as_str() {
        "POST" => answer("201 Created", &["content-length: 2", "x-id: 7"], "{}"),
        "DELETE" => answer("204 No Content", &[], ""),
        "PUT" => answer("429 Slow", &["retry-after: 7", "content-length: 0"], ""),
        _ => redirect(307, "/elsewhere"),
    });
    let egress = following(&[&api]);
    let request = |method| Request::new(method, api.url("/x?y=z")).body("{\"a\":1}");
    let json = request(Method::Post).header("content-type", "application/json").expect("a header");
    let created = egress.call(&json, 10).await.expect("an answer");
    assert!(
        created.is_success() && created.status == 201 && created.body == "{}" && created.header("x-id") == Some("7")
    );
    let asked = api.asked().pop().expect("asked");
    assert_eq!((&*asked.path, &*asked.body), ("/x?y=z", &b"{\"a\":1}"[..]));
    assert!(sent(&asked, "content-type: application/json") && sent(&asked, "accept-encoding: identity"), "{asked:?}");
    let agent = concat!("user-agent: mediamill/", env!("CARGO_PKG_VERSION"));
    assert!(sent(&asked, agent), "{asked:?}");
    let throttled = egress.call(&request(Method::Put), 10).await.expect("an answer");
    assert_eq!(throttled.retry_after(SystemTime::now()), Some(Duration::from_secs(7)));
    assert_eq!(egress.call(&request(Method::Delete), 10).await.expect("an answer").status, 204);
    // What changes something is not sent on to where an answer says.
    assert_eq!(egress.call(&request(Method::Patch), 10).await.expect("an answer").status, 307);
    assert_eq!(api.asked().len(), 4);
    assert!(request(Method::Get).header("a b", "c").is_err() && request(Method::Get).header("a", "b\r\nc: d").is_err());
}

#[tokio::test]
async fn strict_rules_follow_nothing_and_send_nothing_in_the_clear() {
    let api = Http::start(|_| redirect(302, "https://8.8.8.8/"));
    let plain = egress(Rules::strict()).call(&Request::post(api.url("/"), "x"), 10).await;
    assert!(matches!(plain, Err(EgressError::Denied(_))), "{plain:?}");
    assert!(api.asked().is_empty());
    let rules = Rules::strict().with_plain(true).with_hosts(&[api.authority()], "a.key");
    let returned = egress(rules).call(&Request::get(api.url("/")), 10).await.expect("an answer");
    assert_eq!((returned.status, returned.header("location")), (302, Some("https://8.8.8.8/")));
    let error = egress(Rules::strict()).call(&Request::get("https://localhost/"), 10).await.expect_err("loopback");
    assert!(matches!(&error, EgressError::Denied(text) if text == "localhost has no public address"), "{error:?}");
}

#[tokio::test]
async fn a_body_has_a_size_and_a_call_has_an_end() {
    let long = |_: &Asked| [answer("200 OK", &[], ""), vec![Step::Forever(vec![b'x'; 1000])]].concat();
    let endless = Http::start(long);
    let announced = Http::start(|_| ok("0123456789"));
    let packed = Http::start(|_| answer("200 OK", &["content-encoding: gzip", "content-length: 1"], "x"));
    let drips = Http::start(|_| {
        let body = Step::Drip(vec![b'x'; 100], Duration::from_millis(100));
        [answer("200 OK", &["content-length: 100"], ""), vec![body]].concat()
    });
    let silent = Http::start(|_| vec![Step::Stall]);
    let egress = following(&[&endless, &announced, &packed, &drips, &silent]);
    let call = async |server: &Http, limit| {
        egress.call(&Request::get(server.url("/?t=hunter2")).timeout(Duration::from_millis(1500)), limit).await
    };
    assert!(matches!(call(&endless, 10_000).await, Err(EgressError::TooLarge { limit_bytes: 10_000, .. })));
    assert!(matches!(call(&announced, 9).await, Err(EgressError::TooLarge { .. })));
    assert_eq!(call(&announced, 10).await.expect("it fits").body.len(), 10);
    assert!(matches!(call(&packed, 10).await, Err(EgressError::Invalid(_))));
    for slow in [&drips, &silent] {
        let error = call(slow, 1000).await.expect_err("too slow");
        assert!(matches!(&error, EgressError::Timeout(text) if !text.contains("hunter2")), "{error:?}");
    }
}
