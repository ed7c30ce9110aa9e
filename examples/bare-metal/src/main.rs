//! Firmware that receives files over a UART and sends one over another.
//!
//! It waits for a serverless XML stream on UART0, takes every file that is offered there in band,
//! and knows it by its SHA-256, since there is nowhere to keep it. When that stream is over it
//! begins one on UART1, offers a file of its own there and sends it. What happens is told on UART2.
#![no_std]
#![no_main]

extern crate alloc;

mod clock;
mod file;
mod heap;
mod link;
mod md5;
mod uart;

use alloc::vec::Vec;
use bytestreams_stanza::Jid;
use clock::{Clock, Pool};
use core::fmt::Write;
use core::panic::PanicInfo;
use cortex_m::peripheral::SCB;
use cortex_m::{Peripherals, asm, interrupt};
use cortex_m_rt::{ExceptionFrame, entry, exception};
use file::{Inbox, Outbox};
use link::{Link, News};
use uart::{Console, Port};

/// Octets of the file that is sent.
const OUTGOING: u64 = 64 * 1024;

#[entry]
fn main() -> ! {
    heap::init();
    uart::init();
    if let Some(core) = Peripherals::take() {
        clock::init(core.SYST);
    }
    let own = Jid::new("board@serverless/lm3s6965").expect("an address");
    let mut clock = Clock::default();
    let mut pool = Pool::new();
    let mut inbound = Link::new(Port::Inbound, own.clone());
    let mut outbound = Link::new(Port::Outbound, own);
    let mut inbox = Inbox::default();
    let mut outbox = Outbox::new(OUTGOING);
    let mut news = Vec::new();
    let mut console = Console;
    let _ = writeln!(console, "ready");
    loop {
        // One stream at a time: what comes on the other UART waits in its ring.
        let (port, link) = if outbound.is_idle() {
            (Port::Inbound, &mut inbound)
        } else {
            (Port::Outbound, &mut outbound)
        };
        let was_idle = link.is_idle();
        link.turn(&mut clock, &mut pool, &mut news);
        while !news.is_empty() {
            for news in core::mem::take(&mut news) {
                match (port, news) {
                    (_, News::Broken(why)) => {
                        let _ = writeln!(console, "stream broken: {why}");
                    }
                    (Port::Inbound, News::Event(event)) => inbox.handle(event, link, clock.now()),
                    (Port::Inbound, News::Open) => {}
                    (Port::Outbound, News::Event(event)) => outbox.handle(event, link, clock.now()),
                    (Port::Outbound, News::Open) => outbox.offer(link, &mut pool, clock.now()),
                }
            }
            link.crank(clock.now(), &mut news);
        }
        if !was_idle && link.is_idle() {
            let _ = writeln!(
                console,
                "heap: peak {} of {}, used {}; stack: peak {}; lost {}",
                heap::peak(),
                heap::SIZE,
                heap::used(),
                heap::stack_peak(),
                uart::lost()
            );
            if port == Port::Inbound && inbox.take_received() {
                outbound.call(clock.now());
            }
            continue;
        }
        interrupt::free(|_| {
            // One that is pending ends the wait all the same.
            if port.is_quiet() {
                asm::wfi();
            }
        });
        pool.stir();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    interrupt::disable();
    let _ = writeln!(Console, "{info}");
    SCB::sys_reset()
}

/// A panic too, where the program is built to stop at once.
#[exception]
unsafe fn HardFault(_frame: &ExceptionFrame) -> ! {
    let _ = writeln!(Console, "fault");
    SCB::sys_reset()
}
