//! Servers beside the gateway, each a process of its own: axum takes a body, publishes it as it is, answers once it is confirmed.

use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use mediamill::broker::{Message, Publisher, Topology, WorkQueue};
use mediamill::config::{self, Broker};
use mediamill::roles::worker;

/// The variable that makes this program one of them.
pub(crate) const MODE: &str = "BENCH_FLOOR";
/// Where it listens.
pub(crate) const LISTEN: &str = "BENCH_LISTEN";
const ROUTE: &str = "/v1/channels/support";

/// What the server does with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Publishes it as the gateway does: one message on its way on each channel, so that one that is returned is known.
    Floor,
    /// Publishes all on one channel. Fewer answers of the broker are needed, but lapin does not say which message was returned.
    OneChannel,
    /// Answers at once.
    Nothing,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Floor, Self::OneChannel, Self::Nothing];

    /// The value of [`MODE`].
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OneChannel => "one-channel",
            Self::Nothing => "nothing",
        }
    }
}

/// Serves until it is killed.
pub(crate) fn serve(mode: &str) -> ExitCode {
    let mode = Mode::ALL.into_iter().find(|one| one.as_str() == mode).expect("a mode");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let router = match mode {
            Mode::Floor => floor().await,
            Mode::OneChannel => one_channel().await,
            Mode::Nothing => Router::new().route(ROUTE, post(async |_: Bytes| StatusCode::OK)),
        };
        let address = std::env::var(LISTEN).expect(LISTEN);
        let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
        axum::serve(listener, router).await.expect("it serves");
    });
    ExitCode::SUCCESS
}

/// The broker that the environment names, as for the gateway.
fn configured() -> Broker {
    config::load(None, std::env::vars_os(), &[]).expect("a valid configuration").broker
}

async fn floor() -> Router {
    let broker = configured();
    let topology = worker::topology(&broker).expect("a topology");
    let publisher = Publisher::new(&broker, topology.clone());
    publisher.connect().await.expect("a broker");
    Router::new().route(ROUTE, post(publish)).with_state((publisher, topology))
}

async fn publish(State((publisher, topology)): State<(Publisher, Topology)>, body: Bytes) -> StatusCode {
    // The lane of voice notes.
    let queue = WorkQueue { index: 1, later: false };
    match publisher.publish(&Message::direct(&topology, queue, &[], body)).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn one_channel() -> Router {
    let broker = configured();
    let url = broker.url.expose();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let channel = connection.expect("a broker").create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    Router::new().route(ROUTE, post(publish_on)).with_state((channel, broker.exchange))
}

async fn publish_on(State((channel, exchange)): State<(Channel, String)>, body: Bytes) -> StatusCode {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent =
        channel.basic_publish(exchange.as_str().into(), "media.received.audio".into(), options, &body, properties);
    let Ok(confirm) = sent.await else { return StatusCode::SERVICE_UNAVAILABLE };
    match confirm.await {
        Ok(Confirmation::Ack(None)) => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
