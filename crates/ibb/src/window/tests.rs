//! The window on paths that are not a clean pipe.

use super::Window;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytestreams_machine::Instant;
use core::num::NonZeroU16;

const SECOND: u64 = 1_000_000;

/// A path: half a round trip, one that serves block after block, half a round trip.
struct Path<'a> {
    /// Microseconds there and back, at a moment.
    rtt: &'a dyn Fn(u64) -> u64,
    /// Microseconds to serve so many octets at a moment; `crowded` while others wait.
    service: &'a dyn Fn(u64, u64, bool) -> u64,
    /// Microseconds between two blocks of the application at least.
    pause: u64,
    /// Acknowledgements come in only at multiples of so many microseconds, and the application
    /// writes after the last of them.
    tick: u64,
    block_size: u16,
}

struct Report {
    /// Octets on the wire a second, from `from` on.
    rate: u64,
    /// Microseconds that 99 of 100 blocks wait at most for those before them.
    wait: u64,
    /// The most in flight, in octets.
    most: u64,
}

fn bits(per_second: u64) -> impl Fn(u64, u64, bool) -> u64 {
    move |wire, _, _| wire * 8 * SECOND / per_second
}

fn wire(chunk: usize) -> u64 {
    chunk.div_ceil(3) as u64 * 4 + 200
}

/// Runs until a moment, measures from another on.
fn run(window: &mut Window, path: &Path<'_>, from: u64, until: u64) -> Report {
    let mut flight: VecDeque<(u64, u64, u64)> = VecDeque::new();
    let (mut now, mut free_at, mut last_ack, mut next_block) = (0, 0, 0, 0);
    let (mut octets, mut most) = (0, 0);
    let mut waits = Vec::new();
    while now < until {
        let block = wire(window.chunk(path.block_size));
        if now >= next_block && window.may_send(block as usize) {
            window.sent(Instant::from_micros(now), block as usize);
            next_block = now + path.pause;
            let rtt = (path.rtt)(now);
            let arrives = now + rtt / 2;
            let begins = arrives.max(free_at);
            free_at = begins + (path.service)(block, begins, begins > arrives);
            last_ack = last_ack.max(free_at + rtt - rtt / 2);
            last_ack = last_ack.div_ceil(path.tick) * path.tick;
            flight.push_back((last_ack, now, block));
            most = most.max(flight.iter().map(|(_, _, block)| block).sum());
            if now >= from {
                waits.push(begins - arrives);
            }
            continue;
        }
        let ack = flight.front().map_or(u64::MAX, |(at, _, _)| *at);
        if next_block > now && next_block < ack {
            now = next_block;
            continue;
        }
        now = ack;
        while let Some((_, sent_at, block)) =
            flight.front().copied().filter(|(at, _, _)| *at == now)
        {
            flight.pop_front();
            window.acked(
                Instant::from_micros(now),
                Instant::from_micros(sent_at),
                block as usize,
            );
            if now >= from {
                octets += block;
            }
        }
    }
    waits.sort_unstable();
    Report {
        rate: octets * SECOND / (until - from),
        wait: waits.get(waits.len() * 99 / 100).copied().unwrap_or(0),
        most,
    }
}

fn one() -> Window {
    Window::fixed(NonZeroU16::MIN)
}

#[test]
fn a_server_that_slows_down_under_pipelining_gets_one_block_at_a_time() {
    // As Prosody: it reads 8 KiB, and pauses when more is waiting.
    let service = |wire: u64, _: u64, crowded: bool| match (wire > 8192, crowded) {
        (true, true) => wire * 4 / 10,
        (true, false) => wire / 10,
        (false, true) => wire / 7,
        (false, false) => wire / 5,
    };
    for block_size in [4096, 8192, 16384, 65535] {
        let path = Path {
            rtt: &|_| 100,
            service: &service,
            pause: 0,
            tick: 1,
            block_size,
        };
        let single = run(&mut one(), &path, 2 * SECOND, 30 * SECOND);
        let adaptive = run(&mut Window::adaptive(), &path, 2 * SECOND, 30 * SECOND);
        assert!(
            adaptive.rate * 100 >= single.rate * 95,
            "{block_size}: {} and one at a time {}",
            adaptive.rate,
            single.rate
        );
    }
}

#[test]
fn a_short_file_loses_little_to_the_trials() {
    let many = |wire: u64, _: u64, crowded: bool| wire / 100 + if crowded { 60 } else { 250 };
    let one_by_one = |wire: u64, _: u64, crowded: bool| wire * if crowded { 4 } else { 1 } / 10;
    let services: [&dyn Fn(u64, u64, bool) -> u64; 2] = [&many, &one_by_one];
    for service in services {
        let path = Path {
            rtt: &|_| 100,
            service,
            pause: 0,
            tick: 1,
            block_size: 65535,
        };
        for (until, percent) in [(SECOND / 2, 82), (SECOND, 90)] {
            let single = run(&mut one(), &path, 0, until);
            let adaptive = run(&mut Window::adaptive(), &path, 0, until);
            assert!(
                adaptive.rate * 100 >= single.rate * percent,
                "{until} us: {} and one at a time {}",
                adaptive.rate,
                single.rate
            );
        }
    }
}

#[test]
fn a_server_that_serves_many_at_once_gets_many() {
    // As ejabberd on the same machine: a fixed cost a block that overlaps with the next one's.
    let service = |wire: u64, _: u64, crowded: bool| wire / 100 + if crowded { 60 } else { 250 };
    let path = Path {
        rtt: &|_| 100,
        service: &service,
        pause: 0,
        tick: 1,
        block_size: 65535,
    };
    let single = run(&mut one(), &path, SECOND, 10 * SECOND);
    let adaptive = run(&mut Window::adaptive(), &path, SECOND, 10 * SECOND);
    assert!(adaptive.rate > single.rate * 11 / 10, "{}", adaptive.rate);
    let path = Path {
        block_size: 4096,
        ..path
    };
    let single = run(&mut one(), &path, SECOND, 10 * SECOND);
    let adaptive = run(&mut Window::adaptive(), &path, SECOND, 10 * SECOND);
    assert!(adaptive.rate > single.rate * 2, "{}", adaptive.rate);
}

#[test]
fn on_a_short_path_little_waits() {
    let path = Path {
        rtt: &|_| 1000,
        service: &bits(100_000_000),
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 0, 10 * SECOND);
    assert!(report.rate >= 12_300_000, "{}", report.rate);
    assert!(report.wait < 15_000, "{}", report.wait);
}

#[test]
fn a_rate_limit_meets_a_small_window() {
    // 20,000 octets at once, then 10,000 a second.
    let served = core::cell::Cell::new(0);
    let service = |wire: u64, _: u64, _: bool| {
        served.set(served.get() + wire);
        if served.get() < 20_000 {
            wire / 100
        } else {
            wire * 100
        }
    };
    let path = Path {
        rtt: &|_| 1000,
        service: &service,
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 30 * SECOND, 90 * SECOND);
    assert!(report.rate >= 9_500, "{}", report.rate);
    // One block waits for the one being served: a ping gets through within 3 s.
    assert!(report.wait < 2 * SECOND, "{}", report.wait);
}

#[test]
fn a_path_that_becomes_longer_is_filled_again() {
    let path = Path {
        rtt: &|now| if now < 20 * SECOND { 20_000 } else { 300_000 },
        service: &bits(10_000_000),
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 50 * SECOND, 80 * SECOND);
    assert!(report.rate >= 1_250_000 * 9 / 10, "{}", report.rate);
    assert!(report.wait < 100_000, "{}", report.wait);
}

#[test]
fn a_path_that_becomes_slower_is_not_flooded() {
    let path = Path {
        rtt: &|_| 50_000,
        service: &|wire, at, _| wire * if at < 20 * SECOND { 1 } else { 10 },
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 25 * SECOND, 60 * SECOND);
    assert!(report.rate >= 90_000, "{}", report.rate);
    assert!(report.wait < 250_000, "{}", report.wait);
}

#[test]
fn a_path_that_becomes_faster_is_filled() {
    let path = Path {
        rtt: &|_| 50_000,
        service: &|wire, at, _| wire * if at < 20 * SECOND { 10 } else { 1 },
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 30 * SECOND, 60 * SECOND);
    assert!(report.rate >= 900_000, "{}", report.rate);
}

#[test]
fn jitter_does_not_close_the_window() {
    let jitter = |now: u64| 80_000 + now.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 20_000;
    let path = Path {
        rtt: &jitter,
        service: &bits(10_000_000),
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 5 * SECOND, 60 * SECOND);
    assert!(report.rate >= 1_250_000 * 9 / 10, "{}", report.rate);
}

#[test]
fn acknowledgements_that_come_together_open_the_window() {
    for tick in [1_000, 10_000] {
        let path = Path {
            rtt: &|_| 100_000,
            service: &bits(20_000_000),
            pause: 0,
            tick,
            block_size: 4096,
        };
        let report = run(&mut Window::adaptive(), &path, 3 * SECOND, 10 * SECOND);
        assert!(report.rate >= 2_500_000 * 9 / 10, "{}", report.rate);
    }
}

#[test]
fn a_busy_machine_does_not_close_the_window() {
    // Now and then everything takes tens of milliseconds longer.
    let noise = |now: u64| now.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let path = Path {
        rtt: &|now| 100_000 + noise(now / 7_000) % 60_000,
        service: &bits(40_000_000),
        pause: 0,
        tick: 5_000,
        block_size: 4096,
    };
    let report = run(&mut Window::adaptive(), &path, 5 * SECOND, 30 * SECOND);
    assert!(report.rate >= 2_000_000, "{}", report.rate);
}

#[test]
fn an_application_that_has_little_to_send_opens_no_window() {
    let mut window = Window::adaptive();
    let path = Path {
        rtt: &|_| 50_000,
        service: &bits(10_000_000),
        pause: 20_000,
        tick: 1,
        block_size: 4096,
    };
    run(&mut window, &path, 0, 60 * SECOND);
    let mut now = 60 * SECOND;
    let mut burst = 0;
    while window.may_send(5664) {
        window.sent(Instant::from_micros(now), 5664);
        now += 1;
        burst += 5664;
    }
    assert!(burst < 120_000, "{burst} octets at once");
}

#[test]
fn never_more_than_the_most_is_in_flight() {
    let path = Path {
        rtt: &|_| 400_000,
        service: &bits(1_000_000_000),
        pause: 0,
        tick: 1,
        block_size: 65535,
    };
    let report = run(&mut Window::adaptive(), &path, 5 * SECOND, 20 * SECOND);
    assert!(report.most <= Window::MAX, "{}", report.most);
    assert!(report.most > Window::MAX * 9 / 10, "{}", report.most);
}

#[test]
fn blocks_follow_the_measured_rate() {
    for (rate, chunks) in [(1_000_000, 4095..=4095), (100_000_000, 65535..=65535)] {
        let mut window = Window::adaptive();
        let path = Path {
            rtt: &|_| 20_000,
            service: &bits(rate),
            pause: 0,
            tick: 1,
            block_size: 65535,
        };
        run(&mut window, &path, 0, 10 * SECOND);
        assert!(
            chunks.contains(&window.chunk(65535)),
            "{}",
            window.chunk(65535)
        );
        assert_eq!(window.chunk(4096), 4095);
        assert_eq!(window.chunk(1), 1);
    }
}

#[test]
fn after_a_wait_one_block_goes() {
    let mut fixed = Window::fixed(NonZeroU16::new(8).expect("not zero"));
    let mut adaptive = Window::adaptive();
    let path = Path {
        rtt: &|_| 20_000,
        service: &bits(10_000_000),
        pause: 0,
        tick: 1,
        block_size: 4096,
    };
    run(&mut adaptive, &path, 0, SECOND);
    for window in [&mut fixed, &mut adaptive] {
        let now = Instant::from_micros(2 * SECOND);
        window.refused_wait();
        assert!(window.may_send(5664));
        window.sent(now, 5664);
        assert!(!window.may_send(5664));
    }
}
