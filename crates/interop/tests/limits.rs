//! A server that grants a client 10 kb/s: the file arrives all the same, and the link stays usable meanwhile.

use std::time::{Duration, Instant};

use bytestreams_interop::exchange::{online, text};
use bytestreams_interop::peers::{Task, slixmpp};
use bytestreams_interop::{Cli, LOGIN, PROSODY, Process, Scratch};

const SIZE: u64 = 200_000;
/// At 10,000 wire octets a second this takes some 28 s.
const CRAWL: Duration = Duration::from_secs(120);
const QUICK: f64 = 3.0;

/// Demands that every ping was quick, and that they went on for all of `elapsed`.
fn assert_answered(pinger: &mut Process, whose: &str, elapsed: Duration) {
    let pongs: Vec<f64> = pinger
        .events()
        .iter()
        .filter(|event| event["event"] == "pong")
        .filter_map(|event| event["seconds"].as_f64())
        .collect();
    let slowest = pongs.iter().copied().fold(0.0, f64::max);
    println!(
        "{} pings of the {whose} in {elapsed:.1?}, the slowest answered within {slowest:.2} s",
        pongs.len()
    );
    assert!(
        slowest <= QUICK,
        "a ping of the {whose} took {slowest:.2} s"
    );
    let covered: f64 = pongs.iter().map(|seconds| seconds + 0.5).sum();
    assert!(
        covered + QUICK + 1.5 >= elapsed.as_secs_f64(),
        "pings of the {whose} covered {covered:.1} s of {elapsed:.1?}"
    );
}

fn crawls(options: &str) {
    let server = PROSODY.limited().start();
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", SIZE);
    let (mut receiver, to) = online(
        Cli::receive(scratch.inbox())
            .account(&server.account("juliet"))
            .args("--once"),
    );
    let mut sender = Cli::send(&file, &to)
        .account(&server.account("romeo"))
        .args("--method ibb")
        .args(options)
        .start();
    let from = text(&sender.event("online", LOGIN), "jid");
    let mut pingers = [("sender", &from), ("receiver", &to)]
        .map(|(whose, jid)| (whose, slixmpp(&server.account("mallory"), Task::Ping(jid))));
    let began = Instant::now();
    sender.event("done", CRAWL);
    let elapsed = began.elapsed();
    for (whose, pinger) in &mut pingers {
        assert_answered(pinger, whose, elapsed);
    }
    assert!(
        elapsed > Duration::from_secs(12),
        "the limit was not on: {elapsed:?}"
    );
    sender.exits(0, LOGIN);
    receiver.event("done", LOGIN);
    receiver.exits(0, LOGIN);
    scratch.assert_arrived(&file);
}

#[test]
fn a_file_crawls_through_prosodys_limit_by_iq_and_pings_are_answered() {
    crawls("--carrier iq");
}

#[test]
fn a_file_crawls_through_prosodys_limit_by_message_and_pings_are_answered() {
    crawls("--carrier message");
}
