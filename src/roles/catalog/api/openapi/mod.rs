//! The OpenAPI 3.1 document of the API, made from the types that it answers with.

mod login;
mod privacy;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::model::{
    ErasureAsked, ErasureState, HoldAccepted, HoldAsked, Media, MediaPage, ObjectLink, Problem, Revocation,
    SubjectAsked,
};
use crate::privacy::SubjectIndex;

/// Parameters of a search besides `tenant`: name, whether it may be there several times, and what it means.
const SEARCH: [(&str, bool, &str); 14] = [
    ("contact", false, "A keyed hash of a person, a CRM's contact or a conversation"),
    ("from", false, "Sent at or after (RFC 3339)"),
    ("to", false, "Sent before (RFC 3339)"),
    ("state", false, "normalized, rejected or failed"),
    ("kind", true, "audio, video, image or document; several: any of them"),
    ("channel", false, "The channel, such as whatsapp"),
    ("direction", false, "inbound or outbound"),
    ("profile", false, "Name of the compression profile"),
    ("code", false, "Why it was rejected or failed"),
    ("tag", true, "A label; several: all of them"),
    ("q", false, "Words of file name, caption and transcript, or their beginnings: all of them"),
    ("limit", false, "At most so many; 50 by default"),
    ("cursor", false, "`next` of the page before, with the same conditions"),
    ("tenant", false, "Whose media. Required"),
];

/// The document.
#[must_use]
pub fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (path, operations) in [
        ("/v1/media", json!({ "get": search() })),
        ("/v1/media/{tenant}/{media_id}", json!({ "get": media() })),
        ("/v1/media/{tenant}/{media_id}/{object}", json!({ "get": object() })),
        ("/v1/revocations", json!({ "post": revoke() })),
    ]
    .into_iter()
    .chain(privacy::paths())
    .chain(login::paths())
    {
        paths.insert(path.to_owned(), operations);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "mediamill catalogue", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-mediamill-session" },
            },
        },
    })
}

/// Schemas of all answers and bodies by name.
fn schemas() -> Map<String, Value> {
    // OpenAPI 3.1 has the schemas of JSON Schema 2020-12.
    let settings =
        || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut answers = settings().for_serialize().into_generator();
    add::<MediaPage>(&mut answers);
    add::<Media>(&mut answers);
    add::<ObjectLink>(&mut answers);
    add::<Problem>(&mut answers);
    add::<Revocation>(&mut answers);
    add::<ErasureState>(&mut answers);
    add::<HoldAccepted>(&mut answers);
    add::<SubjectIndex>(&mut answers);
    let mut bodies = settings().for_deserialize().into_generator();
    add::<ErasureAsked>(&mut bodies);
    add::<HoldAsked>(&mut bodies);
    add::<SubjectAsked>(&mut bodies);
    answers.take_definitions(true).into_iter().chain(bodies.take_definitions(true)).collect()
}

fn add<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) {
    drop(generator.subschema_for::<T>());
}

fn search() -> Value {
    let parameters: Vec<Value> = SEARCH.iter().map(|(name, is_list, text)| parameter(name, *is_list, text)).collect();
    json!({
        "operationId": "search",
        "summary": "Media of a tenant, the latest message first",
        "parameters": parameters,
        "responses": responses(&json!({ "200": answer("A page", "MediaPage") }), &[400, 401, 403, 404, 503]),
    })
}

fn parameter(name: &str, is_list: bool, text: &str) -> Value {
    let one = match name {
        "limit" => json!({ "type": "integer", "minimum": 1 }),
        "from" | "to" => json!({ "type": "string", "format": "date-time" }),
        "state" => json!({ "type": "string", "enum": ["normalized", "rejected", "failed"] }),
        "tenant" => json!({ "type": "string", "minLength": 1, "maxLength": 1024 }),
        _ => json!({ "type": "string", "maxLength": 1024 }),
    };
    let schema = if is_list { json!({ "type": "array", "items": one }) } else { one };
    json!({ "name": name, "in": "query", "required": name == "tenant", "description": text, "schema": schema })
}

/// Ids in a path.
fn path(name: &str, text: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": text, "schema": { "type": "string", "minLength": 1 } })
}

fn ids() -> [Value; 2] {
    let text = "as it is, with every character but letters, digits, -, . and _ (and a . at the beginning) as ~ and two hex digits a byte";
    [path("tenant", text), path("media_id", text)]
}

fn media() -> Value {
    json!({
        "operationId": "media",
        "summary": "What is known of a media",
        "parameters": ids(),
        "responses": responses(&json!({ "200": answer("The media", "Media") }), &[401, 403, 404, 410, 503]),
    })
}

fn object() -> Value {
    let mut parameters = Vec::from(ids());
    parameters.push(path("object", "The file's role with an extension, such as playback.mp3"));
    for (name, value, text) in [
        ("download", "1", "Has a browser save it under its name"),
        ("mode", "proxy", "Through the catalogue rather than by a redirect"),
    ] {
        parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": text,
            "schema": { "type": "string", "enum": [value] },
        }));
    }
    let bytes = json!({ "schema": {} });
    let ok = json!({
        "description": "The bytes; or, where Accept is application/json, where they are",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ObjectLink" } }, "*/*": bytes },
    });
    let good = json!({
        "200": ok,
        "206": { "description": "The part that Range asks for", "content": { "*/*": bytes } },
        "302": { "description": "To a URL of the store that works for a while" },
        "304": { "description": "The reader has these bytes" },
    });
    json!({
        "operationId": "object",
        "summary": "A file of a media",
        "parameters": parameters,
        "responses": responses(&good, &[401, 403, 404, 409, 410, 416, 503]),
    })
}

fn revoke() -> Value {
    json!({
        "operationId": "revoke",
        "summary": "Has a capability link open nothing any more",
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": {
                "type": "object", "required": ["link"], "properties": { "link": { "type": "string" } },
            } } },
        },
        "responses": responses(&json!({ "200": answer("It is revoked", "Revocation") }), &[400, 401, 403, 404, 503]),
    })
}

fn answer(text: &str, schema: &str) -> Value {
    let schema = format!("#/components/schemas/{schema}");
    json!({ "description": text, "content": { "application/json": { "schema": { "$ref": schema } } } })
}

fn responses(good: &Value, refusals: &[u16]) -> Value {
    let mut all = good.as_object().cloned().unwrap_or_default();
    for status in refusals {
        let text = match status {
            400 => "The request cannot be understood",
            401 => "Nobody known asks",
            403 => "The role is not for this",
            404 => "There is no such thing, or it is not theirs",
            409 => "The store brings it back from an archive, which takes hours",
            410 => "It was erased, or its time is over",
            416 => "Nothing of the range is there",
            _ => "The store, the database or the key set does not answer now",
        };
        all.insert(status.to_string(), answer(text, "Problem"));
    }
    // Answered before the request is looked at, without a body.
    for (status, text) in
        [("414", "The path and query are too long"), ("431", "The head is larger than catalog.head_bytes")]
    {
        all.insert(status.to_owned(), json!({ "description": text }));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = openapi();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert_eq!(document["components"]["schemas"]["Media"]["properties"]["media_id"]["type"], "string");
    }
}
