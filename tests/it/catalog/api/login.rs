//! Logins at a provider that is not ours, and the sessions that they give.

mod world;

use std::time::Duration;

use mediamill::links::Links;
use mediamill::privacy::audit::{Action, entries};
use serde_json::{Value, json};

use super::links::path;
use super::token;
use crate::support::chromium::Chromium;
use crate::support::say::no_service;
use world::{OPENED, PAGE, World, cookie, sealed, set_cookies};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_unknown_logs_in_and_sees_the_page() {
    let Some(world) = World::open(&[("privacy.audit_key", crate::privacy::world::SEED)]).await else { return };
    let unknown = world.desk.ask("GET", PAGE, &OPENED).await;
    assert_eq!(unknown.status, 302, "{}", unknown.head);
    assert_eq!(
        unknown.header("location"),
        Some("https://media.example.test/x/login/staff?to=%2Fm%2Facme%2Fm%2F"),
        "{}",
        unknown.head
    );
    assert_eq!((unknown.header("cache-control"), set_cookies(&unknown).len()), (Some("no-store"), 0));
    let begun = world.desk.ask("GET", &path(unknown.header("location").expect("a place")), &OPENED).await;
    assert_eq!((begun.status, begun.header("cache-control")), (302, Some("no-store")), "{}", begun.head);
    let kept = &set_cookies(&begun)[0];
    assert!(kept.starts_with("__Host-mediamill-login="), "{kept}");
    assert!(kept.ends_with("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"), "{kept}");
    let back = world.provider.visit(begun.header("location").expect("a place"));
    let ended = world.end(&path(&back), &cookie(&begun, "__Host-mediamill-login")).await;
    assert_eq!(ended.status, 303, "{} {}", ended.head, ended.json());
    assert_eq!(ended.header("location"), Some("https://media.example.test/x/m/acme/m/"));
    let sets = set_cookies(&ended);
    let session = sets.iter().find(|set| set.starts_with("__Host-mediamill-session=")).expect("a session");
    assert!(session.ends_with("; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax"), "{session}");
    assert!(sets.iter().any(|set| set.starts_with("__Host-mediamill-login=; Path=/; Max-Age=0;")), "{sets:?}");
    let session = cookie(&ended, "__Host-mediamill-session");
    let page = world.with(&session, PAGE, &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{}", page.head);
    assert!(page.header("vary").is_some_and(|vary| vary.contains("cookie")));
    for (path, status) in [
        ("/m/acme/m/playback.mp3", 200),
        ("/m/acme/m/original.ogg", 200),
        ("/k/acme/c0ffee/", 200),
        ("/v1/media?tenant=acme", 200),
        ("/m/acme/none/", 404),
        // The role is for globex as well, and the login is not.
        ("/m/globex/theirs/", 404),
        ("/v1/media?tenant=globex", 404),
    ] {
        assert_eq!(world.with(&session, path, &OPENED).await.status, status, "{path}");
    }
    let asked = &world.provider.mode("good")["asked"][0];
    assert_eq!((&asked["scope"], &asked["code_challenge_method"]), (&json!("openid"), &json!("S256")), "{asked}");
    let log = entries(&world.desk.store).await.expect("a log");
    let login = log.iter().find(|entry| entry.action == Action::Login).expect("an entry");
    assert_eq!((login.actor.as_str(), login.tenant.as_str()), ("user maria of staff", "acme"));
    assert!(log.iter().any(|entry| entry.action == Action::View && entry.actor == "user maria of staff"), "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_provider_says_for_this_login_counts() {
    let Some(world) = World::open(&[]).await else { return };
    for mode in ["good", "text-role", "es256", "ps256"] {
        world.provider.mode(mode);
        assert_eq!(world.log_in("").await.status, 303, "{mode}");
    }
    for (mode, says) in [
        ("nonce", "for another login"),
        ("no-nonce", "for another login"),
        ("aud", "for another client"),
        ("aud-and-other", "for another client"),
        ("azp", "for another client"),
        ("iss", "of another issuer"),
        ("expired", "has expired"),
        ("none", "not signed by a key"),
        ("none-with-signature", "not signed by a key"),
        ("swapped", "not signed by a key"),
        ("hs256", "not signed by a key"),
        ("hs256-with-public-key", "not signed by a key"),
        ("other-key", "not signed by a key"),
        ("same-kid", "not signed by a key"),
        ("no-sub", "no subject"),
        ("no-id-token", "no ID token"),
        ("no-roles", "none of the roles"),
        ("unknown-roles", "none of the roles"),
        ("code-expired", "does not know the code"),
        ("by-body", "client_id and client_secret"),
        ("deny", "denies the login"),
    ] {
        world.provider.mode(mode);
        let refused = world.log_in("?to=/m/acme/m/").await;
        let message = refused.json()["message"].to_string();
        assert_eq!((refused.status, refused.code().as_str()), (403, "catalog.login-failed"), "{mode}: {message}");
        assert!(message.contains(says), "{mode}: {message}");
        assert_eq!(set_cookies(&refused).len(), 0, "{mode}");
        let text = String::from_utf8_lossy(&refused.body).to_lowercase();
        assert!(!text.contains("maria") && !text.contains("silva"), "{mode}: {text}");
    }
    world.provider.mode("token-500");
    let refused = world.log_in("").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "catalog.login-unavailable"));
    world.provider.mode("good");
    assert_eq!(world.log_in("").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_wants_the_password_in_the_body_has_it_there() {
    let Some(world) = World::open(&[]).await else { return };
    world.provider.mode("by-body");
    assert_eq!(world.log_in("").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_trusted_proxy_says_comes_before_a_session() {
    let Some(world) = World::open(&[("catalog.proxy_networks", "127.0.0.0/8")]).await else { return };
    let session = world.session().await;
    let clerk = [("x-forwarded-user", "ann"), ("x-forwarded-groups", "clerk"), OPENED[0]];
    assert_eq!(world.with(&session, PAGE, &clerk).await.status, 403);
    let twice = [("x-forwarded-user", "ann"), ("x-forwarded-user", "eve"), OPENED[0]];
    assert_eq!(world.with(&session, PAGE, &twice).await.status, 401, "no login mends it");
    let empty = [("x-forwarded-user", ""), OPENED[0]];
    assert_eq!(world.with(&session, PAGE, &empty).await.status, 200);
    assert_eq!(world.desk.ask("GET", PAGE, &empty).await.status, 302);
    assert_eq!(world.with(&session, PAGE, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_new_is_asked_for() {
    let Some(world) = World::open(&[]).await else { return };
    assert_eq!(world.log_in("").await.status, 303);
    world.provider.mode("replaced");
    // Every 10 s at most.
    assert_eq!(world.log_in("").await.status, 403);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(world.log_in("").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_was_not_begun_here_leads_nowhere() {
    let Some(world) = World::open(&[]).await else { return };
    let (back, cookie) = world.begin("").await;
    let (other_back, other_cookie) = world.begin("").await;
    let session = world.session().await;
    let with_state = |state: &str| {
        let (head, rest) = back.split_once("state=").expect("a state");
        format!("{head}state={state}{}", rest.find('&').map_or("", |at| &rest[at..]))
    };
    let wrong = [
        (back.clone(), other_cookie.clone()),
        (other_back.clone(), cookie.clone()),
        (back.clone(), String::new()),
        (back.clone(), "__Host-mediamill-login=x.y.z".to_owned()),
        (back.clone(), format!("{cookie}; {cookie}")),
        (back.clone(), session.replace("session", "login")),
        (with_state("guessed"), cookie.clone()),
        (with_state(""), cookie.clone()),
        (format!("{}&state=x", back.replace("state=", "was=")), cookie.clone()),
        (format!("{back}&state=x"), cookie.clone()),
        ("/login/staff/callback".to_owned(), cookie.clone()),
        ("/login/staff/callback?error=access_denied".to_owned(), cookie.clone()),
    ];
    for (n, (back, cookie)) in wrong.iter().enumerate() {
        let refused = world.end(back, cookie).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "catalog.login-failed"), "case {n}");
        assert!(refused.json()["message"].to_string().contains("was not begun in this browser"), "case {n}");
    }
    let evil = world.end(&format!("{back}&iss=https%3A%2F%2Fevil.example"), &cookie).await;
    assert!(evil.status == 403 && evil.json()["message"].to_string().contains("another issuer"), "{}", evil.json());
    assert_eq!(world.end(&back.replace("staff", "nobody"), &cookie).await.status, 404);
    assert_eq!(world.end(&back, &cookie).await.status, 303, "is the test blind?");
    assert_eq!(world.end(&back, &cookie).await.status, 403, "a code is good once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_leads_to_no_other_server() {
    let Some(world) = World::open(&[]).await else { return };
    let own = "https://media.example.test/x";
    for (to, expected) in [
        ("/m/acme/m/", "/m/acme/m/"),
        ("%2Fk%2Facme%2Fc0ffee%2F", "/k/acme/c0ffee/"),
        ("//evil.example", "/logout"),
        ("//evil.example/m/acme/m/", "/logout"),
        ("https://evil.example", "/logout"),
        ("/%5C%5Cevil.example", "/logout"),
        ("/%09/evil.example", "/logout"),
        (".evil.example/m/acme/m/", "/logout"),
        ("@evil.example/m/acme/m/", "/logout"),
        ("javascript:alert(1)", "/logout"),
        ("/m/acme/m/%0d%0aset-cookie:a=b", "/logout"),
        ("/unknown", "/logout"),
        ("/login/staff", "/logout"),
        ("/m/acme/m/&to=/m/acme/old/", "/logout"),
    ] {
        let ended = world.log_in(&format!("?to={to}")).await;
        assert_eq!((ended.status, ended.header("location")), (303, Some(&*format!("{own}{expected}"))), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_made_up_changed_or_is_over_is_none() {
    let Some(world) = World::open(&[]).await else { return };
    let session = world.session().await;
    let now = jiff::Timestamp::now().as_second();
    let issuer = world.provider.issuer();
    let good =
        json!({ "sub": "maria", "login": "staff", "iss": issuer, "roles": ["lead"], "iat": now - 5, "exp": now + 60 });
    let of = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        sealed("mediamill session 1", &claims)
    };
    assert_eq!(world.with(&of("sub", json!("eve")), PAGE, &[]).await.status, 200, "is the test blind?");
    let changed = session.replacen("eyJ", "eyK", 1);
    for (n, wrong) in [
        of("exp", json!(now - 1)),
        of("iat", json!(now - 30_000)),
        of("iat", Value::Null),
        of("login", json!("gone")),
        of("iss", json!("https://another.example")),
        sealed("mediamill login 1", &good),
        sealed("", &good),
        session.trim_end_matches(|c| c != '.').to_owned(),
        changed,
        format!("{session}; {session}"),
        format!("__Host-mediamill-session={}", token(&json!({ "roles": ["lead"], "login": "staff" }))),
        session.replace("__Host-", ""),
    ]
    .iter()
    .enumerate()
    {
        let answer = world.with(wrong, PAGE, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "catalog.unauthorized"), "case {n}");
        assert_eq!(world.with(wrong, PAGE, &OPENED).await.status, 302, "case {n}: to the login again");
    }
    // A token that is wrong is not mended by a session.
    let both = [("authorization", "Bearer x.y.z"), OPENED[0]];
    assert_eq!(world.with(&session, PAGE, &both).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_does_not_count_for_pages_of_others() {
    let Some(world) = World::open(&[]).await else { return };
    let session = world.session().await;
    for dest in ["iframe", "frame", "embed", "object"] {
        let framed = [OPENED[0], ("sec-fetch-dest", dest), OPENED[2], ("sec-fetch-site", "cross-site")];
        assert_eq!(world.with(&session, PAGE, &framed).await.status, 401, "{dest}");
    }
    for site in ["cross-site", "same-site"] {
        let fetched = [("sec-fetch-dest", "audio"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-site", site)];
        assert_eq!(world.with(&session, "/m/acme/m/playback.mp3", &fetched).await.status, 401, "{site}");
        let led = [OPENED[0], OPENED[1], OPENED[2], ("sec-fetch-site", site)];
        assert_eq!(world.with(&session, PAGE, &led).await.status, 200, "{site}: a link");
    }
    // In a frame a capability link goes on, whatever cookie there is.
    let links = Links::new(&world.desk.config.links).expect("configured");
    let link = path(links.media("acme", "m", "crm", jiff::Timestamp::now()).page());
    let framed = [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")];
    assert_eq!(world.with(&session, &link, &framed).await.status, 200);
    let body = json!({ "link": format!("https://media.example.test/x{link}") }).to_string();
    let post = async |headers: &str| {
        let head =
            format!("POST /v1/revocations HTTP/1.1\r\nhost: c\r\nconnection: close\r\ncookie: {session}\r\n{headers}");
        world.desk.raw(&format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await
    };
    for (headers, status) in [
        ("", 403),
        ("sec-fetch-site: none\r\n", 403),
        ("sec-fetch-site: cross-site\r\n", 403),
        ("sec-fetch-site: same-site\r\n", 403),
        ("origin: https://evil.example\r\n", 403),
        ("origin: null\r\n", 403),
        // The name by which it is asked, without TLS.
        ("origin: http://c\r\n", 403),
        ("origin: https://evil.example\r\nsec-fetch-site: same-origin\r\n", 403),
        ("origin: https://media.example.test\r\nsec-fetch-site: cross-site\r\n", 403),
        ("origin: https://media.example.test\r\n", 200),
        ("sec-fetch-site: same-origin\r\n", 200),
    ] {
        let answer = post(headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.json());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_person_who_opens_a_page_of_a_tenant_with_a_login_is_led_there() {
    let Some(world) = World::open(&[]).await else { return };
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| world.desk.ask(method, path, headers).await;
    // Whether it is there cannot be told.
    let (there, gone) = (ask("GET", PAGE, &OPENED).await, ask("GET", "/m/acme/none/", &OPENED).await);
    assert_eq!((there.status, gone.status), (302, 302));
    assert_eq!(ask("GET", "/k/acme/c0ffee/?q=word", &OPENED).await.status, 302);
    assert_eq!(ask("GET", PAGE, &OPENED[..1]).await.status, 302, "a browser that says no more");
    let framed = [OPENED[0], ("sec-fetch-dest", "iframe"), OPENED[2], OPENED[3]];
    for (method, path, headers) in [
        ("GET", PAGE, &[][..]),
        ("GET", PAGE, &[("accept", "application/json")]),
        ("GET", PAGE, &[("accept", "*/*")]),
        ("GET", PAGE, &framed),
        ("GET", PAGE, &[("authorization", "Bearer x"), OPENED[0]]),
        ("HEAD", PAGE, &OPENED),
        ("GET", "/m/globex/theirs/", &OPENED),
        ("GET", "/m/acme/m/playback.mp3", &OPENED),
        ("GET", "/v1/media?tenant=acme", &OPENED),
    ] {
        assert_eq!(ask(method, path, headers).await.status, 401, "{method} {path} {headers:?}");
    }
    assert_eq!(ask("GET", "/c/crm.0.x/m/acme/m/", &OPENED).await.status, 404);
    assert_eq!(ask("GET", "/login/nobody", &OPENED).await.status, 404);
    assert_eq!(ask("POST", "/login/staff", &OPENED).await.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_takes_a_button() {
    let Some(world) = World::open(&[]).await else { return };
    let session = world.session().await;
    let page = world.with(&session, "/logout", &OPENED).await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.status == 200 && text.contains("<form method=\"post\" action=\"logout\">"), "{text}");
    assert!(!text.contains("maria") && set_cookies(&page).is_empty(), "{}", page.head);
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors 'none'")));
    let nobody = world.desk.ask("GET", "/logout", &OPENED).await;
    assert!(!String::from_utf8_lossy(&nobody.body).contains("<form"));
    let foreign = [("cookie", session.as_str()), ("origin", "https://evil.example")];
    let refused = world.desk.ask("POST", "/logout", &foreign).await;
    assert!(refused.status == 403 && set_cookies(&refused).is_empty(), "{}", refused.head);
    let own =
        [("cookie", session.as_str()), ("origin", "https://media.example.test"), ("sec-fetch-site", "same-origin")];
    let ended = world.desk.ask("POST", "/logout", &own).await;
    assert_eq!(ended.status, 200);
    assert!(set_cookies(&ended).iter().any(|set| set.starts_with("__Host-mediamill-session=; Path=/; Max-Age=0;")));
    assert_eq!(world.desk.ask("DELETE", "/logout", &[]).await.header("allow"), Some("GET, HEAD, POST"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_nobody_logs_in_and_tokens_go_on() {
    let Some(world) = World::open(&[]).await else { return };
    world.provider.mode("wrong-issuer");
    let refused = world.desk.ask("GET", "/login/staff", &OPENED).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "catalog.login-unavailable"));
    assert!(refused.header("retry-after").is_some());
    let World { desk, provider } = world;
    drop(provider);
    let refused = desk.ask("GET", "/login/staff", &OPENED).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "catalog.login-unavailable"));
    assert_eq!(desk.get(&["agent"], PAGE).await.status, 200);
}

/// What a page is, what scripts know of cookies, and how it was answered.
const LOOK: &str = "({ path: location.pathname, player: !!document.querySelector('.play'), cookies: document.cookie, \
    title: document.title, status: performance.getEntriesByType('navigation')[0].responseStatus })";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_browser_logs_in_and_out() {
    let Some(mut browser) = Chromium::start() else {
        return no_service("Chromium is not installed (Debian: chromium)");
    };
    let Some(world) = World::open(&[("links.public_url", "http://OWN-ADDRESS")]).await else { return };
    let own = format!("http://{}", world.desk.address);
    world.provider.comes_back_to(&format!("{own}/login/staff/callback"));
    let mut look = async |path: &str, act: &str| {
        let page = browser.visit(&format!("{own}{path}"), 800);
        browser.ask(&page, act);
        // What was clicked leads somewhere.
        tokio::time::sleep(Duration::from_millis(if act.is_empty() { 0 } else { 3000 })).await;
        browser.ask(&page, LOOK)
    };
    assert_eq!(look("/v1/media?tenant=acme", "").await["status"], 401);
    let page = look(PAGE, "").await;
    let expected = json!({ "path": PAGE, "player": true, "cookies": "", "title": page["title"], "status": 200 });
    assert_eq!(page, expected);
    assert_eq!(look("/v1/media?tenant=acme", "").await["status"], 200);
    assert_eq!(look("/logout", "").await["title"], "You are logged in");
    let ended = look("/logout", "document.querySelector('button').click()").await;
    assert_eq!((&ended["title"], &ended["status"]), (&json!("You are not logged in"), &json!(200)), "{ended}");
    assert_eq!(look("/v1/media?tenant=acme", "").await["status"], 401);
}
