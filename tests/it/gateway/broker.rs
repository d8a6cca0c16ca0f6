//! What the gateway publishes, with a real broker and with one that does not answer.

use std::time::{Duration, Instant};

use mediamill::broker::Publisher;
use mediamill::channels::{Outgoing, Provider, outgoing};
use mediamill::config::{self, Config};
use mediamill::roles::gateway::{self, Batch, Entry, Gateway, Outlet, serve};
use mediamill::roles::worker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Rig, Shelf, options, post, signed, status};
use crate::channels::samples::{AUDIO, meta};
use crate::channels::{account, at, parsed};
use crate::support::bus::Bus;
use crate::support::rabbit::{Rabbit, calm};

fn configured(rabbit: &Rabbit, keys: &[(&str, &str)]) -> Config {
    let (url, exchange) = (rabbit.url(), format!("gateway-{}", Uuid::now_v7()));
    let own = [("broker.url", url.as_str()), ("broker.exchange", &exchange)];
    let set: Vec<_> = own.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    config::load(None, [], &set).expect("a configuration")
}

/// The event of a message, with an id of its own.
fn event(message: &str, n: usize) -> Outgoing {
    let account = account(Provider::WhatsappCloud, "sesame");
    let update = parsed(&account, &meta(&message.replace("wamid.", &format!("wamid.{n}.")))).remove(0);
    outgoing(&account, update, at(1_790_000_500)).expect("an event")
}

fn rejected() -> Outgoing {
    event(r#"{"type":"unsupported","id":"wamid.1","unsupported":{"type":"image"}}"#, 1)
}

fn revoked() -> Outgoing {
    event(r#"{"type":"revoke","id":"wamid.2","revoke":{"original_message_id":"wamid.1"}}"#, 2)
}

fn edited() -> Outgoing {
    let edit = r#"{"original_message_id":"wamid.1","message":{"type":"image","image":{"id":"7","caption":"new"}}}"#;
    event(&format!(r#"{{"type":"edit","id":"wamid.3","edit":{edit}}}"#), 3)
}

fn batch(events: Vec<Outgoing>) -> Batch {
    Batch { account: "support".to_owned(), events, webhook: None }
}

/// Depth of a queue, and what else blocks: the harness has a runtime of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn rejections_and_revocations_must_arrive_and_edits_need_not() {
    let Some(rabbit) = calm() else { return };
    let config = configured(rabbit, &[]);
    let outlet = gateway::outlet(&config).expect("an outlet");
    assert_eq!(outlet.publish(batch(vec![edited()])).await, Ok(1), "nobody is bound, and it need not arrive");
    for outgoing in [rejected(), revoked()] {
        assert!(outlet.publish(batch(vec![edited(), outgoing])).await.is_err(), "nobody is bound");
    }
    let (url, exchange) = (rabbit.url(), config.broker.exchange.clone());
    let bus = aside(move || {
        let bus = Bus::new(vec![url], &exchange);
        bus.bind_queue("changes", "message.*");
        bus.bind_queue("rejections", "media.rejected");
        bus
    })
    .await;
    assert_eq!(outlet.publish(batch(vec![edited(), rejected(), revoked()])).await, Ok(0));
    let depths = aside(move || ["changes", "rejections"].map(|name| bus.depth(name).ready)).await;
    assert_eq!(depths, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_messages_are_on_their_way_than_the_key_says_and_all_arrive() {
    let Some(rabbit) = calm() else { return };
    let config = configured(rabbit, &[("gateway.publishes", "2")]);
    Publisher::new(&config.broker, worker::topology(&config.broker).expect("a topology"))
        .connect()
        .await
        .expect("lanes");
    let outlet = gateway::outlet(&config).expect("an outlet");
    let events = |_| (0..20).map(|n| event(AUDIO, n)).collect();
    let webhooks =
        futures_util::future::join_all((0..10).map(events).map(|events| outlet.publish(batch(events)))).await;
    assert!(webhooks.iter().all(|published| *published == Ok(0)), "{webhooks:?}");
    let (url, exchange) = (rabbit.url(), config.broker.exchange.clone());
    let ready = aside(move || Bus::new(vec![url], &exchange).depth("audio").ready).await;
    assert_eq!(ready, 200);
}

#[tokio::test]
async fn a_broker_that_never_answers_is_503_in_time_and_the_next_webhook_too() {
    // Accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("amqp://guest:guest@{}/%2f", silent.local_addr().expect("an address"));
    let set = [("broker.url", url.as_str()), ("broker.connect_timeout_s", "1")];
    let set: Vec<_> = set.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let config = config::load(None, [], &set).expect("a configuration");
    let outlet = gateway::outlet(&config).expect("an outlet");
    let limits = gateway::Options { publish_timeout: Duration::from_secs(2), ..options() };
    let entries = vec![Entry::new(account(Provider::WhatsappCloud, "sesame")).expect("an account")];
    let taker = Gateway::new(limits, entries, std::sync::Arc::new(outlet));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, taker, shutdown.clone()));
    let body = meta(AUDIO);
    let request = post("support", &[("x-hub-signature-256", &signed("sesame", body.as_bytes()))], body.as_bytes());
    for _ in 0..2 {
        let began = Instant::now();
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.expect("sent");
        assert_eq!(status(&super::answer(&mut stream).await), 503);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    shutdown.cancel();
    serving.await.expect("ended");
}

#[tokio::test]
async fn two_deliveries_of_a_webhook_at_the_same_moment_are_one_event_twice() {
    let shelf = Shelf::open();
    let rig = Rig::start(options(), vec![account(Provider::WhatsappCloud, "sesame")], shelf.clone()).await;
    let body = meta(AUDIO);
    let signature = signed("sesame", body.as_bytes());
    let headers = [("x-hub-signature-256", signature.as_str())];
    let both =
        tokio::join!(rig.post("support", &headers, body.as_bytes()), rig.post("support", &headers, body.as_bytes()));
    assert_eq!((status(&both.0), status(&both.1)), (200, 200));
    let events = shelf.events.lock().expect("no panic");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], events[1], "the same id and the same content");
}
