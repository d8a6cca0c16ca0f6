//! What a delivery turns out to be: a request, or nothing that could be answered.

use std::sync::OnceLock;

use jiff::Timestamp;

use crate::broker::Delivery;
use crate::error::Fault;
use crate::events::{EnvelopeError, Event, Incoming, MAX_ID_BYTES, Received, TraceContext};
use crate::runtime::MessageInfo;

/// A message that asks for work.
#[derive(Debug, Clone)]
pub struct Request {
    /// `id` of the event.
    pub(super) cause: String,
    /// Its `time`.
    pub(super) asked_at: Option<Timestamp>,
    /// Its place in a trace.
    pub(super) trace: Option<TraceContext>,
    /// Its data.
    pub(super) received: Received,
    /// Version of the profile that it goes by, from before the work: the profiles may be others when it ends.
    pub(super) profile_version: OnceLock<String>,
}

/// What a message turned out to be.
#[derive(Debug)]
pub enum Reading {
    /// Work.
    Request(Request),
    /// An event whose data is wrong, from a sender who can be told.
    Invalid(Request, Fault),
    /// Nothing that could be answered.
    Unreadable(EnvelopeError),
}

impl Reading {
    /// Reads a delivery.
    pub(super) fn of(delivery: &Delivery) -> Self {
        let request = |event: Event, received| Request {
            asked_at: event.timestamp(),
            cause: event.id,
            trace: event.trace,
            received,
            profile_version: OnceLock::new(),
        };
        match Incoming::read(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Incoming::Valid(event, received) => Self::Request(request(event, received)),
            Incoming::Invalid(event, received, error) => Self::Invalid(request(event, received), error.into()),
            Incoming::Unreadable(error) => Self::Unreadable(error),
        }
    }

    /// The request, where it can be answered.
    pub(super) const fn request(&self) -> Option<&Request> {
        match self {
            Self::Request(request) | Self::Invalid(request, _) => Some(request),
            Self::Unreadable(_) => None,
        }
    }

    /// What the runtime has to know of it. A tenant that is longer than ids may be has no share: such a message is rejected.
    pub(super) fn info(&self) -> MessageInfo {
        let Some(request) = self.request() else { return MessageInfo::default() };
        let Received { tenant, media_id, .. } = &request.received;
        MessageInfo {
            event_id: Some(request.cause.clone()),
            asked_at: if matches!(self, Self::Request(_)) { request.asked_at } else { None },
            tenant: if tenant.len() <= MAX_ID_BYTES { tenant.clone() } else { String::new() },
            media_id: Some(media_id.clone()),
            trace: request.trace.clone(),
        }
    }
}
