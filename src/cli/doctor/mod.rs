//! `mediamill doctor`: whether a worker could run here, and what to do where it could not. Changes nothing but what a
//! worker does at its start: it declares exchanges and queues, and stores one small object.

mod deletion;

use std::io::{self, Write};
use std::process::ExitCode;

#[cfg(all(feature = "gateway", feature = "catalog"))]
use jiff::Timestamp;
use url::Url;

use super::{CliError, EXIT_FAILED, Format, Global, runtime, units};
use crate::broker::{AlternateExchange, Publisher, alternate_exchange};
use crate::config::{Config, Profiles};
use crate::roles::worker::{self, Workspace};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::store::Store;
use crate::task::Component;
use crate::telemetry;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Attack the sandbox from inside instead, and print each attempt with the answer that it got
    #[arg(long)]
    attack: bool,
}

/// What one look found.
struct Finding {
    what: &'static str,
    state: State,
    /// What was found.
    text: String,
    /// What to do about it; empty where there is nothing to do.
    advice: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// The worker runs, but not with everything.
    Lacking,
    /// The worker could not run.
    Bad,
}

/// Looks at everything. Exit codes: 0 a worker could run, 1 it could not.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let mut report = DoctorReport { out: io::stdout().lock(), format: args.format, bad: false };
    let config = match global.load() {
        Ok(config) => config,
        Err(error) => {
            report.say(&bad("config", error.to_string().replace('\n', "; "), "correct what is named here"))?;
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    telemetry::init(&crate::config::Log { filter: "error".to_owned(), format: crate::config::LogFormat::Text });
    if args.attack {
        drop(report);
        return super::attack::run(&config, args.format);
    }
    report.say(&good("config", format!("{} keys hold together", keys(&config))))?;
    report.say(&profiles(&config))?;
    report.say(&scratch(&config))?;
    // Before the runtime: the fork server is started while there are few threads.
    match Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits)) {
        Ok(sandbox) => {
            report.say(&held(&sandbox))?;
            for finding in libav(&sandbox) {
                report.say(&finding)?;
            }
        }
        Err(error) => report.say(&bad(
            "sandbox",
            error.to_string(),
            "wanted are: Landlock and seccomp in the kernel, not taken away by the container (sandbox.mode = \"best-effort\" \
             does without, at your risk); hard limits (ulimit -H, LimitCPU= and its kin of systemd, --ulimit) no lower than \
             limits.*; a /proc that can be written",
        ))?,
    }
    runtime()?.block_on(async {
        for finding in store(&config).await {
            report.say(&finding)?;
        }
        let found = broker(&config).await;
        report.say(&found)?;
        if found.state == State::Good {
            report.say(&unrouted(&config).await)?;
        }
        #[cfg(all(feature = "gateway", feature = "catalog"))]
        for finding in certificates(&config) {
            report.say(&finding)?;
        }
        #[cfg(feature = "gateway")]
        for finding in accounts(&config).await {
            report.say(&finding)?;
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(ExitCode::from(if report.bad { EXIT_FAILED } else { 0 }))
}

struct DoctorReport {
    out: io::StdoutLock<'static>,
    format: Format,
    bad: bool,
}

impl DoctorReport {
    fn say(&mut self, finding: &Finding) -> io::Result<()> {
        let Finding { what, state, text, advice } = finding;
        self.bad |= *state == State::Bad;
        let word = match state {
            State::Good => "ok",
            State::Lacking => "lacking",
            State::Bad => "bad",
        };
        match self.format {
            Format::Json => {
                let line = serde_json::json!({ "what": what, "state": word, "found": text, "advice": advice });
                writeln!(self.out, "{line}")
            }
            Format::Human => {
                writeln!(self.out, "{word:<8} {what:<9} {text}")?;
                if advice.is_empty() { Ok(()) } else { writeln!(self.out, "{:<8} {:<9} → {advice}", "", "") }
            }
        }
    }
}

fn good(what: &'static str, text: String) -> Finding {
    Finding { what, state: State::Good, text, advice: String::new() }
}

fn bad(what: &'static str, text: String, advice: &str) -> Finding {
    Finding { what, state: State::Bad, text, advice: advice.to_owned() }
}

fn keys(config: &Config) -> usize {
    let value = serde_json::to_value(config).unwrap_or_default();
    let sections = value.as_object().into_iter().flat_map(serde_json::Map::values);
    sections.filter_map(serde_json::Value::as_object).map(serde_json::Map::len).sum()
}

fn profiles(config: &Config) -> Finding {
    let profiles = match Profiles::load(&config.worker.profiles_dir) {
        Ok(profiles) => profiles,
        Err(errors) => return bad("profiles", errors.to_string().replace('\n', "; "), "correct the files named here"),
    };
    let names: Vec<_> = profiles.iter().map(|profile| profile.raw.name.as_str()).collect();
    let default = &config.worker.profile;
    if profiles.get(default).is_none() {
        bad("profiles", format!("there is no {default:?}"), "worker.profile must be one of `mediamill profiles`")
    } else {
        good("profiles", format!("{}; {default} by default", names.join(", ")))
    }
}

fn scratch(config: &Config) -> Finding {
    let dir = if config.worker.scratch_dir.as_os_str().is_empty() {
        std::env::temp_dir()
    } else {
        config.worker.scratch_dir.clone()
    };
    let shown = units::printable(dir.as_os_str());
    let workspace = Workspace::open(&dir, (&config.worker).into());
    match workspace.and_then(|workspace| workspace.check()) {
        Ok(()) => {
            let floor = units::bytes(config.worker.scratch_min_free_bytes);
            good("scratch", format!("{shown} can be written and has more than {floor} to spare"))
        }
        Err(error) => {
            bad("scratch", format!("{shown}: {error}"), "worker.scratch_dir must be writable, with space to spare")
        }
    }
}

fn held(sandbox: &Sandbox) -> Finding {
    let status = sandbox.status();
    let seccomp = if status.seccomp { "on" } else { "off" };
    let text =
        format!("{}: landlock {} (ABI {}), seccomp {seccomp}", status.mode, status.landlock, status.landlock_abi);
    if status.landlock == "full" && status.seccomp {
        return good("sandbox", text);
    }
    let advice = "decoders are held less tightly than they could be; sandbox.mode = \"required\" would insist";
    Finding { what: "sandbox", state: State::Lacking, text, advice: advice.to_owned() }
}

/// What the fork server said of its libav.
fn libav(sandbox: &Sandbox) -> Vec<Finding> {
    let libav = sandbox.libav();
    let versions: Vec<_> = libav.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut findings = vec![good("libav", versions.join(", "))];
    for (role, needed) in [("encoder", true), ("filter", true), ("demuxer", false), ("decoder", false)] {
        let of_role = libav.components.iter().filter(|component| component.role == role);
        let (present, missing): (Vec<&Component>, Vec<_>) = of_role.partition(|component| component.present);
        let names = |list: &[&Component]| list.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let what = match role {
            "encoder" => "encoders",
            "filter" => "filters",
            "demuxer" => "demuxers",
            _ => "decoders",
        };
        findings.push(match (missing.is_empty(), needed) {
            (true, true) => good(what, format!("all there: {}", names(&present))),
            (true, false) => good(what, format!("all {} there", present.len())),
            (false, true) => bad(
                what,
                format!("missing: {}", names(&missing)),
                "install a libavcodec and libavfilter that have them (Debian's do)",
            ),
            (false, false) => Finding {
                what,
                state: State::Lacking,
                text: format!("{} there; missing: {}", present.len(), names(&missing)),
                advice: "files that need them are rejected as media.unsupported".to_owned(),
            },
        });
    }
    findings
}

/// Whether the store takes objects, and then how long it keeps what is deleted.
async fn store(config: &Config) -> Vec<Finding> {
    let advice = "check store.url, store.endpoint, the credentials and that the bucket or directory exists";
    let store = match Store::connect(&config.store).await {
        Ok(store) => store,
        Err(error) => return vec![bad("store", error.to_string(), advice)],
    };
    match store.check_write().await {
        Ok(()) => {
            let takes = good("store", format!("{} takes objects", store.url_for_display()));
            vec![takes, deletion::deletion(&store).await]
        }
        Err(error) => vec![bad("store", format!("{}: {error}", store.url_for_display()), advice)],
    }
}

async fn broker(config: &Config) -> Finding {
    let shown = broker_for_display(config);
    let connected = match worker::topology(&config.broker) {
        Ok(topology) => Publisher::new(&config.broker, topology).connect().await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(()) => good("broker", format!("{shown} has exchange {:?} and its queues", config.broker.exchange)),
        Err(error) => bad(
            "broker",
            format!("{shown}: {error}"),
            "check broker.url, that RabbitMQ 3.10 or later runs there, and the user's rights on exchange and queues",
        ),
    }
}

/// What becomes of requests that no lane is bound for, at a broker that answers.
async fn unrouted(config: &Config) -> Finding {
    let lacking = |text, advice| Finding { what: "unrouted", state: State::Lacking, text, advice };
    let asked = match worker::topology(&config.broker) {
        Ok(topology) => alternate_exchange(&config.broker, &topology).await.map(|found| (found, topology)),
        Err(error) => Err(error),
    };
    match asked {
        Ok((AlternateExchange::InForce, topology)) => {
            good("unrouted", format!("a request that no lane is bound for waits in {:?}", topology.unrouted()))
        }
        Ok((AlternateExchange::Missing, topology)) => lacking(
            "RabbitMQ drops a request whose routing key no lane is bound for".to_owned(),
            format!("set the policy: {}", topology.policy_command()),
        ),
        Ok((AlternateExchange::Shadowed, topology)) => lacking(
            format!("a queue is bound to {:?} for every key: what has no lane goes there", topology.exchange()),
            "bind that queue for the keys that it needs".to_owned(),
        ),
        Err(error) => lacking(
            format!("what becomes of requests that no lane is bound for cannot be found out: {error}"),
            "see that RabbitMQ takes messages, and that the user may declare queues of the exchange's name".to_owned(),
        ),
    }
}

/// Whether clients accept the certificates of the gateway and the catalogue, where they have some.
#[cfg(all(feature = "gateway", feature = "catalog"))]
fn certificates(config: &Config) -> Vec<Finding> {
    use super::listener::Port;
    use crate::server::{self, inspect};
    let ports = [
        ("gateway", Port::from(&config.gateway), &config.gateway.public_url),
        ("catalog", Port::from(&config.catalog), &config.links.public_url),
    ];
    let judged = ports.into_iter().filter_map(|(section, port, public_url)| {
        let public_url = Url::parse(public_url).ok();
        let host = public_url.as_ref().and_then(Url::host_str).map(|host| host.trim_matches(['[', ']']));
        Some((section, inspect(&port.files()?, host, Timestamp::now())))
    });
    let said = |(section, finding)| match finding {
        server::Finding::Good(text) => good("tls", format!("{section}: {text}")),
        server::Finding::Doubtful(text, advice) => Finding {
            what: "tls",
            state: State::Lacking,
            text: format!("{section}: {text}"),
            advice: advice.to_owned(),
        },
        server::Finding::Bad(text, advice) => bad("tls", format!("{section}: {text}"), advice),
    };
    judged.map(said).collect()
}

/// What the providers say of the channel accounts. An account that does not work is bad, one that cannot be asked is not.
#[cfg(feature = "gateway")]
async fn accounts(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in config.channels.keys() {
        for line in super::channels::asked(config, name).await {
            let text = format!("{name}: {}: {}", line.about, line.text);
            findings.push(match line.word {
                "ok" => good("channel", text),
                "bad" => bad("channel", text, line.advice),
                _ => Finding { what: "channel", state: State::Lacking, text, advice: line.advice.to_owned() },
            });
        }
    }
    findings
}

/// Without user and password.
fn broker_for_display(config: &Config) -> String {
    Url::parse(&config.broker.url.expose()).ok().map_or_else(String::new, |url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let nodes: String = config.broker.nodes.iter().map(|node| format!(",{node}")).collect();
        format!("{}://{}{port}{nodes}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
    })
}
