//! Evaluates a map for an event.

use std::collections::BTreeMap;

use minijinja::Error;
use minijinja::value::{Serde, Value as Ji};
use serde_json::Value;

use super::file::{Attach, Format, How};
use super::prepared::{Activity, Attachment, Match, Prepared};
use super::{Map, MapError};
use crate::roles::deliver::call::FileRef;

/// Most bytes of what an expression or a template may give.
const MAX_TEXT_BYTES: usize = 256 << 10;
/// A file that is larger is not attached where the map names no limit: what the store reads at once.
const MAX_FILE_BYTES: u64 = crate::store::MAX_GET_BYTES;

impl Map {
    /// What the map makes of an event; nothing where its `when` is not true. `context` is [`super::context`]'s.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn prepare(&self, context: &Value) -> Result<Option<Prepared>, MapError> {
        let seen = Ji::from(Serde(context));
        if !self.file.when.is_empty() && !self.value("when", &self.file.when, &seen)?.is_true() {
            return Ok(None);
        }
        let mut matches = Vec::new();
        for (n, way) in self.file.matches.iter().enumerate() {
            if let Some(value) = self.text(&format!("match {}", n + 1), &way.value, &seen)? {
                matches.push(Match { by: way.by, property: way.property.clone(), value });
            }
        }
        let mut objects = Vec::new();
        for (object, expression) in &self.file.objects {
            if let Some(id) = self.text(&format!("objects.{object}"), expression, &seen)? {
                objects.push((object.clone(), id));
            }
        }
        Ok(Some(Prepared {
            matches,
            on_missing: self.file.on_missing,
            objects,
            fields: self.fields("fields", &self.file.fields, &seen)?,
            create: self.fields("create", &self.file.create, &seen)?,
            activity: self.activity(&seen)?,
            files: self.files(context),
            tags: self.tags(&seen)?,
        }))
    }

    /// What an event adds to the note of its media; nothing where the map says nothing of such events, or nothing is left of it.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn amendment(&self, word: &str, context: &Value) -> Result<Option<String>, MapError> {
        if !self.file.amend.contains_key(word) {
            return Ok(None);
        }
        let name = super::amendment_name(word, self.file.activity.format);
        let text = self.render(&format!("amend.{word}"), &name, &Ji::from(Serde(context)))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Parses every expression.
    pub(super) fn parse_all(&self) -> Result<(), MapError> {
        let file = &self.file;
        let single = [("when", &file.when), ("tags", &file.tags), ("activity.time", &file.activity.time)];
        let matches = file.matches.iter().map(|way| ("match", &way.value));
        let named = [&file.objects, &file.fields, &file.create, &file.activity.fields];
        let named = named.into_iter().flatten().map(|(name, expression)| (name.as_str(), expression));
        for (place, expression) in single.into_iter().chain(matches).chain(named) {
            if !expression.is_empty() {
                let parsed = self.environment.compile_expression_owned(expression.clone());
                parsed.map(drop).map_err(|error| wrong(place, &error))?;
            }
        }
        Ok(())
    }

    fn value(&self, place: &str, expression: &str, seen: &Ji) -> Result<Ji, MapError> {
        let compiled = self.environment.compile_expression_owned(expression.to_owned());
        let value = compiled.and_then(|it| it.eval(seen.clone())).map_err(|error| wrong(place, &error))?;
        if value.is_undefined() {
            return Err(MapError(format!("{place}: its value is not there in the event; |default(none) lets that be")));
        }
        Ok(value)
    }

    fn json(&self, place: &str, expression: &str, seen: &Ji) -> Result<Value, MapError> {
        let value = self.value(place, expression, seen)?;
        let value = serde_json::to_value(&value).map_err(|_| MapError(format!("{place}: its value is no JSON")))?;
        if value.to_string().len() > MAX_TEXT_BYTES {
            return Err(MapError(format!("{place}: its value has more than {MAX_TEXT_BYTES} bytes")));
        }
        Ok(value)
    }

    /// A value as text; nothing where it is null or empty.
    fn text(&self, place: &str, expression: &str, seen: &Ji) -> Result<Option<String>, MapError> {
        Ok(match self.json(place, expression, seen)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => return Err(MapError(format!("{place}: its value is no text"))),
        }
        .filter(|text| !text.trim().is_empty()))
    }

    fn fields(
        &self,
        place: &str,
        fields: &BTreeMap<String, String>,
        seen: &Ji,
    ) -> Result<Vec<(String, Value)>, MapError> {
        let mut all = Vec::new();
        for (name, expression) in fields {
            let value = self.json(&format!("{place}.{name}"), expression, seen)?;
            if !value.is_null() {
                all.push((name.clone(), value));
            }
        }
        Ok(all)
    }

    fn activity(&self, seen: &Ji) -> Result<Activity, MapError> {
        let activity = &self.file.activity;
        let body = if activity.format == Format::Html { "body.html" } else { "body.txt" };
        let time = match activity.time.as_str() {
            "" => None,
            time => self.text("activity.time", time, seen)?,
        };
        Ok(Activity {
            kind: activity.kind.clone(),
            title: self.render("activity.title", "title.txt", seen)?,
            body: self.render("activity.body", body, seen)?,
            time,
            is_public: activity.public,
            fields: self.fields("activity.fields", &activity.fields, seen)?,
        })
    }

    fn render(&self, place: &str, template: &str, seen: &Ji) -> Result<String, MapError> {
        let rendered = self.environment.get_template(template).and_then(|it| it.render(seen.clone()));
        let text = rendered.map_err(|error| wrong(place, &error))?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(MapError(format!("{place}: its text has more than {MAX_TEXT_BYTES} bytes")));
        }
        Ok(text.trim().to_owned())
    }

    fn files(&self, context: &Value) -> Vec<Attachment> {
        let assets = context.get("assets");
        let file = |attach: &Attach| {
            let found = attach.roles.iter().find_map(|role| Some((role, assets?.get(role)?)));
            let (role, asset) = found?;
            let text = |key: &str| asset.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let size_bytes = asset.get("size_bytes").and_then(Value::as_u64)?;
            let most = attach.max_bytes.unwrap_or(MAX_FILE_BYTES).min(MAX_FILE_BYTES);
            let how = if size_bytes <= most { attach.how } else { attach.then };
            let key = text("key");
            let extension =
                key.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
            let media_key = context.get("media_key").and_then(Value::as_str).unwrap_or_default();
            let sha256 = text("sha256");
            // As `file_stem`, and the same name for the same bytes only.
            let stem = format!("mediamill-{media_key:.16}-{sha256:.8}");
            let file_name = extension.map_or_else(|| stem.clone(), |extension| format!("{stem}.{extension}"));
            let file = FileRef { key, file_name, mime_type: text("mime_type"), size_bytes };
            (how == How::File).then(|| Attachment { role: role.clone(), file, sha256 })
        };
        self.file.attach.iter().filter_map(file).collect()
    }

    fn tags(&self, seen: &Ji) -> Result<Vec<String>, MapError> {
        if self.file.tags.is_empty() {
            return Ok(Vec::new());
        }
        let Value::Array(tags) = self.json("tags", &self.file.tags, seen)? else {
            return Err(MapError("tags: its value is no list".to_owned()));
        };
        Ok(tags.into_iter().filter_map(|tag| tag.as_str().map(str::to_owned)).filter(|tag| !tag.is_empty()).collect())
    }
}

/// What is wrong, without a value of the event: the kind of error and the place in the map.
pub(super) fn wrong(place: &str, error: &Error) -> MapError {
    let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
    // The detail of a syntax error quotes the map; that of others may quote the event.
    let detail = match error.kind() {
        minijinja::ErrorKind::SyntaxError
        | minijinja::ErrorKind::UnknownFilter
        | minijinja::ErrorKind::UnknownFunction
        | minijinja::ErrorKind::UnknownTest => error.detail().map(|detail| format!(": {detail}")).unwrap_or_default(),
        minijinja::ErrorKind::OutOfFuel => " (it takes too many steps)".to_owned(),
        minijinja::ErrorKind::UndefinedError => "; |default(none) lets a value be absent".to_owned(),
        _ => String::new(),
    };
    MapError(format!("{place}{line}: {}{detail}", error.kind()))
}
