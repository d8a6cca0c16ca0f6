//! Maps errors of the HTTP library to [`EgressError`].

use super::EgressError;
use super::resolver::Refused;

/// Maps an error of the HTTP library. Its own text is not used, because it contains the URL.
pub(super) fn meaning(err: &reqwest::Error, host: &str) -> EgressError {
    let cause = root_cause(err);
    match () {
        () if err.is_timeout() => EgressError::Timeout(format!("{host} did not answer in time")),
        () if err.is_builder() => EgressError::Invalid(format!("the URL cannot be requested: {cause}")),
        () if err.is_connect() => EgressError::Unavailable(format!("cannot connect to {host}: {cause}")),
        () => EgressError::Unavailable(format!("{host} closed the connection early: {cause}")),
    }
}

/// Whether the resolver found no address that may be connected to.
pub(super) fn is_refused(err: &reqwest::Error) -> bool {
    chain(err).any(|cause| cause.is::<Refused>())
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn chain(err: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(err as Cause<'_>), |err| err.source())
}

/// The text of the innermost cause. The outermost text contains the URL and is never shown.
pub(super) fn root_cause(err: &reqwest::Error) -> String {
    chain(err).skip(1).last().map(ToString::to_string).unwrap_or_default()
}
