//! Two blocks at once, and nothing behind them: the cheapest look at what many would move.

use super::pace::{micros, rate};
use bytestreams_machine::Instant;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    /// The next block is the first of a pair.
    Due,
    /// The second may follow.
    First {
        since: Instant,
        wire: u64,
    },
    /// Both are on their way.
    Both {
        since: Instant,
        wire: u64,
        acked: bool,
    },
}

/// One pair at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair(State);

impl Pair {
    pub(super) const fn new() -> Self {
        Self(State::Idle)
    }

    /// Asks for a pair, as soon as nothing is in flight.
    pub(super) const fn start(&mut self) {
        self.0 = State::Due;
    }

    /// Says whether a pair is wanted or on its way.
    pub(super) fn is_on(&self) -> bool {
        self.0 != State::Idle
    }

    /// Says whether a block may go, beside so many octets.
    pub(super) const fn may_send(&self, in_flight: u64) -> bool {
        in_flight == 0 || matches!(self.0, State::First { .. })
    }

    /// Notes that a block went, beside so many octets.
    pub(super) fn sent(&mut self, wire: u64, in_flight: u64, now: Instant) {
        self.0 = match self.0 {
            State::Due if in_flight == 0 => State::First { since: now, wire },
            State::First { since, wire: first } if in_flight > 0 => State::Both {
                since,
                wire: first + wire,
                acked: false,
            },
            other @ (State::Idle | State::Due | State::First { .. } | State::Both { .. }) => other,
        };
    }

    /// Notes that a block was acknowledged. Answers the rate of the pair when it was the second.
    pub(super) fn acked(&mut self, now: Instant) -> Option<u64> {
        match self.0 {
            State::Idle | State::Due => {}
            // The application had only one to send: that is no pair.
            State::First { .. } => self.0 = State::Due,
            State::Both { since, wire, acked } => {
                if acked {
                    self.0 = State::Idle;
                    return Some(rate(wire, micros(since, now)));
                }
                self.0 = State::Both {
                    since,
                    wire,
                    acked: true,
                };
            }
        }
        None
    }

    /// Says whether the block acknowledged next is one of two in flight.
    pub(super) const fn is_going(&self) -> bool {
        matches!(self.0, State::Both { .. })
    }
}
