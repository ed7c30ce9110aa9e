//! The three stanzas of RFC 6120, section 8.

use crate::{Id, Jid, Payload, StanzaError};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// A stanza, owned and cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum Stanza {
    /// `<iq/>`
    Iq(Iq),
    /// `<message/>`
    Message(Message),
    /// `<presence/>`
    Presence(Presence),
}

/// `<iq/>` (RFC 6120, 8.2.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Iq {
    /// Who sent it; stamped by the link on what comes in, usually absent on what goes out.
    pub from: Option<Jid>,
    /// Whom it is for; absent for the own account or server.
    pub to: Option<Jid>,
    /// What request and answer have in common.
    pub id: Id,
    /// Type and content.
    pub body: IqBody,
}

/// The type of an `<iq/>` with its content.
#[derive(Clone, Debug, PartialEq)]
pub enum IqBody {
    /// `type='get'`
    Get(Payload),
    /// `type='set'`
    Set(Payload),
    /// `type='result'`
    Result(Option<Payload>),
    /// `type='error'`
    Error(Box<StanzaError>),
}

/// `<message/>`, as far as file transfer needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who sent it.
    pub from: Option<Jid>,
    /// Whom it is for.
    pub to: Option<Jid>,
    /// Its identifier, if any.
    pub id: Option<Id>,
    /// The first child that is known here; with an error, the echo of what failed.
    pub payload: Option<Payload>,
    /// Present with `type='error'`.
    pub error: Option<Box<StanzaError>>,
}

/// `<presence/>`, as far as file transfer needs it.
///
/// Without the feature `server` neither priority nor capabilities are read or written.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Who sent it.
    pub from: Option<Jid>,
    /// Whom it is for.
    pub to: Option<Jid>,
    /// Its type.
    pub kind: PresenceType,
    /// `<priority/>`, 0 if absent (RFC 6121, 4.7.2.3).
    pub priority: i8,
    /// `<c/>`, if any.
    pub caps: Option<Box<Caps>>,
}

/// The type of a `<presence/>` (RFC 6121, 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceType {
    /// No type: available.
    Available,
    /// `unavailable`
    Unavailable,
    /// `error`
    Error,
    /// Any other: subscriptions and probes.
    Other,
}

/// Entity capabilities (XEP-0115).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The software.
    pub node: Arc<str>,
    /// The verification string.
    pub ver: Arc<str>,
    /// The hash function's name.
    pub hash: Arc<str>,
}

impl Stanza {
    /// Who sent it.
    pub fn from(&self) -> Option<&Jid> {
        match self {
            Self::Iq(Iq { from, .. })
            | Self::Message(Message { from, .. })
            | Self::Presence(Presence { from, .. }) => from.as_ref(),
        }
    }

    /// Whom it is for.
    pub fn to(&self) -> Option<&Jid> {
        match self {
            Self::Iq(Iq { to, .. })
            | Self::Message(Message { to, .. })
            | Self::Presence(Presence { to, .. }) => to.as_ref(),
        }
    }

    /// Replaces who sent it: for the link, which stamps what comes in.
    pub fn set_from(&mut self, jid: Option<Jid>) {
        match self {
            Self::Iq(Iq { from, .. })
            | Self::Message(Message { from, .. })
            | Self::Presence(Presence { from, .. }) => *from = jid,
        }
    }
}

impl Iq {
    /// Makes a get.
    pub fn get(to: Option<Jid>, id: Id, payload: Payload) -> Self {
        Self {
            from: None,
            to,
            id,
            body: IqBody::Get(payload),
        }
    }

    /// Makes a set.
    pub fn set(to: Option<Jid>, id: Id, payload: Payload) -> Self {
        Self {
            from: None,
            to,
            id,
            body: IqBody::Set(payload),
        }
    }

    /// Makes the result that answers this request.
    pub fn result(&self, payload: Option<Payload>) -> Self {
        Self::answer(self.from.clone(), self.id.clone(), IqBody::Result(payload))
    }

    /// Makes the error that answers this request.
    pub fn error(&self, error: impl Into<StanzaError>) -> Self {
        Self::answer(
            self.from.clone(),
            self.id.clone(),
            IqBody::Error(Box::new(error.into())),
        )
    }

    /// Makes an answer to a request of which (from, id) were kept.
    pub fn answer(to: Option<Jid>, id: Id, body: IqBody) -> Self {
        Self {
            from: None,
            to,
            id,
            body,
        }
    }

    /// The payload of a get or set.
    pub fn request(&self) -> Option<&Payload> {
        match &self.body {
            IqBody::Get(payload) | IqBody::Set(payload) => Some(payload),
            IqBody::Result(_) | IqBody::Error(_) => None,
        }
    }
}

impl From<Iq> for Stanza {
    fn from(iq: Iq) -> Self {
        Self::Iq(iq)
    }
}

impl From<Message> for Stanza {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<Presence> for Stanza {
    fn from(presence: Presence) -> Self {
        Self::Presence(presence)
    }
}
