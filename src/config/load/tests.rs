use super::*;

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mediamill.toml");
    std::fs::write(&path, text).expect("a file");
    (dir, path)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_defaults_are_a_valid_configuration() {
    let config = load(None, env(&[("PATH", "/bin")]), &[]).expect("valid");
    assert_eq!(config.limits.wall_s, 600);
    assert_eq!(config.broker.retry_delays_s, [10, 60, 600]);
}

#[test]
fn later_layers_win() {
    let (_dir, path) = file("[limits]\nwall_s = 10\ncpu_s = 11\nstreams = 12\n");
    let env = env(&[("MEDIAMILL_LIMITS_CPU_S", "21"), ("MEDIAMILL_LIMITS_STREAMS", "22")]);
    let config = load(Some(&path), env, &flags(&[("limits.streams", "32")])).expect("valid");
    assert_eq!((config.limits.wall_s, config.limits.cpu_s, config.limits.streams), (10, 21, 32));
}

#[test]
fn the_environment_is_typed_by_the_default() {
    let config = load(
        None,
        env(&[
            ("MEDIAMILL_BROKER_RETRY_DELAYS_S", "1, 2,3"),
            ("MEDIAMILL_SOURCE_HTTP_ALLOW_HOSTS", "[\"a.example\", \"b.example:81\"]"),
            ("MEDIAMILL_SOURCE_FILE_ROOTS", "/a,/b c"),
            ("MEDIAMILL_STORE_PATH_STYLE", "true"),
            ("MEDIAMILL_STORE_TAGS", "team=crm, cost=a=b"),
            ("MEDIAMILL_SANDBOX_MODE", "best-effort"),
        ]),
        &[],
    )
    .expect("valid");
    assert_eq!(config.broker.retry_delays_s, [1, 2, 3]);
    assert_eq!(config.source.http_allow_hosts, ["a.example", "b.example:81"]);
    assert_eq!(config.source.file_roots.len(), 2);
    assert!(config.store.path_style);
    assert_eq!(config.store.tags["cost"], "a=b");
    assert_eq!(config.sandbox.mode, crate::config::SandboxMode::BestEffort);
}

#[test]
fn all_mistakes_are_reported_at_once_each_with_its_place() {
    let (_dir, path) =
        file("[limits]\nwall_s = \"long\"\nwidth = 3\n\n[brokr]\nurl = \"x\"\n[sandbox]\nmode = \"of\"\n");
    let env = env(&[("MEDIAMILL_LIMIT_WALL_S", "1"), ("MEDIAMILL_LIMITS_CPU_S", "-1")]);
    let text = load(Some(&path), env, &flags(&[("x", "y")])).expect_err("wrong").to_string();
    for expected in [
        "mediamill.toml:2: limits.wall_s: is a string, not an integer",
        "mediamill.toml:3: limits.width: unknown key",
        "mediamill.toml:5: brokr: unknown section",
        "mediamill.toml:8: sandbox.mode: unknown variant",
        "MEDIAMILL_LIMIT_WALL_S: no such key",
        "MEDIAMILL_LIMITS_CPU_S: limits.cpu_s:",
        "--set x: no such key",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn secrets_are_never_shown() {
    let env = env(&[
        ("MEDIAMILL_BROKER_URL", "http://u:hunter2@host"),
        ("MEDIAMILL_STORE_SECRET_ACCESS_KEY", "hunter2"),
        ("MEDIAMILL_LIMITS_WALL_S", "0"),
    ]);
    let error = load(None, env, &[]).expect_err("not an AMQP URL");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let (_dir, path) = file("[broker]\nurl = \"amqp://u:hunter2@h\n");
    let error = load(Some(&path), [], &[]).expect_err("no closing quote");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.to_string().contains("mediamill.toml:2: "), "{error}");
    let config = load(None, [], &flags(&[("store.access_key_id", "a"), ("store.secret_access_key", "hunter2")]));
    let config = config.expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&config).expect("JSON").contains("hunter2"));
}

#[test]
fn a_syntax_error_and_a_missing_file_name_their_place() {
    let (_dir, path) = file("[limits]\nwall_s = = 3\n");
    let text = load(Some(&path), [], &[]).expect_err("wrong").to_string();
    assert!(text.contains("mediamill.toml:2: "), "{text}");
    let text = load(Some(Path::new("missing.toml")), [], &[]).expect_err("wrong").to_string();
    assert!(text.contains("missing.toml: cannot be read"), "{text}");
}
