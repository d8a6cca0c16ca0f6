//! Twilio's signature: HMAC-SHA1 in base64 over the URL, as Twilio called it, and the sorted parameters.

use sha2::{Digest, Sha256};

use crate::channels::signature::{from_base64, same};
use crate::channels::{Denied, Keys, Request, Scheme};

/// Says the algorithm where it is another one than HMAC-SHA1 (shared webhook keys).
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
/// Parameter of the URL that covers a body which is no form.
const BODY_HASH: &str = "bodySHA256";

pub(super) fn verify(keys: &Keys, request: &Request<'_>) -> Result<(), Denied> {
    if keys.is_empty() {
        return Err(Denied::Unconfigured);
    }
    let mac = from_base64(request.header("x-twilio-signature").ok_or(Denied::Unsigned)?)?;
    let scheme = scheme(request)?;
    let parameters = if is_form(request) { sorted(request.body) } else { covered_by_hash(request)? };
    let mut result = Err(Denied::Wrong);
    // Every variant is tried: which of them it was is no secret, but need not show either.
    for url in variants(request.url) {
        result = result.or(keys.verify(scheme, &[url.as_bytes(), parameters.as_bytes()], &mac));
    }
    result
}

fn scheme(request: &Request<'_>) -> Result<Scheme, Denied> {
    if !request.headers.iter().any(|(name, _)| name == SETTINGS) {
        return Ok(Scheme::Sha1);
    }
    let settings = request.header(SETTINGS).ok_or(Denied::Unreadable)?;
    let algorithm = settings.split(',').find_map(|setting| setting.trim().strip_prefix("algorithm="));
    if algorithm == Some("HMAC_SHA256") { Ok(Scheme::Sha256) } else { Err(Denied::Unreadable) }
}

pub(super) fn is_form(request: &Request<'_>) -> bool {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    !request.is_get && media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Nothing follows the URL where its own parameter has the hash of the body, or where there is no body.
fn covered_by_hash(request: &Request<'_>) -> Result<String, Denied> {
    let declared = request.parameter(BODY_HASH);
    match declared {
        Some(hash) => {
            let actual = hex::encode(Sha256::digest(request.body));
            if same(actual.as_bytes(), hash.to_ascii_lowercase().as_bytes()) {
                Ok(String::new())
            } else {
                Err(Denied::Wrong)
            }
        }
        None if request.body.is_empty() => Ok(String::new()),
        None => Err(Denied::Unreadable),
    }
}

/// Name and value of each parameter, without anything between: sorted by name, then by value, each pair once. Over all that
/// arrived, as Twilio adds parameters without notice.
fn sorted(body: &[u8]) -> String {
    let mut parameters: Vec<_> = url::form_urlencoded::parse(body).collect();
    parameters.sort_unstable();
    parameters.dedup();
    parameters.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

/// Forms in which Twilio is known to sign one URL: with and without the scheme's own port, and an apostrophe escaped or not.
fn variants(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    urls.extend(other_port(url));
    let escaped: Vec<String> =
        urls.iter().filter(|url| url.contains('\'')).map(|url| url.replace('\'', "%27")).collect();
    urls.extend(escaped);
    urls
}

/// The URL without the port where it is the scheme's own, and with it where there is none.
fn other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let own = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    match authority.strip_suffix(own) {
        Some(bare) => Some(format!("{scheme}://{bare}{path}")),
        None if has_port => None,
        None => Some(format!("{scheme}://{authority}{own}{path}")),
    }
}
