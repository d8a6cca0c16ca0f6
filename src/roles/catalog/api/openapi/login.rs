//! Logging in and out with a browser.

use serde_json::{Value, json};

use super::{path, responses};

/// Paths and their operations.
pub(super) fn paths() -> [(&'static str, Value); 3] {
    [
        ("/login/{name}", json!({ "get": begin() })),
        ("/login/{name}/callback", json!({ "get": end() })),
        ("/logout", json!({ "get": page("logout_page", "Says whether somebody is logged in", &[]), "post": logout() })),
    ]
}

fn query(name: &str, text: &str) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": text, "schema": { "type": "string" } })
}

fn begin() -> Value {
    let to = query("to", "The path of a page or file of this server that the login leads to; anything else is none");
    json!({
        "operationId": "login",
        "summary": "Sends a browser to the provider of a login",
        "security": [],
        "parameters": [path("name", "The login's name in the configuration"), to],
        "responses": responses(&json!({ "302": { "description": "To the provider" } }), &[404, 503]),
    })
}

fn end() -> Value {
    let mut answers =
        responses(&json!({ "303": { "description": "To the page, with the cookie of a session" } }), &[403, 404, 503]);
    answers["403"]["description"] = json!("The login did not succeed");
    json!({
        "operationId": "login_callback",
        "summary": "Takes a browser back from the provider",
        "security": [],
        "parameters": [
            path("name", "The login's name in the configuration"),
            query("state", "What the browser was sent with"),
            query("code", "What an ID token is given for"),
            query("error", "Why there is no code"),
            query("iss", "Whose answer it is (RFC 9207)"),
        ],
        "responses": answers,
    })
}

fn page(id: &str, summary: &str, refusals: &[u16]) -> Value {
    let html = json!({ "description": "A page", "content": { "text/html": { "schema": { "type": "string" } } } });
    json!({
        "operationId": id,
        "summary": summary,
        "security": [],
        "responses": responses(&json!({ "200": html }), refusals),
    })
}

fn logout() -> Value {
    let mut operation = page("logout", "Takes the cookie of the session away", &[403]);
    operation["responses"]["403"]["description"] = json!("A page of another site asks");
    operation
}
