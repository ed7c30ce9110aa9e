//! What peers start: offers and streams, and the answers to them.

use crate::transfer::{Choices, DECISION, Stage, Transfer, mark, part, stream_ids};
use crate::{CommandError, Event, Method, Reason, Side, Step, TransferId, Transfers};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytestreams_ibb::{Session, refusal};
use bytestreams_machine::Instant;
use bytestreams_si::{Answer, Methods};
use bytestreams_stanza::{
    Condition, File, Id, Iq, IqBody, Jid, Open, Payload, Range, Sid, StanzaError,
};
use core::time::Duration;

/// How long a peer that was accepted has to open the stream.
const OPENING: Duration = Duration::from_secs(30);

impl Transfers {
    /// Accepts what a peer offered, from [`Range::offset`] on if the offer has `<range/>`, `hash`
    /// and size (XEP-0096, section 3); `Range::default()` asks for everything.
    ///
    /// # Errors
    /// When it is not there to be accepted, or the range cannot be asked for; nothing was sent then.
    pub fn accept(
        &mut self,
        id: TransferId,
        range: Range,
        now: Instant,
    ) -> Result<(), CommandError> {
        let transfer = self.get_mut(id)?;
        match core::mem::replace(&mut transfer.stage, Stage::Over) {
            Stage::Offered(answer, due) => {
                let file = answer.file();
                let ranges = file.range.is_some() && file.hash.is_some();
                let part = part(range, file.size).filter(|(partly, _)| ranges || !partly);
                let (Some((partly, expected)), Some(&method)) = (part, answer.methods().first())
                else {
                    transfer.stage = Stage::Offered(answer, due);
                    return Err(CommandError::BadRange);
                };
                transfer.expected = expected;
                transfer.ranged = partly;
                transfer.method = method;
                transfer.in_band = answer.methods().contains(&Method::Ibb);
                transfer.stage = Stage::Expecting(now + OPENING);
                let range = if partly { range } else { Range::default() };
                self.send(answer.accept(method, range));
                self.tell(Event::Accepted { id, method, range });
            }
            Stage::Asked(asked, due) => {
                if part(range, None).is_none() {
                    transfer.stage = Stage::Asked(asked, due);
                    return Err(CommandError::BadRange);
                }
                transfer.stage = Stage::Expecting(now + OPENING);
                let method = transfer.method;
                let range = Range::default();
                self.tell(Event::Accepted { id, method, range });
                if let IqBody::Set(Payload::Open(open)) = &asked.body {
                    self.take_stream(id, &asked, open, now);
                } else {
                    self.try_hosts(id, &asked, now);
                }
            }
            stage @ (Stage::Preparing(_)
            | Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Expecting(_)
            | Stage::Socks5(_)
            | Stage::InBand(_)
            | Stage::Closing(_)
            | Stage::Over) => {
                transfer.stage = stage;
                return Err(CommandError::WrongStage);
            }
        }
        self.touch(id, now);
        Ok(())
    }

    /// Declines what a peer offered (forbidden, XEP-0095; not-acceptable for an unannounced
    /// stream), with words for the peer if given. [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When it is not there to be declined.
    pub fn decline(
        &mut self,
        id: TransferId,
        text: Option<Arc<str>>,
        now: Instant,
    ) -> Result<(), CommandError> {
        if !self.get(id)?.is_undecided() {
            return Err(CommandError::WrongStage);
        }
        let reason = Reason::Declined {
            by: Side::Us,
            text: text.clone(),
        };
        self.turn_down(id, text, reason, now)
    }

    /// Answers what waits for a decision with a refusal, and ends it.
    pub(crate) fn turn_down(
        &mut self,
        id: TransferId,
        text: Option<Arc<str>>,
        reason: Reason,
        now: Instant,
    ) -> Result<(), CommandError> {
        let refusal = match &self.get(id)?.stage {
            Stage::Offered(answer, _) => answer.decline(text),
            Stage::Asked(asked, _) => asked.error(StanzaError {
                text,
                ..refusal::not_acceptable()
            }),
            Stage::Preparing(_)
            | Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Expecting(_)
            | Stage::Socks5(_)
            | Stage::InBand(_)
            | Stage::Closing(_)
            | Stage::Over => return Err(CommandError::WrongStage),
        };
        self.send(refusal);
        self.end(id, Err(reason), now);
        Ok(())
    }

    /// Gives up what nobody decided on, or nobody opened.
    pub(crate) fn overdue(&mut self, id: TransferId, now: Instant) {
        let undecided = self.get(id).is_ok_and(Transfer::is_undecided);
        if undecided {
            let step = Step::Decision;
            let _ = self.turn_down(id, None, Reason::TimedOut { step }, now);
        } else {
            let step = Step::Open;
            let failure = self.get_mut(id).ok().and_then(|t| t.failure.take());
            let reason = failure.map_or(Reason::TimedOut { step }, |failure| *failure);
            self.end(id, Err(reason), now);
        }
    }

    /// Takes an offer (XEP-0095, section 3.2). Every one is answered: now, or when the application
    /// has decided.
    #[inline(never)]
    pub(crate) fn offered(&mut self, iq: &Iq, now: Instant) {
        let answer = match Answer::read(iq, &self.config.methods) {
            Ok(answer) => answer,
            Err(error) => return self.answer(iq.error(error)),
        };
        let (from, sid) = (answer.from().clone(), answer.sid().clone());
        if let Some(known) = self.by_stream(Some(&from), &sid) {
            // The same request again, after the peer resumed its connection, is answered once.
            let repeated = matches!(self.live.get(known).map(|t| &t.stage),
                Some(Stage::Offered(pending, _)) if *pending.id() == iq.id);
            if !repeated {
                self.answer(iq.error(Condition::Conflict));
            }
            return;
        }
        if self.was_taken(&from, &sid, &iq.id, now) {
            return self.answer(iq.error(Condition::Conflict));
        }
        if !self.has_room(&from) {
            return self.answer(iq.error(refusal::too_many()));
        }
        let id = self.live.new_id();
        let event = Event::Offered {
            id,
            from: from.clone(),
            sid: sid.clone(),
            file: answer.file().clone(),
            mime_type: answer.mime_type().cloned(),
            methods: Methods::from_slice(answer.methods()),
            announced: true,
        };
        let stage = Stage::Offered(Box::new(answer), now + DECISION);
        self.live.insert(Transfer::new(id, from, sid, stage));
        self.tell(event);
        self.touch(id, now);
    }

    /// Says whether this very request began a stream that ended lately, or one of ours had that name.
    fn was_taken(&self, from: &Jid, sid: &Sid, id: &Id, now: Instant) -> bool {
        let past = self.strays.past(from, sid, now);
        past.is_some_and(|past| past.mark == 0 || past.mark == mark(id))
    }

    /// Says whether a stream that nobody announced has the name of one that ended lately, which may
    /// still be meant by it. Where that was closed as it should be the name is free: there are pages
    /// that have one for all their streams.
    pub(crate) fn is_of_the_past(&self, from: &Jid, sid: &Sid, id: &Id, now: Instant) -> bool {
        let past = self.strays.past(from, sid, now);
        past.is_some_and(|past| !past.closed) || self.was_taken(from, sid, id, now)
    }

    /// Takes an `<open/>` (XEP-0047, section 2.1): for what was accepted, or for a stream that
    /// nobody announced.
    #[inline(never)]
    pub(crate) fn opened(&mut self, iq: Iq, now: Instant) {
        let IqBody::Set(Payload::Open(open)) = &iq.body else {
            return;
        };
        let Some(from) = &iq.from else {
            return self.answer(iq.error(refusal::not_acceptable()));
        };
        let config = self.stream_config(from, Choices::default());
        if let Some(error) = refusal::of_open(open, &config) {
            return self.answer(iq.error(error));
        }
        if let Some(known) = self.by_stream(Some(from), &open.sid) {
            let repeated = matches!(self.live.get(known).map(|t| &t.stage),
                Some(Stage::Asked(asked, _)) if asked.id == iq.id);
            if self.asked_otherwise(known, &iq) {
                self.touch(known, now);
            } else if self.makes_way(known, now) {
                self.take_stream(known, &iq, open, now);
                self.touch(known, now);
            } else if !repeated {
                self.answer(iq.error(refusal::not_acceptable()));
            }
            return;
        }
        let wanted = self.config.allow_unannounced && self.config.methods.contains(&Method::Ibb);
        if !wanted || self.is_of_the_past(from, &open.sid, &iq.id, now) {
            return self.answer(iq.error(refusal::not_acceptable()));
        }
        if !self.has_room(from) {
            return self.answer(iq.error(refusal::too_many()));
        }
        let id = self.live.new_id();
        let (from, sid) = (from.clone(), open.sid.clone());
        let stage = Stage::Asked(Box::new(iq), now + DECISION);
        let mut transfer = Transfer::new(id, from.clone(), sid.clone(), stage);
        transfer.announced = false;
        self.live.insert(transfer);
        self.tell(Event::Offered {
            id,
            from,
            sid,
            file: File::default(),
            mime_type: None,
            methods: Methods::from_slice(&[Method::Ibb]),
            announced: false,
        });
        self.touch(id, now);
    }

    /// Takes an `<open/>` in the place of StreamHosts on which nobody has decided yet: the peer has
    /// waited for long enough, and goes in band.
    #[cfg(feature = "socks5")]
    fn asked_otherwise(&mut self, id: TransferId, iq: &Iq) -> bool {
        let Some(transfer) = self.live.get_mut(id).filter(|transfer| transfer.in_band) else {
            return false;
        };
        let Stage::Asked(asked, _) = &mut transfer.stage else {
            return false;
        };
        if matches!(asked.body, IqBody::Set(Payload::Open(_))) {
            return false;
        }
        let refusal = asked.error(refusal::not_acceptable());
        **asked = iq.clone();
        transfer.method = Method::Ibb;
        self.send(refusal);
        true
    }

    fn take_stream(&mut self, id: TransferId, iq: &Iq, open: &Open, now: Instant) {
        let Ok(transfer) = self.get(id) else { return };
        let peer = transfer.peer.clone();
        let config = self.stream_config(&peer, Choices::default());
        let ids = stream_ids(id, &transfer.sid);
        let session = Session::accept(peer, iq, open, config, ids, now);
        if let Ok(transfer) = self.get_mut(id) {
            transfer.heard = now;
            transfer.stage = Stage::InBand(Box::new(session));
            transfer.had_stream = true;
        }
    }

    /// Takes a `<close/>` for what has no stream yet; says whether there was something to close.
    pub(crate) fn closed_early(&mut self, iq: &Iq, sid: &Sid, now: Instant) -> bool {
        let Some(id) = self.by_stream(iq.from.as_ref(), sid) else {
            return false;
        };
        let by = Side::Peer;
        match self.live.get(id).map(|t| &t.stage) {
            Some(Stage::Asked(asked, _)) => {
                let refusal = asked.error(refusal::not_acceptable());
                self.send(refusal);
            }
            Some(Stage::Expecting(_)) => {}
            _ => return false,
        }
        self.send(iq.result(None));
        self.end(id, Err(Reason::Cancelled { by }), now);
        true
    }

    /// Says whether one more transfer of this peer fits.
    pub(crate) fn has_room(&self, from: &Jid) -> bool {
        let bounds = &self.config.bounds;
        let theirs = || {
            let all = self.live.iter();
            all.filter(|t| t.started.is_none() && t.peer.same_bare(from))
        };
        self.live.len() < bounds.transfers
            && theirs().count() < bounds.transfers_a_peer
            && theirs().filter(|t| t.is_undecided()).count() < bounds.open_offers_a_peer
    }
}
