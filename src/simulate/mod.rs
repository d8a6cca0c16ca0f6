//! A messaging provider on this machine: its media API, and signed webhooks for the files of a folder, with the faults that
//! providers are known for. For trying a gateway and a worker without an account, and for tests.
//!
//! It is written against the providers' documentation and shares no code with the gateway: not its parsers, not its
//! verifiers.

mod faults;
mod files;
mod meta;
mod played;
mod provider;
mod send;
mod server;
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

/// Which provider is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// WhatsApp Business Cloud API.
    WhatsappCloud,
    /// 360dialog.
    Dialog360,
    /// Twilio.
    Twilio,
}

/// What is played, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The provider.
    pub provider: Provider,
    /// Where its media API listens.
    pub listen: SocketAddr,
    /// URL of the gateway's account, http only; none to send no webhooks.
    pub webhook: Option<String>,
    /// The URL that the gateway takes for its own, which signatures of Twilio's cover; [`Options::webhook`] where there is
    /// none.
    pub public_url: Option<String>,
    /// Whose files are sent.
    pub folder: PathBuf,
    /// What webhooks are signed with: Meta's app secret, Twilio's auth token.
    pub secret: String,
    /// What the media API asks for: a bearer token, an API key, or the password of Basic authorization.
    pub token: String,
    /// Number or account id that messages come to.
    pub account_id: String,
    /// How many messages are sent; each file is sent again and again where there are fewer.
    pub count: usize,
    /// Messages a second; as fast as they are taken where it is 0.
    pub rate: f64,
    /// Webhooks on their way at the same time.
    pub at_once: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// For what is left to chance.
    pub seed: u64,
}

/// Plays the provider until `shutdown`. `delivered` is told of each message that was answered with success; it returns when
/// all of them are, and the media API goes on.
///
/// # Errors
/// Where the port cannot be had, the folder has no files, or the gateway's URL is none.
pub async fn run(
    options: Options,
    shutdown: CancellationToken,
    delivered: impl Fn(&Delivered) + Send + Sync + 'static,
) -> io::Result<()> {
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

/// How long a URL of a file is good for: Meta's five minutes.
const URL_LIFETIME: Duration = Duration::from_secs(300);
