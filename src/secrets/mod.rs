//! Secrets of the configuration. A secret key takes a literal, `env:NAME` or `file:/path`; the value is read at start-up and
//! again at SIGHUP, and no output of the program contains it.
//!
//! Clones share one value: every copy of the configuration has the new value after it was read again.

mod reference;
#[cfg(any(feature = "catalog", feature = "deliver"))]
mod rsa;

use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use reference::{MAX_SECRET_BYTES, SecretError};
#[cfg(any(feature = "catalog", feature = "deliver"))]
pub use rsa::RsaKey;

use reference::Reference;

/// Held for writing while several secrets change, so that [`Secret::expose_together`] never pairs an old value with a new one.
static CHANGES: RwLock<()> = RwLock::new(());

/// A value that is never printed: `Debug` and `Serialize` show `***`, or nothing where the value is empty.
#[derive(Clone)]
pub struct Secret(Arc<RwLock<Content>>);

struct Content {
    reference: Reference,
    value: Arc<str>,
}

impl Secret {
    /// Parses a value of the configuration: `env:NAME`, `file:/path`, or else the value itself. A reference has no value before
    /// [`Secret::resolve`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let reference = Reference::parse(text);
        let value = if reference == Reference::Literal { text } else { "" };
        Self::with(reference, value)
    }

    /// The value itself, for the one place that sends it. Ask again for each use: it may have been read again meanwhile.
    #[must_use]
    pub fn expose(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// Values that belong together, such as an identifier and its key: all from before a change or all from after it.
    #[must_use]
    pub fn expose_together<const N: usize>(secrets: [&Self; N]) -> [Arc<str>; N] {
        let _unchanged = CHANGES.read().unwrap_or_else(PoisonError::into_inner);
        secrets.map(Self::expose)
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Reads the variable or the file that this refers to; `variable` looks up an environment variable. A literal stays as it
    /// is.
    ///
    /// # Errors
    /// [`SecretError`] where there is no usable value; then the value is as it was.
    pub fn resolve(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), SecretError> {
        let reference = self.0.read().unwrap_or_else(PoisonError::into_inner).reference.clone();
        if let Some(value) = reference.read(variable)? {
            self.0.write().unwrap_or_else(PoisonError::into_inner).value = value.into();
        }
        Ok(())
    }

    /// Takes over what others of the same keys hold now, in all clones. Returns for each pair whether its value has changed.
    pub fn adopt_all(pairs: &[(&Self, &Self)]) -> Vec<bool> {
        let _changes = CHANGES.write().unwrap_or_else(PoisonError::into_inner);
        pairs.iter().map(|(secret, other)| secret.adopt(other)).collect()
    }

    fn adopt(&self, other: &Self) -> bool {
        let (reference, value) = {
            let other = other.0.read().unwrap_or_else(PoisonError::into_inner);
            (other.reference.clone(), Arc::clone(&other.value))
        };
        let mut content = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = content.value != value;
        *content = Content { reference, value };
        changed
    }

    fn with(reference: Reference, value: &str) -> Self {
        Self(Arc::new(RwLock::new(Content { reference, value: value.into() })))
    }

    fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { "***" }
    }
}

impl From<String> for Secret {
    /// A literal, whatever it begins with.
    fn from(value: String) -> Self {
        Self::with(Reference::Literal, &value)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_name: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn a_literal_is_its_own_value_and_is_never_shown() {
        let secret = Secret::parse("hunter2");
        secret.resolve(nothing).expect("a literal needs no look-up");
        assert_eq!(&*secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "\"***\"");
        assert_eq!(serde_json::to_string(&secret).expect("JSON"), "\"***\"");
        assert_eq!(format!("{:?}", Secret::parse("")), "\"\"");
        // What a program passes on is taken literally, whatever a customer's password begins with.
        assert_eq!(&*Secret::from("env:HOME".to_owned()).expose(), "env:HOME");
    }

    #[test]
    fn a_variable_is_looked_up_where_the_caller_says() {
        let secret = Secret::parse("env:TOKEN");
        assert!(secret.is_empty(), "not before it was resolved");
        let error = secret.resolve(nothing).expect_err("not set");
        assert_eq!(error.to_string(), "the environment variable TOKEN is not set");
        secret.resolve(|name| (name == "TOKEN").then(|| "hunter2".into())).expect("set");
        assert_eq!(&*secret.expose(), "hunter2");
        assert!(secret.resolve(|_| Some(OsString::new())).is_err(), "empty");
        assert_eq!(&*secret.expose(), "hunter2", "a failed read keeps the value");
    }

    #[test]
    fn a_file_is_read_again_and_clones_see_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let secret = Secret::parse(&format!("file:{}", path.display()));
        let error = secret.resolve(nothing).expect_err("no such file").to_string();
        assert!(error.starts_with(&format!("the file {} cannot be read", path.display())), "{error}");
        std::fs::write(&path, "first\n").expect("a file");
        secret.resolve(nothing).expect("there");
        let clone = secret.clone();
        assert_eq!(&*clone.expose(), "first");
        std::fs::write(&path, "second\r\n").expect("a file");
        secret.resolve(nothing).expect("there");
        assert_eq!(&*clone.expose(), "second");
        assert!(!format!("{clone:?}").contains("second"));
    }

    #[test]
    fn values_that_belong_together_change_together() {
        let (id, key) = (Secret::parse("id-1"), Secret::parse("key-1"));
        let (new_id, new_key) = (Secret::parse("id-2"), Secret::parse("key-1"));
        assert_eq!(Secret::adopt_all(&[(&id, &new_id), (&key, &new_key)]), [true, false]);
        assert_eq!(Secret::expose_together([&id, &key]).map(|value| value.to_string()), ["id-2", "key-1"]);
        assert!(id == new_id && id != key);
    }
}
