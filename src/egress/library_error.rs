//! What errors of the HTTP library mean.

use super::EgressError;
use super::resolver::Refused;

/// What an error of the HTTP library means. Its own text has the URL in it.
pub(super) fn meaning(err: &reqwest::Error, host: &str) -> EgressError {
    let cause = root_cause(err);
    match () {
        () if err.is_timeout() => EgressError::Timeout(format!("{host} is too slow")),
        () if err.is_builder() => EgressError::Invalid(format!("the URL cannot be asked for: {cause}")),
        () if err.is_connect() => EgressError::Unavailable(format!("cannot connect to {host}: {cause}")),
        () => EgressError::Unavailable(format!("{host} broke off: {cause}")),
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

/// The text of the innermost cause. The outermost contains the URL, so it is never shown.
pub(super) fn root_cause(err: &reqwest::Error) -> String {
    chain(err).skip(1).last().map(ToString::to_string).unwrap_or_default()
}
