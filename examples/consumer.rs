//! A consumer of mediamill's outcomes: applies each event once and prints what a CRM would write, one JSON object a line.
//!
//! ```text
//! cargo run --example consumer -- --url amqp://guest:guest@127.0.0.1:5672/%2f --queue crm --seen seen-ids.txt
//! ```
//!
//! It uses nothing of mediamill's library: copy the file, and take `clap`, `futures-util`, `lapin`, `serde_json` and
//! `tokio` as dependencies. When the connection is lost the program ends with an error; have it started again.

#![expect(clippy::print_stdout, reason = "the records are the output")]

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};

/// Routing keys of all outcomes. A service that shows sound only would bind `media.normalized.audio`.
const KEYS: [&str; 3] = ["media.normalized.*", "media.rejected", "media.failed"];
/// Messages that RabbitMQ sends ahead of our acknowledgements.
const PREFETCH: u16 = 20;

#[derive(Parser)]
struct Args {
    /// Address of RabbitMQ
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    url: String,
    /// mediamill's exchange (its configuration key broker.exchange)
    #[arg(long, default_value = "mediamill")]
    exchange: String,
    /// A queue of this consumer's own; it is declared and bound
    #[arg(long, default_value = "crm")]
    queue: String,
    /// File with the ids of the events that were applied
    #[arg(long, default_value = "seen-ids.txt")]
    seen: PathBuf,
    /// Ends after so many messages, repeated ones included; without it the program runs until it is stopped
    #[arg(long)]
    count: Option<usize>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut seen = Seen::open(&args.seen)?;
    let connection = Connection::connect(&args.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel, &args).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let deliveries = channel.basic_consume(args.queue.as_str().into(), "".into(), options, arguments).await?;
    let mut deliveries = deliveries.take(args.count.unwrap_or(usize::MAX));
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        match serde_json::from_slice(&delivery.data) {
            Ok(event) => {
                apply(&event, &mut seen)?;
                // Only now: a crash before this line has the event delivered again, and its id is known then.
                delivery.ack(BasicAckOptions::default()).await?;
            }
            Err(error) => {
                eprintln!("not JSON, rejected: {error}");
                delivery.reject(BasicRejectOptions { requeue: false }).await?;
            }
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Declares the queue and binds it. Do this before the first request is published: an outcome that no queue takes fails.
async fn declare(channel: &Channel, args: &Args) -> lapin::Result<()> {
    let (queue, exchange) = (args.queue.as_str(), args.exchange.as_str());
    // A quorum queue survives the loss of a node of RabbitMQ.
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    for key in KEYS {
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await?;
    }
    Ok(())
}

/// Applies an event, unless its id was applied before.
fn apply(event: &Value, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    let id = event["id"].as_str().ok_or("an event without an id")?;
    if seen.has(id) {
        eprintln!("{id}: repeated, skipped");
        return Ok(());
    }
    match record(event) {
        Some(record) => println!("{record}"),
        None => eprintln!("{id}: no known type, skipped: {}", event["type"]),
    }
    // A real consumer writes the record and this id in one transaction of its database. Here a crash between the two would
    // print the record a second time.
    seen.add(id)?;
    Ok(())
}

/// What a CRM would write.
fn record(event: &Value) -> Option<Value> {
    let data = &event["data"];
    let common = json!({
        "media": format!("{}/{}", text(&data["tenant"]), text(&data["media_id"])),
        "contact": data["message"]["contact_id"],
        "deal": data["context"]["deal"],
    });
    let own = match event["type"].as_str()? {
        "mediamill.media.normalized.v1" => {
            let of_role = |role: &str| {
                let assets = data["assets"].as_array().into_iter().flatten();
                assets.into_iter().find(|asset| asset["role"] == role).cloned()
            };
            // Pictures and documents have no playback asset: people open the original.
            let shown = of_role("playback").or_else(|| of_role("original")).unwrap_or_default();
            json!({
                "write": "attachment",
                "kind": data["kind"],
                "key": shown["key"],
                "mime_type": shown["mime_type"],
                "duration_ms": shown["duration_ms"],
                "thumbnail": of_role("thumbnail").unwrap_or_default()["key"],
            })
        }
        "mediamill.media.rejected.v1" => json!({ "write": "note", "code": data["code"] }),
        // An operator may still repair this one and replay the request.
        "mediamill.media.failed.v1" => json!({ "write": "pending", "code": data["code"] }),
        _ => return None,
    };
    let (Value::Object(mut record), Value::Object(common)) = (own, common) else { return None };
    record.extend(common);
    Some(Value::Object(record))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The ids of events that were applied, in a file with one a line.
struct Seen {
    ids: HashSet<String>,
    file: File,
}

impl Seen {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Self { ids: text.lines().map(str::to_owned).collect(), file })
    }

    fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn add(&mut self, id: &str) -> std::io::Result<()> {
        writeln!(self.file, "{id}")?;
        self.file.sync_data()?;
        self.ids.insert(id.to_owned());
        Ok(())
    }
}
