//! What belongs to no session.

use crate::{Session, refusal};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_stanza::{Id, Iq, IqBody, Jid, Message, Payload, Sid, Stanza, ns};
use core::convert::Infallible;
use core::time::Duration;

/// Answers the blocks and closes that no session took, and remembers the streams that ended.
///
/// Stands behind the sessions. A `<close/>` of a stream that was closed lately is answered with a
/// result: closes cross, and one well-known peer sends its own after it has answered ours. Not so
/// where the stream failed: peers that send by messages take a result for the word that all is well.
/// Every other `<close/>` and every `<data/>` is answered with item-not-found (XEP-0047, 2.2 and 2.3),
/// forged ones too, whose sender and sid belong to no session together; a message that
/// repeats a block which its stream took before it ended is not answered at all. The rest is handed back.
#[derive(Clone, Debug)]
pub struct Strays {
    ended: VecDeque<Ended>,
    most: usize,
    answers: VecDeque<Stanza>,
}

/// A stream that ended.
#[derive(Clone, Debug)]
struct Ended {
    peer: Jid,
    sid: Sid,
    at: Instant,
    /// The number of the block that was next, where that is known.
    expected: Option<u16>,
    failed: bool,
    mark: u32,
}

/// How a stream ended lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Past {
    /// What it was remembered with.
    pub mark: u32,
    /// It had a session, which was closed as it should be.
    pub closed: bool,
}

impl Strays {
    /// Streams that are remembered at most unless told.
    pub const MAX_ENDED: usize = 256;
    /// How long a stream is remembered.
    pub const REMEMBERED: Duration = Duration::from_secs(60);
    /// How many of the last blocks may be repeated by messages.
    const REPEATED: u16 = 1024;
    /// Answers that may wait for the driver at most; a request beyond them is dropped.
    const MAX_ANSWERS: usize = 256;

    /// Makes one that remembers nothing yet.
    pub fn new() -> Self {
        Self::with_most(Self::MAX_ENDED)
    }

    /// Makes one that remembers `most` streams at most; the oldest is forgotten first. One holds the
    /// names of a stream and its peer, which a stranger may make 3.5 KiB long.
    pub fn with_most(most: usize) -> Self {
        Self {
            ended: VecDeque::new(),
            most,
            answers: VecDeque::new(),
        }
    }

    /// Remembers a stream that ended, of which no session is at hand. By the mark a caller knows
    /// again what began it.
    pub fn remember(&mut self, peer: Jid, sid: Sid, mark: u32, now: Instant) {
        self.push(Ended {
            peer,
            sid,
            at: now,
            expected: None,
            failed: false,
            mark,
        });
    }

    /// Remembers the stream of a session that ended, how it did, and which blocks it took: only these
    /// can be repetitions.
    pub fn remember_session(&mut self, session: &Session, mark: u32, now: Instant) {
        self.push(Ended {
            peer: session.peer().clone(),
            sid: session.sid().clone(),
            at: now,
            expected: Some(session.expected()),
            failed: session.failed(),
            mark,
        });
    }

    fn push(&mut self, mut ended: Ended) {
        self.forget(ended.at);
        if let Some(known) = self.find(&ended.peer, &ended.sid, ended.at) {
            ended.expected = ended.expected.or(known.expected);
        }
        if self.ended.len() >= self.most {
            self.ended.pop_front();
        }
        if self.most > 0 {
            self.ended.push_back(ended);
        }
    }

    /// Says whether a stream ended lately.
    pub fn remembers(&self, peer: &Jid, sid: &Sid, now: Instant) -> bool {
        self.find(peer, sid, now).is_some()
    }

    /// How a stream ended, where it did lately.
    pub fn past(&self, peer: &Jid, sid: &Sid, now: Instant) -> Option<Past> {
        self.find(peer, sid, now).map(|ended| Past {
            mark: ended.mark,
            closed: ended.expected.is_some() && !ended.failed,
        })
    }

    fn find(&self, peer: &Jid, sid: &Sid, now: Instant) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| {
            ended.sid == *sid && ended.peer == *peer && now.since(ended.at) < Self::REMEMBERED
        })
    }

    /// Says whether a block may be one that its stream took before it ended.
    fn is_repeated(&self, from: Option<&Jid>, payload: &Payload, now: Instant) -> bool {
        let (Some(from), Payload::Data(data)) = (from, payload) else {
            return false;
        };
        let expected = self.find(from, &data.sid, now).and_then(|e| e.expected);
        expected.is_some_and(|next| (1..=Self::REPEATED).contains(&next.wrapping_sub(data.seq)))
    }

    /// Says whether it closes a stream that was closed lately.
    fn is_late_close(&self, from: Option<&Jid>, payload: &Payload, now: Instant) -> bool {
        let (Some(from), Payload::Close(close)) = (from, payload) else {
            return false;
        };
        self.find(from, &close.sid, now)
            .is_some_and(|ended| !ended.failed)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ended = VecDeque::new();
        self.answers = VecDeque::new();
    }

    fn forget(&mut self, now: Instant) {
        while let Some(ended) = self.ended.front() {
            if now.since(ended.at) < Self::REMEMBERED {
                break;
            }
            self.ended.pop_front();
        }
    }

    fn answer(&mut self, stanza: impl Into<Stanza>) {
        if self.answers.len() < Self::MAX_ANSWERS {
            self.answers.push_back(stanza.into());
        }
    }

    fn iq(&mut self, from: Option<Jid>, id: Id, late_close: bool) {
        let body = if late_close {
            IqBody::Result(None)
        } else {
            IqBody::Error(Box::new(refusal::unknown()))
        };
        self.answer(Iq::answer(from, id, body));
    }
}

impl Default for Strays {
    fn default() -> Self {
        Self::new()
    }
}

/// Says whether this is a block, as far as it could be read.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is belongs to somebody else"
)]
fn is_data(payload: &Payload) -> bool {
    match payload {
        Payload::Data(_) => true,
        Payload::Invalid(invalid) => {
            &*invalid.ns == ns::IBB && &*invalid.name == "data" && invalid.sid.is_some()
        }
        _ => false,
    }
}

impl Machine for Strays {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::Stanza(Stanza::Iq(Iq {
                from,
                id,
                body: IqBody::Set(payload),
                ..
            })) if is_data(&payload) || matches!(payload, Payload::Close(_)) => {
                let late = self.is_late_close(from.as_ref(), &payload, now);
                self.iq(from, id, late);
                None
            }
            Input::Stanza(Stanza::Message(Message {
                from,
                id,
                payload: Some(payload),
                error: None,
                ..
            })) if is_data(&payload) => {
                // A resumption may repeat it, and its sender takes an error for a loss.
                if self.is_repeated(from.as_ref(), &payload, now) {
                    return None;
                }
                self.answer(Message {
                    from: None,
                    to: from,
                    id,
                    payload: None,
                    error: Some(Box::new(refusal::unknown())),
                });
                None
            }
            other @ (Input::Stanza(_) | Input::Net(_)) => Some(other),
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        self.answers.pop_front().map(Output::Stanza)
    }

    /// Never: what is too old is forgotten when something is remembered.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
