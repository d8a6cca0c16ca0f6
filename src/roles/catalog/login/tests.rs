use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn logins(more: &[(&str, &str)]) -> Logins {
    let first = [
        ("login.staff.tenants", "acme,globex"),
        ("login.staff.issuer", "https://login.example"),
        ("login.staff.client_id", "mediamill"),
        ("login.staff.client_secret", "hunter2"),
        ("catalog.session_key", KEY),
        ("links.public_url", "https://media.example"),
    ];
    let flags: Vec<_> = first.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Logins::new(&config::load(None, [], &flags).expect("a configuration"))
}

fn cookie(logins: &Logins) -> String {
    let tenants = Vec::new();
    let session =
        Session { subject: "maria".to_owned(), login: "staff".to_owned(), roles: vec!["agent".to_owned()], tenants };
    let cookie = logins.cookie_of(&session, &logins.logins["staff"]).expect("a cookie").header();
    cookie.split(['=', ';']).nth(1).expect("a value").to_owned()
}

#[test]
fn a_session_is_good_for_its_login_as_it_was() {
    let ours = logins(&[]);
    let cookie = cookie(&ours);
    let session = ours.session(&cookie).expect("a session");
    assert_eq!((session.subject.as_str(), session.login.as_str()), ("maria", "staff"));
    assert_eq!(
        (session.roles, session.tenants),
        (vec!["agent".to_owned()], vec!["acme".to_owned(), "globex".to_owned()])
    );
    assert_eq!(ours.session("x.y.z"), None);
    let moved = logins(&[("login.staff.issuer", "https://login.another.example")]);
    assert_eq!(moved.session(&cookie), None, "the login has another provider now");
    let fewer = logins(&[("login.staff.tenants", "globex")]).session(&cookie).expect("a session");
    assert_eq!(fewer.tenants, ["globex"]);
    let mut gone = logins(&[]);
    gone.logins.clear();
    assert_eq!(gone.session(&cookie), None, "the login is gone");
    let other_key = logins(&[("catalog.session_key", "another key that is long enough.")]);
    assert_eq!(other_key.session(&cookie), None);
}

#[test]
fn a_session_ends_when_the_configuration_says_so_now() {
    let ours = logins(&[]);
    let at = |age: i64| {
        let now = Timestamp::now().as_second();
        let claims = json!({ "sub": "maria", "login": "staff", "iss": "https://login.example", "roles": ["agent"], "iat": now - age });
        ours.seal.close(Purpose::Session, claims, 28_800).expect("sealed")
    };
    let shorter = logins(&[("login.staff.session_s", "300")]);
    assert!(shorter.session(&at(200)).is_some());
    assert!(shorter.session(&at(400)).is_none());
    assert!(ours.session(&at(400)).is_some());
    assert!(ours.session(&at(-400)).is_none(), "from the future");
}

#[test]
fn a_tenant_has_the_login_that_names_it() {
    let ours = logins(&[]);
    assert_eq!(ours.of_tenant("globex"), Some("staff"));
    assert_eq!(ours.of_tenant("initech"), None);
}

#[tokio::test]
async fn what_was_not_begun_here_is_refused_before_the_provider_is_asked() {
    let ours = logins(&[]);
    let known = |login: &str| {
        let known = json!({ "login": login, "state": "s1", "nonce": "n", "verifier": "v", "to": null });
        ours.seal.close(Purpose::Login, known, LOGIN_S).expect("sealed")
    };
    let (cookie, of_another) = (known("staff"), known("other"));
    let session = ours.seal.close(Purpose::Session, json!({ "login": "staff", "state": "s1" }), 60).expect("sealed");
    let end = async |cookie: Option<&str>, state: Option<&str>, error: Option<&str>, issuer: Option<&str>| {
        let returned = Returned { cookie, state, code: None, error, issuer };
        ours.end("staff", &returned, |_| true).await.expect("a login").expect_err("refused")
    };
    let not_begun = LoginFailure::NotBegun;
    assert_eq!(end(None, Some("s1"), None, None).await, not_begun);
    assert_eq!(end(Some(&cookie), None, None, None).await, not_begun);
    assert_eq!(end(Some(&cookie), Some(""), None, None).await, not_begun);
    assert_eq!(end(Some(&cookie), Some("s2"), None, None).await, not_begun);
    assert_eq!(end(Some(&of_another), Some("s1"), None, None).await, not_begun);
    assert_eq!(end(Some(&session), Some("s1"), None, None).await, not_begun, "sealed for another purpose");
    assert_eq!(end(Some(&cookie), Some("s1"), Some("access_denied"), None).await, LoginFailure::Denied);
    let failures = [
        end(Some(&cookie), Some("s1"), Some("invalid_scope"), None).await,
        end(Some(&cookie), Some("s1"), None, None).await,
        end(Some(&cookie), Some("s1"), None, Some("https://evil.example")).await,
    ];
    assert!(failures.iter().all(|failure| matches!(failure, LoginFailure::NotGenuine(_))), "{failures:?}");
    assert!(
        ours.end("nobody", &Returned { cookie: None, state: None, code: None, error: None, issuer: None }, |_| true)
            .await
            .is_none()
    );
}

#[test]
fn roles_that_no_browser_would_keep_are_too_many() {
    let ours = logins(&[]);
    let of = |roles: usize| {
        let roles = (0..roles).map(|n| format!("{n:063}")).collect();
        let session = Session { subject: "maria".to_owned(), login: "staff".to_owned(), roles, tenants: Vec::new() };
        ours.cookie_of(&session, &ours.logins["staff"])
    };
    assert!(of(40).is_ok_and(|cookie| cookie.size() > 3000));
    assert_eq!(of(50), Err(LoginFailure::TooManyRoles));
}
