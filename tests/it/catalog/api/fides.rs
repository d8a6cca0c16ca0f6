//! The connector of `examples/fides` says what the OpenAPI document says, and its requests do what they are for.

use std::collections::BTreeSet;
use std::process::Command;

use mediamill::roles::catalog::api::openapi;
use serde_json::{Value, json};

use super::office::{declare, desk, post, rig, run};
use crate::support::cmd::{Run, repo_file};
use crate::support::rabbit::calm;
use crate::support::say::no_service;

/// A YAML file as JSON, by the reader that Fides uses (PyYAML).
fn yaml(path: &str) -> Option<Value> {
    let python = repo_file("target/venv/bin/python");
    if !python.exists() {
        no_service("PyYAML is not installed; scripts/venv.sh test does that");
        return None;
    }
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let printed = Run::of(Command::new(python).args(["-c", script]).arg(repo_file(path))).exits(0).stdout;
    Some(serde_json::from_str(&printed).expect("JSON"))
}

/// Every request of a configuration.
fn requests(config: &Value) -> Vec<&Value> {
    let endpoints = config["endpoints"].as_array().expect("endpoints").iter();
    let of_endpoints = endpoints.flat_map(|endpoint| endpoint["requests"].as_object().expect("requests").values());
    std::iter::once(&config["test_request"]).chain(of_endpoints).collect()
}

/// The body of a request with its placeholders replaced, as text within text, which is how Fides does it.
fn body(request: &Value, values: &[(&str, &str)]) -> Value {
    let mut text = request["body"].as_str().expect("a body").to_owned();
    for (name, value) in values {
        text = text.replace(&format!("<{name}>"), value);
    }
    assert!(!text.contains('<'), "a placeholder has no value: {text}");
    serde_json::from_str(&text).expect("a body of JSON")
}

/// The schema that a schema leads to, through `$ref` and the alternatives to nothing.
fn follow<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/components/schemas/").expect("a schema of the document");
        return follow(document, &document["components"]["schemas"][name]);
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    alternatives.map(|one| follow(document, one)).find(|one| one["type"] != "null").unwrap_or(schema)
}

/// Members that a value has and its schema does not, or that the schema demands and the value does not have.
fn differences(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = follow(document, schema);
    let Some(members) = value.as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, inner) in members {
        match &schema["properties"][name] {
            Value::Null => found.push(format!("{at}/{name}: is in no schema")),
            known => found.extend(differences(document, known, inner, &format!("{at}/{name}"))),
        }
    }
    let demanded = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(demanded.filter(|name| !members.contains_key(*name)).map(|name| format!("{at}/{name}: is missing")));
    found
}

/// Fields of a data set that the schema does not have.
fn unknown_fields(document: &Value, schema: &Value, fields: &Value, at: &str) -> Vec<String> {
    let schema = follow(document, schema);
    let schema = if schema["items"].is_null() { schema } else { follow(document, &schema["items"]) };
    let mut found = Vec::new();
    for field in fields.as_array().into_iter().flatten() {
        let name = field["name"].as_str().expect("a name");
        match &schema["properties"][name] {
            Value::Null => found.push(format!("{at}/{name}")),
            known => found.extend(unknown_fields(document, known, &field["fields"], &format!("{at}/{name}"))),
        }
    }
    found
}

#[test]
fn paths_bodies_and_fields_are_those_of_the_document() {
    let (Some(config), Some(dataset)) =
        (yaml("examples/fides/mediamill_config.yml"), yaml("examples/fides/mediamill_dataset.yml"))
    else {
        return;
    };
    let (config, document) = (&config["saas_config"], openapi());
    let values = [("tenant", "acme"), ("phone_number", "+15550100")];
    let mut paths = BTreeSet::new();
    for request in requests(config) {
        let (path, method) = (request["path"].as_str().expect("a path"), request["method"].as_str().expect("a method"));
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not in the document");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(differences(&document, schema, &body(request, &values), path), [""; 0]);
        paths.insert(path);
    }
    assert_eq!(Vec::from_iter(paths), ["/v1/erasures", "/v1/subjects"]);
    let made_up = json!({ "tenant": "acme", "contact": { "fone": "+1" } });
    let schema = json!({ "$ref": "#/components/schemas/ErasureRequest" });
    assert_eq!(differences(&document, &schema, &made_up, ""), ["/contact/fone: is in no schema"], "is the test blind?");

    let collection = &dataset["dataset"][0]["collections"][0];
    let read = config["endpoints"][0]["requests"]["read"].clone();
    assert_eq!(config["endpoints"][0]["name"], collection["name"]);
    let at = read["postprocessors"][0]["configuration"]["data_path"].as_str().expect("a member");
    let rows = &document["components"]["schemas"]["SubjectIndex"]["properties"][at];
    assert_eq!(unknown_fields(&document, rows, &collection["fields"], at), [""; 0]);
    assert_eq!(unknown_fields(&document, rows, &json!([{ "name": "fone" }]), at), ["media/fone"], "is the test blind?");
}

#[test]
fn its_requests_read_and_erase_a_person() {
    let (Some(config), Some(rabbit)) = (yaml("examples/fides/mediamill_config.yml"), calm()) else { return };
    let config = config["saas_config"].clone();
    let rig = rig(rabbit);
    run(async {
        declare(&rig).await;
        let desk = desk(&rig, &[("access.fides.tenants", "acme"), ("access.fides.actions", "export,erase")]).await;
        let send = async |request: &Value| {
            let body = body(request, &[("tenant", "acme"), ("phone_number", "+15550100")]);
            post(&desk, &["fides"], request["path"].as_str().expect("a path"), &body).await
        };
        let tested = send(&config["test_request"]).await;
        assert_eq!((tested.status, tested.json()["media"].clone()), (200, json!([])));
        let read = send(&config["endpoints"][0]["requests"]["read"]).await;
        assert_eq!((read.status, read.json()["media"].as_array().map(Vec::len)), (200, Some(2)));
        let erased = send(&config["endpoints"][1]["requests"]["delete"]).await;
        assert_eq!((erased.status, erased.json()["selected_by"].clone()), (202, json!("contact")));
    });
}
