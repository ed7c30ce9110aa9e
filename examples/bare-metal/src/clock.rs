//! The time, and entropy of a kind.

use bytestreams_machine::{Entropy, Instant};
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use sha2::{Digest, Sha256};

/// Cycles of a millisecond after a reset of this chip.
const CYCLES: u32 = 12_500;

static MILLIS: AtomicU32 = AtomicU32::new(0);

/// Starts the clock.
pub fn init(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(CYCLES - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

#[exception]
fn SysTick() {
    MILLIS.store(
        MILLIS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// Reads the time: look at it once in 49 days at least.
#[derive(Default)]
pub struct Clock {
    last: u32,
    millis: u64,
}

impl Clock {
    pub fn now(&mut self) -> Instant {
        let millis = MILLIS.load(Ordering::Relaxed);
        self.millis += u64::from(millis.wrapping_sub(self.last));
        self.last = millis;
        Instant::from_micros(self.millis * 1000)
    }
}

/// Makes entropy of when octets came. A chip with a generator of random numbers has better: this
/// one has none.
pub struct Pool {
    state: [u8; 32],
}

impl Pool {
    pub const fn new() -> Self {
        Self { state: [0; 32] }
    }

    /// Stirs the time of something that we did not choose in.
    pub fn stir(&mut self) {
        let cycle = SYST::get_current() | MILLIS.load(Ordering::Relaxed) << 24;
        for (place, octet) in self.state.iter_mut().zip(cycle.to_le_bytes()) {
            *place ^= octet;
        }
        self.state.rotate_left(5);
    }

    pub fn draw(&mut self) -> Entropy {
        let drawn = Sha256::new().chain_update(self.state).chain_update([1]);
        let next = Sha256::new().chain_update(self.state).chain_update([2]);
        self.state = next.finalize().into();
        Entropy(drawn.finalize().into())
    }
}
