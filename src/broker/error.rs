//! Errors of the broker, and what each means for the message that is being handled.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use crate::error::{Code, Fault};

/// An error of the broker. The texts contain RabbitMQ's own reply texts, never a URL or a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The `[broker]` configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// RabbitMQ refuses the request: wrong credentials, a missing permission or virtual host, or a queue declared with
    /// other arguments.
    #[error("{action}: the broker refused it ({detail})")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// RabbitMQ's reply text.
        detail: String,
    },
    /// There is no connection, or it was lost.
    #[error("{action}: {detail}")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// What happened.
        detail: String,
    },
    /// RabbitMQ did not answer within the time limit.
    #[error("{action}: the broker did not answer in time")]
    Timeout {
        /// What was being done.
        action: &'static str,
    },
    /// The message was returned: no queue is bound for its routing key.
    #[error("no queue is bound for {routing_key}")]
    Unroutable {
        /// The routing key of the message.
        routing_key: String,
    },
    /// A queue refused the message (`basic.nack`).
    #[error("a queue refused a message for {routing_key}")]
    NotTaken {
        /// The routing key of the message.
        routing_key: String,
    },
    /// Publishing was given up: the delivery that the message is about was lost before the broker could be reached.
    #[error("not published: the delivery was lost while the broker was unreachable, and RabbitMQ delivers it again")]
    Unwanted,
}

impl BrokerError {
    /// Classifies an error of lapin's.
    pub(super) fn lapin(action: &'static str) -> impl FnOnce(lapin::Error) -> Self {
        move |err| {
            let mut detail = err.to_string();
            if matches!(err.kind(), lapin::ErrorKind::ParsingError(_)) {
                detail
                    .push_str("; the port does not speak AMQP 0-9-1: broker.url may name the port of another service");
            }
            if refuses(&err) { Self::Refused { action, detail } } else { Self::Unavailable { action, detail } }
        }
    }

    pub(super) fn unavailable(action: &'static str, detail: &str) -> Self {
        Self::Unavailable { action, detail: detail.to_owned() }
    }

    /// Whether another node, or the same node later, may succeed.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }

    /// The same error with a hint for the operator about what may be wrong.
    pub(super) fn with_hint(self, hint: Option<&str>) -> Self {
        let Some(hint) = hint else { return self };
        match self {
            Self::Unavailable { action, detail } => Self::Unavailable { action, detail: format!("{detail}; {hint}") },
            Self::Timeout { action } => Self::Unavailable { action, detail: format!("no answer in time; {hint}") },
            other => other,
        }
    }

    /// Whether the broker has received the message and answered it, so that publishing again soon would get the same
    /// answer.
    pub(super) const fn is_answer(&self) -> bool {
        matches!(self, Self::Unroutable { .. } | Self::NotTaken { .. } | Self::Config(_))
    }
}

/// Whether RabbitMQ says that a queue does not exist.
pub(super) fn is_missing(err: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(err) = err.kind() else { return false };
    matches!(err.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

fn refuses(err: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(err) = err.kind() else { return false };
    matches!(
        err.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED | AMQPSoftError::PRECONDITIONFAILED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)
    )
}

impl From<BrokerError> for Fault {
    fn from(err: BrokerError) -> Self {
        let message = err.to_string();
        match err {
            BrokerError::Config(_) => Self::broken(Code::WorkerBroken, message),
            BrokerError::Refused { .. } => Self::broken(Code::BrokerUnavailable, message),
            BrokerError::Unavailable { .. }
            | BrokerError::Timeout { .. }
            | BrokerError::NotTaken { .. }
            | BrokerError::Unwanted => Self::transient(Code::BrokerUnavailable, message),
            BrokerError::Unroutable { .. } => Self::transient(Code::BrokerUnroutable, message),
        }
    }
}
