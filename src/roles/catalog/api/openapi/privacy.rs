//! What a privacy officer may ask.

use serde_json::{Value, json};

use super::{answer, path, responses};

/// Paths and their operations.
pub(super) fn paths() -> [(&'static str, Value); 4] {
    [
        ("/v1/erasures", json!({ "post": erase() })),
        ("/v1/erasures/{tenant}/{id}", json!({ "get": erasure() })),
        ("/v1/holds", json!({ "post": hold() })),
        ("/v1/subjects", json!({ "post": subject() })),
    ]
}

fn body(schema: &str) -> Value {
    let schema = format!("#/components/schemas/{schema}");
    json!({ "required": true, "content": { "application/json": { "schema": { "$ref": schema } } } })
}

fn erase() -> Value {
    let text = "It is in force, and is carried out. Location leads to how far it is";
    let mut accepted = answer(text, "ErasureState");
    accepted["headers"] = json!({ "Location": { "schema": { "type": "string" } } });
    json!({
        "operationId": "erase",
        "summary": "Deletes a media, or everything of a person or a conversation, for certain",
        "description": "For roles with the action erase. After a 503 it may be in force: ask again, which does no harm.",
        "requestBody": body("ErasureRequest"),
        "responses": responses(&json!({ "202": accepted }), &[400, 401, 403, 404, 503]),
    })
}

fn erasure() -> Value {
    let id = path(
        "id",
        "The number that the erasure was answered with, or that of a certificate, written as ids in paths are",
    );
    let [tenant, _media_id] = super::ids();
    json!({
        "operationId": "erasure",
        "summary": "How far an erasure is, and its certificate",
        "description": "For roles with the action erase or audit.",
        "parameters": [tenant, id],
        "responses": responses(&json!({ "200": answer("The erasure", "ErasureState") }), &[401, 403, 404, 503]),
    })
}

fn hold() -> Value {
    json!({
        "operationId": "hold",
        "summary": "Keeps something from being erased, for a case, or releases it",
        "description": "For roles with the action hold. After a 503 it may be in force: ask again, which does no harm.",
        "requestBody": body("HoldRequest"),
        "responses": responses(&json!({ "202": answer("It is in force", "HoldAccepted") }), &[400, 401, 403, 404, 503]),
    })
}

fn subject() -> Value {
    json!({
        "operationId": "subject",
        "summary": "Everything that is held of a person, a conversation or a media",
        "description": "For roles with the action export. It reads every manifest of the tenant, and ends with 503 catalog.timeout \
                        where that takes longer than catalog.request_timeout_s.",
        "requestBody": body("SubjectRequest"),
        "responses": responses(&json!({ "200": answer("What is held", "SubjectIndex") }), &[400, 401, 403, 404, 503]),
    })
}
