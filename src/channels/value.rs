//! Reading values that may be of another type than was promised, or not there.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json_borrow::Value;

use super::Malformed;
use crate::events::Kind;

/// What stands for an object that is absent.
pub(super) static NULL: Value<'static> = Value::Null;

/// From here on a Unix time is one in milliseconds: in seconds it would be the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// The JSON of a body; texts without escapes are slices of it. Nested deeper than 128 levels it is refused (`serde_json`'s
/// limit).
pub(super) fn json(body: &[u8]) -> Result<Value<'_>, Malformed> {
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

/// A field of an object. Of one that occurs twice, the first.
pub(super) fn field<'v, 'a>(value: &'v Value<'a>, name: &str) -> Option<&'v Value<'a>> {
    value.as_object()?.get(name)
}

/// Where a JSON pointer leads (RFC 6901). The empty one leads to the value itself.
pub(super) fn at<'v, 'a>(value: &'v Value<'a>, pointer: &str) -> Option<&'v Value<'a>> {
    let Some(path) = pointer.strip_prefix('/') else { return pointer.is_empty().then_some(value) };
    path.split('/').try_fold(value, |value, token| match value {
        Value::Object(_) => field(value, &unescaped(token)),
        Value::Array(elements) => elements.get(index(token)?),
        _ => None,
    })
}

fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

/// An index of an array has no sign and no zero in front.
fn index(token: &str) -> Option<usize> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_plain)
}

/// A field that is a text with at least one character.
pub(super) fn text<'v>(value: &'v Value<'_>, name: &str) -> Option<&'v str> {
    field(value, name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// As [`text`], owned.
pub(super) fn owned(value: &Value<'_>, name: &str) -> Option<String> {
    text(value, name).map(str::to_owned)
}

/// An id: a text, or a number in decimal.
pub(super) fn id(value: &Value<'_>, name: &str) -> Option<String> {
    as_id(field(value, name)?)
}

/// A value that is an id.
pub(super) fn as_id(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Str(text) if !text.is_empty() => Some(text.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(value.to_string()),
        _ => None,
    }
}

/// A whole number, also as a text.
pub(super) fn number(value: &Value<'_>, name: &str) -> Option<u64> {
    let value = field(value, name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The elements of a field; none where it is no array.
pub(super) fn list<'v, 'a>(value: &'v Value<'a>, name: &str) -> &'v [Value<'a>] {
    field(value, name).and_then(Value::as_array).unwrap_or_default()
}

/// A time: RFC 3339, or Unix time in seconds or milliseconds, as a number or a text.
pub(super) fn time(value: Option<&Value<'_>>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => unix(number.as_i64()?),
        Value::Str(text) => match text.parse() {
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
pub(super) fn sha256(value: &Value<'_>, name: &str) -> Option<String> {
    let text = text(value, name)?;
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let is_base64 = (text.len() == 44 && text.ends_with('=') && text[..43].bytes().all(plain))
        || (text.len() == 43 && text.bytes().all(plain));
    (is_hex || is_base64).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Value<'_> {
        json(body.as_bytes()).expect("JSON")
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let value = read(r#"{"a":[{"b/c":1},{"~":2}],"":{"x":3},"01":[4],"\u00e9":5,"twice":6,"twice":7}"#);
        let found = [("/a/0/b~1c", 1), ("/a/1/~0", 2), ("//x", 3), ("/01/0", 4), ("/\u{e9}", 5), ("/twice", 6)];
        for (pointer, number) in found {
            assert_eq!(at(&value, pointer).and_then(Value::as_u64), Some(number), "{pointer}");
        }
        for pointer in ["a", "/b", "/a/2", "/a/00", "/a/+0", "/a/-", "/a/", "/a/0/b~1c/d", "/a/0/"] {
            assert!(at(&value, pointer).is_none(), "{pointer}");
        }
        assert_eq!(at(&value, ""), Some(&value));
    }

    #[test]
    fn times_come_in_seconds_and_milliseconds_as_text_and_as_numbers() {
        let at = "2026-09-21T14:13:20Z".parse().ok();
        for value in
            [r#""1790000000""#, "1790000000", r#""1790000000000""#, "1790000000000", r#""2026-09-21T14:13:20Z""#]
        {
            assert_eq!(time(Some(&read(value))), at, "{value}");
        }
        for value in [r#""""#, r#""soon""#, "0", "-5", "9223372036854775807", "[]", "1.5"] {
            assert_eq!(time(Some(&read(value))), None, "{value}");
        }
    }

    #[test]
    fn a_hash_is_known_by_its_length_first() {
        let hash = |text: &str| sha256(&read(&format!(r#"{{"h":"{text}"}}"#)), "h");
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
