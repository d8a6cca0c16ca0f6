//! The rest of the world, as seen from the exchange: services that ask for work, and services that wait for outcomes.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::ledger::{Ledger, Outcome};

/// Everything that the tests await, so that they read top-down.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// Nothing that a healthy broker does takes longer.
const ANSWER: Duration = Duration::from_secs(10);
/// Broken brokers come back within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages on their way at the same time where there are many.
const BATCH: usize = 200;

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// A message for the exchange.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Where to.
    pub routing_key: String,
    /// Content type, headers and so on; made persistent.
    pub properties: BasicProperties,
    /// Bytes.
    pub body: Vec<u8>,
}

/// A queue's contents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting, not with any consumer.
    pub ready: u32,
    /// Consumers.
    pub consumers: u32,
}

/// A message as it lies in a queue.
#[derive(Debug)]
pub struct Found {
    /// Its properties.
    pub properties: BasicProperties,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A service that publishes to one exchange and hears all its outcomes.
pub struct Bus {
    /// Of the broker's nodes; the first that answers will do.
    urls: Vec<String>,
    exchange: String,
    ledger: Arc<Ledger>,
    listener: Option<JoinHandle<()>>,
}

impl Bus {
    /// Publishes, and hears nothing.
    pub fn new(urls: Vec<String>, exchange: &str) -> Self {
        Self { urls, exchange: exchange.to_owned(), ledger: Arc::default(), listener: None }
    }

    /// Hears all outcomes from now on; returns when the queue is bound.
    pub fn listen(&mut self) {
        self.bind();
        let (urls, exchange, ledger) = (self.urls.clone(), self.exchange.clone(), Arc::clone(&self.ledger));
        self.listener = Some(RUNTIME.spawn(async move {
            loop {
                // The broker is broken on purpose now and then.
                drop(hear(&urls, &exchange, &ledger).await);
                sleep(Duration::from_millis(50)).await;
            }
        }));
    }

    /// What was heard.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Publishes until the broker has it in a queue, as a careful sender does.
    pub fn publish(&self, letter: &Letter) {
        self.publish_all(std::slice::from_ref(letter));
    }

    /// As [`Bus::publish`], many at a time; those whose confirm was lost are sent once more.
    pub fn publish_all(&self, letters: &[Letter]) {
        block_on(async {
            for batch in letters.chunks(BATCH) {
                let mut left: Vec<&Letter> = batch.iter().collect();
                let deadline = Instant::now() + PATIENCE;
                while !left.is_empty() {
                    assert!(Instant::now() < deadline, "the broker does not take {} messages", left.len());
                    match timeout(ANSWER, send(&self.urls, &self.exchange, &left)).await {
                        Ok(Ok(refused)) => left = refused,
                        Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(100)).await,
                    }
                }
            }
        });
    }

    /// Puts a message straight into `<exchange>.<name>`.
    pub fn put(&self, name: &str, letter: &Letter) {
        self.put_all(name, std::slice::from_ref(letter));
    }

    /// As [`Bus::put`], many at a time.
    pub fn put_all(&self, name: &str, letters: &[Letter]) {
        let queue = self.queue(name);
        let letters: Vec<Letter> =
            letters.iter().map(|letter| Letter { routing_key: queue.clone(), ..letter.clone() }).collect();
        block_on(patiently("filling a queue", || async {
            let refused = send(&self.urls, "", &letters.iter().collect::<Vec<_>>()).await?;
            if refused.is_empty() { Ok(()) } else { Err(std::io::Error::from(std::io::ErrorKind::NotFound).into()) }
        }));
    }

    /// Binds the queue `<exchange>.<name>` to one key.
    pub fn bind_queue(&self, name: &str, key: &str) {
        self.bind_with(name, key, FieldTable::default());
    }

    /// As [`Bus::bind_queue`], but a queue that refuses every message.
    pub fn bind_full_queue(&self, name: &str, key: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(0));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        self.bind_with(name, key, arguments);
    }

    fn bind_with(&self, name: &str, key: &str, arguments: FieldTable) {
        let queue = self.queue(name);
        block_on(patiently("binding a queue", || async {
            let (connection, channel) = open(&self.urls).await?;
            channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments.clone()).await?;
            let (exchange, options) = (self.exchange.as_str().into(), QueueBindOptions::default());
            channel.queue_bind(queue.as_str().into(), exchange, key.into(), options, FieldTable::default()).await?;
            connection.close(200, "done".into()).await
        }));
    }

    /// What waits in `<exchange>.<name>`.
    pub fn depth(&self, name: &str) -> Depth {
        let queue = self.queue(name);
        block_on(patiently("counting", || async {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            let (connection, channel) = open(&self.urls).await?;
            let found = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await?;
            connection.close(200, "done".into()).await?;
            Ok(Depth { ready: found.message_count(), consumers: found.consumer_count() })
        }))
    }

    /// Takes everything out of `<exchange>.<name>`.
    pub fn take_all(&self, name: &str) -> Vec<Found> {
        let queue = self.queue(name);
        block_on(patiently("emptying a queue", || async {
            let (connection, channel) = open(&self.urls).await?;
            let mut all = Vec::new();
            while let Some(got) = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await? {
                all.push(Found { properties: got.delivery.properties, body: got.delivery.data });
            }
            connection.close(200, "done".into()).await?;
            Ok(all)
        }))
    }

    /// Deletes `<exchange>.<name>` with what is in it.
    pub fn delete(&self, name: &str) {
        let queue = self.queue(name);
        block_on(patiently("deleting a queue", || async {
            let (connection, channel) = open(&self.urls).await?;
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
            connection.close(200, "done".into()).await
        }));
    }

    /// Deletes the exchange with all its bindings, which closes the channel of whoever publishes to it next.
    pub fn delete_exchange(&self) {
        block_on(patiently("deleting the exchange", || async {
            let (connection, channel) = open(&self.urls).await?;
            channel.exchange_delete(self.exchange.as_str().into(), Default::default()).await?;
            connection.close(200, "done".into()).await
        }));
    }

    /// Binds the queue of outcomes once more.
    pub fn bind(&self) {
        block_on(patiently("binding the outcome queue", || bind(&self.urls, &self.exchange)));
    }

    fn queue(&self, name: &str) -> String {
        format!("{}.{name}", self.exchange)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Found {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        match self.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::LongLongInt(number) => Some(number.to_string()),
            other => panic!("{name} is {other:?}"),
        }
    }
}

async fn open(urls: &[String]) -> lapin::Result<(Connection, Channel)> {
    let mut opened = Err(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable).into());
    for url in urls {
        opened = open_one(url).await;
        if opened.is_ok() {
            break;
        }
    }
    opened
}

async fn open_one(url: &str) -> lapin::Result<(Connection, Channel)> {
    // A broker that comes or goes may take a connection and say nothing for ever.
    let opened = timeout(ANSWER, async {
        let url = format!("{url}?heartbeat=5");
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    });
    opened.await.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()))
}

/// Tries until it works.
async fn patiently<T, F: Future<Output = lapin::Result<T>>>(what: &str, mut work: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match timeout(ANSWER, work()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        assert!(Instant::now() < deadline, "{what}: {error}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Those that no queue took.
async fn send<'a>(urls: &[String], exchange: &str, letters: &[&'a Letter]) -> lapin::Result<Vec<&'a Letter>> {
    let (connection, channel) = open(urls).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut confirms = Vec::new();
    for letter in letters {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, key) = (exchange.into(), letter.routing_key.as_str().into());
        let properties = letter.properties.clone().with_delivery_mode(2);
        confirms.push(channel.basic_publish(exchange, key, options, &letter.body, properties).await?);
    }
    let confirms = join_all(confirms).await;
    let mut refused = Vec::new();
    for (letter, confirm) in letters.iter().zip(confirms) {
        if !matches!(confirm?, Confirmation::Ack(None)) {
            refused.push(*letter);
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(refused)
}

async fn bind(urls: &[String], exchange: &str) -> lapin::Result<()> {
    let (connection, channel) = open(urls).await?;
    let queue = format!("{exchange}.outcomes");
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
    for key in ["media.normalized.*", "media.rejected", "media.failed"] {
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.as_str().into(), exchange.into(), key.into(), options, FieldTable::default()).await?;
    }
    connection.close(200, "done".into()).await
}

async fn hear(urls: &[String], exchange: &str, ledger: &Ledger) -> lapin::Result<()> {
    let (_connection, channel) = open(urls).await?;
    let queue = format!("{exchange}.outcomes");
    let options = BasicConsumeOptions::default();
    let consume = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    let mut consumer = timeout(ANSWER, consume).await.map_err(std::io::Error::from)??;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let outcome = Outcome::read(&delivery);
        // Delivered before and heard: not one more that a worker said. What a broker that died had sent may never have
        // come here.
        if !delivery.redelivered || !ledger.knows(outcome.id()) {
            ledger.note(outcome);
        }
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
