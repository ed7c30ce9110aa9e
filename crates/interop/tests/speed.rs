//! Rates beside slixmpp's in the same run. Let nothing else run meanwhile.
//!
//! Each figure is the median of interleaved runs, since a machine's speed drifts. Ours is taken from outside, from the event
//! `accepted` to the event `done` of the sender, so opening, closing and the receiver's disk count against it; slixmpp's is its
//! own, from the first block to the last acknowledgement. With latency both are read off the wire by the delay proxy.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestreams_interop::exchange::{online, text};
use bytestreams_interop::peers::{Task, slixmpp};
use bytestreams_interop::{
    Cli, DelayProxy, EJABBERD, LOGIN, PROSODY, Scratch, Server, Setup, TRANSFER, full,
};

/// What two medians of the same thing may differ by.
const NOISE: f64 = 0.85;
const MIB: u64 = 1 << 20;

/// Lets one measurement run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn slixmpps_rate(server: &Server, size: u64, proxy: Option<&DelayProxy>) -> f64 {
    let scratch = Scratch::default();
    let file = scratch.file("file", size);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(scratch.inbox()));
    let to = text(&receiver.event("online", LOGIN), "jid");
    let romeo = server.account("romeo");
    let romeo = proxy.map_or(romeo.clone(), |proxy| romeo.through(proxy.address()));
    let mut sender = slixmpp(&romeo, Task::Send(&file, &to, 4096));
    let seconds = sender.event("done", TRANSFER)["seconds"]
        .as_f64()
        .expect("seconds");
    receiver.event("done", TRANSFER);
    proxy.map_or(size as f64 / seconds, |proxy| {
        proxy.flow().expect("blocks went by").rate()
    })
}

fn our_rate(server: &Server, size: u64, options: &str, proxy: Option<&DelayProxy>) -> f64 {
    let scratch = Scratch::default();
    let file = scratch.file("file", size);
    let (mut receiver, to) = online(
        Cli::receive(scratch.inbox())
            .account(&server.account("juliet"))
            .args("--once"),
    );
    let romeo = server.account("romeo");
    let romeo = proxy.map_or(romeo.clone(), |proxy| romeo.through(proxy.address()));
    let mut sender = Cli::send(&file, &to)
        .account(&romeo)
        .args("--method ibb")
        .args(options)
        .start();
    sender.event("accepted", LOGIN);
    let began = Instant::now();
    sender.event("done", TRANSFER);
    let elapsed = began.elapsed();
    sender.exits(0, LOGIN);
    receiver.event("done", LOGIN);
    scratch.assert_arrived(&file);
    proxy.map_or(size as f64 / elapsed.as_secs_f64(), |proxy| {
        let flow = proxy.flow().expect("blocks went by");
        assert_eq!(flow.octets, size, "octets acknowledged");
        flow.rate()
    })
}

fn beside_slixmpp(setup: Setup, at_least: f64, size: u64) {
    let _alone = alone();
    let server = setup.start();
    let runs = if full() { 11 } else { 5 };
    let (mut theirs, mut ours, mut one_by_one) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        theirs.push(slixmpps_rate(&server, 512 * 1024, None));
        ours.push(our_rate(&server, size, "", None));
        one_by_one.push(our_rate(&server, size, "--window 1", None));
    }
    let (theirs, ours, one_by_one) = (
        median(&mut theirs),
        median(&mut ours),
        median(&mut one_by_one),
    );
    println!(
        "{setup}: ours {:.2} MB/s, ours one block at a time {:.2} MB/s, slixmpp {:.2} MB/s; {:.1} times slixmpp's",
        ours / 1e6,
        one_by_one / 1e6,
        theirs / 1e6,
        ours / theirs
    );
    assert!(
        ours >= at_least * theirs,
        "{ours:.0} octets a second is less than {at_least} times {theirs:.0}"
    );
    assert!(
        ours >= NOISE * one_by_one,
        "the window costs: {ours:.0} octets a second, {one_by_one:.0} without it"
    );
}

#[test]
fn through_ejabberd_we_are_ten_times_as_fast_as_slixmpp() {
    beside_slixmpp(EJABBERD, 10.0, 24 * MIB);
}

#[test]
fn through_prosody_we_are_three_times_as_fast_as_slixmpp() {
    beside_slixmpp(PROSODY, 3.0, 8 * MIB);
}

fn with_latency(setup: Setup) -> f64 {
    let _alone = alone();
    let server = setup.start();
    let proxy = || DelayProxy::start(server.clients, Duration::from_millis(50));
    let theirs = slixmpps_rate(&server, 256 * 1024, Some(&proxy()));
    let ours = our_rate(&server, 4 * MIB, "--block-size 4096", Some(&proxy()));
    println!(
        "{setup} with 50 ms each way: ours {:.3} MB/s, slixmpp {:.4} MB/s; {:.1} times",
        ours / 1e6,
        theirs / 1e6,
        ours / theirs
    );
    ours / theirs
}

#[test]
fn through_ejabberd_with_latency_we_are_thirty_times_as_fast_as_slixmpp() {
    let times = with_latency(EJABBERD);
    assert!(times >= 30.0, "{times:.1} times");
}

#[test]
fn through_prosody_with_latency_we_are_ten_times_as_fast_as_slixmpp() {
    if full() {
        let times = with_latency(PROSODY);
        assert!(times >= 10.0, "{times:.1} times");
    }
}
