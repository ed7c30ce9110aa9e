//! One transfer.

use crate::Options;
use crate::agenda::Booked;
use alloc::boxed::Box;
use bytestreams_ibb::Session;
use bytestreams_machine::{Ids, Instant, Machine};
use bytestreams_si::{Answer, Offer, Proposal};
use bytestreams_stanza::{Iq, Jid, Open, Range, Sid};

/// One transfer, from the first word to the last.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// The other end, as it was asked, and then as its first answer was stamped.
    pub(crate) peer: Jid,
    pub(crate) sid: Sid,
    pub(crate) stage: Stage,
    /// What its requests are told by.
    pub(crate) tag: u16,
    pub(crate) ids: Ids,
    /// When it comes up in the agenda.
    pub(crate) booked: Booked,
    /// Present where we started it.
    pub(crate) started: Option<Box<Started>>,
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
    /// The application is done with what it received.
    pub(crate) completed: bool,
}

/// What we chose when we started it, kept for a second attempt.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) options: Options,
    /// What was offered; nothing for a stream without an offer.
    pub(crate) proposal: Option<Proposal>,
    /// The sid of a second attempt; nothing once that was made.
    pub(crate) spare: Option<Sid>,
}

/// How far a transfer is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Ours: the offer waits for its answer.
    Offering(Box<Offer>),
    /// Ours: how to open the stream depends on what the peer says of itself, until then.
    Probing(Instant),
    /// Theirs: the offer waits for the application, until then.
    Offered(Box<Answer>, Instant),
    /// Theirs: a stream without an offer waits for the application, until then.
    Asked(Box<(Iq, Open)>, Instant),
    /// Theirs: accepted, and to be opened by the peer until then.
    Expecting(Instant),
    /// The stream in band.
    InBand(Box<Session>),
    /// It is over for the application; the stream is being closed.
    Closing(Box<Session>),
    /// It is over.
    Over,
}

impl Transfer {
    pub(crate) fn new(peer: Jid, sid: Sid, tag: u16, stage: Stage) -> Self {
        Self {
            ids: ids(tag, &sid),
            peer,
            sid,
            stage,
            tag,
            booked: None,
            started: None,
            announced: true,
            expected: None,
            ranged: false,
            written: 0,
            acknowledged: 0,
            stored: 0,
            buffered: 0,
            ready: false,
            had_stream: false,
            closed: false,
            progress_told: false,
            finished: false,
            ended: false,
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
            Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Offered(..)
            | Stage::Asked(..)
            | Stage::Expecting(_)
            | Stage::Closing(_)
            | Stage::Over => None,
        }
    }

    /// The stream, while the application has it.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::InBand(session) => Some(session),
            Stage::Offering(_)
            | Stage::Probing(_)
            | Stage::Offered(..)
            | Stage::Asked(..)
            | Stage::Expecting(_)
            | Stage::Closing(_)
            | Stage::Over => None,
        }
    }

    /// When it wants to be woken.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Offering(offer) => offer.poll_timeout(),
            Stage::Probing(due)
            | Stage::Offered(_, due)
            | Stage::Asked(_, due)
            | Stage::Expecting(due) => Some(*due),
            Stage::InBand(session) | Stage::Closing(session) => session.poll_timeout(),
            Stage::Over => None,
        }
    }
}

/// Makes the ids of a transfer's requests: its tag, by which answers find it, and four characters of
/// the sid, so that an answer that is late by a whole connection is not taken for one of today's.
pub(crate) fn ids(tag: u16, sid: &Sid) -> Ids {
    let text = sid.as_str();
    let tail = text
        .char_indices()
        .rev()
        .nth(3)
        .and_then(|(at, _)| text.get(at..))
        .unwrap_or(text);
    Ids::new(&alloc::format!("{tag:04x}{tail}"))
}

/// The tag of the transfer that made this id, if one did.
pub(crate) fn tag_of(id: &str) -> Option<u16> {
    u16::from_str_radix(id.get(..4)?, 16).ok()
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
        for tag in [0, 7, 0xabcd, u16::MAX] {
            for sid in ["s", "jsi_-123", "ü", "sa0a1a2a3"] {
                let id = ids(tag, &Sid::new(sid).expect("a sid")).next_id();
                assert_eq!(tag_of(id.as_str()), Some(tag), "{id}");
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
