//! What we start: offers, streams, second attempts.

use crate::peers::Known;
use crate::transfer::{Choices, Stage, Started, Transfer, part, request_ids, stream_ids};
use crate::{Event, Method, Options, Reason, Side, Step, TransferId, Transfers, Window};
use alloc::boxed::Box;
use bytestreams_ibb::{self as ibb, Session, WindowPolicy};
use bytestreams_machine::{Entropy, Ids, Instant};
use bytestreams_si::{Accepted, Methods, Offer, OfferEvent, Proposal, Refusal};
use bytestreams_stanza::{File, Iq, Jid, Payload};
use core::num::NonZeroU16;
use core::time::Duration;

/// How long a question of what a peer can do is pending.
const DISCO: Duration = Duration::from_secs(30);

/// How long a stream waits for that answer at most. One peer gives an accepted transfer up when
/// nothing opens it within 5 s, so what is not known by then has to do without.
const PATIENCE: Duration = Duration::from_secs(3);

/// The block size that XEP-0047, section 5, recommends.
const BLOCK_SIZE: u16 = 4096;

impl Transfers {
    /// Offers a file to a peer (XEP-0096), which has 300 s to answer.
    ///
    /// Give `file` a name and a size always (some peers and one server drop offers without). With
    /// `range` in it (`Some(Range::default())`) the peer may ask for a part: then write only the
    /// part that [`Event::Accepted`] names. `hash` lets a peer resume.
    ///
    /// Before, what the peer can do is asked once (disco#info); the offer does not wait for that.
    /// Everything that goes wrong, here too, is told by [`Event::Failed`].
    pub fn offer(
        &mut self,
        to: Jid,
        file: File,
        options: Options,
        entropy: Entropy,
        now: Instant,
    ) -> TransferId {
        let id = self.live.new_id();
        let methods = self.methods(&options);
        if methods.is_empty() {
            let reason = Reason::NoCommonMethod;
            self.tell(Event::Failed { id, reason });
            return id;
        }
        let proposal = Proposal {
            sid: entropy.sid(),
            file,
            mime_type: options.mime_type.clone(),
            methods,
        };
        self.start(id, to, Some(proposal), &options, entropy, now);
        id
    }

    /// Opens a stream without an offer, for octets both ways: by the first of the methods, and in
    /// band where that fails and is among them.
    ///
    /// What the peer can do is asked before, unless `options` leave nothing to know.
    pub fn open(
        &mut self,
        to: Jid,
        options: Options,
        entropy: Entropy,
        now: Instant,
    ) -> TransferId {
        let id = self.live.new_id();
        self.start(id, to, None, &options, entropy, now);
        id
    }

    /// The methods to offer: those asked for, as far as they are enabled.
    fn methods(&self, options: &Options) -> Methods {
        let enabled = &self.config.methods;
        if options.methods.is_empty() {
            return enabled.clone();
        }
        let asked = options.methods.iter().copied();
        asked.filter(|method| enabled.contains(method)).collect()
    }

    #[inline(never)]
    fn start(
        &mut self,
        id: TransferId,
        to: Jid,
        proposal: Option<Proposal>,
        options: &Options,
        entropy: Entropy,
        now: Instant,
    ) {
        let sid = entropy.sid();
        let refusal = if self.lost {
            Some(Reason::LinkLost)
        } else if self.live.len() >= self.config.bounds.transfers {
            Some(Reason::TooMany)
        } else if self.by_stream(Some(&to), &sid).is_some() {
            Some(Reason::SidInUse)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.tell(Event::Failed { id, reason });
            return;
        }
        let mut ids = request_ids(id, &sid);
        let mut transfer = Transfer::new(id, to, sid, Stage::Probing(now + PATIENCE));
        let methods = self.methods(options);
        let mut choices = Choices::from(options);
        choices.in_band = methods.contains(&Method::Ibb) || methods.is_empty();
        choices.socks5 = if proposal.is_some() {
            methods.contains(&Method::Socks5)
        } else {
            methods.first() == Some(&Method::Socks5)
        };
        let again = choices.socks5 && choices.in_band && proposal.is_some();
        transfer.announced = proposal.is_some();
        transfer.started = Some(Started {
            choices,
            spare: (again || choices.may_restart()).then(|| Box::new(entropy)),
            proposal: proposal.map(Box::new),
        });
        self.live.insert(transfer);
        self.ask(id, &mut ids, now);
        if self.prepare(id, now) {
            return self.touch(id, now);
        }
        self.propose(id, &mut ids, now);
    }

    /// Asks what the peer can do, if that matters and is not known.
    fn ask(&mut self, id: TransferId, ids: &mut Ids, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let matters = transfer.started.as_ref().is_some_and(|started| {
            started.choices.block_size.is_none() || started.choices.window == Window::Auto
        });
        let peer = transfer.peer.clone();
        if !matters || self.peers.known(&peer).is_some() {
            return;
        }
        let request = ids.next_id();
        let question = Payload::DiscoInfo(Box::default());
        self.peers.asked(peer.clone());
        self.send(Iq::get(Some(peer.clone()), request.clone(), question));
        self.questions
            .insert(Some(peer.clone()), request, now + DISCO, peer);
    }

    /// Sends the offer, or begins with the stream where there is none.
    pub(crate) fn propose(&mut self, id: TransferId, ids: &mut Ids, now: Instant) {
        let own = self.own.clone();
        let useful = self.is_socks5_of_use(id);
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let Some(started) = &mut transfer.started else {
            return;
        };
        let Some(proposal) = &mut started.proposal else {
            if started.choices.socks5 && (useful || !started.choices.in_band) {
                transfer.method = Method::Socks5;
                return self.request_socks5(id, now);
            }
            return self.open_stream(id, now);
        };
        if !useful && started.choices.in_band {
            proposal.methods.retain(|method| *method != Method::Socks5);
        }
        if !useful && proposal.methods.contains(&Method::Socks5) {
            return self.end(id, Err(Self::no_stream_host()), now);
        }
        let proposal = proposal.clone();
        let peer = transfer.peer.clone();
        let offer = Offer::new(own, peer, *proposal, ids, now);
        transfer.stage = Stage::Offering(Box::new(offer));
        self.touch(id, now);
    }

    /// Takes what became of an offer.
    pub(crate) fn answered(&mut self, id: TransferId, event: OfferEvent, now: Instant) {
        match event {
            OfferEvent::Accepted(accepted) => self.consented(id, accepted, now),
            OfferEvent::Refused(refusal) => self.end(id, Err(reason(refusal)), now),
        }
    }

    fn consented(&mut self, id: TransferId, accepted: Accepted, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let file = transfer
            .started
            .as_ref()
            .and_then(|started| started.proposal.as_ref())
            .map(|proposal| (proposal.file.size, proposal.file.range.is_some()));
        let (size, ranges) = file.unwrap_or_default();
        let mut range = accepted.range;
        // Some write none as 0: nobody asks for nothing.
        range.length = range.length.filter(|length| *length > 0);
        let (partly, expected) = match part(range, size) {
            Some((partly, expected)) if ranges || !partly => (partly, expected),
            _ => {
                let reason = Reason::BadRange {
                    offset: range.offset.unwrap_or(0),
                    length: range.length,
                };
                return self.end(id, Err(reason), now);
            }
        };
        let Some(&method) = accepted.methods.first() else {
            return self.end(id, Err(Reason::NoCommonMethod), now);
        };
        transfer.expected = expected;
        transfer.ranged = partly;
        transfer.method = method;
        // The same address by the rules of comparison, in the spelling of whoever stamps it: that
        // is what the peer takes for its own.
        let sid = transfer.sid.clone();
        self.live.rename(id, accepted.from, sid);
        self.tell(Event::Accepted { id, method, range });
        if method == Method::Socks5 {
            self.request_socks5(id, now);
        } else {
            self.listen_no_more(id, now);
            self.open_stream(id, now);
        }
    }

    /// Opens the stream once it is known how.
    fn open_stream(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get(id) else {
            return;
        };
        if self.peers.known(&transfer.peer) == Some(Known::Asked) {
            if let Ok(transfer) = self.get_mut(id) {
                transfer.stage = Stage::Probing(now + PATIENCE);
            }
            return self.touch(id, now);
        }
        self.open_now(id, now);
    }

    /// Opens the stream with what is known.
    pub(crate) fn open_now(&mut self, id: TransferId, now: Instant) {
        let Ok(transfer) = self.get(id) else {
            return;
        };
        let Some(started) = &transfer.started else {
            return;
        };
        let config = self.stream_config(&transfer.peer, started.choices);
        let (peer, sid) = (transfer.peer.clone(), transfer.sid.clone());
        let ids = stream_ids(id, &sid);
        let session = Session::open(peer, sid, config, ids, now);
        if let Ok(transfer) = self.get_mut(id) {
            transfer.stage = Stage::InBand(Box::new(session));
            transfer.had_stream = true;
        }
        self.touch(id, now);
    }

    /// Says how a stream with a peer is best used.
    pub(crate) fn stream_config(&self, peer: &Jid, choices: Choices) -> ibb::Config {
        let pipeline = self.peers.known(peer) == Some(Known::Answered { pipeline: true });
        let mut config = ibb::Config::default();
        config.carrier = choices.carrier;
        config.block_size = match choices.block_size {
            Some(octets) => octets.get(),
            None if pipeline => u16::MAX,
            None => BLOCK_SIZE,
        };
        config.max_block_size = self.config.bounds.block_size;
        config.block_size = config.block_size.min(config.max_block_size);
        config.window = match choices.window {
            Window::Blocks(blocks) => WindowPolicy::Fixed(blocks),
            #[cfg(feature = "adaptive")]
            Window::Auto if pipeline => WindowPolicy::Adaptive,
            Window::Auto => WindowPolicy::ONE,
        };
        if pipeline {
            config.grace = Duration::ZERO;
        }
        config
    }

    /// Goes on with the streams that waited for what this peer can do.
    pub(crate) fn resume_probing(&mut self, peer: &Jid, now: Instant) {
        let waiting = |transfer: &Transfer| {
            matches!(transfer.stage, Stage::Probing(_)) && transfer.peer == *peer
        };
        let next = |all: &Self| all.live.iter().find(|t| waiting(t)).map(|t| t.id);
        while let Some(id) = next(self) {
            self.open_now(id, now);
        }
    }

    /// Takes the failure of a stream: begins again with one block in flight where several may have
    /// been the cause, or gives up.
    pub(crate) fn stream_failed(&mut self, id: TransferId, failure: &ibb::Reason, now: Instant) {
        let Ok(transfer) = self.get_mut(id) else {
            return;
        };
        let block = transfer.session().map_or(0, |s| u64::from(s.block_size()));
        let reason = in_band(failure, transfer.finished, block);
        let refused = matches!(failure, ibb::Reason::Refused(_));
        // As Smack up to 4.3 does with it where its own attempts at SOCKS5 have failed.
        let ignored = transfer.answered
            && matches!(failure, ibb::Reason::TimedOut { step, .. } if *step == ibb::Step::Open);
        let alone = core::mem::take(&mut transfer.fell_back) && (refused || ignored);
        let again = transfer
            .started
            .as_mut()
            .filter(|started| {
                let cautious = failure.suspects_window() && started.choices.may_restart();
                cautious || (alone && started.proposal.is_some())
            })
            .and_then(|started| {
                let sid = started.spare.take()?.spare_sid();
                if !alone {
                    started.choices.window = Window::Blocks(NonZeroU16::MIN);
                }
                started.choices.socks5 = false;
                if let Some(proposal) = &mut started.proposal {
                    proposal.sid = sid.clone();
                    proposal.methods.retain(|method| *method == Method::Ibb);
                }
                Some(sid)
            });
        let Some(sid) = again else {
            return self.end(id, Err(reason), now);
        };
        transfer.written = 0;
        transfer.acknowledged = 0;
        transfer.finished = false;
        let peer = transfer.peer.clone();
        let stage = Stage::Probing(now + PATIENCE);
        if let Stage::InBand(old) = core::mem::replace(&mut transfer.stage, stage) {
            self.strays.remember_session(&old, 0, now);
        }
        let mut ids = request_ids(id, &sid);
        self.live.rename(id, peer, sid);
        self.tell(Event::FellBack {
            id,
            from: Method::Ibb,
            to: Method::Ibb,
            reason,
        });
        self.propose(id, &mut ids, now);
    }
}

fn reason(refusal: Refusal) -> Reason {
    let step = Step::Offer;
    match refusal {
        Refusal::Declined(text) => Reason::Declined {
            by: Side::Peer,
            text,
        },
        Refusal::NoValidStreams => Reason::NoCommonMethod,
        Refusal::BadProfile => Reason::BadProfile,
        Refusal::TimedOut => Reason::TimedOut { step },
        Refusal::Error(error) => Reason::Refused { step, error },
        // New ones say no more than that it did not work.
        _ => Reason::NoCommonMethod,
    }
}

/// Says what the failure of a stream means for its transfer; `block` is the size of one.
fn in_band(failure: &ibb::Reason, finished: bool, block: u64) -> Reason {
    let refused = |step, error: &bytestreams_stanza::StanzaError| Reason::Refused {
        step,
        error: Box::new(error.clone()),
    };
    match failure {
        ibb::Reason::Refused(error) => refused(Step::Open, error),
        ibb::Reason::DataRefused { error, .. } => refused(Step::Data, error),
        ibb::Reason::NotTaken(error) => refused(Step::Close, error),
        ibb::Reason::PeerClosed { .. } => Reason::Cancelled { by: Side::Peer },
        ibb::Reason::TimedOut {
            step: ibb::Step::Open,
            ..
        } => Reason::TimedOut { step: Step::Open },
        ibb::Reason::TimedOut { unacknowledged, .. } if finished && *unacknowledged <= block => {
            Reason::Unconfirmed {
                octets: *unacknowledged,
            }
        }
        ibb::Reason::TimedOut { .. } => Reason::TimedOut { step: Step::Data },
        ibb::Reason::Aborted => Reason::Cancelled { by: Side::Us },
        ibb::Reason::OutOfSequence { .. }
        | ibb::Reason::BlockTooLarge { .. }
        | ibb::Reason::BadData(_)
        | ibb::Reason::Overrun => Reason::Stream(failure.clone()),
        _ => Reason::Stream(failure.clone()),
    }
}
