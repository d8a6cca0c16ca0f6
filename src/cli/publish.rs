//! `mediamill publish`: one *media received* event, from a file or a URL.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;
use uuid::Uuid;

use super::{CliError, EXIT_FAILED, EXIT_REJECTED, Global, runtime};
use crate::broker::{Message, OutcomeQueue, Publisher};
use crate::config::{Config, Location};
use crate::events::{Declared, Event, Headers, NORMALIZED_TYPE, Origin, RECEIVED_TYPE, REJECTED_TYPE, Received};
use crate::roles::worker;
use crate::store::{PutOptions, Store};
use crate::telemetry;

/// Options of `publish`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file, which is uploaded to the store's inbox first, or an http(s) URL. With --wait, the copy in the inbox is removed
    /// when the file is normalized; otherwise it stays until you remove it
    #[arg(value_name = "PATH|URL")]
    input: String,
    /// Whose media it is
    #[arg(long, default_value = "demo")]
    tenant: String,
    /// The sender's id of the file; a new one where not given
    #[arg(long)]
    media_id: Option<String>,
    /// Compression profile; the worker's default where not given
    #[arg(long)]
    profile: Option<String>,
    /// Wait for the outcome and print its data
    #[arg(long)]
    wait: bool,
    /// How long to wait for the broker to take the event and, with --wait, for its outcome, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
}

/// Publishes. Exit codes while waiting: 0 normalized, 3 rejected, 1 failed or nothing heard.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    runtime()?.block_on(publish(args, &config))
}

async fn publish(args: &Args, config: &Config) -> Result<ExitCode, CliError> {
    let topology = worker::topology(&config.broker)?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    // Before anything is published, so that no outcome is missed.
    let outcomes = if args.wait { Some(OutcomeQueue::open(&config.broker, &topology).await?) } else { None };
    let asked = received(args, config).await?;
    let event = Event {
        id: Uuid::now_v7().to_string(),
        source: "mediamill-publish".to_owned(),
        kind: RECEIVED_TYPE.to_owned(),
        subject: None,
        time: Some(Timestamp::now().to_string()),
        trace: None,
        data: serde_json::to_value(&asked.received).map_err(io::Error::other)?,
    };
    let wait = Duration::from_secs(args.timeout.into());
    let deadline = Instant::now() + wait;
    hand_over(&publisher, &Message::event(&topology, &asked.routing_key, &event), wait).await?;
    let Some(outcomes) = outcomes else {
        writeln!(io::stdout().lock(), "{} {}", asked.received.tenant, asked.received.media_id)?;
        return Ok(ExitCode::SUCCESS);
    };
    let outcome = await_outcome(outcomes, &asked.received, deadline).await?;
    writeln!(io::stdout().lock(), "{:#}", outcome.data)?;
    Ok(match outcome.kind.as_str() {
        NORMALIZED_TYPE => {
            if let Some((store, key)) = &asked.inbox {
                store.delete(key).await?;
            }
            ExitCode::SUCCESS
        }
        REJECTED_TYPE => ExitCode::from(EXIT_REJECTED),
        // Replaying it will read the inbox again.
        _ => ExitCode::from(EXIT_FAILED),
    })
}

/// Publishes, and says why not where the broker does not take it in time.
async fn hand_over(publisher: &Publisher, message: &Message, wait: Duration) -> Result<(), CliError> {
    if let Ok(result) = timeout(wait, publisher.publish(message)).await {
        return Ok(result?);
    }
    let why = if publisher.is_blocked() { "it is short of memory or disk" } else { "it does not confirm" };
    Err(late(format!("the broker took no message within {} s: {why}", wait.as_secs())))
}

fn late(text: String) -> CliError {
    CliError::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// What is asked for.
struct Asked {
    received: Received,
    routing_key: String,
    /// The copy that was made for it in the store, by its key.
    inbox: Option<(Store, String)>,
}

/// The event's data, and where it goes: the lane by what the name says, as a channel would do it.
async fn received(args: &Args, config: &Config) -> Result<Asked, CliError> {
    let media_id = args.media_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let url = Url::parse(&args.input).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let (origin, declared, inbox, name) = match url {
        Some(url) => (Origin::Http { url: url.to_string() }, None, None, url.path().to_owned()),
        None => {
            let store = Store::connect(&config.store).await?;
            let origin_of = origin(&store)?;
            let (key, declared) = upload(Path::new(&args.input), &media_id, &store).await?;
            (origin_of(key.clone()), Some(declared), Some((store, key)), args.input.clone())
        }
    };
    let kind = mime_guess::from_path(&name).first().map(|mime| mime.type_().as_str().to_owned());
    let routing_key = match kind.as_deref() {
        Some(kind @ ("audio" | "video" | "image")) => format!("media.received.{kind}"),
        Some(_) => "media.received.document".to_owned(),
        None => "media.received".to_owned(),
    };
    let received = Received {
        tenant: args.tenant.clone(),
        media_id,
        origin,
        declared,
        profile: args.profile.clone(),
        renormalize: false,
        message: None,
        privacy: None,
        tags: Vec::new(),
        context: None,
    };
    Ok(Asked { received, routing_key, inbox })
}

/// Puts a file into the store's inbox. Gives back its key, and what it is in the words of an event.
async fn upload(path: &Path, media_id: &str, store: &Store) -> Result<(String, Declared), CliError> {
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mime_type = mime_guess::from_path(path).first().map(|mime| mime.to_string());
    let content_type = mime_type.as_deref().unwrap_or("application/octet-stream");
    let options = PutOptions::of(content_type);
    let stored = store.put_file(&store.inbox_key(media_id, &file_name), path, options).await?;
    let declared = Declared {
        mime_type,
        sha256: Some(stored.sha256),
        size_bytes: Some(stored.size_bytes),
        file_name: Some(file_name),
    };
    Ok((stored.key, declared))
}

/// How an event names an object, so that a worker with the same store finds it.
fn origin(store: &Store) -> Result<Box<dyn Fn(String) -> Origin>, CliError> {
    match store.location().clone() {
        Location::Local { root } => {
            Ok(Box::new(move |key| Origin::File { path: root.join(key).to_string_lossy().into_owned() }))
        }
        Location::S3 { bucket, .. } => Ok(Box::new(move |key| Origin::S3 { bucket: bucket.clone(), key })),
        Location::Gcs { .. } | Location::Azure { .. } => {
            let text = "a local file is published by way of an s3:// or file:// store; publish a URL instead";
            Err(CliError::Io(io::Error::new(io::ErrorKind::Unsupported, text)))
        }
    }
}

async fn await_outcome(mut outcomes: OutcomeQueue, asked: &Received, deadline: Instant) -> Result<Event, CliError> {
    loop {
        let Ok(message) = timeout_at(deadline, outcomes.next()).await else {
            return Err(late(
                "no outcome in time: the request is in its lane, and a worker may still do it".to_owned(),
            ));
        };
        let message = message?;
        let event = Event::decode_outcome(None, &Headers::new(), message.body());
        message.ack().await?;
        let Ok(event) = event else { continue };
        let is = |name: &str, id: &str| event.data.get(name).and_then(|value| value.as_str()) == Some(id);
        if is("tenant", &asked.tenant) && is("media_id", &asked.media_id) {
            return Ok(event);
        }
    }
}
