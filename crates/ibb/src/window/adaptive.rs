//! A window that follows the delay of the path.
//!
//! One block goes first, alone: its round trip is that of the empty path. Then two go, and where
//! they do not move less, the window doubles a round trip until the delay grows, and from there on
//! is what the path delivers in its own round trip and [`TARGET`] more: about so much waits in the
//! queues on the way, whoever's they are. Every [`MEASURE_EVERY`] the flight thins out for a moment,
//! and one block measures the empty path anew. The ideas are those of LEDBAT (RFC 6817), FAST TCP
//! and BBR.

use super::Window;
use super::pace::{Base, Meter, Round, micros, volume};
use super::trials::{Gain, Trials};
use bytestreams_machine::Instant;
use core::time::Duration;

/// The delay aimed at, beyond the path's own, in microseconds: twice the path's own within these
/// bounds. A short path is full with little in flight, and some servers collapse under more.
const TARGET: u64 = 50_000;
const LEAST_TARGET: u64 = 10_000;
/// Below this a queue is taken for empty.
const EMPTY: u64 = TARGET / 16;
/// So much shorter than an empty path's round trip is a flight that leaves the path empty, or a
/// sixteenth.
const MARGIN: u64 = 15_000;
/// How often the empty path is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// How often, while the window is as small as can be and the delay long all the same.
const MEASURE_SOON: Duration = Duration::from_secs(2);
/// So many blocks go alone at first, or as many as fit into [`ALONE_FOR`], but one at least.
const ALONE: u8 = 10;
const ALONE_FOR: Duration = Duration::from_millis(30);

/// So many blocks, two in flight at a time, tell whether they move more than one at a time.
const GATE: u32 = 6;

/// So many blocks at least tell whether a queue is empty: one of them alone may be late for any
/// reason.
const SAMPLES: u64 = 4;

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
    /// The rates of the last rounds.
    rates: [u64; 3],
    base: Base,
    round: Round,
    measuring: Measuring,
    /// While the path fills again after a pause: what may be in flight, so that it is not filled
    /// at one stroke.
    refill: Option<u64>,
    /// The last round made the window larger, to see what happens.
    grown: bool,
    /// How often it did so, one after the other.
    steps: u8,
    alone: u8,
    /// Blocks acknowledged since the window began to open.
    opened: u8,
    /// What two blocks in flight move, while it is not known whether that is less than one moves.
    gate: Option<Meter>,
    first: Option<Instant>,
    /// When the window was full last.
    filled: Option<Instant>,
    /// When a block was acknowledged last.
    acked: Instant,
    trials: Trials,
}

impl Adaptive {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Alone,
            window: 0,
            wire: 0,
            rate: 0,
            rates: [0; 3],
            base: Base::UNKNOWN,
            round: Round::new(Instant::ZERO),
            measuring: Measuring::Not(Instant::ZERO),
            refill: None,
            grown: false,
            steps: 0,
            alone: 0,
            opened: 0,
            gate: None,
            first: None,
            filled: None,
            acked: Instant::ZERO,
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
        if matches!(self.measuring, Measuring::Thinning(rest) if in_flight > rest) {
            return false;
        }
        if self.phase == Phase::Alone || self.trials.is_single() {
            return in_flight == 0;
        }
        let most = self.octets().min(self.refill.unwrap_or(u64::MAX));
        in_flight + wire <= most.max(2 * wire)
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
        if in_flight + 2 * wire > self.octets() {
            self.filled = Some(now);
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
        let paused = in_flight == 0
            && micros(self.acked, now) > self.base.rtt(self.wire, self.rate).max(TARGET / 2);
        if due || paused {
            self.refill = Some((in_flight + wire).max(volume(self.rate, TARGET)));
        }
    }

    pub(super) fn acked(&mut self, wire: u64, sent_at: Instant, now: Instant) {
        let rtt = micros(sent_at, now).max(1);
        // The window was full when this block went, or became so behind it.
        let full = self.filled.is_some_and(|filled| filled >= sent_at);
        self.acked = now;
        let excess = self.base.sample(rtt, wire, self.rate);
        self.round.take(wire, excess, full);
        self.trials.acked(wire);
        self.round.thin |= self.refill.is_some() || !matches!(self.measuring, Measuring::Not(_));
        self.refill = self
            .refill
            .map(|most| most + wire)
            .filter(|most| *most < self.octets());
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
                    self.trials.alone_over(now);
                    self.open(now, true);
                }
            }
            Phase::Opening => {
                // What the first block says of the path is known; the second tells how long a
                // block takes.
                self.opened = self.opened.saturating_add(1);
                let open = self.is_open(wire, full, now);
                if open && (excess > self.target() || self.window >= Window::MAX) {
                    self.phase = Phase::Following;
                } else if open && full && self.opened > 1 {
                    self.window = (self.window + wire).min(Window::MAX);
                }
            }
            Phase::Following => {}
        }
        self.round.over |= sent_at >= self.round.since;
        if self.round.over && (self.round.samples >= SAMPLES || self.phase != Phase::Following) {
            self.end_round(now);
        }
    }

    /// The delay to aim at.
    fn target(&self) -> u64 {
        let own = self.base.rtt(self.wire, self.rate);
        own.saturating_mul(2).clamp(LEAST_TARGET, TARGET)
    }

    fn open(&mut self, now: Instant, gated: bool) {
        self.phase = Phase::Opening;
        self.opened = 0;
        self.gate = gated.then(|| Meter::new(now));
        self.window = 2 * self.wire;
    }

    /// Says whether more than two blocks may go: they do once two have not moved less than one.
    fn is_open(&mut self, wire: u64, full: bool, now: Instant) -> bool {
        let Some(meter) = &mut self.gate else {
            return true;
        };
        if !full || self.trials.is_single() {
            *meter = Meter::new(now);
            return false;
        }
        meter.block(wire);
        let measured = meter.rate(now);
        let gain = self.trials.gain(measured);
        let over = match meter.blocks {
            0 | 1 => false,
            2 => gain == Gain::Much,
            GATE.. => true,
            _ => gain == Gain::Much || gain == Gain::Loss,
        };
        if !over {
            return false;
        }
        self.gate = None;
        let worse = gain <= Gain::Less;
        if worse {
            self.trials.moved_less(measured, now);
        }
        !worse
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
        if self.phase == Phase::Following && !self.trials.is_single() && !round.thin {
            let known = self.rates.into_iter().fold(rate, u64::max);
            self.rates = [rate, self.rates[0], self.rates[1]];
            // One slow round says little, unless it was very slow.
            let slow = round.mean_excess() > 4 * TARGET;
            self.follow(&round, if slow { rate } else { known });
            self.measure(&round, now);
        }
        if self.phase != Phase::Alone
            && self
                .trials
                .round(round.full, self.phase == Phase::Following, self.rate, now)
        {
            // Where one block at a time was tried and moved no more, two need not show it again.
            self.open(now, self.trials.is_trying());
        }
    }

    /// Sets the window to what the path delivers in its own round trip and the delay aimed at.
    fn follow(&mut self, round: &Round, rate: u64) {
        let own = self.base.rtt(self.wire, self.rate);
        // Whole blocks: enough of them to keep the path busy, however large one is.
        let busy = volume(rate, own)
            .div_ceil(self.wire.max(1))
            .saturating_mul(self.wire);
        let wanted = volume(rate, own.saturating_add(self.target())).max(busy);
        let grown = core::mem::take(&mut self.grown);
        let mean = round.mean_excess();
        let next = if round.least_excess >= EMPTY {
            // Something always waited, so the path is full and its rate is known.
            self.steps = 0;
            wanted.clamp(self.window / 2, self.window + self.window / 4)
        } else if mean > 2 * TARGET {
            // Blocks come in clumps that wait for each other.
            wanted.clamp(self.window - self.window / 8, self.window)
        } else if round.full && mean <= self.target() && !grown {
            // Carefully at first. What it does is seen in the round after the next.
            self.grown = true;
            let step = (self.window >> 4) << self.steps;
            self.steps = (self.steps + 1).min(2);
            self.window + step.max(self.wire)
        } else {
            self.window
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
            // The path holds a little more than this on its own, so nothing waits any more. Much
            // less would leave a hole, and what fills it up again would wait.
            let own = self.base.rtt(self.wire, self.rate);
            let rest = volume(self.rate, own.saturating_sub(MARGIN.max(own / 16)));
            self.measuring = Measuring::Thinning(rest.saturating_sub(self.wire));
        }
    }
}
