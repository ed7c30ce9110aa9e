//! The Target's side: a peer's StreamHosts, and the wait for the first octet.

use super::phase::Quiet;
use super::{Phase, token};
use crate::transfer::{DECISION, Stage, Transfer};
use crate::{ConnEnd, Event, Method, Reason, TransferId, Transfers};
use alloc::boxed::Box;
use bytes::Bytes;
use bytestreams_ibb::refusal::too_many;
use bytestreams_machine::{ConnId, Input, Instant, Own};
use bytestreams_si::Methods;
use bytestreams_socks5::{Target, Via, refusal};
use bytestreams_stanza::{BytestreamsContent, File, Iq, IqBody, Payload};
use core::time::Duration;

/// How often a peer may offer StreamHosts for one stream: some do it once for each Proxy.
pub(super) const MOST_OFFERS: u8 = 4;

/// How long the first octet may take, as any other ([`crate::transfer::STALL`]).
const FIRST_OCTET: Duration = crate::transfer::STALL;

impl Transfers {
    /// Takes an offer of StreamHosts (XEP-0065, section 5): for what was accepted, or for a stream
    /// that nobody announced. Nothing is dialled before the application has accepted.
    pub(crate) fn queried(&mut self, iq: Iq, now: Instant) -> Option<Iq> {
        let IqBody::Set(Payload::Bytestreams(query)) = &iq.body else {
            return Some(iq);
        };
        if !self.config.methods.contains(&Method::Socks5) {
            return Some(iq);
        }
        if let Some(error) = refusal::of_offer(query) {
            self.answer(iq.error(error));
            return None;
        }
        let (Some(from), Some(sid)) = (&iq.from, &query.sid) else {
            self.answer(iq.error(refusal::bad_request()));
            return None;
        };
        let (from, sid) = (from.clone(), sid.clone());
        if let Some(id) = self.by_stream(Some(&from), &sid) {
            self.queried_again(id, &iq, now);
            return None;
        }
        if !self.config.allow_unannounced || self.is_of_the_past(&from, &sid, &iq.id, now) {
            self.answer(iq.error(refusal::not_acceptable()));
            return None;
        }
        if !self.has_room(&from) {
            self.answer(iq.error(too_many()));
            return None;
        }
        let id = self.live.new_id();
        let stage = Stage::Asked(Box::new(iq), now + DECISION);
        let mut transfer = Transfer::new(id, from.clone(), sid.clone(), stage);
        transfer.announced = false;
        transfer.method = Method::Socks5;
        transfer.in_band = self.config.methods.contains(&Method::Ibb) && sid.is_nmtoken();
        self.live.insert(transfer);
        self.tell(Event::Offered {
            id,
            from,
            sid,
            file: File::default(),
            mime_type: None,
            methods: Methods::from_slice(&[Method::Socks5]),
            announced: false,
        });
        self.touch(id, now);
        None
    }

    /// Takes an offer of StreamHosts for a stream that is known.
    fn queried_again(&mut self, id: TransferId, iq: &Iq, now: Instant) {
        let Some(transfer) = self.live.get_mut(id) else {
            return;
        };
        if matches!(&transfer.stage, Stage::Asked(asked, _) if asked.id == iq.id) {
            // The same request again, after the peer resumed its connection, is answered once.
            return;
        }
        if let Some(phase) = transfer.phase_mut().filter(|phase| phase.is_unsure()) {
            let _ = phase.handle_input(Input::Stanza(iq.clone().into()), now);
            return self.drain_socks5(id, now);
        }
        let by_socks5 = transfer.method == Method::Socks5 || transfer.offers > 0;
        if transfer.is_expected() && by_socks5 && transfer.offers < MOST_OFFERS {
            self.try_hosts(id, iq, now);
        } else {
            self.answer(iq.error(refusal::not_acceptable()));
        }
    }

    /// Tries the StreamHosts of a peer that was accepted, as far as our policy lets.
    pub(crate) fn try_hosts(&mut self, id: TransferId, iq: &Iq, now: Instant) {
        let own = Own {
            // In the spelling that the peer uses for us, which it has in the hash.
            jid: match &iq.to {
                Some(to) if *to == self.own.jid => to.clone(),
                _ => self.own.jid.clone(),
            },
        };
        let ways = self.config.socks5.ways;
        let mut allowed = iq.clone();
        if let (IqBody::Set(Payload::Bytestreams(query)), Some(from)) =
            (&mut allowed.body, &iq.from)
        {
            if let BytestreamsContent::Hosts(hosts) = &mut query.content {
                hosts.retain(|host| match Via::of(&host.jid, from) {
                    Via::Direct => ways.direct(),
                    Via::Proxy(_) => ways.proxied(),
                });
            }
        }
        let Ok(transfer) = self.get(id) else {
            return;
        };
        let base = token(id, transfer.offers);
        let target = Target::new(&allowed, own, base, &self.socks5.failed, now);
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        transfer.offers = transfer.offers.saturating_add(1);
        transfer.heard = now;
        match target {
            Ok(target) => {
                let target = Box::new(target);
                transfer.stage = Stage::Socks5(Box::new(Phase::Trying(target)));
                self.drain_socks5(id, now);
            }
            Err(error) => {
                self.answer(iq.error(error));
                let reason = bytestreams_socks5::Reason::NoneUsable;
                self.wait_in_band(id, Reason::Socks5(reason), now);
            }
        }
    }

    /// Takes the connection of a Target. A Proxy that is not activated says nothing of it here, so
    /// nothing is established before the Sender of a file has shown that it is for it.
    pub(super) fn connected(
        &mut self,
        id: TransferId,
        mut target: Box<Target>,
        conn: ConnId,
        via: Via,
        now: Instant,
    ) {
        self.socks5.failed.learn(&target, now);
        let early = target.early();
        self.close_all_but(id, Some(conn));
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        if !transfer.announced || !early.is_empty() {
            return self.moving(id, conn, &via, early, now);
        }
        let quiet = Quiet {
            conn,
            via,
            target,
            due: now + FIRST_OCTET,
        };
        transfer.stage = Stage::Socks5(Box::new(Phase::Quiet(quiet)));
        self.touch(id, now);
    }

    /// Takes the first octets of a Sender, and those that were on their way before the driver got to
    /// the `Detach`.
    pub(super) fn began(&mut self, id: TransferId, conn: ConnId, octets: Bytes, now: Instant) {
        if let Some((conn, via)) = self.quiet(id) {
            return self.moving(id, conn, &via, octets, now);
        }
        let transfer = self.live.get_mut(id);
        if let Some(Phase::Moving(moving)) = transfer.and_then(Transfer::phase_mut) {
            moving.append(conn, &octets);
        }
    }

    /// Takes the end of the socket of a Sender that has sent nothing: where that is all, it is the
    /// file; else the Sender has to come another way. Two well-known peers leave out a size of 0; of
    /// a Proxy, which may not have been activated, such an end says nothing.
    pub(super) fn ended_quietly(&mut self, id: TransferId, conn: ConnId, via: Via, now: Instant) {
        let direct = via == Via::Direct;
        let is_empty = |size: Option<u64>| size == Some(0) || (direct && size.is_none());
        let nothing = self.get(id).is_ok_and(|t| is_empty(t.expected));
        if nothing {
            return self.moving(id, conn, &via, Bytes::new(), now);
        }
        self.close_all_but(id, None);
        let reason = match via {
            Via::Direct => Reason::Connection(ConnEnd::Reset),
            Via::Proxy(jid) => Reason::Socks5(bytestreams_socks5::Reason::ProxyClosed(jid)),
        };
        self.wait_in_band(id, reason, now);
    }

    /// The socket of a transfer whose Sender has not begun.
    pub(super) fn quiet(&self, id: TransferId) -> Option<(ConnId, Via)> {
        match self.live.get(id)?.phase()? {
            Phase::Quiet(quiet) => Some((quiet.conn, quiet.via.clone())),
            Phase::Requesting(_) | Phase::Trying(_) | Phase::Moving(_) | Phase::Ending(..) => None,
        }
    }
}
