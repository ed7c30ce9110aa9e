//! What the window reaches on a link of a given round trip and bandwidth, and what it costs others.
//!
//! The table is committed beside this file: a regression is a diff. With `BYTESTREAMS_BLESS` set
//! the test writes it anew.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests run where std is"
)]

mod common;

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Config, Event, WindowPolicy};
use bytestreams_machine::Instant;
use bytestreams_sim::{App, Context, Faults, Seeded, Side, World};
use common::{End, initiator, responder};
use core::time::Duration;
use std::fmt::Write as _;

const START: Duration = Duration::from_secs(5);
const END: Duration = Duration::from_secs(65);

/// Writes as much as the window lets, for ever.
struct Source {
    file: Bytes,
}

impl App for Source {
    type Machine = End;

    fn event(&mut self, _: &mut End, event: Event, _: &mut Context<'_>) {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
    }

    fn act(&mut self, end: &mut End, cx: &mut Context<'_>) {
        let Some(session) = &mut end.session else {
            return;
        };
        loop {
            let mut octets = self.file.clone();
            match session.write(&mut octets, cx.now) {
                Ok(_) => {}
                Err(Blocked::Window | Blocked::Opening) => return,
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// Reads and stores at once; remembers when how much had come.
#[derive(Default)]
struct Sink {
    octets: u64,
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl App for Sink {
    type Machine = End;

    fn event(&mut self, _: &mut End, event: Event, _: &mut Context<'_>) {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
    }

    fn act(&mut self, end: &mut End, cx: &mut Context<'_>) {
        let Some(session) = &mut end.session else {
            return;
        };
        while let Some(block) = session.read() {
            self.octets += block.len() as u64;
            if cx.now >= Instant::ZERO + START {
                self.first.get_or_insert((cx.now, self.octets));
                self.last = Some((cx.now, self.octets));
            }
            session.stored(block.len(), cx.now);
        }
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// How long other stanzas would have waited, asked every millisecond.
#[derive(Default)]
struct Waits {
    micros: Vec<u32>,
}

impl Waits {
    /// Milliseconds that 99 of 100 wait at most, rounded up.
    fn p99(&mut self) -> u64 {
        self.micros.sort_unstable();
        let at = self.micros.len() * 99 / 100;
        u64::from(self.micros.get(at).copied().unwrap_or(0)).div_ceil(1000)
    }
}

struct Cell {
    /// Octets of payload a second.
    rate: u64,
    starting: u64,
    running: u64,
}

fn run(rtt: u64, bandwidth: u64, block_size: u16, window: WindowPolicy) -> Cell {
    let config = || {
        let mut config = Config::default();
        config.block_size = block_size;
        config.window = window;
        config
    };
    let source = Source {
        file: Bytes::from(vec![0; 65_535]),
    };
    let mut world = World::new(
        (initiator(), End::opening(config()), source),
        (responder(), End::waiting(config()), Sink::default()),
    );
    world.link.delays = vec![Duration::from_micros(rtt * 500)];
    world.link.bandwidth = Some(bandwidth);
    world.link.faults = Faults::NONE;
    world.bounds.steps = u64::MAX;
    world.trace.mute();
    let mut chooser = Seeded::new(0);
    let mut starting = Waits::default();
    let mut running = Waits::default();
    let mut asked = 0;
    let end = Instant::ZERO + END;
    world.start(&mut chooser).expect("no law broken");
    while let Some(next) = world.next().filter(|next| *next <= end) {
        // Until the next step the queue only drains.
        while asked < next.as_micros() {
            let at = Instant::from_micros(asked);
            let waits = world.link.lane(Side::Right).waiting(at);
            let waits = u32::try_from(waits.as_micros()).expect("less than an hour");
            if at < Instant::ZERO + START {
                starting.micros.push(waits);
            } else {
                running.micros.push(waits);
            }
            asked += 1000;
        }
        world.step(&mut chooser).expect("no law broken");
    }
    let sink = &world.right.app;
    let rate = match (sink.first, sink.last) {
        (Some((first, before)), Some((last, all))) if last > first => {
            (all - before) * 1_000_000 / last.since(first).as_micros() as u64
        }
        _ => 0,
    };
    Cell {
        rate,
        starting: starting.p99(),
        running: running.p99(),
    }
}

/// Octets that a block of so many takes on the simulated wire.
fn wire(block: u64) -> u64 {
    block.div_ceil(3) * 4 + 196
}

#[test]
fn the_adaptive_window_fills_the_path_and_keeps_it_quick() {
    let mut table = String::from(
        "Payload in kB/s over 60 s after a start of 5 s; p99 of what other stanzas wait, in ms.\n\
         \n\
         round trip  bandwidth   block     ideal  adaptive     %  window 1     %  wait  at start\n",
    );
    let mut failures = String::new();
    for rtt in [1, 20, 100, 400] {
        for (bandwidth, name) in [
            (128_000, "128 kbit/s"),
            (1_000_000, "1 Mbit/s"),
            (10_000_000, "10 Mbit/s"),
            (100_000_000, "100 Mbit/s"),
        ] {
            for block_size in [4096, 16384, 65535] {
                let chunk = u64::from(block_size) / 3 * 3;
                let ideal = bandwidth / 8 * chunk / wire(chunk);
                let block_time = wire(chunk) * 8_000 / bandwidth;
                let one = run(rtt, bandwidth, block_size, WindowPolicy::ONE);
                let adaptive = run(rtt, bandwidth, block_size, WindowPolicy::Adaptive);
                writeln!(
                    table,
                    "{rtt:>7} ms  {name:>10}  {block_size:>6}  {:>8}  {:>8}  {:>4}  {:>8}  {:>4}  {:>4}  {:>8}",
                    ideal / 1000,
                    adaptive.rate / 1000,
                    adaptive.rate * 100 / ideal,
                    one.rate / 1000,
                    one.rate * 100 / ideal,
                    adaptive.running,
                    adaptive.starting,
                )
                .expect("a string takes it");
                let bounds = [
                    (
                        bandwidth / 8 * rtt / 1000 > 768 * 1024 || adaptive.rate * 10 >= ideal * 9,
                        "is slower than 90%",
                    ),
                    (
                        adaptive.running <= 100.max(2 * block_time),
                        "delays others for too long",
                    ),
                    (
                        adaptive.starting <= 300.max(2 * block_time),
                        "delays others for too long at the start",
                    ),
                    (
                        adaptive.rate * 100 >= one.rate * 95,
                        "is slower than window 1",
                    ),
                ];
                for (holds, what) in bounds {
                    if !holds {
                        writeln!(failures, "{rtt} ms, {name}, {block_size}: {what}")
                            .expect("a string takes it");
                    }
                }
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/throughput.txt");
    if std::env::var_os("BYTESTREAMS_BLESS").is_some() {
        std::fs::write(path, &table).expect("the table can be written");
    }
    println!("{table}");
    assert!(failures.is_empty(), "{failures}\n{table}");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(committed, table, "throughput.txt is not what was measured");
}
