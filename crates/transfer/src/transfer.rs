//! One transfer.

use crate::agenda::Booked;
use crate::socks5::Phase;
use crate::table::tag;
use crate::{Method, Options, Reason, Side, TransferId, Transfers, Via, Window};
use alloc::boxed::Box;
use alloc::string::String;
use bytestreams_ibb::Session;
use bytestreams_machine::{Entropy, Ids, Instant, Machine};
use bytestreams_si::{Answer, Offer, Proposal};
use bytestreams_stanza::{Carrier, Id, Iq, Jid, Range, Sid};
use core::num::NonZeroU16;
use core::time::Duration;

/// One transfer, from the first word to the last.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) id: TransferId,
    /// The other end, as it was asked, and then as its first answer was stamped.
    pub(crate) peer: Jid,
    pub(crate) sid: Sid,
    /// By which the peer's request is known that began it.
    pub(crate) mark: u32,
    pub(crate) stage: Stage,
    /// When it comes up in the agenda.
    pub(crate) booked: Booked,
    /// How its octets travel, or are to.
    pub(crate) method: Method,
    /// How they do, once they can.
    pub(crate) via: Option<Via>,
    /// Whether the peer may open it in band, where it started it.
    pub(crate) in_band: bool,
    /// Why SOCKS5 came to nothing, while the peer is to open it in band.
    pub(crate) failure: Option<Box<Reason>>,
    /// How often the peer offered StreamHosts for it.
    #[cfg(feature = "socks5")]
    pub(crate) offers: u8,
    /// We went in band when SOCKS5 came to nothing, under a sid that was agreed on for both.
    pub(crate) fell_back: bool,
    /// It came to nothing by an answer of the peer or later, not for want of one.
    pub(crate) answered: bool,
    /// We may listen for its connection.
    #[cfg(feature = "socks5")]
    pub(crate) listens: bool,
    /// Present where we started it.
    pub(crate) started: Option<Started>,
    /// Whether there was an offer. Octets then travel one way, from who offered.
    pub(crate) announced: bool,
    /// How many octets will travel, where that is known.
    pub(crate) expected: Option<u64>,
    /// Whether they are a part of the file only.
    pub(crate) ranged: bool,
    /// Octets taken from the application.
    pub(crate) written: u64,
    /// Octets that count as moved: acknowledged by the peer, or stored here.
    pub(crate) acknowledged: u64,
    pub(crate) stored: u64,
    /// When the peer was last heard of in the stream.
    pub(crate) heard: Instant,
    /// What it holds of the link's buffer.
    pub(crate) buffered: usize,
    /// It is in the line of those that may have something to put out.
    pub(crate) ready: bool,
    /// It has come as far as a stream.
    pub(crate) had_stream: bool,
    /// The stream is closed as it should be.
    pub(crate) closed: bool,
    /// A [`crate::Event::Progress`] waits in the queue.
    pub(crate) progress_told: bool,
    /// The application asked for the end of what it writes.
    pub(crate) finished: bool,
    /// The peer has sent everything, and the application was told.
    pub(crate) ended: bool,
    /// Everything has come, and the peer does not close.
    pub(crate) silent: bool,
    /// The application is done with what it received.
    pub(crate) completed: bool,
}

/// What we chose when we started it, kept for a second attempt.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) choices: Choices,
    /// What was offered; nothing for a stream without an offer.
    pub(crate) proposal: Option<Box<Proposal>>,
    /// Makes the sid of a second attempt; nothing once that was made.
    pub(crate) spare: Option<Box<Entropy>>,
}

/// How to use a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choices {
    pub(crate) block_size: Option<NonZeroU16>,
    pub(crate) window: Window,
    pub(crate) carrier: Carrier,
    pub(crate) restart: bool,
    /// Whether SOCKS5 is to be offered, or tried where nothing is offered.
    pub(crate) socks5: bool,
    /// Whether it may go in band.
    pub(crate) in_band: bool,
    #[cfg(feature = "socks5")]
    pub(crate) ways: crate::Ways,
    #[cfg(feature = "socks5")]
    pub(crate) dstaddr: bool,
}

impl Choices {
    /// Whether there is a more cautious way to begin again.
    pub(crate) fn may_restart(self) -> bool {
        self.restart && self.window != Window::Blocks(NonZeroU16::MIN)
    }
}

impl From<&Options> for Choices {
    fn from(options: &Options) -> Self {
        Self {
            block_size: options.block_size,
            window: options.window,
            carrier: options.carrier,
            restart: options.restart,
            socks5: false,
            in_band: true,
            #[cfg(feature = "socks5")]
            ways: options.ways,
            #[cfg(feature = "socks5")]
            dstaddr: options.dstaddr,
        }
    }
}

/// How far a transfer is.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "socks5"),
    expect(dead_code, reason = "two are never reached in band")
)]
pub(crate) enum Stage {
    /// Ours: the StreamHosts to offer are not known yet, and are waited for until then.
    Preparing(Instant),
    /// Ours: the offer waits for its answer.
    Offering(Box<Offer>),
    /// Ours: how to open the stream depends on what the peer says of itself, until then.
    Probing(Instant),
    /// Theirs: the offer waits for the application, until then.
    Offered(Box<Answer>, Instant),
    /// Theirs: a stream without an offer waits for the application, until then.
    Asked(Box<Iq>, Instant),
    /// Theirs: accepted, and to be opened by the peer until then.
    Expecting(Instant),
    /// A SOCKS5 bytestream.
    Socks5(Box<Phase>),
    /// The stream in band.
    InBand(Box<Session>),
    /// It is over for the application; the stream is being closed.
    Closing(Box<Session>),
    /// It is over.
    Over,
}

impl Stage {
    fn mark(&self) -> u32 {
        if let Self::Offered(answer, _) = self {
            mark(answer.id())
        } else if let Self::Asked(iq, _) = self {
            mark(&iq.id)
        } else {
            0
        }
    }
}

/// A short form of a request's id: not 0, which stands for none.
pub(crate) fn mark(id: &Id) -> u32 {
    let octets = id.as_str().bytes();
    // FNV-1a.
    octets.fold(0x811c_9dc5_u32, |hash, octet| {
        (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193)
    }) | 1
}

impl Transfer {
    #[inline(never)]
    pub(crate) fn new(id: TransferId, peer: Jid, sid: Sid, stage: Stage) -> Self {
        Self {
            id,
            peer,
            sid,
            mark: stage.mark(),
            stage,
            booked: Booked::NONE,
            method: Method::Ibb,
            via: None,
            in_band: true,
            failure: None,
            #[cfg(feature = "socks5")]
            offers: 0,
            fell_back: false,
            answered: false,
            #[cfg(feature = "socks5")]
            listens: false,
            started: None,
            announced: true,
            expected: None,
            ranged: false,
            written: 0,
            acknowledged: 0,
            stored: 0,
            heard: Instant::ZERO,
            buffered: 0,
            ready: false,
            had_stream: false,
            closed: false,
            progress_told: false,
            finished: false,
            ended: false,
            silent: false,
            completed: false,
        }
    }

    /// Whether octets go from us to the peer.
    pub(crate) fn sends(&self) -> bool {
        self.started.is_some() || !self.announced
    }

    /// Whether octets come from the peer.
    pub(crate) fn receives(&self) -> bool {
        self.started.is_none() || !self.announced
    }

    /// Why it fails when the link goes now.
    pub(crate) fn loss(&self) -> Reason {
        if self.ended && !self.receives() {
            return Reason::Cancelled { by: Side::Peer };
        }
        Reason::LinkLost
    }

    /// The octets that count as moved.
    pub(crate) fn moved(&self) -> u64 {
        if self.announced && self.started.is_some() {
            self.acknowledged
        } else if self.announced {
            self.stored
        } else {
            self.acknowledged + self.stored
        }
    }

    /// Octets that came from the peer.
    pub(crate) fn received(&self) -> u64 {
        let waiting = self.session().map_or(0, Session::buffered);
        self.stored + u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// Whether the application has heard the end of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Closing(_) | Stage::Over)
    }

    /// Whether the application has to decide on it.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Offered(..) | Stage::Asked(..))
    }

    /// The stream, while the application has it.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::InBand(session) => Some(session),
            Stage::Preparing(_)
            | Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Offered(..)
            | Stage::Asked(..)
            | Stage::Expecting(_)
            | Stage::Socks5(_)
            | Stage::Closing(_)
            | Stage::Over => None,
        }
    }

    /// The stream, while the application has it.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::InBand(session) => Some(session),
            Stage::Preparing(_)
            | Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Offered(..)
            | Stage::Asked(..)
            | Stage::Expecting(_)
            | Stage::Socks5(_)
            | Stage::Closing(_)
            | Stage::Over => None,
        }
    }

    /// The SOCKS5 bytestream.
    #[cfg(feature = "socks5")]
    pub(crate) fn phase(&self) -> Option<&Phase> {
        if let Stage::Socks5(phase) = &self.stage {
            Some(phase)
        } else {
            None
        }
    }

    /// The SOCKS5 bytestream.
    #[cfg(feature = "socks5")]
    pub(crate) fn phase_mut(&mut self) -> Option<&mut Phase> {
        if let Stage::Socks5(phase) = &mut self.stage {
            Some(phase)
        } else {
            None
        }
    }

    /// When it wants to be woken.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Offering(offer) => offer.poll_timeout(),
            Stage::Preparing(due)
            | Stage::Probing(due)
            | Stage::Offered(_, due)
            | Stage::Asked(_, due)
            | Stage::Expecting(due) => Some(*due),
            Stage::Socks5(phase) => {
                let due = [phase.due(), Transfers::socket_stalls_at(self)];
                due.into_iter().flatten().min()
            }
            Stage::InBand(session) => {
                let due = [session.poll_timeout(), self.stalls_at()];
                due.into_iter().flatten().min()
            }
            Stage::Closing(session) => session.poll_timeout(),
            Stage::Over => None,
        }
    }

    /// Whether the peer is to open the stream.
    pub(crate) fn is_expected(&self) -> bool {
        matches!(self.stage, Stage::Expecting(_))
    }

    /// Whether everything that was announced has come.
    pub(crate) fn has_everything(&self) -> bool {
        self.expected
            .is_some_and(|expected| self.received() >= expected)
    }

    /// When a file that is received counts as stalled. A bare stream never does: what its silence
    /// means is the application's to know.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        if !self.announced || self.started.is_some() || self.ended {
            return None;
        }
        let patience = if self.has_everything() {
            LAST_WORD
        } else {
            STALL
        };
        Some(self.heard + patience)
    }
}

/// How long the application has to decide: a person may be asked, and the peer waits as long.
pub(crate) const DECISION: Duration = Duration::from_secs(300);

/// How long a Sender that is there may say nothing before the file is given up.
pub(crate) const STALL: Duration = Duration::from_secs(300);

/// How long a Sender may take to close once everything has come; afterwards we do. Psi never closes
/// an empty file, nor does many a page.
const LAST_WORD: Duration = Duration::from_secs(10);

/// Makes the ids of a transfer's requests before it has a stream: its tag, by which answers find it,
/// and four characters of the sid, so that an answer that is late by a whole connection is not taken
/// for one of today's.
pub(crate) fn request_ids(id: TransferId, sid: &Sid) -> Ids {
    ids(id, "", tail(sid, 4))
}

/// Makes the ids of its stream's requests, which are others: our sids have no capitals.
pub(crate) fn stream_ids(id: TransferId, sid: &Sid) -> Ids {
    ids(id, "S", tail(sid, 3))
}

/// Makes the ids of what a SOCKS5 bytestream of its asks, which are others again.
#[cfg(feature = "socks5")]
pub(crate) fn socks5_ids(id: TransferId, sid: &Sid) -> Ids {
    ids(id, "T", tail(sid, 3))
}

fn ids(id: TransferId, mark: &str, tail: &str) -> Ids {
    let tag = u32::from(tag(id));
    let digits = [12, 8, 4, 0].map(|shift| char::from_digit(tag >> shift & 15, 16));
    let mut seed: String = digits.into_iter().flatten().collect();
    seed.push_str(mark);
    seed.push_str(tail);
    Ids::new(&seed)
}

pub(crate) fn tail(sid: &Sid, characters: usize) -> &str {
    let text = sid.as_str();
    let mut begins = (0..text.len())
        .rev()
        .filter(|at| text.is_char_boundary(*at));
    let last = begins.nth(characters - 1);
    last.and_then(|at| text.get(at..)).unwrap_or(text)
}

/// The tag of the transfer that made this id, if one did.
pub(crate) fn tag_of(id: &str) -> Option<u16> {
    let digit = |tag, c: char| Some(tag << 4 | u16::try_from(c.to_digit(16)?).ok()?);
    id.get(..4)?.chars().try_fold(0, digit)
}

/// The part of a file that a range is: whether it is less than the whole, and how many octets it
/// has. Nothing when it does not lie within the file.
pub(crate) fn part(range: Range, size: Option<u64>) -> Option<(bool, Option<u64>)> {
    let offset = range.offset.unwrap_or(0);
    let partly = offset > 0 || range.length.is_some();
    let Some(size) = size else {
        return (!partly).then_some((false, None));
    };
    let rest = size.checked_sub(offset)?;
    let length = range.length.unwrap_or(rest);
    (length <= rest).then_some((length < size, Some(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_transfer() {
        for place in [0, 7, 0xabcd, 0xffff] {
            let id = TransferId(3 << 16 | place);
            for sid in ["s", "jsi_-123", "ü", "sa0a1a2a3"] {
                let sid = Sid::new(sid).expect("a sid");
                let request = request_ids(id, &sid).next_id();
                let of_stream = stream_ids(id, &sid).next_id();
                assert_ne!(request, of_stream);
                for made in [request, of_stream] {
                    assert_eq!(tag_of(made.as_str()), Some(tag(id)), "{made}");
                }
            }
        }
        for id in ["", "abc", "zzzz", "é0000"] {
            assert_eq!(tag_of(id), None, "{id}");
        }
    }

    #[test]
    fn a_range_lies_within_its_file() {
        let range = |offset, length| Range { offset, length };
        assert_eq!(part(Range::default(), None), Some((false, None)));
        assert_eq!(part(Range::default(), Some(9)), Some((false, Some(9))));
        assert_eq!(part(range(Some(0), None), Some(9)), Some((false, Some(9))));
        assert_eq!(part(range(Some(4), None), Some(9)), Some((true, Some(5))));
        assert_eq!(part(range(None, Some(9)), Some(9)), Some((false, Some(9))));
        assert_eq!(
            part(range(Some(4), Some(2)), Some(9)),
            Some((true, Some(2)))
        );
        assert_eq!(part(range(Some(9), None), Some(9)), Some((true, Some(0))));
        assert_eq!(part(range(Some(10), None), Some(9)), None);
        assert_eq!(part(range(Some(4), Some(6)), Some(9)), None);
        assert_eq!(part(range(Some(1), Some(u64::MAX)), Some(9)), None);
        assert_eq!(part(range(Some(1), None), None), None);
    }
}
