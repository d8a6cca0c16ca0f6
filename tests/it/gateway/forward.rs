//! Webhooks that are passed on, over a real broker to real targets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use mediamill::broker::Publisher;
use mediamill::config::{self, Config};
use mediamill::roles::gateway::{self, Gateway};
use mediamill::roles::worker;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{post, signed, status};
use crate::channels::samples::{AUDIO, meta};
use crate::support::bus::{Bus, Letter};
use crate::support::http::{Http, answer, ok};
use crate::support::rabbit::{Rabbit, calm};

const KEY: &str = "sesame";
/// The first delay of a target's ladder is 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway with a broker, as `mediamill gateway` runs it.
struct Whole {
    gateway: Gateway,
    address: SocketAddr,
    config: Config,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Whole {
    /// With an account `support` whose webhooks go on to these URLs; private addresses are allowed as the list says.
    async fn start(rabbit: &Rabbit, forward: &[String], allowed: &str) -> Self {
        let exchange = format!("forward-{}", Uuid::now_v7());
        let (url, forward) = (rabbit.url(), forward.join(","));
        let set = [
            ("broker.url", url.as_str()),
            ("broker.exchange", &exchange),
            ("gateway.public_url", "https://gw.example.test"),
            ("gateway.forward_allow_plain", "true"),
            ("gateway.forward_allow_hosts", allowed),
            ("channels.support.provider", "whatsapp-cloud"),
            ("channels.support.tenant", "acme"),
            ("channels.support.app_secret", KEY),
            ("channels.support.forward", &forward),
        ];
        let set: Vec<_> = set.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let config = config::load(None, [], &set).expect("a configuration");
        let lanes = worker::topology(&config.broker).expect("a topology");
        Publisher::new(&config.broker, lanes).connect().await.expect("lanes");
        let (gateway, service) = gateway::service(&config).expect("a gateway");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let (stop, taker) = (shutdown.clone(), gateway.clone());
        let serving = tokio::spawn(gateway::serve(listener, taker, stop.clone()));
        let running = tokio::spawn(async move { service.run(stop).await.expect("a broker") });
        Self { gateway, address, config, shutdown, tasks: vec![serving, running] }
    }

    /// Posts a body with Meta's signature by this key; its status, and how long that took.
    async fn post(&self, key: &str, body: &str) -> (u16, Duration) {
        let began = Instant::now();
        let mut stream = tokio::net::TcpStream::connect(self.address).await.expect("connected");
        let signature = signed(key, body.as_bytes());
        let headers = [
            ("x-hub-signature-256", signature.as_str()),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("user-agent", "facebook"),
        ];
        let request = post("support?page=3", &headers, body.as_bytes());
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.expect("sent");
        (status(&super::answer(&mut stream).await), began.elapsed())
    }

    /// Waits until a line of the metrics has these pieces.
    async fn counted(&self, pieces: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.gateway.metrics().encode();
            if metrics.lines().any(|line| pieces.iter().all(|piece| line.contains(piece))) {
                return;
            }
            assert!(Instant::now() < deadline, "no line with {pieces:?} in\n{metrics}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.expect("ended");
        }
    }
}

/// Waits until a target has so many requests.
async fn asked(target: &Http, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while target.asked().len() < count {
        assert!(Instant::now() < deadline, "{} of {count} requests", target.asked().len());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_webhook_reaches_each_target_as_it_came_and_a_target_that_is_down_delays_nobody() {
    let Some(rabbit) = calm() else { return };
    let tries = AtomicUsize::new(0);
    let target = Http::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => answer("503 Busy", &["content-length: 0"], ""),
        _ => ok(""),
    });
    let nobody = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/down", free.local_addr().expect("an address"))
    };
    let hosts = format!("{},127.0.0.1", target.authority());
    let whole = Whole::start(rabbit, &[target.url("/inbox?token=7"), nobody], &hosts).await;

    // The escapes are part of what was signed: anything that reads and writes the body again breaks them.
    let body = meta(AUDIO).replacen("wamid.", r"wamid\u002e", 1);
    assert_eq!(whole.post("another key", &body).await.0, 403);
    let (status, took) = whole.post(KEY, &body).await;
    assert_eq!(status, 200);
    assert!(took < Duration::from_secs(3), "the answer took {took:?}");

    asked(&target, 2).await;
    for request in target.asked() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/inbox?token=7&page=3"));
        assert_eq!(request.body, body.as_bytes());
        let signature = format!("x-hub-signature-256: {}", signed(KEY, body.as_bytes()));
        for line in [signature.as_str(), "x-twice: 1", "x-twice: 2", "user-agent: facebook"] {
            assert!(request.headers.iter().any(|header| header == line), "{line} is not in {:?}", request.headers);
        }
        let host = format!("host: {}", target.authority());
        assert_eq!(request.headers.iter().filter(|header| header.starts_with("host:")).collect::<Vec<_>>(), [&host]);
    }
    whole.counted(&["mediamill_jobs_total", "forward.support.", "outcome=\"done\"", " 1"]).await;
    whole.counted(&["mediamill_retries_total", "forward.support.", "code=\"forward.unavailable\""]).await;
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_goes_on_too_and_private_addresses_that_are_not_named_get_nothing() {
    let Some(rabbit) = calm() else { return };
    let (named, private) = (Http::start(|_| ok("")), Http::start(|_| ok("")));
    let forward = [named.url("/"), private.url("/")];
    let whole = Whole::start(rabbit, &forward, &named.authority()).await;
    let text = meta(r#"{"type":"text","id":"wamid.T","text":{"body":"hello"}}"#);
    assert_eq!(whole.post(KEY, &text).await.0, 200);
    asked(&named, 1).await;
    whole.counted(&["mediamill_retries_total", "code=\"forward.denied\""]).await;
    assert_eq!((named.asked()[0].body.as_slice(), private.asked().len()), (text.as_bytes(), 0));
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_has_not_taken_in_time_is_dropped_and_counted() {
    let Some(rabbit) = calm() else { return };
    let target = Http::start(|_| ok(""));
    let whole = Whole::start(rabbit, &[target.url("/")], &target.authority()).await;
    let queue = gateway::queues(&whole.config).swap_remove(0);
    assert_eq!((queue.lifetime_s, queue.keys.len()), (Some(7 * 24 * 3600), 0), "bound to nothing, and not for ever");
    let old = (jiff::Timestamp::now() - Duration::from_secs(8 * 24 * 3600)).to_string();
    let mut headers = FieldTable::default();
    for (name, value) in
        [("webhook-method", "POST"), ("webhook-query", ""), ("webhook-headers", ""), ("webhook-time", old.as_str())]
    {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let letter = |headers| Letter {
        routing_key: format!("{}.{}", whole.config.broker.exchange, queue.name),
        properties: BasicProperties::default().with_headers(headers),
        body: b"old".to_vec(),
    };
    let letters = [letter(headers), letter(FieldTable::default())];
    let url = rabbit.url();
    tokio::task::spawn_blocking(move || Bus::new(vec![url], "").publish_all(&letters)).await.expect("published");
    whole.counted(&["mediamill_forward_dropped_total", "account=\"support\"", " 2"]).await;
    assert_eq!(target.asked().len(), 0);
    whole.stop().await;
}
