//! The client: sends, waits for a limited time, and asks again what may pass.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Request, Response};
use tokio::time::{sleep, timeout};

use super::{Answer, Ask, Dialect};
use crate::store::StoreError;

const USER_AGENT: &str = concat!("mediamill/", env!("CARGO_PKG_VERSION"));
/// Pause before the second attempt; doubles up to the maximum, and is half of that at least.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest answer that is read into memory: a page of a list has a thousand entries of 2 KiB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A client of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Rest {
    client: Client,
    pub(in crate::store) dialect: Arc<dyn Dialect>,
    pub(in crate::store) attempt_timeout: Duration,
    operation_timeout: Duration,
    pub(in crate::store) max_attempts: u32,
}

impl Rest {
    /// A client. No connection is made yet.
    pub(in crate::store) fn new(config: &crate::config::Store, dialect: Arc<dyn Dialect>) -> Result<Self, StoreError> {
        let seconds = Duration::from_secs;
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(seconds(config.connect_timeout_s))
            .http1_only()
            .build()
            .map_err(|err| StoreError::Config(format!("no HTTP client for the store: {}", root_cause(&err))))?;
        Ok(Self {
            client,
            dialect,
            attempt_timeout: seconds(config.attempt_timeout_s),
            operation_timeout: seconds(config.operation_timeout_s),
            max_attempts: config.max_attempts,
        })
    }

    /// Sends a request until it is answered with something that stays, and reads the answer to its end.
    pub(in crate::store) async fn call(&self, action: &'static str, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        match self.persist(action, ask, Wanted::Answer).await? {
            Got::Answer(answer) => Ok(answer),
            Got::Body(_) => Err(StoreError::unavailable(action, "the answer was not read")),
        }
    }

    /// As [`Rest::call`], with an error for what is no success.
    pub(in crate::store) async fn done(&self, action: &'static str, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let answer = self.call(action, ask).await?;
        if answer.is_success() { Ok(answer) } else { Err(self.dialect.meaning(action, &answer)) }
    }

    /// Sends a request once, and reads the answer to its end.
    pub(in crate::store) async fn once(&self, action: &'static str, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        match self.attempt(action, ask, Wanted::Answer).await? {
            Got::Answer(answer) if may_pass(answer.status) => Err(self.dialect.meaning(action, &answer)),
            Got::Answer(answer) => Ok(answer),
            Got::Body(_) => Err(StoreError::unavailable(action, "the answer was not read")),
        }
    }

    /// Sends a request until it is answered with something that stays. A body that is wanted is not read.
    pub(super) async fn open(&self, action: &'static str, ask: &Ask<'_>) -> Result<Got, StoreError> {
        self.persist(action, ask, Wanted::Body).await
    }

    /// Attempts, each in its time and all of them in theirs.
    async fn persist(&self, action: &'static str, ask: &Ask<'_>, wanted: Wanted) -> Result<Got, StoreError> {
        let all = async {
            let mut nth = 1;
            loop {
                let result = self.attempt(action, ask, wanted).await;
                let asked = match &result {
                    Ok(Got::Answer(answer)) if may_pass(answer.status) => answer.retry_after(),
                    Err(StoreError::Unavailable { .. }) => None,
                    Ok(_) | Err(_) => return result,
                };
                if nth >= self.max_attempts {
                    return result;
                }
                sleep(asked.map_or_else(|| pause(nth), |asked| asked.min(PAUSE_MAX))).await;
                nth += 1;
            }
        };
        timeout(self.operation_timeout, Box::pin(all)).await.unwrap_or_else(|_elapsed| Err(too_late(action)))
    }

    async fn attempt(&self, action: &'static str, ask: &Ask<'_>, wanted: Wanted) -> Result<Got, StoreError> {
        let attempt = async {
            let response = self.send(action, ask).await?;
            if wanted == Wanted::Body && response.status().is_success() {
                return Ok(Got::Body(response));
            }
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Got::Answer(Answer { status, headers, body: whole(action, response).await? }))
        };
        timeout(self.attempt_timeout, Box::pin(attempt)).await.unwrap_or_else(|_elapsed| Err(too_late(action)))
    }

    async fn send(&self, action: &'static str, ask: &Ask<'_>) -> Result<Response, StoreError> {
        let mut request = Request::new(ask.method.clone(), ask.url.clone());
        request.headers_mut().clone_from(&ask.headers);
        let size = ask.body.size_bytes();
        if size > 0 || matches!(ask.method, Method::PUT | Method::POST) {
            // A body that comes from a file would otherwise be sent in chunks, of which neither store takes any.
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            *request.body_mut() = Some(ask.body.to_send().await?);
        }
        self.dialect.authorize(action, &mut request).await?;
        self.client.execute(request).await.map_err(|err| broken(action, err))
    }
}

/// What is wanted of an answer that is a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// All of it.
    Answer,
    /// Its body, to be read by the caller.
    Body,
}

/// An answer, or one whose body is still to be read.
pub(super) enum Got {
    Answer(Answer),
    Body(Response),
}

/// Statuses that another attempt may not meet.
pub(super) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The pause before another attempt, with jitter.
pub(in crate::store) fn pause(nth: u32) -> Duration {
    let whole = PAUSE_MIN.saturating_mul(1 << nth.saturating_sub(1).min(10)).min(PAUSE_MAX);
    whole.mul_f64(rand::rng().random_range(0.5..1.0))
}

fn too_late(action: &'static str) -> StoreError {
    StoreError::unavailable(action, "no answer in time")
}

async fn whole(action: &'static str, mut response: Response) -> Result<bytes::Bytes, StoreError> {
    let mut body = bytes::BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|err| broken(action, err))? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(StoreError::Config(format!("{action}: the store's answer is longer than 16 MiB")));
        }
    }
    Ok(body.freeze())
}

/// What a request means that has no answer.
pub(super) fn broken(action: &'static str, err: reqwest::Error) -> StoreError {
    let err = err.without_url();
    let detail = root_cause(&err);
    StoreError::Unavailable { action, detail, source: Some(Box::new(err)) }
}

/// The last of a chain of causes says what happened, and names no URL.
pub(super) fn root_cause(err: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(err), |err| (*err).source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        for nth in 1..40 {
            let whole = PAUSE_MIN.saturating_mul(1 << (nth - 1).min(10)).min(PAUSE_MAX);
            let pause = pause(nth);
            assert!(pause >= whole / 2 && pause <= whole, "{nth}: {pause:?}");
        }
        assert!(may_pass(503) && may_pass(429) && !may_pass(501) && !may_pass(412) && !may_pass(200));
    }
}
