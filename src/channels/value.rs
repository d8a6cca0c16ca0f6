//! Reading values that may be of another type than was promised, or not there.

use jiff::Timestamp;
use serde_json::Value;

use super::Malformed;
use crate::events::Kind;

/// From here on a Unix time is one in milliseconds: in seconds it would be the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// The JSON of a body. Nested deeper than 128 levels it is refused (`serde_json`'s limit).
pub(super) fn json(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed::Json(without_text(&error)))
}

/// What is wrong and where, without anything of the body.
fn without_text(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
            "a syntax error"
        }
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}

/// A field that is a text with at least one character.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// As [`text`], owned.
pub(super) fn owned(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(str::to_owned)
}

/// An id: a text, or a number in decimal.
pub(super) fn id(value: &Value, name: &str) -> Option<String> {
    as_id(value.get(name)?)
}

/// A value that is an id.
pub(super) fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, also as a text.
pub(super) fn number(value: &Value, name: &str) -> Option<u64> {
    let value = value.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The elements of a field; none where it is no array.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A time: RFC 3339, or Unix time in seconds or milliseconds, as a number or a text.
pub(super) fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => unix(number.as_i64()?),
        Value::String(text) => match text.parse() {
            Ok(number) => unix(number),
            Err(_) => text.parse().ok(),
        },
        _ => None,
    }
}

fn unix(number: i64) -> Option<Timestamp> {
    let time =
        if number < FIRST_MILLISECONDS { Timestamp::from_second(number) } else { Timestamp::from_millisecond(number) };
    time.ok().filter(|time| time.as_second() > 0)
}

/// A phone number in E.164, from one with or without its plus sign; nothing where it is none.
pub(super) fn phone(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("+{digits}"))
}

/// What a MIME type says of a file. Only the lane depends on it.
pub(super) fn kind_of(mime_type: Option<&str>) -> Option<Kind> {
    let main = mime_type?.split('/').next()?.trim().to_ascii_lowercase();
    Some(match main.as_str() {
        "audio" => Kind::Audio,
        "video" => Kind::Video,
        "image" => Kind::Image,
        _ => Kind::Document,
    })
}

/// A declared SHA-256, where it is one: 64 hex digits, or 32 bytes in base64. A field of another form says nothing that could
/// be checked.
pub(super) fn sha256(value: &Value, name: &str) -> Option<String> {
    let text = text(value, name)?;
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let is_base64 = (text.len() == 44 && text.ends_with('=') && text[..43].bytes().all(plain))
        || (text.len() == 43 && text.bytes().all(plain));
    (is_hex || is_base64).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_come_in_seconds_and_milliseconds_as_text_and_as_numbers() {
        let at = "2026-09-21T14:13:20Z".parse().ok();
        for value in [
            json!("1790000000"),
            json!(1_790_000_000),
            json!("1790000000000"),
            json!(1_790_000_000_000_i64),
            json!("2026-09-21T14:13:20Z"),
        ] {
            assert_eq!(time(Some(&value)), at, "{value}");
        }
        for value in [json!(""), json!("soon"), json!(0), json!(-5), json!(i64::MAX), json!([]), json!(1.5)] {
            assert_eq!(time(Some(&value)), None, "{value}");
        }
    }

    #[test]
    fn a_hash_is_known_by_its_length_first() {
        let hash = |text: &str| sha256(&json!({ "h": text }), "h");
        assert!(hash("b335eeeca8e6eca3149bf7c780b7974af438864df56084c6778781b27af0b7ec").is_some());
        assert!(hash("szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+w=").is_some());
        for text in ["", "<base64>", "b335", "szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+\u{e9}"] {
            assert_eq!(hash(text), None, "{text}");
        }
    }

    #[test]
    fn a_phone_number_has_its_plus_sign() {
        assert_eq!(phone("5511999990000").as_deref(), Some("+5511999990000"));
        assert_eq!(phone("+5511999990000").as_deref(), Some("+5511999990000"));
        for text in ["", "+", "US.1234567", "123", "1234567890123456", "55 11"] {
            assert_eq!(phone(text), None, "{text}");
        }
    }
}
