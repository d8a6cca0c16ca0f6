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

#[test]
fn accounts_are_tables_with_names_in_every_layer() {
    let (_dir, path) = file(
        "[channels.support-br]\nprovider = \"whatsapp-cloud\"\ntenant = \"acme\"\ntoken = \"from-file\"\n\
         hosts = [\"graph.facebook.com\"]\n[channels.sms]\nprovider = \"twilio\"\ntenant = \"acme\"\n",
    );
    let env = env(&[
        ("MEDIAMILL_CHANNELS__SUPPORT_BR__TOKEN", "from-env"),
        ("MEDIAMILL_CHANNELS__SUPPORT_BR__HOSTS", "graph.facebook.com, *.fbcdn.net"),
        ("MEDIAMILL_CHANNELS__NEW__TENANT", "beta"),
    ]);
    let flags = flags(&[("channels.new.provider", "360dialog"), ("channels.sms.media_id_lifetime_s", "7")]);
    let config = load(Some(&path), env, &flags).expect("valid");
    let names: Vec<&str> = config.channels.keys().map(String::as_str).collect();
    assert_eq!(names, ["new", "sms", "support-br"]);
    let support = &config.channels["support-br"];
    assert_eq!((support.provider, &*support.token.expose()), (crate::config::Provider::WhatsappCloud, "from-env"));
    assert_eq!(support.hosts, ["graph.facebook.com", "*.fbcdn.net"]);
    assert_eq!(support.media_id_lifetime_s, 7 * 24 * 3600, "a default");
    assert_eq!((config.channels["sms"].media_id_lifetime_s, &*config.channels["new"].tenant), (7, "beta"));
}

#[test]
fn mistakes_in_accounts_are_reported_like_all_others() {
    let (_dir, path) = file(
        "[channels.a]\nprovider = \"telegram\"\ntenant = 7\ntokn = \"x\"\n[channels.B]\ntenant = \"acme\"\n\
         [channels]\nflat = \"x\"\n[channels.c]\ntenant = \"acme\"\nhosts = [\"https://a/b\"]\nmax_errors = 0\n",
    );
    let env = env(&[("MEDIAMILL_CHANNELS_C_TOKEN", "x"), ("MEDIAMILL_CHANNELS__C__MEDIA_ID_LIFETIME_S", "x")]);
    let text = load(Some(&path), env, &flags(&[("channels.C.token", "x")])).expect_err("wrong").to_string();
    for expected in [
        "mediamill.toml:2: channels.a.provider: unknown variant `telegram`",
        "mediamill.toml:3: channels.a.tenant: is an integer, not a string",
        "mediamill.toml:4: channels.a.tokn: unknown key",
        "mediamill.toml:5: channels.B: a name has a-z and 0-9",
        "mediamill.toml:8: channels.flat: is a table, [channels.flat]",
        "mediamill.toml:9: channels.c.provider: must be whatsapp-cloud",
        "mediamill.toml:11: channels.c.hosts: each entry must be host",
        "mediamill.toml:12: channels.c.max_errors: must be more than 0",
        "MEDIAMILL_CHANNELS_C_TOKEN: no such key",
        "MEDIAMILL_CHANNELS__C__MEDIA_ID_LIFETIME_S: channels.c.media_id_lifetime_s: is not an integer",
        "--set channels.C.token: no such key",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(text.lines().count(), 11, "{text}");
    let text = load(None, [], &flags(&[("channels.x.token", "x")])).expect_err("no provider").to_string();
    assert!(text.contains("--set channels.x.token: channels.x.tenant: must have 1 to"), "{text}");
}

#[test]
fn every_key_that_is_written_as_a_secret_is_read_as_one() {
    fn shown<'v>(value: &'v serde_json::Value, path: &[String]) -> Option<&'v str> {
        path.iter().try_fold(value, |value, key| value.get(key))?.as_str()
    }
    let defaults = Defaults::read().expect("TOML");
    let mut secrets = Vec::new();
    for (section, keys) in defaults.sections() {
        let (path, keys) = match keys.get(crate::config::defaults::TEMPLATE) {
            Some(template) => (vec![section.clone(), "probe".to_owned()], template),
            None => (vec![section.clone()], keys),
        };
        for key in keys.as_table().expect("a section").keys() {
            let path = [path.clone(), vec![key.clone()]].concat();
            let mut values = defaults.values();
            defaults.put(&mut values, &path, Some("env:PROBE".into()));
            let Ok(config) = Config::deserialize(Value::Table(values)) else { continue };
            resolve(&config, &Places::default(), &env(&[("PROBE", "hunter2")]), &mut ConfigErrors::default());
            let json = serde_json::to_value(&config).expect("JSON");
            let listed = config.secrets().iter().any(|(listed, _)| *listed == path.join("."));
            assert_eq!(listed, shown(&json, &path) == Some("***"), "{}: Config::secrets", path.join("."));
            if listed {
                secrets.push(path.join("."));
            }
        }
    }
    assert!(secrets.len() >= 6 && secrets.contains(&"channels.probe.token".to_owned()), "{secrets:?}");
}

#[test]
fn a_secret_that_cannot_be_read_is_a_mistake_at_its_place() {
    let (dir, path) = file(
        "[store]\naccess_key_id = \"env:NOT_SET\"\nsecret_access_key = \"file:relative\"\n\
         [broker]\nurl = \"file:/no/such/file\"\n",
    );
    let text = load(Some(&path), [], &[]).expect_err("wrong").to_string();
    for expected in [
        "mediamill.toml:2: store.access_key_id: the environment variable NOT_SET is not set",
        "mediamill.toml:3: store.secret_access_key: file: needs an absolute path",
        "mediamill.toml:5: broker.url: the file /no/such/file cannot be read: No such file",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    let url = dir.path().join("url");
    std::fs::write(&url, "amqp://u:hunter2@host\n").expect("a file");
    let env = env(&[("MEDIAMILL_BROKER_URL", &format!("file:{}", url.display())), ("ID", "x"), ("KEY", "y")]);
    let flags = flags(&[("store.access_key_id", "env:ID"), ("store.secret_access_key", "env:KEY")]);
    let config = load(None, env, &flags).expect("valid");
    assert_eq!(&*config.broker.url.expose(), "amqp://u:hunter2@host");
    assert_eq!((&*config.store.access_key_id.expose(), &*config.store.secret_access_key.expose()), ("x", "y"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn secrets_are_read_again_where_they_can_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let (toml, url, token) = (dir.path().join("m.toml"), dir.path().join("url"), dir.path().join("token"));
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    let written = |grace: &str| {
        let (url, token) = (url.display(), token.display());
        format!(
            "[broker]\nurl = \"file:{url}\"\n[worker]\ngrace_s = {grace}\n[channels.a]\nprovider = \"twilio\"\n\
             tenant = \"acme\"\ntoken = \"file:{token}\"\napp_secret = \"first\"\n"
        )
    };
    write(&url, "amqp://first");
    write(&token, "first");
    write(&toml, &written("60"));
    let running = load(Some(&toml), [], &[]).expect("valid");
    let copy = running.broker.clone();
    let again = || reload(&running, Some(&toml), [], &[]);

    write(&url, "amqp://second");
    write(&toml, &written("61").replace("\"first\"", "\"second\""));
    std::fs::remove_file(&token).expect("it was there");
    let reloaded = again();
    assert_eq!(reloaded.changed, ["broker.url", "channels.a.app_secret"]);
    assert_eq!(reloaded.kept, ["channels.a.token"]);
    let error = reloaded.config.expect_err("no token").to_string();
    assert!(error.contains("m.toml:8: channels.a.token: the file"), "{error}");
    assert_eq!(&*copy.url.expose(), "amqp://second", "also in copies");
    assert_eq!(&*running.channels["a"].token.expose(), "first");

    // A value that cannot be used is one that cannot be read.
    write(&token, "second");
    write(&url, "https://third");
    let reloaded = again();
    assert_eq!(
        (&*reloaded.changed, &*reloaded.kept),
        (&["channels.a.token".to_owned()][..], &["broker.url".to_owned()][..])
    );
    assert_eq!(&*copy.url.expose(), "amqp://second");

    write(&url, "amqp://fourth");
    write(&toml, "[broker\n");
    let reloaded = again();
    assert!(
        reloaded.changed.is_empty() && reloaded.kept.len() == running.secrets().len() && reloaded.config.is_err(),
        "{reloaded:?}"
    );
    write(&toml, &written("61"));
    let reloaded = again();
    assert_eq!(reloaded.changed, ["broker.url", "channels.a.app_secret"]);
    assert_eq!(running.changed_keys(&reloaded.config.expect("valid")), ["worker.grace_s"]);
}

#[test]
fn both_keys_of_the_store_are_replaced_or_neither() {
    let dir = tempfile::tempdir().expect("a directory");
    let (toml, id, key) = (dir.path().join("m.toml"), dir.path().join("id"), dir.path().join("key"));
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    let references =
        format!("[store]\naccess_key_id = \"file:{}\"\nsecret_access_key = \"file:{}\"\n", id.display(), key.display());
    write(&toml, &references);
    write(&id, "id1");
    write(&key, "key1");
    let running = load(Some(&toml), [], &[]).expect("valid");
    let both = ["store.access_key_id", "store.secret_access_key"];
    let values = || {
        let store = &running.store;
        (store.access_key_id.expose().to_string(), store.secret_access_key.expose().to_string())
    };

    for (path, other, other_text) in [(&key, &id, "id2"), (&id, &key, "key2")] {
        std::fs::remove_file(path).expect("it was there");
        write(other, other_text);
        let reloaded = reload(&running, Some(&toml), [], &[]);
        assert!(reloaded.changed.is_empty() && reloaded.config.is_err(), "{reloaded:?}");
        assert_eq!(reloaded.kept, both);
        assert_eq!(values(), ("id1".to_owned(), "key1".to_owned()));
        write(path, "new");
    }
    for one in ["access_key_id", "secret_access_key"] {
        write(&toml, &format!("[store]\n{one} = \"alone\"\n"));
        let reloaded = reload(&running, Some(&toml), [], &[]);
        assert_eq!(reloaded.kept, both, "{one} alone is no pair");
        assert_eq!(values(), ("id1".to_owned(), "key1".to_owned()));
    }

    write(&toml, &references);
    write(&id, "id3");
    write(&key, "key3");
    assert_eq!(reload(&running, Some(&toml), [], &[]).changed, both);
    assert_eq!(values(), ("id3".to_owned(), "key3".to_owned()));
}

#[test]
fn what_differs_is_named_by_key_and_a_new_account_by_its_name() {
    let with = |flags_: &[(&str, &str)]| load(None, [], &flags(flags_)).expect("valid");
    let account = [("channels.a.provider", "twilio"), ("channels.a.tenant", "acme")];
    let (none, one) = (with(&[]), with(&account));
    assert_eq!(none.changed_keys(&one), ["channels.a"]);
    assert_eq!(one.changed_keys(&none), ["channels.a"]);
    let other = with(&[account[0], ("channels.a.tenant", "beta"), ("store.tags", "a=b")]);
    assert_eq!(one.changed_keys(&other), ["channels.a.tenant", "store.tags"]);
    let secret = with(&[account[0], account[1], ("channels.a.token", "x")]);
    assert_eq!(secret.changed_keys(&with(&[account[0], account[1], ("channels.a.token", "y")])), ["a secret"]);
}
