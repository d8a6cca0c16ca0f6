//! What an error means for a job, asserted.

use std::fmt::Debug;

use mediamill::error::{Code, Fault};

/// Asserts that the job would be rejected with this code. Gives back the sentence for people.
#[track_caller]
pub fn rejected_as<E: Into<Fault>>(code: Code, result: Result<impl Debug, E>) -> String {
    match result.map_err(Into::into) {
        Err(Fault::Rejected { code: actual, message }) if actual == code => message,
        other => panic!("not rejected as {code}: {other:?}"),
    }
}

/// Asserts that the job would be tried again, with this code. Gives back the sentence for people.
#[track_caller]
pub fn transient_as<E: Into<Fault>>(code: Code, result: Result<impl Debug, E>) -> String {
    match result.map_err(Into::into) {
        Err(Fault::Transient { code: actual, message, .. }) if actual == code => message,
        other => panic!("not transient as {code}: {other:?}"),
    }
}

/// Asserts that an operator would be called, with this code. Gives back the sentence for people.
#[track_caller]
pub fn broken_as<E: Into<Fault>>(code: Code, result: Result<impl Debug, E>) -> String {
    match result.map_err(Into::into) {
        Err(Fault::Broken { code: actual, message }) if actual == code => message,
        other => panic!("not broken as {code}: {other:?}"),
    }
}
