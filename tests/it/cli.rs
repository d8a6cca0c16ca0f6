//! The command line as a person meets it: help, configuration, profiles.

use crate::support::cmd::Dir;

#[test]
fn help_names_the_exit_codes() {
    let run = Dir::new().run(["--help"]).exits(0);
    assert!(run.stdout.contains("3 some files rejected"), "{}", run.stdout);
}

#[test]
fn wrong_usage_exits_with_2() {
    let dir = Dir::new();
    dir.run(["no-such-command"]).exits(2);
    dir.run(["profiles", "--set", "limits.wall_s"]).exits(2);
    let run = dir.run(["profiles", "--set", "limits.wall=1", "--set", "sandbox.mode=none"]).exits(2);
    assert!(run.stderr.contains("--set limits.wall: no such key"), "{}", run.stderr);
    assert!(run.stderr.contains("--set sandbox.mode: sandbox.mode: unknown variant"), "{}", run.stderr);
}

#[test]
fn profiles_lists_the_built_in_ones_and_those_of_the_directory() {
    let dir = Dir::new();
    let crm = std::fs::read_to_string(crate::support::cmd::repo_file("src/config/profiles/crm.toml")).expect("crm");
    dir.write("p/mine.toml", crm.replace("name = \"crm\"", "name = \"mine\""));
    let run = dir.run(["profiles", "--set", "worker.profiles_dir=p", "--set", "worker.profile=mine"]).exits(0);
    let marked: Vec<_> = run.stdout.lines().filter(|line| line.starts_with('*')).collect();
    assert_eq!(marked.len(), 1, "{}", run.stdout);
    assert!(marked[0].contains("mine"), "{}", run.stdout);
    let listed = dir.run(["profiles", "--format", "json"]).exits(0).json_lines();
    let names: Vec<_> = listed.iter().map(|profile| profile["profile"]["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["archive", "crm", "video-480p", "voice"]);
}

#[test]
fn a_file_and_the_environment_configure_it() {
    let dir = Dir::new();
    dir.write("mediamill.toml", "[worker]\nprofile = \"voice\"\n");
    let marked = |run: &crate::support::cmd::Run| {
        run.stdout.lines().find(|line| line.starts_with('*')).map(|line| line[2..].split(' ').next().map(str::to_owned))
    };
    let run = dir.run(["profiles", "--config", "mediamill.toml"]).exits(0);
    assert_eq!(marked(&run), Some(Some("voice".to_owned())));
    let mut command = dir.command();
    command.args(["profiles", "--config", "mediamill.toml"]).env("MEDIAMILL_WORKER_PROFILE", "archive");
    let run = crate::support::cmd::Run::of(&mut command).exits(0);
    assert_eq!(marked(&run), Some(Some("archive".to_owned())));
    let mut command = dir.command();
    command.arg("profiles").env("MEDIAMILL_WORKER_PROFIL", "archive");
    let run = crate::support::cmd::Run::of(&mut command).exits(2);
    assert!(run.stderr.contains("MEDIAMILL_WORKER_PROFIL: no such key"), "{}", run.stderr);
}

#[test]
fn an_account_with_a_profile_that_does_not_exist_is_refused() {
    let account = ["--set", "channels.a.provider=twilio", "--set", "channels.a.tenant=acme", "--set"];
    let dir = Dir::new();
    dir.run([&["profiles"], &account[..], &["channels.a.profile=voice"]].concat()).exits(0);
    let run = dir.run([&["profiles"], &account[..], &["channels.a.profile=vioce"]].concat()).exits(2);
    assert!(run.stderr.contains("channels.a.profile: there is no profile \"vioce\""), "{}", run.stderr);
}

#[test]
fn schema_prints_each_document() {
    let dir = Dir::new();
    for (name, event_type) in [
        ("received", "mediamill.media.received.v1"),
        ("normalized", "mediamill.media.normalized.v1"),
        ("rejected", "mediamill.media.rejected.v1"),
        ("failed", "mediamill.media.failed.v1"),
    ] {
        let run = dir.run(["schema", name]).exits(0);
        let schema: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(schema["properties"]["type"]["const"], event_type);
    }
    let run = dir.run(["schema"]).exits(0);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document["asyncapi"], "3.0.0");
}
