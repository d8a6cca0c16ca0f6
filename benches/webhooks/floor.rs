//! The floor: axum takes a body, publishes it as it is, answers once it is confirmed. A process of its own, as the gateway is.

use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

/// The variable that makes this program the floor; with the value `nothing`, a server that publishes nothing.
pub(crate) const MODE: &str = "BENCH_FLOOR";
/// Where it listens, and where it publishes.
pub(crate) const LISTEN: &str = "BENCH_LISTEN";
pub(crate) const URL: &str = "BENCH_URL";
pub(crate) const EXCHANGE: &str = "BENCH_EXCHANGE";

/// Serves until it is killed.
pub(crate) fn serve(nothing: bool) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let variable = |name: &str| std::env::var(name).expect(name);
        let connection = Connection::connect(&variable(URL), ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let publishing =
            Router::new().route("/v1/channels/support", post(publish)).with_state((channel, variable(EXCHANGE)));
        let idle = Router::new().route("/v1/channels/support", post(async |_: Bytes| StatusCode::OK));
        let listener = tokio::net::TcpListener::bind(variable(LISTEN)).await.expect("a port");
        axum::serve(listener, if nothing { idle } else { publishing }).await.expect("it serves");
    });
    ExitCode::SUCCESS
}

async fn publish(State((channel, exchange)): State<(Channel, String)>, body: Bytes) -> StatusCode {
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
