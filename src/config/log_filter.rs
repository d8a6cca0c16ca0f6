//! `log.filter`, checked. Almost any text is a filter of tracing-subscriber: a typo is a target that nothing has, and a
//! worker with such a filter logs nothing at all.

/// Our own modules, and the target of spans.
const MODULES: [&str; 20] = [
    "broker",
    "cli",
    "config",
    "egress",
    "error",
    "events",
    "http",
    "plan",
    "profile",
    "profile_lab",
    "sandbox",
    "secrets",
    "source",
    "spans",
    "store",
    "task",
    "telemetry",
    "transcode",
    "vocabulary",
    "worker",
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
            "is neither a level nor a target that anything logs under, such as mediamill::worker=debug".to_owned()
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
        "mediamill" => is_path && module.is_none_or(|module| MODULES.contains(&module)),
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
            "info,mediamill::worker=trace",
            "mediamill::store::s3=debug",
            "mediamill",
            "lapin=trace,info",
            "aws_smithy_runtime::client=debug",
            "[process]=debug",
            "mediamill::worker[job{tenant=acme}]=trace,warn",
            "off",
        ] {
            assert_eq!(check(filter), Ok(()), "{filter:?}");
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
