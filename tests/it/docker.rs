//! What is below `docker/` against the program: names of metrics and labels, keys of the configuration, alerts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mediamill::config::{DEFAULT_TOML, env_name};
use mediamill::roles::worker::{Described, METRICS};
use serde_json::Value;

use crate::support::cmd::repo_file;

const DASHBOARD: &str = "grafana/dashboards/mediamill.json";
const RULES: &str = "prometheus/rules.yml";

fn read(name: &str) -> String {
    std::fs::read_to_string(repo_file("docker").join(name)).expect(name)
}

/// Every file below `docker/`, with its text.
fn all() -> Vec<(PathBuf, String)> {
    let mut folders = vec![repo_file("docker")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("text");
                files.push((path, text));
            }
        }
    }
    files
}

/// Words of a text that begin so, each with what stands behind it.
fn words<'a>(text: &'a str, prefix: &str) -> Vec<(&'a str, &'a str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = |at: usize| !text[..at].chars().next_back().is_some_and(is_part);
    let starts = text.match_indices(prefix).map(|(at, _)| at).filter(|at| begins(*at));
    starts.map(|at| text[at..].split_at(text[at..].find(|c| !is_part(c)).unwrap_or(text.len() - at))).collect()
}

/// The metrics of all roles.
fn metrics() -> impl Iterator<Item = &'static Described> {
    METRICS.iter().chain(mediamill::roles::gateway::METRICS.iter()).chain(mediamill::roles::deliver::METRICS.iter())
}

/// The metric that a series in a query belongs to.
fn metric_of(series: &str) -> Option<&'static Described> {
    metrics().find(|metric| match metric.kind {
        "histogram" => ["_bucket", "_sum", "_count"].iter().any(|part| series == format!("{}{part}", metric.name)),
        _ => series == metric.name,
    })
}

#[test]
fn every_metric_and_label_that_is_asked_for_exists() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    // Rows are headings.
    let asking = panels.iter().filter(|panel| panel["type"] != "row");
    let targets = asking.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    assert!(queries.len() > 20);
    queries.extend([read(RULES), read("prometheus/rules.test.yml")]);
    let mut asked = BTreeSet::new();
    for query in &queries {
        for (series, rest) in words(query, "mediamill_") {
            let metric = metric_of(series).unwrap_or_else(|| panic!("there is no {series}: {query}"));
            asked.insert(metric.name);
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            for label in matchers.split(',').filter_map(|matcher| matcher.split(['=', '!']).next()) {
                let label = label.trim();
                let scraped = ["", "instance", "job", "le"].contains(&label);
                assert!(scraped || metric.labels.contains(&label), "{series} has no label {label}: {query}");
            }
        }
    }
    let idle: Vec<_> = metrics().map(|metric| metric.name).filter(|name| !asked.contains(name)).collect();
    assert_eq!(idle, [""; 0], "nobody looks at these");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "an id twice");
}

#[test]
fn every_variable_is_a_key() {
    let defaults: toml::Table = DEFAULT_TOML.parse().expect("TOML");
    let keys = |(section, keys): (&String, &toml::Value)| -> Vec<String> {
        keys.as_table().expect("a section").keys().map(|key| env_name(section, key)).collect()
    };
    let known: BTreeSet<String> = defaults.iter().flat_map(keys).collect();
    // The option --config, what a Service of this name would set, and a table that the operator names, each in a comment or not.
    let others = ["MEDIAMILL_CONFIG", "MEDIAMILL_PORT", "MEDIAMILL_TENANTS__ACME__RETENTION_DAYS"];
    let mut seen = 0;
    for (path, text) in all() {
        for (name, _) in words(&text, "MEDIAMILL_").into_iter().filter(|(name, _)| !others.contains(name)) {
            assert!(known.contains(name), "{}: {name} is no key", path.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "is the test blind?");
}

#[test]
fn every_configuration_file_is_one() {
    let files = all().into_iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "toml"));
    let mut seen = 0;
    for (_, text) in files {
        let dir = crate::support::cmd::Dir::new();
        // What is there to be filled in counts too, and nobody has the secrets here.
        let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line));
        let text = lines.collect::<Vec<_>>().join("\n").replace("file:/run/secrets/", "secret-");
        let file = dir.path().join("mediamill.toml");
        std::fs::write(&file, text).expect("a file");
        dir.run(["topology", "--config", file.to_str().expect("text")]).exits(0);
        seen += 1;
    }
    assert_eq!(seen, 4, "is the test blind?");
}

/// Whether a line of TOML is the head of a table, or sets a key to a text or a list.
fn is_setting(line: &str) -> bool {
    line.starts_with('[') || line.contains(" = \"") || line.contains(" = [")
}

#[test]
fn every_alert_is_tested_and_explained() {
    let (rules, tests) = (read(RULES), read("prometheus/rules.test.yml"));
    let document = std::fs::read_to_string(repo_file("docs/operations.md")).expect("a document");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5, "is the test blind?");
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n        exp_alerts:")), "no test sees {alert} fire");
    }
    let explained = document.lines().filter_map(|line| line.strip_prefix("| `Mediamill")?.split('`').next());
    let explained: Vec<String> = explained.map(|name| format!("Mediamill{name}")).collect();
    assert_eq!(explained, alerts, "the table of alerts in docs/operations.md");
}

#[test]
fn the_policy_is_the_one_that_the_program_prints() {
    let told = crate::support::cmd::Dir::new().run(["topology"]).exits(0).stdout;
    let command = told.lines().find_map(|line| line.split_once("rabbitmqctl ")).expect("a command").1;
    let told: Vec<_> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    let compose = read("compose.yaml");
    let words = compose.lines().map(|line| line.trim().trim_start_matches("- ").trim_matches('\'').replace("$$", "$"));
    let words: Vec<_> = words.skip_while(|line| line != "set_policy").take(told.len()).collect();
    assert_eq!(words, told);
    let manifest = read("kubernetes/rabbitmq-policy.yaml");
    let [.., name, pattern, definition] = &told[..] else { panic!("{told:?}") };
    let definition: Value = serde_json::from_str(definition).expect("JSON");
    let exchange = definition["alternate-exchange"].as_str().expect("an exchange");
    for line in [
        format!("  name: {name}"),
        format!("  pattern: {pattern}"),
        "  applyTo: exchanges".to_owned(),
        format!("    alternate-exchange: {exchange}"),
    ] {
        assert!(manifest.lines().any(|one| one == line), "{line} in {manifest}");
    }
}

/// What Kubernetes runs, by the name of its file without its ending.
const ROLES: [&str; 5] = ["worker", "gateway", "catalog", "deliver", "privacy"];

#[test]
fn every_role_runs_confined_and_is_watched() {
    let (compose, prometheus) = (read("compose.yaml"), read("prometheus/prometheus.yml"));
    for role in ROLES {
        assert!(compose.contains(&format!("\n  {role}:\n    <<: *role\n")), "{role} is not in compose.yaml");
        let job = format!("- job_name: mediamill-{role}\n    dns_sd_configs:\n      - {{ names: [{role}], ");
        assert!(prometheus.contains(&job), "{role} is not asked for its metrics");
        let manifest = read(&format!("kubernetes/{role}.yaml"));
        for line in [
            "kind: ServiceAccount",
            "kind: Service",
            "kind: PodDisruptionBudget",
            "kind: Deployment",
            "automountServiceAccountToken: false",
            "      automountServiceAccountToken: false",
            "      enableServiceLinks: false",
            "        runAsNonRoot: true",
            "          type: RuntimeDefault",
            "            allowPrivilegeEscalation: false",
            "            readOnlyRootFilesystem: true",
            "              drop: [ALL]",
            "            httpGet: { path: /livez, port: metrics }",
            "            httpGet: { path: /readyz, port: metrics }",
        ] {
            assert!(manifest.lines().any(|one| one == line), "{role}: {line}");
        }
        assert!(read("kubernetes/kustomization.yaml").contains(&format!("  - {role}.yaml\n")), "{role}");
    }
}

/// The secrets that a role needs: a process that was taken over has no more.
fn needed_secrets(role: &str) -> &'static [&'static str] {
    match role {
        "worker" => &["broker", "channels", "privacy", "store"],
        "gateway" => &["broker", "channels"],
        "catalog" => &["broker", "catalog", "links", "privacy", "store"],
        "deliver" => &["broker", "destinations", "ledger", "links", "store"],
        _ => &["broker", "privacy", "store"],
    }
}

#[test]
fn a_role_has_only_the_secrets_that_it_needs() {
    let example = read("kubernetes/secret.example.yaml");
    for role in ROLES {
        let manifest = read(&format!("kubernetes/{role}.yaml"));
        let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
        let given = lines.windows(2).filter_map(|pair| {
            let name = pair[1].strip_prefix("name: mediamill-").filter(|_| pair[0] == "- secretRef:");
            name.or_else(|| pair[1].strip_prefix("secretName: mediamill-"))
        });
        let given: BTreeSet<&str> = given.collect();
        let needed: BTreeSet<&str> = needed_secrets(role).iter().copied().collect();
        assert_eq!(given, needed, "{role}");
        for name in given {
            assert!(example.contains(&format!("  name: mediamill-{name}\n")), "there is no example of {name}");
        }
    }
}

#[test]
fn processes_and_threads_of_a_worker_are_bounded() {
    assert!(read("compose.yaml").contains("\n    pids_limit: 1024\n"), "no bound in compose.yaml");
}
