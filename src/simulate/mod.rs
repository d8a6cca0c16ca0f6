//! Simulates a messaging provider on this machine: its media API, and signed webhooks for the files of a folder, with
//! the faults that real providers show. For trying a gateway and a worker without an account, and for tests.
//!
//! It follows the providers' documentation and shares no code with the gateway, neither parsers nor verifiers.

mod bird;
mod bird_channels;
mod faults;
mod files;
mod generic;
mod messagebird;
mod meta;
mod played;
mod provider;
mod send;
mod server;
mod sign;
mod twilio;

pub use faults::{Fault, Faults};
pub use files::{Files, Sample};
pub use played::Delivered;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The provider to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// WhatsApp Business Cloud API.
    WhatsappCloud,
    /// 360dialog.
    Dialog360,
    /// Twilio.
    Twilio,
    /// MessageBird's Conversations API.
    Messagebird,
    /// Bird's Channels API.
    BirdChannels,
    /// Bird's platform of 2026.
    Bird,
    /// A provider that only data describe, as in `docs/channels/generic.md`.
    Generic,
}

/// The options of a simulation.
#[derive(Debug, Clone)]
pub struct Options {
    /// The provider.
    pub provider: Provider,
    /// The address that its media API listens on.
    pub listen: SocketAddr,
    /// URL of the gateway's account, http only; `None` to send no webhooks.
    pub webhook: Option<String>,
    /// The URL under which the gateway is known outside, which the signatures of Twilio, MessageBird and Bird
    /// Channels cover; [`Options::webhook`] if `None`.
    pub public_url: Option<String>,
    /// The folder whose files are sent.
    pub folder: PathBuf,
    /// The secret for signing webhooks: Meta's app secret, Twilio's auth token, a signing key, or
    /// `whsec_<base64>` for Bird's platform.
    pub secret: String,
    /// The credential that the media API requires: a bearer token, an API key, or the password of Basic authorization.
    pub token: String,
    /// The number or account id that messages are sent to.
    pub account_id: String,
    /// How many messages are sent. If there are fewer files, they are sent again.
    pub count: usize,
    /// Messages per second; 0 means as fast as they are accepted.
    pub rate: f64,
    /// How many webhooks are sent at the same time.
    pub at_once: usize,
    /// Unix time of the first message; now if `None`.
    pub first_sent: Option<u64>,
    /// The faults to show.
    pub faults: Faults,
    /// The seed for random choices.
    pub seed: u64,
}

/// Simulates the provider until `shutdown`. `delivered` is called for each message whose webhook was answered with
/// success. After the last message the media API keeps running.
///
/// # Errors
/// If the port cannot be opened, the folder has no files, or the gateway's URL or the secret is not valid.
pub async fn run(
    options: Options,
    shutdown: CancellationToken,
    delivered: impl Fn(&Delivered) + Send + Sync + 'static,
) -> io::Result<()> {
    provider::check(&options)?;
    let files = Arc::new(Files::read(&options.folder)?);
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let played = Arc::new(played::Played::new(options.clone(), files, address));
    let serving = tokio::spawn(server::serve(listener, Arc::clone(&played), shutdown.clone()));
    if let Some(webhook) = &options.webhook {
        let target = send::Target::parse(webhook)?;
        send::all(&played, target, &shutdown, Arc::new(delivered)).await;
    }
    serving.await.map_err(io::Error::other)
}

/// How long the URL of a file is valid: five minutes, as with Meta.
const URL_LIFETIME: Duration = Duration::from_secs(300);
