//! W3C Trace Context: to which trace a message belongs. <https://www.w3.org/TR/trace-context/>
//!
//! The two fields go together, as headers of a message and as attributes of an event (CloudEvents' extension for
//! distributed tracing has the same names).

/// Name of the field that says which trace, and which span in it.
pub const TRACEPARENT: &str = "traceparent";
/// Name of the field that tracing systems keep their own notes in.
pub const TRACESTATE: &str = "tracestate";

/// As much of `tracestate` as everybody has to pass on (section 3.3.1.5). It becomes a header, and headers go into one
/// frame: what is longer is left behind.
const MAX_TRACESTATE_BYTES: usize = 512;

/// A place in a trace, as it is written in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Valid.
    pub(super) traceparent: String,
    /// Not looked into.
    pub(super) tracestate: Option<String>,
}

impl TraceContext {
    /// Reads both fields by their names; nothing where there is no valid `traceparent`, whatever `tracestate` says.
    pub fn read(get: impl Fn(&'static str) -> Option<String>) -> Option<Self> {
        let traceparent = get(TRACEPARENT).filter(|text| is_traceparent(text))?;
        let tracestate = get(TRACESTATE).filter(|text| is_tracestate(text));
        Some(Self { traceparent, tracestate })
    }

    /// Both fields, the second only where there is one.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let tracestate = self.tracestate.as_deref().map(|text| (TRACESTATE, text));
        [(TRACEPARENT, self.traceparent.as_str())].into_iter().chain(tracestate)
    }
}

/// Section 3.2: version 00, and what later versions have in common. An id of zeros is none.
fn is_traceparent(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let hex = |part: &str| part.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == 4
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && hex(part))
        && parts[0] != "ff"
        && parts[1..3].iter().all(|id| id.chars().any(|c| c != '0'))
}

/// Section 3.3, as far as passing it on wants it: a list of printable ASCII.
fn is_tracestate(text: &str) -> bool {
    (1..=MAX_TRACESTATE_BYTES).contains(&text.len())
        && text.contains('=')
        && text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const STATE: &str = "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE";

    fn read(traceparent: &str, tracestate: &str) -> Option<TraceContext> {
        TraceContext::read(|name| Some(if name == TRACEPARENT { traceparent } else { tracestate }.to_owned()))
    }

    #[test]
    fn what_is_read_is_passed_on() {
        let context = read(PARENT, STATE).expect("valid");
        assert_eq!(context.fields().collect::<Vec<_>>(), [(TRACEPARENT, PARENT), (TRACESTATE, STATE)]);
    }

    #[test]
    fn nothing_is_read_without_a_valid_parent() {
        for bad in [
            "",
            "00",
            "00-xyz",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            &PARENT.repeat(2),
        ] {
            assert_eq!(read(bad, STATE), None, "{bad}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_passed_on_is_left_behind() {
        let long = format!("a={}", "b".repeat(MAX_TRACESTATE_BYTES));
        for bad in ["", "no list", "a=\u{fc}", "a=1\nb", &long] {
            let context = read(PARENT, bad).expect("the parent is valid");
            assert_eq!(context.fields().collect::<Vec<_>>(), [(TRACEPARENT, PARENT)], "{bad}");
        }
    }
}
