//! A window that follows the delay of the path.
//!
//! One block goes first, alone: its round trip is that of the empty path. Then the window doubles
//! a round trip until the delay grows, and from there on is what the path delivers in its own
//! round trip and [`TARGET`] more: about so much waits in the queues on the way, whoever's they
//! are. Every [`MEASURE_EVERY`] the flight thins out for a moment, and one block measures the empty
//! path anew. The ideas are those of LEDBAT (RFC 6817), FAST TCP and BBR.

use super::Window;
use super::pace::{Base, Round, micros, volume};
use super::trials::Trials;
use bytestreams_machine::Instant;
use core::time::Duration;

/// The delay aimed at, beyond the path's own, in microseconds.
const TARGET: u64 = 50_000;
/// Below this a queue is taken for empty.
const EMPTY: u64 = TARGET / 8;
/// How often the empty path is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// How often, while the window is as small as can be and the delay long all the same.
const MEASURE_SOON: Duration = Duration::from_secs(2);
/// So many blocks go alone at first, or as many as fit into [`ALONE_FOR`], but one at least.
const ALONE: u8 = 8;
const ALONE_FOR: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Blocks go one at a time.
    Alone,
    /// The window doubles a round trip.
    Opening,
    /// The window follows rate and delay.
    Following,
}

/// Where the measurement of the empty path stands.
#[derive(Clone, Copy, Debug)]
enum Measuring {
    /// Due at that time.
    Not(Instant),
    /// Nothing goes until no more than this is in flight.
    Thinning(u64),
    /// The block sent at that time measures.
    Marked(Instant),
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Adaptive {
    phase: Phase,
    window: u64,
    /// The largest of the last blocks, on the wire.
    wire: u64,
    rate: u64,
    base: Base,
    round: Round,
    measuring: Measuring,
    alone: u8,
    first: Option<Instant>,
    trials: Trials,
}

impl Adaptive {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Alone,
            window: 0,
            wire: 0,
            rate: 0,
            base: Base::UNKNOWN,
            round: Round::new(Instant::ZERO),
            measuring: Measuring::Not(Instant::ZERO),
            alone: 0,
            first: None,
            trials: Trials::new(),
        }
    }

    /// Octets that may be in flight.
    pub(super) fn octets(&self) -> u64 {
        if self.phase == Phase::Alone || self.trials.is_single() {
            return self.wire;
        }
        self.window.clamp(2 * self.wire, Window::MAX)
    }

    /// The octets of a block, before base64.
    pub(super) const fn chunk(&self) -> u16 {
        self.trials.chunk()
    }

    /// Says whether a block may join those in flight.
    pub(super) fn may_send(&self, wire: u64, in_flight: u64) -> bool {
        if let Measuring::Thinning(rest) = self.measuring
            && in_flight > rest
        {
            return false;
        }
        if self.phase == Phase::Alone || self.trials.is_single() {
            return in_flight == 0;
        }
        in_flight + wire <= self.octets().max(2 * wire)
    }

    pub(super) fn sent(&mut self, wire: u64, in_flight: u64, now: Instant) {
        if in_flight == 0 || wire > self.wire {
            self.wire = wire;
        }
        if self.first.is_none() {
            self.first = Some(now);
            self.measuring = Measuring::Not(now + MEASURE_EVERY);
            self.round = Round::new(now);
        }
        if in_flight == 0 && self.round.octets == 0 {
            // After a pause the round begins with the first block.
            self.round = Round::new(now);
        }
        let due = match self.measuring {
            Measuring::Not(due) => due <= now && in_flight == 0,
            Measuring::Thinning(rest) => in_flight <= rest,
            Measuring::Marked(_) => false,
        };
        if due {
            self.measuring = Measuring::Marked(now);
        }
    }

    pub(super) fn acked(&mut self, wire: u64, in_flight: u64, sent_at: Instant, now: Instant) {
        let rtt = micros(sent_at, now).max(1);
        let full = in_flight + self.wire > self.octets();
        let excess = self.base.sample(rtt, wire, self.rate);
        self.round.take(wire, excess, full);
        self.trials.acked(wire);
        if matches!(self.measuring, Measuring::Marked(at) if at <= sent_at) {
            self.base.measured(rtt, wire);
            self.measuring = Measuring::Not(now + MEASURE_EVERY);
        }
        match self.phase {
            Phase::Alone => {
                self.trials.alone(wire, rtt);
                self.alone += 1;
                let for_long = self.first.is_some_and(|first| now >= first + ALONE_FOR);
                if self.alone >= ALONE || for_long {
                    self.open(2 * self.wire);
                }
            }
            Phase::Opening => {
                if full {
                    self.window = (self.window + wire).min(Window::MAX);
                }
                if excess > TARGET {
                    self.phase = Phase::Following;
                }
            }
            Phase::Following => {}
        }
        if sent_at >= self.round.since {
            self.end_round(now);
        }
    }

    const fn open(&mut self, window: u64) {
        self.phase = Phase::Opening;
        self.window = window;
    }

    /// A block of this round has been acknowledged: everything before it was, too.
    fn end_round(&mut self, now: Instant) {
        let round = core::mem::replace(&mut self.round, Round::new(now));
        let rate = round.rate(now);
        if round.full || rate > self.rate {
            self.rate = if self.rate == 0 {
                rate
            } else {
                (3 * self.rate + rate) / 4
            };
        }
        if self.phase == Phase::Following && !self.trials.is_single() {
            self.follow(&round, rate);
            self.measure(&round, now);
        }
        if self.phase != Phase::Alone
            && self
                .trials
                .round(round.full, self.phase == Phase::Following, self.rate, now)
        {
            self.open(4 * self.wire);
        }
    }

    /// Sets the window to what the path delivers in its own round trip and the delay aimed at.
    fn follow(&mut self, round: &Round, rate: u64) {
        let own = self.base.rtt(self.wire, self.rate);
        // Whole blocks: enough of them to keep the path busy, however large one is.
        let busy = volume(rate, own)
            .div_ceil(self.wire.max(1))
            .saturating_mul(self.wire);
        let wanted = volume(rate, own.saturating_add(TARGET)).max(busy);
        let excess = round.mean_excess();
        let next = if excess > TARGET / 2 {
            wanted.clamp(self.window / 2, self.window + self.window / 4)
        } else if !round.full {
            self.window
        } else if round.least_excess < EMPTY {
            self.window.max(wanted) + self.window / 4
        } else {
            self.window.max(wanted.min(self.window + self.window / 4))
        };
        self.window = next.clamp(2 * self.wire, Window::MAX);
    }

    /// Starts to measure the empty path when it is time.
    fn measure(&mut self, round: &Round, now: Instant) {
        let Measuring::Not(due) = self.measuring else {
            return;
        };
        let stuck = self.window <= 2 * self.wire
            && round.mean_excess() > TARGET + self.base.rtt(self.wire, self.rate);
        let early = MEASURE_EVERY.saturating_sub(MEASURE_SOON);
        if now >= due || stuck && now + early >= due {
            // The path holds less than this on its own, so nothing waits any more.
            let own = volume(self.rate, self.base.rtt(self.wire, self.rate));
            let rest = (own - own / 8).saturating_sub(self.wire);
            self.measuring = Measuring::Thinning(if rest < 3 * self.wire { 0 } else { rest });
        }
    }
}
