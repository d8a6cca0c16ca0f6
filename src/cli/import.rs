//! `mediamill import`: files from before there was a gateway, on the bulk lane behind everything live.

mod archive;
mod chat;
mod found;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use self::found::Found;
use super::{CliError, EXIT_FAILED, Global, runtime};
use crate::channels::Outgoing;
use crate::config::{self, Config, Location};
use crate::events::{Declared, Event, Message, Origin, Payload, RECEIVED_TYPE, Received, received_id};
use crate::roles::gateway::{Batch, Outlet, outlet};
use crate::store::{PutOptions, Store};
use crate::telemetry;

/// Of no kind, so that they wait in the bulk lane.
const ROUTING_KEY: &str = "media.received";
/// How often a request is published again that the broker does not take, and how long after.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

/// Options of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A folder, the .zip of an exported WhatsApp chat, or s3://bucket/prefix
    #[arg(value_name = "FOLDER|ZIP|S3-URL")]
    source: String,
    /// Whose media it is
    #[arg(long)]
    tenant: String,
    /// Compression profile; the worker's default where not given
    #[arg(long)]
    profile: Option<String>,
    /// Most requests a second; 0 for as many as the broker takes
    #[arg(long, value_name = "N", default_value_t = 10)]
    rate: u32,
    /// For a chat: your own name in it. Messages of that name are outbound
    #[arg(long, value_name = "NAME", default_value = "")]
    me: String,
}

/// How far it is.
#[derive(Debug, Default)]
struct Progress {
    published: u64,
    skipped: u64,
}

/// Publishes a request for each file. Run again, it publishes the same requests with the same ids. Exit codes: 0, and 1 where
/// a file was left out.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let done = runtime()?.block_on(Box::pin(import(args, &config)))?;
    let Progress { published, skipped } = done;
    writeln!(io::stdout().lock(), "{published} requests published, {skipped} files left out")?;
    Ok(ExitCode::from(if skipped > 0 { EXIT_FAILED } else { 0 }))
}

async fn import(args: &Args, config: &Config) -> Result<Progress, CliError> {
    let sender = Sender::new(args, config)?;
    let mut progress = Progress::default();
    if args.source.starts_with("s3://") {
        let source = config::Store { url: args.source.clone(), ..config.store.clone() };
        found::bucket(&Store::connect(&source).await?, &sender, &mut progress).await?;
        return Ok(progress);
    }
    let store = Store::connect(&config.store).await?;
    let path = Path::new(&args.source);
    if path.is_dir() {
        found::folder(path, &store, &sender, &mut progress).await?;
    } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
        archive::import(path, config, &store, (&sender, &args.me), &mut progress).await?;
    } else {
        return Err(CliError::Usage(format!("{:?} is no folder, no .zip and no s3:// URL", args.source)));
    }
    Ok(progress)
}

/// Publishes requests, no faster than it may.
struct Sender<'a> {
    args: &'a Args,
    limit_bytes: u64,
    outlet: crate::roles::gateway::Broker,
}

impl<'a> Sender<'a> {
    fn new(args: &'a Args, config: &Config) -> Result<Self, CliError> {
        Ok(Self { args, limit_bytes: config.limits.input_bytes, outlet: outlet(config)? })
    }

    /// Whether a file is one that the pipeline takes: those without bytes or with too many are left out, and said.
    fn takes(&self, size_bytes: u64, progress: &mut Progress) -> io::Result<bool> {
        let fits = (1..=self.limit_bytes).contains(&size_bytes);
        if !fits {
            progress.skipped += 1;
            let most = self.limit_bytes;
            writeln!(
                io::stderr(),
                "a file of {size_bytes} bytes is left out: 1 to {most} (limits.input_bytes) are taken"
            )?;
        }
        Ok(fits)
    }

    /// Publishes the request for a file, and waits for as long as the rate wants.
    async fn ask(&self, found: Found, progress: &mut Progress) -> Result<(), CliError> {
        let next = Instant::now() + self.interval();
        let Found { media_id, origin, declared, message } = found;
        let tenant = &self.args.tenant;
        let received = Received {
            tenant: tenant.clone(),
            media_id: media_id.clone(),
            origin,
            declared: Some(declared),
            profile: self.args.profile.clone(),
            renormalize: false,
            message,
            privacy: None,
            tags: Vec::new(),
            context: None,
        };
        let event = Event {
            id: received_id(tenant, &media_id),
            source: "mediamill-import".to_owned(),
            kind: RECEIVED_TYPE.to_owned(),
            subject: Some(format!("{tenant}/{media_id}")),
            time: Some(Timestamp::now().to_string()),
            trace: None,
            data: Payload::Received(Box::new(received)),
        };
        self.publish(event).await?;
        progress.published += 1;
        sleep_until(next).await;
        Ok(())
    }

    async fn publish(&self, event: Event<Payload>) -> Result<(), CliError> {
        let mut tried = 0;
        loop {
            let events = vec![Outgoing { routing_key: ROUTING_KEY.to_owned(), event: event.clone() }];
            let batch = Batch { account: String::new(), events, webhook: None };
            match self.outlet.publish(batch).await {
                Ok(_unrouted) => return Ok(()),
                Err(error) if tried == TRIES => return Err(CliError::Io(io::Error::other(format!("broker: {error}")))),
                Err(error) => tracing::warn!(%error, "a request is published again"),
            }
            tried += 1;
            sleep(PAUSE).await;
        }
    }

    fn interval(&self) -> Duration {
        if self.args.rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / self.args.rate }
    }
}

/// Puts a file of this machine into the store's inbox, and says what it is in the words of an event.
async fn uploaded(
    store: &Store,
    media_id: &str,
    name: &str,
    path: &Path,
    message: Option<Message>,
) -> Result<Found, CliError> {
    let mime_type = mime_guess::from_path(name).first().map(|mime| mime.to_string());
    let content_type = mime_type.as_deref().unwrap_or("application/octet-stream");
    let stored = store.put_file(&store.inbox_key(media_id, name), path, PutOptions::of(content_type)).await?;
    let declared = Declared {
        sha256: Some(stored.sha256),
        size_bytes: Some(stored.size_bytes),
        file_name: Some(name.to_owned()),
        mime_type,
    };
    Ok(Found { media_id: media_id.to_owned(), origin: origin(store, stored.key)?, declared, message })
}

/// Where a worker with the same store finds an object.
fn origin(store: &Store, key: String) -> Result<Origin, CliError> {
    if let Location::Local { root } = store.location() {
        return Ok(Origin::File { path: root.join(key).to_string_lossy().into_owned() });
    }
    if let Location::S3 { bucket, .. } = store.location() {
        return Ok(Origin::S3 { bucket: bucket.clone(), key });
    }
    Err(CliError::Usage("files of this machine are imported by way of an s3:// or file:// store".to_owned()))
}
