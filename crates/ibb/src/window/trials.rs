//! What delay does not tell: whether larger blocks, or one block at a time, move more.
//!
//! A server that reads 8 KiB at a time and pauses whenever more is waiting moves large blocks
//! several times slower when they come close together. So larger blocks, and the change between
//! one block and many in flight, are tried for a while, and kept only if the measured rate says so.

use super::pace::{Meter, rate};
use bytestreams_machine::Instant;
use core::time::Duration;

/// Octets of a block at first, and at least.
const LEAST: u16 = 4095;
/// Beyond this the largest size follows.
const MOST_DOUBLED: u16 = 32_760;
/// Blocks grow no larger than takes this long at the measured rate, in microseconds.
const BLOCK_TIME: u64 = 25_000;
/// Blocks that make a measurement with one in flight, and with many.
const SINGLE_BLOCKS: u32 = 8;
const MANY_BLOCKS: u32 = 24;
/// Round trips that make a measurement.
const ROUNDS: u32 = 4;
/// How long a block size that moved less is not tried again.
const SIZE_AGAIN: Duration = Duration::from_secs(30);
/// How long the other number in flight is not tried again: doubled each time it moved less.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// One way to send.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    chunk: u16,
    single: bool,
}

/// What many blocks in flight move, or two, beside one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Gain {
    Loss,
    Less,
    None,
    Much,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Measures the present way.
    Settled,
    /// The first round trips of another way: what is in flight is still the former's.
    Turning { from: Way, before: u64, rounds: u32 },
    /// Measures another way.
    Trying { from: Way, before: u64 },
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Trials {
    way: Way,
    state: State,
    meter: Meter,
    /// The largest block seen of the present size, on the wire: less than the size where the
    /// stream's block size, or the application, allows no more.
    largest: u64,
    /// The rate of blocks that went alone, of `alone_chunk` octets.
    alone_rate: u64,
    alone_chunk: u16,
    largest_alone: u16,
    /// A larger block moved less, once.
    doubted: bool,
    size_again: Instant,
    count_again: Instant,
    count_failures: u32,
}

impl Trials {
    pub(super) const fn new() -> Self {
        Self {
            way: Way {
                chunk: LEAST,
                single: false,
            },
            state: State::Settled,
            meter: Meter::new(Instant::ZERO),
            largest: 0,
            alone_rate: 0,
            alone_chunk: LEAST,
            largest_alone: u16::MAX,
            doubted: false,
            size_again: Instant::ZERO,
            count_again: Instant::ZERO,
            count_failures: 0,
        }
    }

    pub(super) const fn is_single(&self) -> bool {
        self.way.single
    }

    /// Says whether another way is being tried.
    pub(super) const fn is_trying(&self) -> bool {
        !matches!(self.state, State::Settled)
    }

    pub(super) const fn chunk(&self) -> u16 {
        self.way.chunk
    }

    /// Takes the round trip of a block that was alone in flight, at the start: where one is short,
    /// the next block is larger, until that moves no more.
    pub(super) fn alone(&mut self, wire: u64, rtt: u64) {
        let measured = rate(wire, rtt);
        if self.way.chunk == self.alone_chunk {
            self.alone_rate = match self.alone_rate {
                0 => measured,
                known => (known + measured) / 2,
            };
        } else if wire < u64::from(self.way.chunk) * 4 / 3 {
            // The block size, or the application, allows no more.
            self.stay_at_alone_chunk();
        } else if measured < self.alone_rate - self.alone_rate / 10 {
            // It moves less; one block alone may be late for any reason.
            if core::mem::replace(&mut self.doubted, true) {
                self.stay_at_alone_chunk();
            }
            return;
        } else {
            self.alone_rate = measured;
            self.alone_chunk = self.way.chunk;
        }
        self.doubted = false;
        let larger = self.larger();
        if 2 * rtt <= BLOCK_TIME && larger <= self.largest_alone {
            self.way.chunk = larger;
        }
    }

    const fn stay_at_alone_chunk(&mut self) {
        self.way.chunk = self.alone_chunk;
        self.largest_alone = self.alone_chunk;
    }

    /// From now on many blocks go.
    pub(super) const fn alone_over(&mut self, now: Instant) {
        self.way.chunk = self.alone_chunk;
        self.meter = Meter::new(now);
    }

    /// The next size of blocks.
    const fn larger(&self) -> u16 {
        match self.way.chunk.saturating_mul(2) {
            larger @ ..=MOST_DOUBLED => larger,
            _ => u16::MAX,
        }
    }

    pub(super) fn acked(&mut self, wire: u64) {
        self.meter.block(wire);
        self.largest = self.largest.max(wire);
    }

    /// Says what this rate of several blocks in flight is beside that of one; where that is not known
    /// it is much.
    pub(super) const fn gain(&self, measured: u64) -> Gain {
        let alone = self.alone_rate;
        if self.alone_chunk != self.way.chunk || measured >= alone + alone / 3 {
            Gain::Much
        } else if measured >= alone - alone / 10 {
            Gain::None
        } else if measured >= alone - alone / 4 {
            Gain::Less
        } else {
            Gain::Loss
        }
    }

    /// Takes the rate of two blocks in flight that was less than that of one: whether one moves more
    /// is tried at once.
    pub(super) fn moved_less(&mut self, measured: u64, now: Instant) {
        match self.state {
            State::Settled => {
                self.try_single(measured, now);
            }
            State::Turning { from, before, .. } | State::Trying { from, before }
                if from.single && !self.way.single =>
            {
                self.meter = Meter::new(now);
                self.judge(from, before, measured, now);
            }
            State::Turning { .. } | State::Trying { .. } => {}
        }
    }

    /// Takes the end of a round trip. Answers whether many blocks go again after one at a time.
    pub(super) fn round(&mut self, full: bool, following: bool, rate: u64, now: Instant) -> bool {
        if !full {
            self.meter = Meter::new(now);
            return false;
        }
        self.meter.round();
        let blocks = if self.way.single {
            SINGLE_BLOCKS
        } else {
            MANY_BLOCKS
        };
        match self.state {
            State::Turning {
                from,
                before,
                rounds,
            } => {
                self.meter = Meter::new(now);
                self.state = match rounds.checked_sub(1) {
                    Some(rounds) => State::Turning {
                        from,
                        before,
                        rounds,
                    },
                    None => State::Trying { from, before },
                };
                false
            }
            State::Settled => match self.plainly_worse(now).or_else(|| {
                self.meter
                    .verdict(blocks, ROUNDS, now)
                    .filter(|_| following || self.way.single)
            }) {
                Some(measured) => {
                    self.meter = Meter::new(now);
                    self.consider(measured, rate, now)
                }
                None => false,
            },
            State::Trying { from, before } => {
                // What is plainly worse needs no long look.
                let early = self
                    .meter
                    .verdict(SINGLE_BLOCKS / 2, 1, now)
                    .filter(|measured| *measured < before / 2);
                match early.or_else(|| self.meter.verdict(blocks, ROUNDS, now)) {
                    Some(measured) => {
                        self.meter = Meter::new(now);
                        self.judge(from, before, measured, now)
                    }
                    None => false,
                }
            }
        }
    }

    /// The rate, if it is far below that of one block at a time: that needs no long look.
    fn plainly_worse(&self, now: Instant) -> Option<u64> {
        if self.way.single || self.alone_chunk != self.way.chunk {
            return None;
        }
        self.meter
            .verdict(2, 1, now)
            .filter(|measured| *measured < self.alone_rate / 2)
    }

    /// Starts a trial if one is worth it.
    fn consider(&mut self, measured: u64, rate: u64, now: Instant) -> bool {
        if self.way.single && now >= self.count_again {
            let many = Way {
                single: false,
                ..self.way
            };
            return self.turn(many, measured, now);
        }
        if self.try_single(measured, now) {
            return false;
        }
        let larger = self.larger();
        let wire = u64::from(larger) * 4 / 3;
        if self.largest >= u64::from(self.way.chunk) * 4 / 3
            && larger > self.way.chunk
            && now >= self.size_again
            && wire <= super::pace::volume(rate, BLOCK_TIME)
        {
            let larger = Way {
                chunk: larger,
                ..self.way
            };
            return self.turn(larger, measured, now);
        }
        false
    }

    /// Tries one block at a time where that seems to move more; says whether it does.
    fn try_single(&mut self, measured: u64, now: Instant) -> bool {
        let tries =
            !self.way.single && self.gain(measured) <= Gain::Less && now >= self.count_again;
        if tries {
            let single = Way {
                single: true,
                ..self.way
            };
            self.turn(single, measured, now);
        }
        tries
    }

    fn turn(&mut self, way: Way, before: u64, now: Instant) -> bool {
        let opens = self.way.single && !way.single;
        self.state = State::Turning {
            from: self.way,
            before,
            rounds: 1,
        };
        self.way = way;
        self.meter = Meter::new(now);
        opens
    }

    /// Keeps what was tried, or goes back. Answers whether many blocks go again.
    fn judge(&mut self, from: Way, before: u64, measured: u64, now: Instant) -> bool {
        let tried = self.way;
        self.state = State::Settled;
        let much_more = measured > before + before / 20;
        if tried.single && (much_more || tried.chunk == self.alone_chunk) {
            self.alone_rate = measured;
            self.alone_chunk = tried.chunk;
        }
        if tried.chunk == from.chunk {
            // One block against many.
            if much_more {
                self.count_failures = 0;
                self.count_again = now + COUNT_AGAIN;
                return false;
            }
            self.count_failures = (self.count_failures + 1).min(5);
            self.count_again = now + COUNT_AGAIN * (1 << self.count_failures);
            self.way = from;
            return tried.single && !from.single;
        }
        if measured >= before - before / 40 && (tried.single == from.single || much_more) {
            if tried.single {
                self.count_again = now + COUNT_AGAIN;
            }
            return false;
        }
        if !tried.single {
            // They may move more one at a time.
            self.way = Way {
                single: true,
                ..tried
            };
            self.state = State::Turning {
                from,
                before,
                rounds: 1,
            };
            return false;
        }
        self.size_again = now + SIZE_AGAIN;
        self.way = from;
        tried.single && !from.single
    }
}
