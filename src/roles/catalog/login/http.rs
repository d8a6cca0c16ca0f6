//! Requests of the library, by the rules of this program.

use std::time::Duration;

use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};

use crate::egress::{Egress, EgressError, Method, Options, Request};

/// Largest answer of a provider.
const MAX_BYTES: u64 = 1 << 20;
/// How long one answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The client.
#[derive(Debug)]
pub(super) struct Http(Egress);

impl Http {
    pub(super) fn new(options: Options) -> Self {
        Self(Egress::new(options))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, EgressError> {
        let (head, body) = request.into_parts();
        let method = if head.method == http::Method::POST { Method::Post } else { Method::Get };
        let mut asked = Request::new(method, head.uri.to_string()).body(body).timeout(TIMEOUT);
        for (name, value) in &head.headers {
            asked = asked.header_bytes(name.as_str(), value.as_bytes())?;
        }
        let answer = self.0.call(&asked, MAX_BYTES).await?;
        let mut response = http::Response::builder().status(answer.status);
        if let Some(kind) = answer.header("content-type") {
            response = response.header(http::header::CONTENT_TYPE, kind);
        }
        response.body(answer.body.to_vec()).map_err(|_| EgressError::Invalid("the answer is none".to_owned()))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = EgressError;
    type Future = BoxFuture<'c, Result<HttpResponse, EgressError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
