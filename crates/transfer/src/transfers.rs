//! The machine, and the commands that start and end transfers.

use crate::agenda::Agenda;
use crate::peers::Peers;
use crate::silence::Silence;
use crate::socks5::{self, METHODS};
use crate::table::Table;
use crate::transfer::{Stage, Transfer};
use crate::{CommandError, Config, Event, Keepalive, Method, Reason, Side, TransferId, Via};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytestreams_ibb::{Session, Strays};
use bytestreams_machine::{Ids, Instant, Machine, Output, Own, Requests};
use bytestreams_si::OfferEvent;
use bytestreams_stanza::{File, Jid, Sid, Stanza, ns};

/// All transfers of one link, in both directions, as one machine.
///
/// Commands act at once on the machine and are carried out by its outputs: drain
/// [`Machine::poll_output`] after each. What comes of them is told by [`Event`]s.
#[derive(Debug)]
pub struct Transfers {
    pub(crate) own: Own,
    pub(crate) config: Config,
    pub(crate) live: Table,
    pub(crate) peers: Peers,
    /// Questions of what a peer can do.
    pub(crate) questions: Requests<Jid>,
    pub(crate) strays: Strays,
    pub(crate) socks5: socks5::Shared,
    pub(crate) silence: Silence,
    pub(crate) agenda: Agenda,
    pub(crate) queue: VecDeque<Output<Event>>,
    /// Transfers that may have something to put out, in turn.
    pub(crate) ready: VecDeque<TransferId>,
    /// The last that was heard of the time: outputs are polled in it.
    pub(crate) now: Instant,
    /// For the requests of the link itself.
    pub(crate) ids: Ids,
    /// Octets received in band and not stored, over all transfers.
    pub(crate) buffered: usize,
    /// How many transfers are over and only being closed.
    pub(crate) closing: usize,
    pub(crate) lost: bool,
}

impl Transfers {
    /// Makes a machine for one link, which is up at `now`. `own` is who we are on it.
    ///
    /// Methods in `config` that this machine does not have are dropped.
    pub fn new(own: Own, mut config: Config, now: Instant) -> Self {
        config.methods.retain(|method| METHODS.contains(method));
        // Each has a place of its own, with a number of 16 bits.
        config.bounds.transfers = config.bounds.transfers.min(usize::from(u16::MAX));
        Self {
            own,
            live: Table::default(),
            peers: Peers::new(config.bounds.peers),
            questions: Requests::default(),
            strays: Strays::with_most(config.bounds.ended),
            socks5: socks5::Shared::default(),
            silence: Silence::new(config.keepalive != Keepalive::Off, now),
            agenda: Agenda::default(),
            queue: VecDeque::new(),
            ready: VecDeque::new(),
            now,
            ids: Ids::new("link"),
            buffered: 0,
            closing: 0,
            lost: false,
            config,
        }
    }

    /// Who we are on this link.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// The choices in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The features to tell in disco#info (XEP-0030), for the
    /// [`Responder`](bytestreams_machine::Responder) behind this machine. Each is told only while
    /// its method is enabled.
    pub fn features(&self) -> Vec<&'static str> {
        let mut features = Vec::from([ns::SI, ns::FILE_TRANSFER, ns::FEATURE_NEG]);
        if self.config.methods.contains(&Method::Socks5) {
            features.push(ns::BYTESTREAMS);
        }
        if self.config.methods.contains(&Method::Ibb) {
            features.extend([ns::IBB, ns::IBB_PIPELINE]);
        }
        features
    }

    /// Ends a transfer at any stage, towards the peer too where there is a way to tell it (there is
    /// none for an offer that it has not answered). [`Event::Failed`] follows.
    ///
    /// # Errors
    /// When there is no such transfer.
    pub fn cancel(&mut self, id: TransferId, now: Instant) -> Result<(), CommandError> {
        let reason = Reason::Cancelled { by: Side::Us };
        if self.get(id)?.is_undecided() {
            return self.turn_down(id, None, reason, now);
        }
        self.end(id, Err(reason), now);
        Ok(())
    }

    /// Says why a transfer fails whose link goes: with [`Reason::LinkLost`], unless the peer of what
    /// we send has closed the stream before.
    pub fn loss(&self, id: TransferId) -> Reason {
        self.get(id).map_or(Reason::LinkLost, Transfer::loss)
    }

    /// Says that the link is gone: every transfer fails, mostly with [`Reason::LinkLost`], and so does
    /// whatever is started afterwards. Drain the events, then drop the machine.
    pub fn link_lost(&mut self, _now: Instant) {
        self.lost = true;
        self.silence.stop();
        for _ in 0..self.queue.len() {
            let output = self.queue.pop_front();
            self.queue.extend(output.filter(Self::outlives_link));
        }
        self.close_everything();
        let mut ended = Vec::new();
        for transfer in self.live.take_all() {
            if !transfer.is_over() {
                let (Ok(place) | Err(place)) =
                    ended.binary_search_by_key(&transfer.id, |(id, _)| *id);
                ended.insert(place, (transfer.id, transfer.loss()));
            }
        }
        for (id, reason) in ended {
            self.tell(Event::Failed { id, reason });
        }
        self.questions = Requests::default();
        self.agenda = Agenda::default();
        self.ready.clear();
        self.strays.clear();
        self.buffered = 0;
        self.closing = 0;
    }

    /// Says whether the driver should go on reading the link and taking connections. It is false
    /// while more octets wait to be stored than [`crate::Bounds::buffered`], or too many outputs to
    /// be carried out; look again after [`Transfers::stored`] and after draining the outputs.
    pub fn wants_input(&self) -> bool {
        !self.is_deaf() && self.queue.len() < self.config.bounds.outputs
    }

    /// The peer of a transfer that has not ended: as given, then as its answers are stamped.
    pub fn peer(&self, id: TransferId) -> Option<&Jid> {
        self.get(id).ok().map(|transfer| &transfer.peer)
    }

    /// The stream of a transfer that has not ended. It changes when the offer is repeated
    /// ([`Event::FellBack`]).
    pub fn sid(&self, id: TransferId) -> Option<&Sid> {
        self.get(id).ok().map(|transfer| &transfer.sid)
    }

    /// How the octets of a transfer that has not ended travel, once they can
    /// ([`Event::Established`]).
    pub fn via(&self, id: TransferId) -> Option<Via> {
        self.get(id).ok().and_then(|transfer| transfer.via)
    }

    /// How many octets will travel in a transfer that has not ended, where that is known: the size
    /// of the file, or of the range that was accepted.
    pub fn expected(&self, id: TransferId) -> Option<u64> {
        self.get(id).ok().and_then(|transfer| transfer.expected)
    }

    /// The file that we offered, or that was offered to us and is not decided on.
    pub fn file(&self, id: TransferId) -> Option<&File> {
        let transfer = self.get(id).ok()?;
        if let Stage::Offered(answer, _) = &transfer.stage {
            return Some(answer.file());
        }
        let proposal = transfer.started.as_ref()?.proposal.as_ref();
        proposal.map(|proposal| &proposal.file)
    }

    /// How many transfers have not ended.
    pub fn len(&self) -> usize {
        self.live.len() - self.closing
    }

    /// Says whether no transfer is going on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says whether nothing is going on at all: no transfer, no stream of one that is over and waits
    /// for its peer's confirmation, no output. A program that wants to leave waits for this.
    pub fn is_idle(&self) -> bool {
        self.live.len() == 0 && self.queue.is_empty() && self.ready.is_empty()
    }
}

/// What the modules share.
impl Transfers {
    pub(crate) fn get(&self, id: TransferId) -> Result<&Transfer, CommandError> {
        self.live
            .get(id)
            .filter(|transfer| !transfer.is_over())
            .ok_or(CommandError::UnknownTransfer)
    }

    pub(crate) fn get_mut(&mut self, id: TransferId) -> Result<&mut Transfer, CommandError> {
        self.live
            .get_mut(id)
            .filter(|transfer| !transfer.is_over())
            .ok_or(CommandError::UnknownTransfer)
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(crate) fn send(&mut self, stanza: impl Into<Stanza>) {
        self.queue.push_back(Output::Stanza(stanza.into()));
    }

    /// Answers a stranger: not at all, when more wait than could be of use.
    pub(crate) fn answer(&mut self, stanza: impl Into<Stanza>) {
        if self.queue.len() < self.config.bounds.outputs {
            self.send(stanza);
        }
    }

    pub(crate) fn by_stream(&self, from: Option<&Jid>, sid: &Sid) -> Option<TransferId> {
        self.live.by_stream(from?, sid)
    }

    /// Says whether there is no room for what is received, so that nobody listens to the link.
    pub(crate) fn is_deaf(&self) -> bool {
        self.buffered > self.config.bounds.buffered
    }

    /// Ends a transfer for the application, and for the peer where there is a stream. What the peer
    /// is told leaves before the application hears of it, so that one that stops then has told.
    pub(crate) fn end(&mut self, id: TransferId, outcome: Result<(), Reason>, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let mut closing = false;
        let refusal = outcome.as_ref().err().and_then(|r| r.to_sender(transfer));
        let mark = transfer.mark;
        let stage = core::mem::replace(&mut transfer.stage, Stage::Over);
        if let Stage::Socks5(phase) = stage {
            self.abandon(id, *phase, now);
        } else if let Stage::InBand(mut session) = stage {
            match refusal {
                Some(error) => session.refuse(error, now),
                None => session.abort(now),
            }
            while let Some(output) = session.poll_output() {
                if let Output::Stanza(stanza) = output {
                    self.send(stanza);
                }
            }
            if session.is_closed() {
                self.strays.remember_session(&session, mark, now);
            } else if let Some(transfer) = self.live.get_mut(id) {
                transfer.stage = Stage::Closing(session);
                closing = true;
            }
        }
        self.listen_no_more(id, now);
        self.tell(match outcome {
            Ok(()) => Event::Done { id },
            Err(reason) => Event::Failed { id, reason },
        });
        if closing {
            self.closing += 1;
            self.touch(id, now);
        } else {
            self.forget(id, now);
        }
    }

    /// Drops a transfer that is over and whose stream, if it had one, is closed.
    fn forget(&mut self, id: TransferId, now: Instant) {
        let Some(transfer) = self.live.remove(id) else {
            return;
        };
        self.buffered -= transfer.buffered;
        let had = transfer.had_stream || transfer.started.is_none();
        let (peer, sid) = (&transfer.peer, &transfer.sid);
        if let Stage::Closing(session) = &transfer.stage {
            self.closing -= 1;
            self.strays.remember_session(session, transfer.mark, now);
        } else if had && !self.strays.remembers(peer, sid, now) {
            self.strays
                .remember(peer.clone(), sid.clone(), transfer.mark, now);
        }
        let live = self.live.iter();
        self.agenda
            .tidy(live.map(|transfer| (transfer.id, transfer.booked)));
    }

    /// Lets a transfer put out what it has, and be woken in time, after anything that may have moved
    /// it.
    pub(crate) fn touch(&mut self, id: TransferId, now: Instant) {
        self.now = now;
        self.hold_to_what_was_announced(id, now);
        let Some(transfer) = self.live.get_mut(id) else {
            return;
        };
        let buffered = transfer.session().map_or(0, Session::buffered);
        self.buffered = self.buffered + buffered - transfer.buffered;
        transfer.buffered = buffered;
        let due = transfer.due();
        self.agenda.book(id, &mut transfer.booked, due);
        if !core::mem::replace(&mut transfer.ready, true) {
            self.ready.push_back(id);
        }
    }

    /// Takes the next output of the transfers that have any, each in turn, so that a large file does
    /// not hold up a small one.
    pub(crate) fn poll_transfers(&mut self) -> Option<Output<Event>> {
        while let Some(id) = self.ready.pop_front() {
            let Some(transfer) = self.live.get_mut(id) else {
                continue;
            };
            let output = match &mut transfer.stage {
                Stage::Offering(offer) => offer.poll_output().map(|o| o.map_event(Told::Offer)),
                Stage::InBand(session) | Stage::Closing(session) => {
                    session.poll_output().map(|o| o.map_event(Told::Stream))
                }
                Stage::Preparing(_)
                | Stage::Probing(_)
                | Stage::Offered(..)
                | Stage::Asked(..)
                | Stage::Expecting(_)
                | Stage::Socks5(_)
                | Stage::Over => None,
            };
            if output.is_some() {
                self.ready.push_back(id);
            } else {
                transfer.ready = false;
            }
            match output {
                Some(Output::Stanza(stanza)) => return Some(Output::Stanza(stanza)),
                Some(Output::Net(command)) => return Some(Output::Net(command)),
                Some(Output::Event(Told::Offer(event))) => self.answered(id, event, self.now),
                Some(Output::Event(Told::Stream(event))) => self.stream_event(id, event, self.now),
                None => self.forget_if_closed(id),
            }
            if let Some(output) = self.queue.pop_front() {
                return Some(output);
            }
        }
        None
    }

    fn forget_if_closed(&mut self, id: TransferId) {
        let closed = self.live.get(id).is_some_and(
            |transfer| matches!(&transfer.stage, Stage::Closing(session) if session.is_closed()),
        );
        if closed {
            self.forget(id, self.now);
        }
    }
}

/// What the machines within tell.
enum Told {
    Offer(OfferEvent),
    Stream(bytestreams_ibb::Event),
}
