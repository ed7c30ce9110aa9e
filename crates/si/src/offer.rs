//! The Sender's side.

use crate::method::named;
use crate::{Method, Methods};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Own};
use bytestreams_stanza::{
    AppCondition, Condition, Field, FieldType, File, Form, FormType, Id, Iq, IqBody, Jid, Payload,
    Range, Si, Sid, Stanza, StanzaError, ns,
};
use core::fmt;
use core::time::Duration;

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The stream to be.
    pub sid: Sid,
    /// The file. `name` and `size` must be in it (XEP-0096, section 3): some peers and one server
    /// drop offers without. `range` says that a part may be asked for.
    pub file: File,
    /// The MIME type.
    pub mime_type: Option<Arc<str>>,
    /// The methods to choose from, in the order of preference (SOCKS5 before in band, XEP-0096,
    /// section 3.1).
    pub methods: Methods,
}

/// A peer's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Who answered, as the link stamped it: the peer's JID from now on, also where it is spelled
    /// in another way than the one that was asked.
    pub from: Jid,
    /// What the peer chose among the methods offered, in the order of the offer; never empty. The
    /// first is the one to use. A second is there where a peer answered with several values, which
    /// means that the stream may fall back to it under the same sid.
    pub methods: Methods,
    /// The part of the file that it wants; the default is all of it.
    pub range: Range,
}

/// Why an offer came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer declined (forbidden, from older peers not-acceptable), with words if it gave any.
    Declined(Option<Arc<str>>),
    /// The peer has none of the methods, or answered with none that was offered.
    NoValidStreams,
    /// The peer does not know the file-transfer profile.
    BadProfile,
    /// Another error, of the peer or of a server on the way.
    Error(Box<StanzaError>),
    /// No answer within [`Offer::PATIENCE`].
    TimedOut,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined(None) => f.write_str("the offer was declined"),
            Self::Declined(Some(text)) => write!(f, "the offer was declined: {text}"),
            Self::NoValidStreams => f.write_str("the peer has none of the stream methods offered"),
            Self::BadProfile => f.write_str("the peer does not know the file-transfer profile"),
            Self::Error(error) => write!(f, "the offer was answered with an error: {error}"),
            Self::TimedOut => f.write_str("the offer was not answered in time"),
        }
    }
}

impl core::error::Error for Refusal {}

/// What became of an offer; comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferEvent {
    /// The peer accepted.
    Accepted(Accepted),
    /// It came to nothing.
    Refused(Refusal),
}

/// An offer on its way: sends it, waits for the answer, reads the answer.
#[derive(Clone, Debug)]
pub struct Offer {
    own: Own,
    peer: Jid,
    id: Id,
    methods: Methods,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The offer is still to be sent.
    Unsent(Box<Si>, Instant),
    Waiting(Instant),
    Answered(OfferEvent),
    /// Terminal.
    Over,
}

impl Offer {
    /// How long the peer has for its answer: a person decides.
    pub const PATIENCE: Duration = Duration::from_secs(300);

    /// Makes the offer; [`Machine::poll_output`] yields it. The id of the request is taken from
    /// `ids`.
    pub fn new(own: Own, peer: Jid, proposal: Proposal, ids: &mut Ids, now: Instant) -> Self {
        let methods = proposal.methods.clone();
        let si = Box::new(proposal.into_si());
        Self {
            own,
            peer,
            id: ids.next_id(),
            methods,
            state: State::Unsent(si, now + Self::PATIENCE),
        }
    }

    /// Whom it is for.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    fn answers(&self, iq: &Iq) -> bool {
        matches!(self.state, State::Waiting(_))
            && iq.request().is_none()
            && iq.id == self.id
            && self.own.answers(Some(&self.peer), iq.from.as_ref())
    }

    fn read(&self, iq: Iq) -> OfferEvent {
        match iq.body {
            IqBody::Result(Some(Payload::Si(si))) => {
                let from = iq.from.unwrap_or_else(|| self.peer.clone());
                read_result(&self.methods, from, &si)
            }
            IqBody::Error(error) => OfferEvent::Refused(read_error(error)),
            // Consent without a method is none (XEP-0095, section 3.2): one peer sends it when it
            // lacks every method.
            IqBody::Result(_) | IqBody::Get(_) | IqBody::Set(_) => {
                OfferEvent::Refused(Refusal::NoValidStreams)
            }
        }
    }
}

impl Machine for Offer {
    type Event = OfferEvent;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(Stanza::Iq(iq)) if self.answers(&iq) => {
                self.state = State::Answered(self.read(iq));
                None
            }
            other @ (Input::Stanza(_) | Input::Net(_)) => Some(other),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Unsent(_, due) | State::Waiting(due) if due <= now => {
                self.state = State::Answered(OfferEvent::Refused(Refusal::TimedOut));
            }
            State::Unsent(..) | State::Waiting(_) | State::Answered(_) | State::Over => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<OfferEvent>> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Unsent(si, due) => {
                self.state = State::Waiting(due);
                let to = Some(self.peer.clone());
                let iq = Iq::set(to, self.id.clone(), Payload::Si(si));
                Some(Output::Stanza(iq.into()))
            }
            State::Answered(event) => Some(Output::Event(event)),
            waiting @ State::Waiting(_) => {
                self.state = waiting;
                None
            }
            State::Over => None,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Unsent(_, due) | State::Waiting(due) => Some(due),
            State::Answered(_) | State::Over => None,
        }
    }
}

impl Proposal {
    /// The `<si/>` of the offer (XEP-0096, example 1). The field comes first and alone and has its
    /// type, since two peers read it by place and one by type.
    fn into_si(self) -> Si {
        let options = self.methods.iter().map(|m| Arc::from(m.namespace()));
        Si {
            id: Some(self.sid),
            profile: Some(Arc::from(ns::FILE_TRANSFER)),
            mime_type: self.mime_type,
            file: Some(self.file),
            feature: Some(Form {
                kind: FormType::Form,
                fields: Vec::from([Field {
                    var: Arc::from(STREAM_METHOD),
                    kind: FieldType::ListSingle,
                    values: Vec::new(),
                    options: options.collect(),
                }]),
            }),
        }
    }
}

fn read_result(offered: &[Method], from: Jid, si: &Si) -> OfferEvent {
    if si
        .feature
        .as_ref()
        .is_some_and(|form| form.kind == FormType::Cancel)
    {
        return OfferEvent::Refused(Refusal::Declined(None));
    }
    let methods = named(si.feature.as_ref(), offered, false);
    if methods.is_empty() {
        return OfferEvent::Refused(Refusal::NoValidStreams);
    }
    let range = si.file.as_ref().and_then(|file| file.range);
    OfferEvent::Accepted(Accepted {
        from,
        methods,
        range: range.unwrap_or_default(),
    })
}

/// Reads an error by its condition alone: the types differ from peer to peer, and XEP-0095 itself
/// gives two for one (section 4.2, and example 7).
fn read_error(error: Box<StanzaError>) -> Refusal {
    match (error.app, error.condition) {
        (Some(AppCondition::NoValidStreams), _) => Refusal::NoValidStreams,
        (Some(AppCondition::BadProfile), _) => Refusal::BadProfile,
        // What Smack 3 and 4.1 say when a person declines; the specification has no use for it here.
        (_, Condition::Forbidden | Condition::NotAcceptable) => Refusal::Declined(error.text),
        _ => Refusal::Error(error),
    }
}

/// The name of the field (XEP-0095, section 3.1).
pub(crate) const STREAM_METHOD: &str = "stream-method";

#[cfg(test)]
mod tests;
