//! Who may use what: read off the source itself, so that no seam is crossed by accident.

mod dependencies;
mod graph;

use std::path::{Path, PathBuf};

use crate::support::cmd::repo_file;

/// Longest file, in lines.
const MAX_LINES: usize = 400;

struct Source {
    /// Below `src/`, with `/`.
    name: String,
    text: String,
}

impl Source {
    /// Whether it belongs to a module, given as the path of its folder or file without `.rs`.
    fn is_in(&self, module: &str) -> bool {
        self.name.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    }

    /// Lines of code: without comments, and without what a string says.
    fn code(&self) -> impl Iterator<Item = String> {
        self.text.lines().map(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
        })
    }

    /// Whether a line of code names this crate's paths: `lapin::`, `use lapin;`.
    fn uses(&self, krate: &str) -> bool {
        let names = |line: &str| {
            line.match_indices(krate).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = &line[at + krate.len()..];
                let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
                whole
                    && (after.starts_with("::")
                        || (line.trim_start().starts_with("use ") && after.starts_with([';', ' '])))
            })
        };
        self.code().any(|line| names(&line))
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = repo_file(folder);
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "no source below {folder}");
    let source = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        Source { name, text: std::fs::read_to_string(&path).expect("readable") }
    };
    files.into_iter().map(source).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("readable").flatten().map(|entry| entry.path());
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names of the files that use one of `crates` outside of `modules`.
fn strangers(crates: &[&str], modules: &[&str]) -> Vec<String> {
    let sources = sources("src");
    let inside = |source: &Source| modules.iter().any(|module| source.is_in(module));
    let (inside, outside): (Vec<_>, Vec<_>) = sources.iter().partition(|source| inside(source));
    let uses = |source: &Source| crates.iter().any(|krate| source.uses(krate));
    assert!(inside.iter().any(|source| uses(source)), "nobody in {modules:?} uses {crates:?}: is the test blind?");
    outside.iter().filter(|source| uses(source)).map(|source| source.name.clone()).collect()
}

#[test]
fn the_queue_the_store_and_the_codecs_stay_in_their_modules() {
    assert_eq!(strangers(&["lapin"], &["broker"]), [""; 0]);
    assert_eq!(strangers(&["aws_config", "aws_sdk_s3", "aws_smithy_types", "aws_types"], &["store"]), [""; 0]);
    assert_eq!(strangers(&["ffmpeg_next", "ffmpeg_sys_next", "ff"], &["transcode"]), [""; 0]);
    // A store's address is the operator's own: no address is judged, and connections are kept.
    assert_eq!(strangers(&["reqwest"], &["egress", "store/rest", "telemetry/export"]), [""; 0]);
    assert_eq!(strangers(&["object_store"], &["store/azure", "store/gcs"]), [""; 0]);
    let tracers = ["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "tracing_opentelemetry"];
    assert_eq!(strangers(&tracers, &["telemetry"]), [""; 0]);
    assert_eq!(strangers(&["aws_credential_types"], &["store"]), [""; 0]);
    assert_eq!(strangers(&["clap", "indicatif"], &["cli"]), [""; 0]);
    let servers = ["runtime/health_http", "cli/health", "roles/gateway", "roles/catalog/api", "server", "simulate"];
    assert_eq!(strangers(&["axum", "hyper", "hyper_util"], &servers), [""; 0]);
    assert_eq!(strangers(&["rustls_native_certs", "tokio_rustls", "x509_parser"], &["server"]), [""; 0]);
    assert_eq!(strangers(&["prometheus_client"], &["runtime/metrics"]), [""; 0]);
    let archives = ["cli/import/archive", "roles/privacy/export", "roles/catalog/api/archive"];
    assert_eq!(strangers(&["zip"], &archives), [""; 0]);
    assert_eq!(strangers(&["openidconnect"], &["roles/catalog/login"]), [""; 0]);
    // Azure's links are signed like webhooks.
    let signers = [
        "channels",
        "links",
        "privacy/contact",
        "roles/catalog/api/cursor",
        "roles/catalog/login",
        "roles/deliver/webhook",
        "simulate",
        "store/azure",
    ];
    assert_eq!(strangers(&["hmac", "sha1", "subtle"], &signers), [""; 0]);
    assert_eq!(strangers(&["sqlx"], &["database", "roles/catalog/index", "roles/deliver/ledger"]), [""; 0]);
    assert_eq!(strangers(&["minijinja", "phonenumber"], &["roles/deliver/map"]), [""; 0]);
    assert_eq!(strangers(&["landlock", "seccompiler"], &["sandbox"]), [""; 0]);
}

#[test]
fn contracts_on_wire_and_disk_are_declared_in_few_places() {
    let contracts = [
        "vocabulary",
        "events",
        "profile/file",
        "config",
        "task",
        "sandbox/wire/messages",
        "profile_lab/record",
        "privacy",
        "cli/fits/rules",
        "roles/catalog/api/model",
        // What providers of logins say of people.
        "roles/catalog/login/claims",
        // Maps are files that operators write.
        "roles/deliver/map/file",
    ];
    let derives = |source: &Source| {
        let named = |line: &str| line.contains("Serialize") || line.contains("Deserialize");
        // A derive that is broken over lines begins with `derive(` alone.
        let lines: Vec<String> = source.code().collect();
        let whole = lines.join(" ");
        whole.split("derive(").skip(1).any(|rest| rest.split(')').next().is_some_and(named))
    };
    let sources = sources("src");
    let may = |source: &&Source| contracts.iter().any(|module| source.is_in(module));
    assert!(sources.iter().filter(may).any(derives), "is the test blind?");
    let strangers: Vec<&str> =
        sources.iter().filter(|source| !may(source) && derives(source)).map(|source| source.name.as_str()).collect();
    assert_eq!(strangers, [""; 0]);
}

#[test]
fn decisions_and_decoders_know_no_runtime() {
    for module in ["plan", "profile", "transcode"] {
        for source in sources("src").iter().filter(|source| source.is_in(module)) {
            for krate in ["tokio", "tokio_util", "tokio_stream", "futures_util"] {
                assert!(!source.uses(krate), "{} uses {krate}", source.name);
            }
            let is_async = source.code().any(|line| line.contains("async ") || line.contains(".await"));
            assert!(!is_async, "{} is asynchronous", source.name);
        }
    }
    let plan = sources("src");
    for source in plan.iter().filter(|source| source.is_in("plan")) {
        for path in ["std::fs", "std::io", "std::net", "std::process", "std::time", "serde", "serde_json"] {
            assert!(!source.uses(path), "{} is not pure: {path}", source.name);
        }
    }
}

#[test]
fn unsafe_code_is_where_the_kernel_and_libav_are_spoken_to() {
    let mut seen = 0;
    for source in sources("src") {
        let is_unsafe = source.code().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        let may = source.is_in("sandbox") || source.is_in("transcode");
        assert!(may || !is_unsafe, "{} has unsafe code", source.name);
        seen += usize::from(is_unsafe);
        let allows = source.code().any(|line| line.contains("#[allow(") || line.contains("#![allow("));
        assert!(!allows, "{}: #[expect(…, reason = …)], not #[allow]", source.name);
    }
    assert!(seen > 3, "is the test blind?");
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let too_long = |folder: &str| -> Vec<String> {
        let named = sources(folder).into_iter().map(|source| (source.text.lines().count(), source.name));
        named.filter(|(lines, _)| *lines > MAX_LINES).map(|(lines, name)| format!("{folder}/{name}: {lines}")).collect()
    };
    let long: Vec<String> = ["src", "tests"].into_iter().flat_map(too_long).collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {}", long.join(", "));
}

/// Top-level modules from the contract up to the command line. A module uses those of earlier layers only.
const LAYERS: [&[&str]; 15] = [
    &["vocabulary", "error"],
    &["events", "profile"],
    &["plan", "task"],
    &["secrets"],
    &["egress"],
    &["config"],
    &["telemetry"],
    &["broker"],
    &["runtime"],
    &["store", "sandbox", "transcode", "channels", "database", "links", "server"],
    &["source", "privacy"],
    &["roles"],
    &["profile_lab", "simulate"],
    &["cli"],
    &["lib"],
];

/// Modules that use fewer than their layer would let them, and what they may use.
const NARROW: [(&str, &[&str]); 13] = [
    // What a connection and a certificate need is told by the role.
    ("server", &[]),
    ("privacy", &["store", "events", "config", "secrets", "error"]),
    ("secrets", &[]),
    ("egress", &["secrets", "events", "error"]),
    ("broker", &["events", "vocabulary", "config", "error"]),
    ("runtime", &["broker", "telemetry", "events", "vocabulary", "config", "error"]),
    ("transcode", &["task", "plan", "profile", "vocabulary", "events", "error"]),
    // A role says where its database is and what is in it; links are the same wherever they are written.
    ("database", &["error"]),
    ("links", &["config", "secrets", "vocabulary"]),
    ("sandbox", &["task", "vocabulary", "error"]),
    ("task", &["profile", "vocabulary", "error"]),
    ("plan", &["profile", "vocabulary"]),
    ("profile", &["vocabulary", "error"]),
];

/// Each line of the list in the document is (a part of) one layer, and the lines stand in the order of the layers.
#[test]
fn the_document_shows_the_same_layers() {
    let document = std::fs::read_to_string(repo_file("docs/architecture.md")).expect("a document");
    let block = document.split("A module may use modules of the lines below its own:").nth(1).expect("the list");
    let block = block.split("```").nth(1).expect("a block");
    let layer_of = |name: &str| {
        let layer = LAYERS.iter().position(|layer| layer.contains(&name));
        layer.unwrap_or_else(|| panic!("docs/architecture.md: {name} stands in no layer"))
    };
    let mut shown = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let layers: Vec<usize> = line.split(',').map(|name| layer_of(name.trim())).collect();
        assert!(layers.iter().all(|layer| *layer == layers[0]), "docs/architecture.md: {line} is more than one layer");
        shown.push(layers[0]);
    }
    assert!(shown.len() > 10, "the list has {} lines", shown.len());
    assert!(shown.windows(2).all(|pair| pair[0] > pair[1]), "docs/architecture.md: not in the order of LAYERS");
}

#[test]
fn imports_run_one_way_and_in_no_circle() {
    let graph = graph::Graph::of(&sources("src"));
    let arrows = graph.between_modules();
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let backward = |(from, to): &(String, String)| match (layer(from), layer(to)) {
        (Some(from), Some(to)) => from <= to,
        (from, to) => panic!("a module stands in no layer: {from:?}, {to:?}"),
    };
    let named = |(arrow, example): (&(String, String), &String)| format!("{} -> {}: {example}", arrow.0, arrow.1);
    let backward: Vec<String> = arrows.iter().filter(|(arrow, _)| backward(arrow)).map(named).collect();
    let too_much = |(from, to): &(String, String)| {
        NARROW.iter().any(|(module, may)| module == from && !may.contains(&to.as_str()))
    };
    let too_much: Vec<String> = arrows.iter().filter(|(arrow, _)| too_much(arrow)).map(named).collect();
    let (modules, files) = (graph.circles_of_modules(), graph.circles_of_files());
    eprintln!(
        "{} files, {} arrows between modules, {} of them backward, {} circles of modules, {} circles of files",
        graph.files(),
        arrows.len(),
        backward.len(),
        modules.len(),
        files.len()
    );
    assert!(arrows.len() > 40, "only {} arrows: is the test blind?", arrows.len());
    assert_eq!(backward, [""; 0], "arrows that run backward");
    assert_eq!(too_much, [""; 0], "modules that use more than they may");
    assert_eq!(modules, [""; 0], "circles of modules");
    assert_eq!(files, [""; 0], "circles of files");
}
