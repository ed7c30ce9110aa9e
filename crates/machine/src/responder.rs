//! The last in line: every get and set is answered (RFC 6120, 8.2.3).

use crate::{Input, Instant, Machine, Output};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "server")]
use bytestreams_stanza::Caps;
use bytestreams_stanza::{
    Condition, DiscoInfo, ErrorType, Fault, Identity, Iq, IqBody, Payload, Stanza, StanzaError, ns,
};
use core::convert::Infallible;

/// Answers disco#info and disco#items (XEP-0030) from a list of features, ping (XEP-0199), and
/// everything else with an error, so that no request stays without an answer.
///
/// Without the feature `server` it knows no disco#items, and has no capabilities to tell.
#[derive(Clone, Debug)]
pub struct Responder {
    #[cfg(feature = "server")]
    node: Arc<str>,
    info: DiscoInfo,
    #[cfg(feature = "server")]
    ver: Arc<str>,
    answers: VecDeque<Stanza>,
}

impl Responder {
    /// Answers that may wait for the driver at most; a request beyond them is dropped, for a peer
    /// that asks faster than it reads gets no memory of ours.
    pub const MAX_ANSWERS: usize = 256;

    /// Makes a responder that is `identity` and can do `features`, beside disco itself and ping.
    /// `node` names the software (XEP-0115).
    pub fn new(node: &str, identity: Identity, features: &[&str]) -> Self {
        let own = [
            ns::DISCO_INFO,
            #[cfg(feature = "server")]
            ns::DISCO_ITEMS,
            ns::PING,
        ];
        let mut all: Vec<Arc<str>> = Vec::new();
        for feature in own.iter().chain(features) {
            if let Err(place) = all.binary_search_by(|known| (**known).cmp(feature)) {
                all.insert(place, Arc::from(*feature));
            }
        }
        let info = DiscoInfo {
            node: None,
            identities: Vec::from([identity]),
            features: all,
        };
        #[cfg(not(feature = "server"))]
        let _ = node;
        Self {
            #[cfg(feature = "server")]
            node: Arc::from(node),
            #[cfg(feature = "server")]
            ver: verification(&info),
            info,
            answers: VecDeque::new(),
        }
    }

    /// The entity capabilities to put into presence (XEP-0115). With the feature `server`.
    #[cfg(feature = "server")]
    pub fn caps(&self) -> Caps {
        Caps {
            node: self.node.clone(),
            ver: self.ver.clone(),
            hash: Arc::from("sha-1"),
        }
    }

    /// The features that are told.
    pub fn features(&self) -> &[Arc<str>] {
        &self.info.features
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is has one answer"
    )]
    fn answer(&self, iq: &Iq, payload: &Payload, is_get: bool) -> Iq {
        match payload {
            Payload::DiscoInfo(query) if is_get => match &query.node {
                node if self.knows(node.as_deref()) => {
                    iq.result(Some(Payload::DiscoInfo(Box::new(DiscoInfo {
                        node: node.clone(),
                        ..self.info.clone()
                    }))))
                }
                _ => iq.error(Condition::ItemNotFound),
            },
            #[cfg(feature = "server")]
            Payload::DiscoItems(query) if is_get => match &query.node {
                None => iq.result(Some(Payload::DiscoItems(Box::default()))),
                Some(_) => iq.error(Condition::ItemNotFound),
            },
            Payload::Ping if is_get => iq.result(None),
            Payload::Invalid(invalid) => iq.error(match invalid.fault {
                // A block larger than any can be: the peer may offer smaller ones (XEP-0047, 2.1).
                Fault::Limit("block-size") => {
                    StanzaError::new(ErrorType::Modify, Condition::ResourceConstraint)
                }
                Fault::Limit(_) => Condition::PolicyViolation.into(),
                _ => Condition::BadRequest.into(),
            }),
            _ => iq.error(Condition::ServiceUnavailable),
        }
    }

    /// Says whether a disco#info query is about us: no node, or the one of our caps.
    fn knows(&self, node: Option<&str>) -> bool {
        #[cfg(not(feature = "server"))]
        return node.is_none();
        #[cfg(feature = "server")]
        node.is_none_or(|node| {
            node.strip_prefix(&*self.node)
                .and_then(|rest| rest.strip_prefix('#'))
                .is_some_and(|ver| ver == &*self.ver)
        })
    }
}

impl Machine for Responder {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        let Input::Stanza(Stanza::Iq(iq)) = &input else {
            return Some(input);
        };
        let (payload, is_get) = match &iq.body {
            IqBody::Get(payload) => (payload, true),
            IqBody::Set(payload) => (payload, false),
            IqBody::Result(_) | IqBody::Error(_) => return Some(input),
        };
        if self.answers.len() < Self::MAX_ANSWERS {
            let answer = self.answer(iq, payload, is_get);
            self.answers.push_back(answer.into());
        }
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        self.answers.pop_front().map(Output::Stanza)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// The verification string of XEP-0115, section 5.1, over sorted features.
#[cfg(feature = "server")]
fn verification(info: &DiscoInfo) -> Arc<str> {
    use base64::Engine;
    use sha1::{Digest, Sha1};

    let mut text = alloc::string::String::new();
    for identity in &info.identities {
        text.push_str(&identity.category);
        text.push('/');
        text.push_str(&identity.kind);
        text.push_str("//");
        text.push_str(identity.name.as_deref().unwrap_or_default());
        text.push('<');
    }
    for feature in &info.features {
        text.push_str(feature);
        text.push('<');
    }
    let digest = Sha1::digest(text.as_bytes());
    Arc::from(base64::engine::general_purpose::STANDARD.encode(digest))
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;
    use bytestreams_stanza::{Invalid, Jid, StanzaError};

    fn responder() -> Responder {
        let identity = Identity {
            category: "client".into(),
            kind: "pc".into(),
            name: Some("Exodus 0.9.1".into()),
        };
        let features = [ns::CAPS, "http://jabber.org/protocol/muc"];
        Responder::new("https://example.org/x", identity, &features)
    }

    fn ask(responder: &mut Responder, body: IqBody) -> Option<IqBody> {
        let mut iq = Iq::answer(None, "q1".into(), body);
        iq.from = Jid::new("peer@example.org/r").ok();
        let rest = responder.handle_input(Input::Stanza(iq.clone().into()), Instant::ZERO);
        match responder.poll_output() {
            Some(Output::Stanza(Stanza::Iq(answer))) => {
                assert!(rest.is_none());
                assert_eq!((answer.to, answer.id), (iq.from, iq.id));
                Some(answer.body)
            }
            _ => {
                assert!(rest.is_some());
                None
            }
        }
    }

    fn error(condition: Condition) -> Option<IqBody> {
        Some(IqBody::Error(Box::new(StanzaError::from(condition))))
    }

    #[test]
    fn the_verification_string_is_the_one_of_the_specification() {
        // XEP-0115, section 5.2
        let mut info = responder().info;
        info.features = [
            ns::CAPS,
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            "http://jabber.org/protocol/muc",
        ]
        .map(Arc::from)
        .to_vec();
        assert_eq!(&*verification(&info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn every_get_and_set_is_answered_and_nothing_else() {
        let mut r = responder();
        let unknown = || Payload::Unknown {
            ns: "a".into(),
            name: "b".into(),
        };
        assert_eq!(
            ask(&mut r, IqBody::Get(Payload::Ping)),
            Some(IqBody::Result(None))
        );
        assert_eq!(
            ask(&mut r, IqBody::Set(Payload::Ping)),
            error(Condition::ServiceUnavailable)
        );
        assert_eq!(
            ask(&mut r, IqBody::Get(unknown())),
            error(Condition::ServiceUnavailable)
        );
        assert_eq!(
            ask(&mut r, IqBody::Set(unknown())),
            error(Condition::ServiceUnavailable)
        );
        assert_eq!(ask(&mut r, IqBody::Result(None)), None);
        assert_eq!(
            ask(&mut r, IqBody::Error(Box::new(Condition::Gone.into()))),
            None
        );
    }

    #[test]
    fn what_breaks_limits_is_a_policy_violation() {
        let mut r = responder();
        let mut invalid = Invalid {
            ns: "".into(),
            name: "".into(),
            sid: None,
            fault: Fault::Limit("stanza"),
        };
        let over = IqBody::Set(Payload::Invalid(Box::new(invalid.clone())));
        assert_eq!(ask(&mut r, over), error(Condition::PolicyViolation));
        invalid.fault = Fault::Limit("block-size");
        let large = IqBody::Set(Payload::Invalid(Box::new(invalid.clone())));
        let smaller = StanzaError::new(ErrorType::Modify, Condition::ResourceConstraint);
        assert_eq!(ask(&mut r, large), Some(IqBody::Error(Box::new(smaller))));
        // A block that is none, and an IQ whose type is none (RFC 6120, 8.3.3.1).
        for fault in [Fault::Base64, Fault::BadValue("type")] {
            invalid.fault = fault;
            let bad = IqBody::Set(Payload::Invalid(Box::new(invalid.clone())));
            assert_eq!(ask(&mut r, bad), error(Condition::BadRequest));
        }
    }

    #[test]
    fn disco_knows_our_node_and_no_other() {
        let mut r = responder();
        let node = |node: &str| {
            IqBody::Get(Payload::DiscoInfo(Box::new(DiscoInfo {
                node: Some(Arc::from(node)),
                ..DiscoInfo::default()
            })))
        };
        let caps = r.caps();
        let ours = alloc::format!("{}#{}", caps.node, caps.ver);
        let answer = ask(&mut r, node(&ours));
        assert!(
            matches!(&answer, Some(IqBody::Result(Some(Payload::DiscoInfo(info)))) if info.features.iter().any(|f| &**f == ns::PING) && info.node.as_deref() == Some(&*ours)),
            "{answer:?}"
        );
        assert_eq!(ask(&mut r, node("other")), error(Condition::ItemNotFound));
    }

    #[test]
    fn answers_that_nobody_fetches_are_bounded() {
        let mut r = responder();
        for _ in 0..2 * Responder::MAX_ANSWERS {
            let iq = Iq::get(None, "p".into(), Payload::Ping);
            assert!(
                r.handle_input(Input::Stanza(iq.into()), Instant::ZERO)
                    .is_none()
            );
        }
        assert_eq!(r.answers.len(), Responder::MAX_ANSWERS);
    }
}
