//! Who is meant, read from standard input: a command line is seen by everybody on the machine, and stays in histories.

use std::io::{self, BufRead};

use crate::cli::CliError;
use crate::events::ContactIds;

/// Longest line, and most lines.
const MAX_BYTES: u64 = 16 << 10;

/// Who is meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Identity {
    /// A person.
    pub(in crate::cli) contact: Option<ContactIds>,
    /// A conversation.
    pub(in crate::cli) conversation_id: Option<String>,
}

/// Reads `name=value` lines. Values are in no error text.
pub(in crate::cli) fn read(input: impl BufRead) -> Result<Identity, CliError> {
    let mut identity = Identity::default();
    for line in io::Read::take(input, MAX_BYTES).lines() {
        let line = line?;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| usage("a line of standard input is not name=value"))?;
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let contact = || identity.contact.clone().unwrap_or_default();
        match name.trim() {
            "phone" => identity.contact = Some(ContactIds { phone: value, ..contact() }),
            "user_id" => identity.contact = Some(ContactIds { user_id: value, ..contact() }),
            "contact_id" => identity.contact = Some(ContactIds { contact_id: value, ..contact() }),
            "conversation_id" => identity.conversation_id = value,
            _ => return Err(usage("standard input has phone=, user_id=, contact_id= or conversation_id=")),
        }
    }
    Ok(identity)
}

fn usage(text: &str) -> CliError {
    CliError::Usage(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_a_person_or_a_conversation() {
        let identity = read(&b"phone = +55 11 99999\n\nuser_id=BR.1\n"[..]).expect("an identity");
        let contact = identity.contact.expect("a contact");
        assert_eq!(
            (contact.phone.as_deref(), contact.user_id.as_deref(), contact.contact_id),
            (Some("+55 11 99999"), Some("BR.1"), None)
        );
        assert_eq!(read(&b"conversation_id=c\n"[..]).expect("one").conversation_id.as_deref(), Some("c"));
        for wrong in [&b"+5511999\n"[..], b"name=Ana\n"] {
            let error = read(wrong).expect_err("wrong").to_string();
            assert!(!error.contains("5511") && !error.contains("Ana"), "{error}");
        }
    }
}
