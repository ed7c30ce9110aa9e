//! What is asked of a proxy by stanzas.

use super::{Pair, Proxy, ProxyEvent, Session};
use crate::{DstAddr, refusal};
use alloc::boxed::Box;
use bytestreams_machine::NetCommand;
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Condition, ErrorType, Fault, Invalid, Iq, IqBody, Jid, Mode,
    Payload, StanzaError, ns,
};

/// Says whether a request is in the namespace of XEP-0065. What breaks our limits is the
/// responder's, which has an answer to that.
pub(super) fn is_ours(iq: &Iq) -> bool {
    match iq.request() {
        Some(Payload::Bytestreams(_)) => true,
        Some(Payload::Invalid(invalid)) => {
            &*invalid.ns == ns::BYTESTREAMS && !matches!(invalid.fault, Fault::Limit(_))
        }
        _ => false,
    }
}

impl Proxy {
    /// Outputs that may wait for the driver before requests are dropped: a peer that asks faster
    /// than the link takes answers gets no memory of ours.
    pub(super) const MAX_OUTPUTS: usize = 1024;

    pub(super) fn request(&mut self, iq: &Iq) {
        if self.out.len() >= Self::MAX_OUTPUTS {
            return;
        }
        let answer = self.answer(iq);
        let body = answer.unwrap_or_else(|error| IqBody::Error(Box::new(error)));
        let mut answer = Iq::answer(iq.from.clone(), iq.id.clone(), body);
        // A component answers as whom it was asked.
        answer.from.clone_from(&iq.to);
        self.out.stanza(answer);
    }

    fn answer(&mut self, iq: &Iq) -> Result<IqBody, StanzaError> {
        use BytestreamsContent as Content;
        let from = iq.from.as_ref().ok_or_else(refusal::bad_request)?;
        match &iq.body {
            IqBody::Get(Payload::Bytestreams(query)) => match &query.content {
                Content::Hosts(_) => self.address(from, query),
                Content::Used(_) | Content::Activate(_) => Err(refusal::bad_request()),
            },
            IqBody::Set(Payload::Bytestreams(query)) => match &query.content {
                Content::Activate(target) => self.activate(iq, from, query, target),
                Content::Hosts(_) => Err(refusal::not_acceptable()),
                Content::Used(_) => Err(refusal::bad_request()),
            },
            IqBody::Set(Payload::Invalid(invalid)) => Err(fault_of(invalid)),
            IqBody::Get(_) | IqBody::Set(_) | IqBody::Result(_) | IqBody::Error(_) => {
                Err(refusal::bad_request())
            }
        }
    }

    /// Tells the address (section 4).
    fn address(&mut self, from: &Jid, query: &Bytestreams) -> Result<IqBody, StanzaError> {
        self.admit(from)?;
        if self.config.hosts.is_empty() || self.retired {
            return Err(Condition::NotAllowed.into());
        }
        self.stats.addresses_told += 1;
        Ok(IqBody::Result(Some(Payload::Bytestreams(Box::new(
            Bytestreams {
                sid: query.sid.clone(),
                mode: Mode::Tcp,
                dstaddr: None,
                content: BytestreamsContent::Hosts(self.config.hosts.clone()),
            },
        )))))
    }

    /// Activates a pair (section 6.3.5).
    fn activate(
        &mut self,
        iq: &Iq,
        from: &Jid,
        query: &Bytestreams,
        target: &Jid,
    ) -> Result<IqBody, StanzaError> {
        self.admit(from)?;
        let found = self.find(iq, from, query, target);
        match found {
            Ok(Found::Pair(addr, conns)) => {
                self.start(iq, from, target, addr, conns);
                Ok(IqBody::Result(None))
            }
            Ok(Found::Again) => Ok(IqBody::Result(None)),
            Err(error) => {
                self.stats.activations_refused += 1;
                Err(error)
            }
        }
    }

    fn find(
        &self,
        iq: &Iq,
        from: &Jid,
        query: &Bytestreams,
        target: &Jid,
    ) -> Result<Found, StanzaError> {
        let sid = query.sid.as_ref().ok_or_else(refusal::bad_request)?;
        for addr in DstAddr::spellings(sid, from, target) {
            if let Some(session) = self.active.get(&addr) {
                // Repeated by a link that was resumed, as against a second activation.
                let again = session.request == iq.id && session.requester == *from;
                return again
                    .then_some(Found::Again)
                    .ok_or_else(|| Condition::NotAllowed.into());
            }
            let Some(pair) = self.pairs.get(&addr) else {
                continue;
            };
            let &Pair {
                first,
                second: Some(second),
            } = pair
            else {
                return Err(Condition::NotAllowed.into());
            };
            let of_jid = self.by_jid.get(&from.bare()).copied().unwrap_or_default();
            if self.active.len() >= self.config.sessions || of_jid >= self.config.sessions_a_jid {
                return Err(StanzaError::new(
                    ErrorType::Wait,
                    Condition::ResourceConstraint,
                ));
            }
            return Ok(Found::Pair(addr, [first, second]));
        }
        Err(refusal::not_found())
    }

    fn start(
        &mut self,
        iq: &Iq,
        from: &Jid,
        target: &Jid,
        addr: DstAddr,
        conns: [bytestreams_machine::ConnId; 2],
    ) {
        let [first, second] = conns;
        let (Some(one), Some(two)) = (self.take_waiting(first), self.take_waiting(second)) else {
            return;
        };
        self.pairs.remove(&addr);
        for (conn, early) in [(first, one.early), (second, two.early)] {
            self.early.insert(conn, early);
            self.out.net(NetCommand::Detach(conn));
        }
        *self.by_jid.entry(from.bare()).or_default() += 1;
        let session = Session {
            requester: from.clone(),
            request: iq.id.clone(),
            conns,
            sources: [one.source, two.source],
        };
        self.active.insert(addr, Box::new(session));
        self.stats.activated += 1;
        self.out.event(ProxyEvent::Activated {
            addr,
            first,
            second,
            requester: from.clone(),
            target: target.clone(),
        });
    }

    fn admit(&mut self, from: &Jid) -> Result<(), StanzaError> {
        if self.config.allowed.permits(from) {
            return Ok(());
        }
        self.stats.forbidden += 1;
        Err(Condition::Forbidden.into())
    }
}

/// What an activation is about.
enum Found {
    Pair(DstAddr, [bytestreams_machine::ConnId; 2]),
    /// What was activated by this very request.
    Again,
}

/// The error for a request that is not as the specification has it.
fn fault_of(invalid: &Invalid) -> StanzaError {
    if invalid.fault == Fault::BadValue("activate") {
        Condition::JidMalformed.into()
    } else {
        refusal::bad_request()
    }
}
