//! `mediamill schema`: the messages as JSON Schema 2020-12, and what goes where as AsyncAPI 3, from the types.

use std::io::{self, Write};
use std::process::ExitCode;

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::CliError;
use crate::events::{
    ALERT_KEY, ALERT_TYPE, Alert, CONSENT_KEY, CONSENT_TYPE, Consent, EDITED_TYPE, ERASE_KEY, ERASE_TYPE, ERASED_KEY,
    ERASED_TYPE, Edited, Erase, Erased, FAILED_TYPE, Failed, HOLD_KEY, HOLD_TYPE, Hold, Kind, NORMALIZED_TYPE,
    Normalized, RECEIVED_TYPE, REJECTED_TYPE, REVOKED_TYPE, Received, Rejected, Revoked, TRANSCRIBED_KEY,
    TRANSCRIBED_TYPE, Transcribed,
};

/// Media type of every message.
const CLOUD_EVENT: &str = "application/cloudevents+json";
/// What AsyncAPI 3 calls JSON Schema 2020-12.
const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-2020-12";
/// The default of `broker.exchange`.
const EXCHANGE: &str = "mediamill";

/// Print a message's JSON Schema, or the AsyncAPI document of all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which one
    #[arg(value_enum, default_value_t = Document::Asyncapi)]
    document: Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Document {
    /// JSON Schema of the event that asks for work
    Received,
    /// JSON Schema of the outcome: assets are stored
    Normalized,
    /// JSON Schema of the outcome: this file can never be processed
    Rejected,
    /// JSON Schema of the outcome: retries are spent, or an operator is needed
    Failed,
    /// JSON Schema of the event: the text under a media was changed
    Edited,
    /// JSON Schema of the event: a message was taken back
    Revoked,
    /// JSON Schema of the event: nothing of a media is stored any more
    Erased,
    /// JSON Schema of the event that says what is said in a media
    Transcribed,
    /// JSON Schema of the event: a person has decided about purposes
    Consent,
    /// JSON Schema of the event that asks to delete for certain
    Erase,
    /// JSON Schema of the event: something must not be deleted, or may be again
    Hold,
    /// JSON Schema of the event: an operator is needed
    Alert,
    /// All of them, with exchange and routing keys, as AsyncAPI 3
    Asyncapi,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let document = match args.document {
        Document::Asyncapi => asyncapi(),
        Document::Received => standalone(Message::Received),
        Document::Normalized => standalone(Message::Normalized),
        Document::Rejected => standalone(Message::Rejected),
        Document::Failed => standalone(Message::Failed),
        Document::Edited => standalone(Message::Edited),
        Document::Revoked => standalone(Message::Revoked),
        Document::Erased => standalone(Message::Erased),
        Document::Transcribed => standalone(Message::Transcribed),
        Document::Consent => standalone(Message::Consent),
        Document::Erase => standalone(Message::Erase),
        Document::Hold => standalone(Message::Hold),
        Document::Alert => standalone(Message::Alert),
    };
    writeln!(io::stdout().lock(), "{document:#}")?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Received,
    Normalized,
    Rejected,
    Failed,
    Edited,
    Revoked,
    Erased,
    Transcribed,
    Consent,
    Erase,
    Hold,
    Alert,
}

impl Message {
    const ALL: [Self; 12] = [
        Self::Received,
        Self::Normalized,
        Self::Rejected,
        Self::Failed,
        Self::Edited,
        Self::Revoked,
        Self::Erased,
        Self::Transcribed,
        Self::Consent,
        Self::Erase,
        Self::Hold,
        Self::Alert,
    ];

    /// Whether others write it and mediamill reads it.
    const fn is_read(self) -> bool {
        matches!(self, Self::Received | Self::Transcribed | Self::Consent | Self::Erase | Self::Hold)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Normalized => "normalized",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Edited => "edited",
            Self::Revoked => "revoked",
            Self::Erased => "erased",
            Self::Transcribed => "transcribed",
            Self::Consent => "consent",
            Self::Erase => "erase",
            Self::Hold => "hold",
            Self::Alert => "alert",
        }
    }

    const fn event_type(self) -> &'static str {
        match self {
            Self::Received => RECEIVED_TYPE,
            Self::Normalized => NORMALIZED_TYPE,
            Self::Rejected => REJECTED_TYPE,
            Self::Failed => FAILED_TYPE,
            Self::Edited => EDITED_TYPE,
            Self::Revoked => REVOKED_TYPE,
            Self::Erased => ERASED_TYPE,
            Self::Transcribed => TRANSCRIBED_TYPE,
            Self::Consent => CONSENT_TYPE,
            Self::Erase => ERASE_TYPE,
            Self::Hold => HOLD_TYPE,
            Self::Alert => ALERT_TYPE,
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::Received => "A customer's file has arrived: process it.",
            Self::Normalized => "The assets are stored, here is what they are.",
            Self::Rejected => "This file can never be processed, and why.",
            Self::Failed => "Retries are spent or an operator is needed; `mediamill replay` tries again.",
            Self::Edited => "The text under a media was changed.",
            Self::Revoked => "A message was taken back by whoever sent it.",
            Self::Erased => "Nothing of this media is stored any more.",
            Self::Transcribed => "What is said in a media.",
            Self::Consent => "A person has decided about purposes.",
            Self::Erase => "Delete for certain, and prove it.",
            Self::Hold => "Something must not be deleted, or may be again.",
            Self::Alert => "An operator is needed: a destination was stopped.",
        }
    }

    /// Routing key, with `{kind}` where the kind of media stands.
    const fn routing_key(self) -> &'static str {
        match self {
            Self::Received => "media.received.{kind}",
            Self::Normalized => "media.normalized.{kind}",
            Self::Rejected => "media.rejected",
            Self::Failed => "media.failed",
            Self::Edited => "message.edited",
            Self::Revoked => "message.revoked",
            Self::Erased => ERASED_KEY,
            Self::Transcribed => TRANSCRIBED_KEY,
            Self::Consent => CONSENT_KEY,
            Self::Erase => ERASE_KEY,
            Self::Hold => HOLD_KEY,
            Self::Alert => ALERT_KEY,
        }
    }

    /// Schema of `data`, with what it refers to added to the generator's definitions.
    fn data(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Received => generator.subschema_for::<Received>(),
            Self::Normalized => generator.subschema_for::<Normalized>(),
            Self::Rejected => generator.subschema_for::<Rejected>(),
            Self::Failed => generator.subschema_for::<Failed>(),
            Self::Edited => generator.subschema_for::<Edited>(),
            Self::Revoked => generator.subschema_for::<Revoked>(),
            Self::Erased => generator.subschema_for::<Erased>(),
            Self::Transcribed => generator.subschema_for::<Transcribed>(),
            Self::Consent => generator.subschema_for::<Consent>(),
            Self::Erase => generator.subschema_for::<Erase>(),
            Self::Hold => generator.subschema_for::<Hold>(),
            Self::Alert => generator.subschema_for::<Alert>(),
        }
    }

    /// What is written by others is read leniently; what we write is promised strictly.
    fn generator(self, definitions_path: &'static str) -> SchemaGenerator {
        let settings =
            SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = definitions_path.into());
        if self.is_read() {
            settings.for_deserialize().into_generator()
        } else {
            settings.for_serialize().into_generator()
        }
    }
}

/// One event's schema, complete in itself.
fn standalone(message: Message) -> Value {
    let mut generator = message.generator("/$defs");
    let data = message.data(&mut generator);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), message.event_type().into());
    schema.insert("description".to_owned(), message.summary().into());
    schema.extend(envelope(message.event_type(), &data));
    schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
    Value::Object(schema)
}

/// CloudEvents 1.0 in structured mode around `data`.
fn envelope(event_type: &str, data: &Schema) -> Map<String, Value> {
    let text = |description: &str| json!({ "type": "string", "minLength": 1, "description": description });
    let schema = json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": text("Unique together with `source`; the same in every repetition."),
            "source": text("Who says it: a URI reference."),
            "type": { "const": event_type },
            "subject": text("`<tenant>/<media_id>` in outcome events; the destination in alerts."),
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "traceparent": text("W3C Trace Context, taken over into the outcome."),
            "tracestate": text("Goes with `traceparent`; up to 512 characters are taken over."),
            "data": data,
        },
    });
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn asyncapi() -> Value {
    let mut schemas = Map::new();
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for message in Message::ALL {
        let name = message.name();
        let mut generator = message.generator("/components/schemas");
        let data = message.data(&mut generator);
        schemas.extend(generator.take_definitions(true).into_iter().map(|(name, schema)| (name, multi_format(schema))));
        let payload = multi_format(Value::Object(envelope(message.event_type(), &data)));
        let message_object = json!({
            "name": message.event_type(), "title": name, "summary": message.summary(),
            "contentType": CLOUD_EVENT, "payload": payload,
        });
        messages.insert(name.to_owned(), message_object);
        channels.insert(name.to_owned(), channel(message));
        let action = if message.is_read() { "receive" } else { "send" };
        let channel = json!({ "$ref": format!("#/channels/{name}") });
        operations
            .insert(name.to_owned(), json!({ "action": action, "channel": channel, "summary": message.summary() }));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "mediamill",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Seen from mediamill: the worker receives *media received* and sends the outcomes. What is *edited* and *revoked* \
                            comes from the gateway, or from whoever else receives the channel's webhooks. The catalogue receives what \
                            is *transcribed*, *consent*, *erase* and *hold*, and sends *erased*. The deliverer sends an *alert*.",
        },
        "defaultContentType": CLOUD_EVENT,
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// A schema that says which dialect it is in; references to its inside go one level deeper.
fn multi_format(schema: Value) -> Value {
    json!({ "schemaFormat": SCHEMA_FORMAT, "schema": deepened(schema) })
}

fn deepened(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| match value {
                    Value::String(target) if key == "$ref" => (key, Value::String(format!("{target}/schema"))),
                    value => (key, deepened(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(deepened).collect()),
        other => other,
    }
}

fn channel(message: Message) -> Value {
    let name = message.name();
    let mut channel = json!({
        "address": message.routing_key(),
        "messages": { name: { "$ref": format!("#/components/messages/{name}") } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": EXCHANGE, "type": "topic", "durable": true, "autoDelete": false },
            "bindingVersion": "0.3.0",
        } },
    });
    if message.routing_key().contains("{kind}") {
        let kinds = [Kind::Audio, Kind::Video, Kind::Image, Kind::Document].map(Kind::as_str);
        let description = match message {
            Message::Received => {
                "What the sender takes the file for; only the lane depends on it. \
                                  `media.received` alone is taken as well."
            }
            _ => "What the file is, by its content.",
        };
        channel["parameters"] = json!({ "kind": { "enum": kinds, "description": description } });
    }
    channel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    fn assert_references_resolve(document: &Value) {
        let mut found = Vec::new();
        references(document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn every_schema_is_complete_in_itself() {
        for message in Message::ALL {
            let schema = standalone(message);
            assert_references_resolve(&schema);
            assert_eq!(schema["properties"]["type"]["const"], message.event_type());
        }
    }

    #[test]
    fn the_asyncapi_document_is_complete_in_itself() {
        let document = asyncapi();
        assert_references_resolve(&document);
        assert_eq!(document["channels"].as_object().map(Map::len), Some(12));
        assert_eq!(document["operations"]["received"]["action"], "receive");
        assert_eq!(document["operations"]["normalized"]["action"], "send");
    }

    #[test]
    fn only_three_fields_are_required_of_a_sender() {
        let schema = standalone(Message::Received);
        assert_eq!(schema["$defs"]["Received"]["required"], json!(["tenant", "media_id", "origin"]));
    }
}
