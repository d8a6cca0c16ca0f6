//! `log.filter`, checked. Almost any text is a filter of tracing-subscriber: a typo is a target that nothing has, and a
//! worker with such a filter logs nothing at all.

/// Our own modules, and the target of spans.
const MODULES: [&str; 26] = [
    "broker",
    "channels",
    "cli",
    "config",
    "database",
    "egress",
    "error",
    "events",
    "links",
    "plan",
    "privacy",
    "profile",
    "profile_lab",
    "roles",
    "runtime",
    "sandbox",
    "secrets",
    "server",
    "simulate",
    "source",
    "spans",
    "store",
    "task",
    "telemetry",
    "transcode",
    "vocabulary",
];
/// Modules of older versions, and the modules that log in their place: filters that name them go on working.
const RENAMED: [(&str, &[&str]); 4] = [
    ("mediamill::bench", &["mediamill::profile_lab"]),
    ("mediamill::domain", &["mediamill::plan"]),
    ("mediamill::http", &["mediamill::runtime::health_http"]),
    ("mediamill::worker", &["mediamill::roles::worker", "mediamill::runtime"]),
];
/// Other crates that log, or might in another version: their names, or what those begin with.
const OTHERS: [&str; 17] = [
    "amq_protocol",
    "aws_",
    "axum",
    "h2",
    "hickory_",
    "hyper",
    "lapin",
    "opentelemetry",
    "prometheus_client",
    "quinn",
    "reqwest",
    "rustls",
    "s3s",
    "tokio",
    "tower",
    "tracing",
    "want",
];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A filter as written, with the modules of today in the place of those of older versions.
#[must_use]
pub fn current(filter: &str) -> String {
    filter.split(',').flat_map(renamed).collect::<Vec<_>>().join(",")
}

fn renamed(directive: &str) -> Vec<String> {
    let (target, rest) = directive.split_at(directive.find(['[', '=']).unwrap_or(directive.len()));
    match RENAMED.iter().find(|(old, _)| *old == target) {
        Some((_, new)) => new.iter().map(|target| format!("{target}{rest}")).collect(),
        None => vec![directive.to_owned()],
    }
}

/// Checks every directive of a filter.
///
/// # Errors
/// What is wrong with which directive, counted from 1.
pub(super) fn check(filter: &str) -> Result<(), String> {
    for (n, directive) in (1..).zip(filter.split(',')) {
        check_one(directive).map_err(|problem| format!("directive {n} {problem}"))?;
    }
    match tracing_subscriber::EnvFilter::try_new(filter) {
        Ok(_) => Ok(()),
        Err(_) => Err("is no filter of tracing-subscriber".to_owned()),
    }
}

/// `level`, `target`, `target=level`, `target[span]=level`, `[span]=level`.
fn check_one(directive: &str) -> Result<(), String> {
    if directive.is_empty() || is_level(directive) {
        return Ok(());
    }
    let (target, rest) = directive.split_at(directive.find(['[', '=']).unwrap_or(directive.len()));
    if !target.is_empty() && !is_target(target) {
        return Err(
            "is neither a level nor a target that anything logs under, such as mediamill::roles=debug".to_owned()
        );
    }
    let level = rest.rsplit_once(']').map_or(rest, |(_, level)| level);
    match level.strip_prefix('=') {
        Some(level) if is_level(level) => Ok(()),
        None if level.is_empty() => Ok(()),
        Some(_) | None => Err("has no level: off, error, warn, info, debug or trace".to_owned()),
    }
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level)) || matches!(text, "0" | "1" | "2" | "3" | "4" | "5")
}

fn is_target(target: &str) -> bool {
    let mut parts = target.split("::");
    let (name, module) = (parts.next().unwrap_or_default(), parts.next());
    let is_path = target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '.'));
    match name {
        "mediamill" => {
            let is_old = RENAMED.iter().any(|(old, _)| *old == target);
            is_path && (is_old || module.is_none_or(|module| MODULES.contains(&module)))
        }
        _ => is_path && OTHERS.iter().any(|other| name.starts_with(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_something_is_a_filter() {
        for filter in [
            "info",
            "INFO",
            "",
            "3",
            "warn,mediamill=debug",
            "info,mediamill::roles=trace",
            "info,mediamill::worker=trace",
            "mediamill::store::s3=debug",
            "mediamill",
            "lapin=trace,info",
            "aws_smithy_runtime::client=debug",
            "[process]=debug",
            "mediamill::roles[job{tenant=acme}]=trace,warn",
            "off",
        ] {
            assert_eq!(check(filter), Ok(()), "{filter:?}");
        }
    }

    #[test]
    fn a_filter_of_an_older_version_names_the_modules_of_today() {
        let old = "info,mediamill::worker=debug,mediamill::worker[job]=trace,mediamill::store=warn,";
        let new = "info,mediamill::roles::worker=debug,mediamill::runtime=debug,mediamill::roles::worker[job]=trace,\
                   mediamill::runtime[job]=trace,mediamill::store=warn,";
        assert_eq!(current(old), new);
        assert_eq!((check(old), check(new)), (Ok(()), Ok(())));
        for (_, modules) in RENAMED {
            assert!(modules.iter().all(|module| is_target(module)), "{modules:?}");
        }
    }

    #[test]
    fn a_typo_is_an_error_and_its_directive_is_numbered() {
        for (filter, n) in [
            ("in fo=", 1),
            ("inof", 1),
            ("info=", 1),
            ("debug,mediamil=trace", 2),
            ("mediamill::wroker=debug", 1),
            ("info,mediamill=", 2),
            ("mediamill=loud", 1),
            ("mediamill=debug=trace", 1),
            ("info mediamill=debug", 1),
            ("a=b=c", 1),
            ("info, mediamill=debug", 2),
        ] {
            let problem = check(filter).expect_err(filter);
            assert!(problem.starts_with(&format!("directive {n} ")), "{filter:?}: {problem}");
        }
        assert!(check("[span").is_err());
    }

    #[test]
    fn our_modules_are_those_of_the_crate() {
        let declared =
            include_str!("../lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let mut declared: Vec<_> = declared.chain(["spans"]).collect();
        declared.sort_unstable();
        assert_eq!(declared, MODULES);
    }
}
