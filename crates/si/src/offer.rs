//! The Sender's side.

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
    /// The peer declined (forbidden), with words if it gave any.
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
    let values = si.feature.iter().flat_map(chosen);
    let values: Methods = values.collect();
    let methods: Methods = offered
        .iter()
        .copied()
        .filter(|method| values.contains(method))
        .collect();
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

/// The methods that a form chooses: the values of the field, whatever its type.
fn chosen(form: &Form) -> impl Iterator<Item = Method> {
    form.fields
        .iter()
        .filter(|field| &*field.var == STREAM_METHOD)
        .flat_map(|field| &field.values)
        .filter_map(|value| Method::from_namespace(value))
}

/// Reads an error by its condition alone: the types differ from peer to peer, and XEP-0095 itself
/// gives two for one (section 4.2, and example 7).
fn read_error(error: Box<StanzaError>) -> Refusal {
    match (error.app, error.condition) {
        (Some(AppCondition::NoValidStreams), _) => Refusal::NoValidStreams,
        (Some(AppCondition::BadProfile), _) => Refusal::BadProfile,
        (_, Condition::Forbidden) => Refusal::Declined(error.text),
        _ => Refusal::Error(error),
    }
}

/// The name of the field (XEP-0095, section 3.1).
pub(crate) const STREAM_METHOD: &str = "stream-method";

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::ErrorType;

    fn jid(text: &str) -> Jid {
        Jid::new(text).expect("a JID")
    }

    fn offer() -> Offer {
        let proposal = Proposal {
            sid: Sid::new("a0").expect("a sid"),
            file: File {
                name: Some("test.txt".into()),
                size: Some(1022),
                ..File::default()
            },
            mime_type: Some("text/plain".into()),
            methods: Methods::from_slice(&[Method::Socks5, Method::Ibb]),
        };
        let own = Own {
            jid: jid("sender@jabber.org/resource"),
        };
        let mut offer = Offer::new(
            own,
            jid("Receiver@jabber.org/resource"),
            proposal,
            &mut Ids::new("a0"),
            Instant::ZERO,
        );
        assert!(matches!(
            offer.poll_output(),
            Some(Output::Stanza(Stanza::Iq(_)))
        ));
        offer
    }

    fn submit(fields: &[(&str, &[&str])]) -> Si {
        Si {
            feature: Some(Form {
                kind: FormType::Submit,
                fields: fields
                    .iter()
                    .map(|(var, values)| Field {
                        var: Arc::from(*var),
                        kind: FieldType::Unspecified,
                        values: values.iter().map(|&v| Arc::from(v)).collect(),
                        options: Vec::new(),
                    })
                    .collect(),
            }),
            ..Si::default()
        }
    }

    fn answer(offer: &mut Offer, from: &str, body: IqBody) -> Option<OfferEvent> {
        let mut iq = Iq::answer(None, offer.id.clone(), body);
        iq.from = Some(jid(from));
        let rest = offer.handle_input(Input::Stanza(iq.into()), Instant::ZERO);
        match offer.poll_output() {
            Some(Output::Event(event)) => {
                assert!(rest.is_none());
                assert!(offer.poll_output().is_none(), "one outcome");
                assert_eq!(offer.poll_timeout(), None);
                Some(event)
            }
            _ => {
                assert!(rest.is_some());
                None
            }
        }
    }

    fn result(si: Si) -> IqBody {
        IqBody::Result(Some(Payload::Si(Box::new(si))))
    }

    fn outcome(body: IqBody) -> OfferEvent {
        answer(&mut offer(), "receiver@jabber.org/resource", body).expect("an outcome")
    }

    fn methods(si: Si) -> Option<Methods> {
        match outcome(result(si)) {
            OfferEvent::Accepted(accepted) => {
                assert_eq!(accepted.from.as_str(), "receiver@jabber.org/resource");
                Some(accepted.methods)
            }
            OfferEvent::Refused(refusal) => {
                assert_eq!(refusal, Refusal::NoValidStreams);
                None
            }
        }
    }

    #[test]
    fn the_offer_is_the_one_of_the_specification() {
        let proposal = Proposal {
            sid: Sid::new("a0").expect("a sid"),
            file: File::default(),
            mime_type: None,
            methods: Methods::from_slice(&[Method::Socks5, Method::Ibb]),
        };
        let si = proposal.into_si();
        assert_eq!(si.profile.as_deref(), Some(ns::FILE_TRANSFER));
        let form = si.feature.expect("a form");
        assert_eq!(form.kind, FormType::Form);
        let [field] = &*form.fields else {
            panic!("one field")
        };
        assert_eq!(
            (&*field.var, field.kind),
            (STREAM_METHOD, FieldType::ListSingle)
        );
        assert_eq!(
            field.options,
            [Arc::from(ns::BYTESTREAMS), Arc::from(ns::IBB)]
        );
    }

    #[test]
    fn the_first_method_offered_among_those_answered_is_taken() {
        let both = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
        let one = |values| methods(submit(&[(STREAM_METHOD, values)]));
        assert_eq!(one(&[ns::IBB]), Some(Methods::from_slice(&[Method::Ibb])));
        assert_eq!(one(&[ns::BYTESTREAMS, ns::IBB]), Some(both.clone()));
        assert_eq!(one(&[ns::IBB, "x", ns::BYTESTREAMS]), Some(both));
        assert_eq!(
            one(&[ns::IBB, ns::IBB]),
            Some(Methods::from_slice(&[Method::Ibb]))
        );
        assert_eq!(
            one(&["\n  http://jabber.org/protocol/ibb "]),
            Some(Methods::from_slice(&[Method::Ibb]))
        );
        let split = submit(&[("other", &["1"]), (STREAM_METHOD, &[ns::BYTESTREAMS])]);
        assert_eq!(methods(split), Some(Methods::from_slice(&[Method::Socks5])));
    }

    #[test]
    fn consent_to_nothing_that_was_offered_is_no_valid_streams() {
        assert_eq!(methods(Si::default()), None);
        assert_eq!(methods(submit(&[])), None);
        assert_eq!(methods(submit(&[(STREAM_METHOD, &[])])), None);
        assert_eq!(
            methods(submit(&[(STREAM_METHOD, &["jabber:iq:oob"])])),
            None
        );
        assert_eq!(methods(submit(&[("other", &[ns::IBB])])), None);
        assert_eq!(
            outcome(IqBody::Result(None)),
            OfferEvent::Refused(Refusal::NoValidStreams)
        );
        assert_eq!(
            outcome(IqBody::Result(Some(Payload::Ping))),
            OfferEvent::Refused(Refusal::NoValidStreams)
        );
    }

    #[test]
    fn what_a_result_repeats_of_the_offer_is_ignored() {
        let mut si = submit(&[(STREAM_METHOD, &[ns::IBB])]);
        si.id = Sid::new("other").ok();
        si.profile = Some("x".into());
        si.file = Some(File::default());
        assert_eq!(methods(si), Some(Methods::from_slice(&[Method::Ibb])));
    }

    #[test]
    fn a_range_is_read() {
        let mut si = submit(&[(STREAM_METHOD, &[ns::IBB])]);
        let range = Range {
            offset: Some(128),
            length: Some(256),
        };
        si.file = Some(File {
            range: Some(range),
            ..File::default()
        });
        let OfferEvent::Accepted(accepted) = outcome(result(si)) else {
            panic!("accepted")
        };
        assert_eq!(accepted.range, range);
    }

    #[test]
    fn errors_are_read_by_their_condition() {
        let error = |kind, condition, app, text: Option<&str>| {
            outcome(IqBody::Error(Box::new(StanzaError {
                kind,
                condition,
                app,
                text: text.map(Arc::from),
            })))
        };
        for kind in [ErrorType::Cancel, ErrorType::Auth, ErrorType::Modify] {
            assert_eq!(
                error(kind, Condition::Forbidden, None, Some("Offer Declined")),
                OfferEvent::Refused(Refusal::Declined(Some("Offer Declined".into())))
            );
            assert_eq!(
                error(
                    kind,
                    Condition::BadRequest,
                    Some(AppCondition::NoValidStreams),
                    None
                ),
                OfferEvent::Refused(Refusal::NoValidStreams)
            );
            assert_eq!(
                error(
                    kind,
                    Condition::BadRequest,
                    Some(AppCondition::BadProfile),
                    None
                ),
                OfferEvent::Refused(Refusal::BadProfile)
            );
        }
        assert!(matches!(
            error(ErrorType::Cancel, Condition::ServiceUnavailable, None, None),
            OfferEvent::Refused(Refusal::Error(e)) if e.condition == Condition::ServiceUnavailable
        ));
    }

    #[test]
    fn only_the_peer_that_was_asked_is_heard_and_only_once() {
        let mut offer = offer();
        let yes = || result(submit(&[(STREAM_METHOD, &[ns::IBB])]));
        for stranger in ["eve@jabber.org/resource", "receiver@jabber.org/Resource"] {
            assert_eq!(answer(&mut offer, stranger, yes()), None);
        }
        let peer = "receiver@jabber.org/resource";
        assert!(answer(&mut offer, peer, yes()).is_some());
        assert_eq!(answer(&mut offer, peer, yes()), None);
    }

    #[test]
    fn an_offer_without_answer_times_out() {
        let mut offer = offer();
        let due = offer.poll_timeout().expect("a deadline");
        assert_eq!(due, Instant::ZERO + Offer::PATIENCE);
        offer.handle_timeout(Instant::from_micros(due.as_micros() - 1));
        assert_eq!(offer.poll_output(), None);
        offer.handle_timeout(due);
        assert_eq!(
            offer.poll_output(),
            Some(Output::Event(OfferEvent::Refused(Refusal::TimedOut)))
        );
        let late = result(submit(&[(STREAM_METHOD, &[ns::IBB])]));
        assert_eq!(
            answer(&mut offer, "receiver@jabber.org/resource", late),
            None
        );
    }
}
