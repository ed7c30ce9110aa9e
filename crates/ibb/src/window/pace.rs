//! Delays and rates: what acknowledgements tell of the path.

use bytestreams_machine::Instant;

/// Octets a second.
pub(super) fn rate(octets: u64, micros: u64) -> u64 {
    octets.saturating_mul(1_000_000) / micros.max(1)
}

/// Octets that a rate moves in so many microseconds.
pub(super) fn volume(rate: u64, micros: u64) -> u64 {
    rate.saturating_mul(micros) / 1_000_000
}

/// Microseconds between two moments.
pub(super) fn micros(from: Instant, to: Instant) -> u64 {
    to.as_micros().saturating_sub(from.as_micros())
}

/// The round trip of a block on an empty path, in microseconds, its own transmission counted in.
///
/// The least of what was seen since the measurement before the last: a path that has become
/// longer is noticed by the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    rtt: u64,
    /// The last measurement.
    last: u64,
    /// The size of the blocks measured, on the wire.
    wire: u64,
}

impl Base {
    pub(super) const UNKNOWN: Self = Self {
        rtt: u64::MAX,
        last: u64::MAX,
        wire: 0,
    };

    pub(super) const fn is_known(&self) -> bool {
        self.rtt != u64::MAX
    }

    /// The round trip of an empty path for a block of this size at this rate.
    pub(super) fn rtt(&self, wire: u64, rate: u64) -> u64 {
        if !self.is_known() || rate == 0 || wire == self.wire {
            return self.rtt;
        }
        let longer = wire.saturating_sub(self.wire).saturating_mul(1_000_000) / rate;
        let shorter = self.wire.saturating_sub(wire).saturating_mul(1_000_000) / rate;
        self.rtt.saturating_add(longer).saturating_sub(shorter)
    }

    /// Takes a round trip, answers how much longer it was than that of an empty path.
    pub(super) fn sample(&mut self, rtt: u64, wire: u64, rate: u64) -> u64 {
        let own = self.rtt(wire, rate);
        if rtt < own {
            self.last = if self.last == u64::MAX {
                rtt
            } else {
                self.last.min(rtt)
            };
            self.rtt = rtt;
            self.wire = wire;
        }
        rtt.saturating_sub(own)
    }

    /// Takes the round trip of a block that met an empty path.
    pub(super) fn measured(&mut self, rtt: u64, wire: u64) {
        self.rtt = self.last.min(rtt);
        self.last = rtt;
        self.wire = wire;
    }
}

/// What one round trip of blocks told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) since: Instant,
    pub(super) octets: u64,
    excess: u64,
    pub(super) samples: u64,
    /// A block sent in it was acknowledged.
    pub(super) over: bool,
    pub(super) least_excess: u64,
    /// The window, and not the application, was what held blocks back.
    pub(super) full: bool,
    /// Less was in flight than the window lets, to measure the path or because of a pause.
    pub(super) thin: bool,
}

impl Round {
    pub(super) const fn new(since: Instant) -> Self {
        Self {
            since,
            octets: 0,
            excess: 0,
            samples: 0,
            over: false,
            least_excess: u64::MAX,
            full: false,
            thin: false,
        }
    }

    pub(super) fn take(&mut self, wire: u64, excess: u64, full: bool) {
        self.octets += wire;
        self.excess = self.excess.saturating_add(excess);
        self.samples += 1;
        self.least_excess = self.least_excess.min(excess);
        self.full |= full;
    }

    pub(super) fn rate(&self, now: Instant) -> u64 {
        rate(self.octets, micros(self.since, now))
    }

    pub(super) fn mean_excess(&self) -> u64 {
        self.excess / self.samples.max(1)
    }
}

/// Goodput over a while, application-limited times left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    since: Instant,
    octets: u64,
    pub(super) blocks: u32,
    rounds: u32,
}

impl Meter {
    pub(super) const fn new(since: Instant) -> Self {
        Self {
            since,
            octets: 0,
            blocks: 0,
            rounds: 0,
        }
    }

    pub(super) const fn block(&mut self, wire: u64) {
        self.octets += wire;
        self.blocks += 1;
    }

    pub(super) const fn round(&mut self) {
        self.rounds += 1;
    }

    /// The rate so far.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        rate(self.octets, micros(self.since, now))
    }

    /// The rate, once enough was seen of it.
    pub(super) fn verdict(&self, blocks: u32, rounds: u32, now: Instant) -> Option<u64> {
        let enough = self.blocks >= blocks && self.rounds >= rounds;
        (enough && micros(self.since, now) >= 20_000).then(|| self.rate(now))
    }
}
