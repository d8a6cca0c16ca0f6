//! Events of what a webhook tells of.

use std::time::Duration;

use jiff::Timestamp;

use super::{Account, Carrier, Edit, Media, Undelivered, Update};
use crate::error::Code;
use crate::events::{
    EDITED_TYPE, Edited, Event, Kind, Origin, Payload, RECEIVED_TYPE, REJECTED_TYPE, REVOKED_TYPE, Received, Rejected,
    Revoked, Stage, URGENT_KEY, outcome_id, received_id, update_id,
};

/// `source` of every event: the same for every gateway, so that what two of them publish of one message is one event.
const SOURCE: &str = "mediamill-gateway";

/// A file that its provider keeps for no longer than this is urgent from the start: WhatsApp's *No Storage*.
const SHORT_LIFE: Duration = Duration::from_secs(3600);

/// An event, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// On the topic exchange.
    pub routing_key: String,
    /// The event.
    pub event: Event<Payload>,
}

impl Outgoing {
    /// Whether a queue has to take it: an event that asks for work, tells of a file that nobody will get, or of a message that
    /// is revoked. Where no queue is bound for it, the policy of the alternate exchange has the broker keep it.
    #[must_use]
    pub const fn must_arrive(&self) -> bool {
        match self.event.data {
            Payload::Received(_) | Payload::Rejected(_) | Payload::Revoked(_) => true,
            Payload::Edited(_) => false,
        }
    }
}

/// The event of an update; nothing where it is ignored. A repetition of the update gives the same event, but for `time` where
/// the provider gives none: it is `now` then.
#[must_use]
pub fn outgoing(account: &Account, update: Update, now: Timestamp) -> Option<Outgoing> {
    Some(match update {
        Update::Ignored(_) => return None,
        Update::Media(media) => received(account, *media, now),
        Update::Undelivered(undelivered) => rejected(account, *undelivered, now),
        Update::Edited(edit) => edited(account, *edit, now),
        Update::Revoked(edit) => revoked(account, *edit, now),
    })
}

fn received(account: &Account, media: Media, now: Timestamp) -> Outgoing {
    let Media { carrier, reference, declared, kind, is_history } = media;
    let media_id = carrier.media_id(account.provider.as_str());
    let id = received_id(&account.tenant, &media_id);
    let sent_at = carrier.sent_at;
    let data = Received {
        tenant: account.tenant.clone(),
        media_id: media_id.clone(),
        origin: Origin::Channel { account: account.name.clone(), media: reference },
        declared: Some(declared),
        profile: account.profile.clone(),
        renormalize: false,
        message: Some(carrier.message),
        privacy: None,
        tags: Vec::new(),
        context: None,
    };
    Outgoing {
        routing_key: received_key(kind, is_history, is_urgent(account.lifetime, sent_at, now)),
        event: event(account, &media_id, RECEIVED_TYPE, id, sent_at.unwrap_or(now), Payload::Received(Box::new(data))),
    }
}

/// Whether the last fifth of a file's life with its provider has begun, as with webhooks that come after days; or whether
/// that life is so short that no lane may be in the way.
fn is_urgent(lifetime: Duration, sent_at: Option<Timestamp>, now: Timestamp) -> bool {
    let age = sent_at.and_then(|sent_at| Duration::try_from(now.duration_since(sent_at)).ok()).unwrap_or_default();
    lifetime <= SHORT_LIFE || lifetime.saturating_sub(age) < lifetime / 5
}

/// Old chats wait behind all that is live: the key without a kind leads to the lane that is not audio's.
fn received_key(kind: Option<Kind>, is_history: bool, is_urgent: bool) -> String {
    match kind {
        _ if is_urgent && !is_history => URGENT_KEY.to_owned(),
        Some(kind) if !is_history => format!("media.received.{}", kind.as_str()),
        _ => "media.received".to_owned(),
    }
}

fn rejected(account: &Account, undelivered: Undelivered, now: Timestamp) -> Outgoing {
    let Undelivered { carrier, why } = undelivered;
    let code = Code::SourceUndelivered.as_str();
    let media_id = carrier.media_id(account.provider.as_str());
    let cause = received_id(&account.tenant, &media_id);
    let id = outcome_id(&account.tenant, &media_id, "", REJECTED_TYPE, &cause, code);
    let sent_at = carrier.sent_at;
    let data = Rejected {
        tenant: account.tenant.clone(),
        media_id: media_id.clone(),
        cause,
        code: code.to_owned(),
        stage: Stage::Fetch,
        explanation: why,
        attempts: 0,
        original: None,
        expires_at: None,
        revision: None,
        message: Some(carrier.message),
        privacy: None,
        tags: Vec::new(),
        context: None,
    };
    Outgoing {
        routing_key: "media.rejected".to_owned(),
        event: event(account, &media_id, REJECTED_TYPE, id, sent_at.unwrap_or(now), Payload::Rejected(Box::new(data))),
    }
}

fn edited(account: &Account, edit: Edit, now: Timestamp) -> Outgoing {
    let Edit { carrier, change_id } = edit;
    let (media_id, id) = change(account, &carrier, EDITED_TYPE, &change_id);
    let at = carrier.sent_at;
    let data = Edited {
        tenant: account.tenant.clone(),
        media_id: media_id.clone(),
        message: carrier.message,
        edited_at: at.map(|at| at.to_string()),
    };
    Outgoing {
        routing_key: "message.edited".to_owned(),
        event: event(account, &media_id, EDITED_TYPE, id, at.unwrap_or(now), Payload::Edited(Box::new(data))),
    }
}

fn revoked(account: &Account, edit: Edit, now: Timestamp) -> Outgoing {
    let Edit { carrier, change_id } = edit;
    let (media_id, id) = change(account, &carrier, REVOKED_TYPE, &change_id);
    let at = carrier.sent_at;
    let data = Revoked {
        tenant: account.tenant.clone(),
        media_id: media_id.clone(),
        message: carrier.message,
        revoked_at: at.map(|at| at.to_string()),
    };
    Outgoing {
        routing_key: "message.revoked".to_owned(),
        event: event(account, &media_id, REVOKED_TYPE, id, at.unwrap_or(now), Payload::Revoked(Box::new(data))),
    }
}

fn change(account: &Account, carrier: &Carrier, event_type: &str, change_id: &str) -> (String, String) {
    let media_id = carrier.media_id(account.provider.as_str());
    let id = update_id(&account.tenant, &media_id, event_type, change_id);
    (media_id, id)
}

fn event(account: &Account, media_id: &str, kind: &str, id: String, time: Timestamp, data: Payload) -> Event<Payload> {
    Event {
        id,
        source: SOURCE.to_owned(),
        kind: kind.to_owned(),
        subject: Some(format!("{}/{media_id}", account.tenant)),
        time: Some(time.to_string()),
        trace: None,
        data,
    }
}
