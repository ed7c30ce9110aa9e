//! The three PL011 UARTs of the LM3S6965: two with a stream of XML on each, and one for people.
//!
//! What comes in is taken by interrupt into a ring for each; what goes out is waited for. Clocks,
//! pins and rates are not set up: the emulator needs none of that, and a board's support package
//! does it.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;

/// Octets that wait in a ring: more than a block of 512 octets makes as a stanza, since a peer sends
/// no second one before the first is acknowledged.
const RING: usize = 2048;

/// A UART with a stream on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// UART0: a peer begins.
    Inbound,
    /// UART1: we begin.
    Outbound,
}

impl Port {
    fn base(self) -> usize {
        match self {
            Self::Inbound => 0x4000_C000,
            Self::Outbound => 0x4000_D000,
        }
    }

    fn ring(self) -> &'static Ring {
        static RINGS: [Ring; 2] = [const { Ring::new() }; 2];
        &RINGS[self as usize]
    }

    /// Takes what has come into the front of `room`.
    pub fn read<'a>(self, room: &'a mut [u8]) -> &'a [u8] {
        self.ring().take(room)
    }

    /// Says whether nothing has come.
    pub fn is_quiet(self) -> bool {
        self.ring().is_empty()
    }

    /// Writes all of it, waiting where the UART is busy.
    pub fn write(self, octets: &[u8]) {
        write(self.base(), octets);
    }
}

/// Octets that came while there was no room for them, ever.
pub fn lost() -> usize {
    LOST.load(Ordering::Relaxed)
}

static LOST: AtomicUsize = AtomicUsize::new(0);

/// UART2, for text.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(0x4000_E000, text.as_bytes());
        Ok(())
    }
}

/// Turns the UARTs and their interrupts on.
pub fn init() {
    for base in [0x4000_C000, 0x4000_D000, 0x4000_E000] {
        set(base, LCRH, 0x70);
        set(base, CR, 0x301);
    }
    for port in [Port::Inbound, Port::Outbound] {
        set(port.base(), IM, RECEIVED);
    }
    for line in [Line(UART0), Line(UART1)] {
        // SAFETY: no critical section rests on the interrupts' being masked.
        unsafe { NVIC::unmask(line) }
    }
}

#[derive(Clone, Copy)]
struct Line(u16);

// SAFETY: these are the lines of the chip's table of interrupts.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}

#[exception]
unsafe fn DefaultHandler(line: i16) {
    let port = match u16::try_from(line) {
        Ok(UART0) => Port::Inbound,
        Ok(UART1) => Port::Outbound,
        _ => return,
    };
    while get(port.base(), FR) & RX_EMPTY == 0 {
        let octet = get(port.base(), DR) as u8;
        if !port.ring().put(octet) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
    set(port.base(), ICR, RECEIVED);
}

/// Octets on their way from an interrupt, which alone puts them, to the program, which alone takes
/// them.
struct Ring {
    octets: [AtomicU8; RING],
    put: AtomicUsize,
    taken: AtomicUsize,
}

impl Ring {
    const fn new() -> Self {
        Self {
            octets: [const { AtomicU8::new(0) }; RING],
            put: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        }
    }

    fn put(&self, octet: u8) -> bool {
        let put = self.put.load(Ordering::Relaxed);
        if put.wrapping_sub(self.taken.load(Ordering::Acquire)) == RING {
            return false;
        }
        self.octets[put % RING].store(octet, Ordering::Relaxed);
        self.put.store(put.wrapping_add(1), Ordering::Release);
        true
    }

    fn take<'a>(&self, room: &'a mut [u8]) -> &'a [u8] {
        let taken = self.taken.load(Ordering::Relaxed);
        let there = self.put.load(Ordering::Acquire).wrapping_sub(taken);
        let count = there.min(room.len());
        for (n, place) in room[..count].iter_mut().enumerate() {
            *place = self.octets[taken.wrapping_add(n) % RING].load(Ordering::Relaxed);
        }
        self.taken
            .store(taken.wrapping_add(count), Ordering::Release);
        &room[..count]
    }

    fn is_empty(&self) -> bool {
        self.put.load(Ordering::Acquire) == self.taken.load(Ordering::Relaxed)
    }
}

fn write(base: usize, octets: &[u8]) {
    for octet in octets {
        while get(base, FR) & TX_FULL != 0 {}
        set(base, DR, u32::from(*octet));
    }
}

fn get(base: usize, register: usize) -> u32 {
    // SAFETY: a register of a UART, which may be read at any time.
    unsafe { ((base + register) as *const u32).read_volatile() }
}

fn set(base: usize, register: usize, value: u32) {
    // SAFETY: a register of a UART, of which no write can harm memory.
    unsafe { ((base + register) as *mut u32).write_volatile(value) }
}

const DR: usize = 0x00;
const FR: usize = 0x18;
const LCRH: usize = 0x2C;
const CR: usize = 0x30;
const IM: usize = 0x38;
const ICR: usize = 0x44;
const RX_EMPTY: u32 = 1 << 4;
const TX_FULL: u32 = 1 << 5;
/// Something was received, or was and nothing followed.
const RECEIVED: u32 = 1 << 4 | 1 << 6;
const UART0: u16 = 5;
const UART1: u16 = 6;
