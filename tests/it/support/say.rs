//! What a reader of the log has to see although the test passes: past the capture of the test harness.

use std::fmt::Display;
use std::io::Write;

/// Writes lines to the real standard error.
pub fn say(text: impl Display) {
    writeln!(std::io::stderr(), "{text}").expect("standard error is open");
}

/// Says that a test was not run for want of files, and why. Services are another matter: they can be demanded.
pub fn skipped(why: impl Display) {
    say(format_args!("SKIPPED: {why}"));
}

/// Says that tests cannot run for want of a service; where services are insisted on, that is a failure.
pub fn no_service(why: impl Display) {
    assert!(std::env::var_os("REQUIRE_SERVICES").is_none_or(|value| value != "1"), "REQUIRE_SERVICES=1, but {why}");
    skipped(why);
}
