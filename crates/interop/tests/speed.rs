//! Rates beside slixmpp's in the same run. Let nothing else run meanwhile.
//!
//! Each figure is the median of interleaved runs, since a machine's speed drifts. Ours is taken from outside, from the event
//! `accepted` to the event `done` of the sender, so opening, closing and the receiver's disk count against it; slixmpp's is its
//! own, from the first block to the last acknowledgement. With latency both are read off the wire by the delay proxy.

use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestreams_interop::exchange::{listening, online, text};
use bytestreams_interop::peers::{Task, slixmpp};
use bytestreams_interop::plain::{SpliceRelay, copy_seconds, seconds_through};
use bytestreams_interop::socks::{activate, address_query, connect, dst_addr, stream_host};
use bytestreams_interop::{
    Cli, DelayProxy, EJABBERD, LOGIN, PROSODY, RawClient, Scratch, Server, Setup, TRANSFER, full,
};

/// What two medians of the same thing may differ by.
const NOISE: f64 = 0.85;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

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

/// A relay under measurement: gives a connected pair, and the processor time used so far.
struct Relay<'a> {
    name: &'static str,
    pair: Box<dyn FnMut() -> (TcpStream, TcpStream) + 'a>,
    cpu: Box<dyn Fn() -> f64 + 'a>,
    rates: Vec<f64>,
    cpus: Vec<f64>,
}

impl<'a> Relay<'a> {
    /// A proxy joined to a server, or the server's own.
    fn through(
        name: &'static str,
        server: &'a Server,
        proxy: &str,
        cpu: impl Fn() -> f64 + 'a,
    ) -> Self {
        let mut romeo = RawClient::login(&server.account("romeo"), name);
        let juliet = RawClient::login(&server.account("juliet"), name);
        let (jid, address) = stream_host(&romeo.request("get", proxy, &address_query()));
        let mut streams = 0;
        let pair = move || {
            streams += 1;
            let sid = format!("s{streams}");
            let hash = dst_addr(&sid, &romeo.jid, &juliet.jid);
            let target = connect(address, &hash);
            let requester = connect(address, &hash);
            let activated = romeo.request("set", &jid, &activate(&sid, &juliet.jid));
            assert!(activated.is_iq("result"), "{}", activated.0);
            (requester, target)
        };
        Self {
            name,
            pair: Box::new(pair),
            cpu: Box::new(cpu),
            rates: Vec::new(),
            cpus: Vec::new(),
        }
    }

    fn run(&mut self, octets: u64) {
        let (requester, target) = (self.pair)();
        let before = (self.cpu)();
        let seconds = seconds_through(requester, target, octets);
        self.rates.push(octets as f64 / seconds);
        self.cpus
            .push(((self.cpu)() - before) / octets as f64 * GIB as f64);
    }

    /// Gives the rate, and the processor time a GiB.
    fn medians(&mut self) -> (f64, f64) {
        let (rate, cpu) = (median(&mut self.rates), median(&mut self.cpus));
        println!(
            "{}: {:.0} MB/s, {cpu:.2} CPU s a GiB",
            self.name,
            rate / 1e6
        );
        (rate, cpu)
    }
}

#[test]
fn our_proxy_is_near_a_bare_splice_and_far_ahead_of_the_servers() {
    let _alone = alone();
    let octets = if full() { GIB } else { 256 * MIB };
    let runs = if full() { 5 } else { 3 };
    let (prosody, ejabberd) = (PROSODY.start(), EJABBERD.start());
    let mut proxy = Cli::proxy(&prosody).start();
    proxy.event("online", LOGIN);
    let mut ours = Relay::through("ours", &prosody, &prosody.component, || proxy.cpu_seconds());
    let mut prosodys = Relay::through("Prosody", &prosody, &prosody.proxy, || {
        prosody.cpu_seconds()
    });
    let mut ejabberds = Relay::through("ejabberd", &ejabberd, &ejabberd.proxy, || {
        ejabberd.cpu_seconds()
    });
    let (mut bare, mut bare_cpu) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let splice = SpliceRelay::start();
        let (requester, target) = splice.connect();
        bare.push(octets as f64 / seconds_through(requester, target, octets));
        bare_cpu.push(splice.cpu_seconds() / octets as f64 * GIB as f64);
        ours.run(octets);
        ejabberds.run(octets);
        prosodys.run(octets);
    }
    let (bare, bare_cpu) = (median(&mut bare), median(&mut bare_cpu));
    println!(
        "bare splice: {:.0} MB/s, {bare_cpu:.2} CPU s a GiB",
        bare / 1e6
    );
    let ((ours, our_cpu), (ejabberds, ejabberds_cpu)) = (ours.medians(), ejabberds.medians());
    let (prosodys, prosodys_cpu) = prosodys.medians();
    println!(
        "ours is {:.2} of a bare splice, {:.1} times ejabberd's, {:.0} times Prosody's, for 1/{:.0} of its processor time",
        ours / bare,
        ours / ejabberds,
        ours / prosodys,
        prosodys_cpu / our_cpu
    );
    assert!(ours >= 0.9 * bare, "beside a bare splice");
    // With two cores for sender, relay and receiver a bare splice is 1.3 to 2.5 times as fast as
    // ejabberd's, and 10 to 17 times as fast as Prosody's: no relay does better. What a GiB costs tells them
    // apart however many cores there are.
    assert!(
        ours >= (2.0 * ejabberds).min(0.9 * bare),
        "beside ejabberd's"
    );
    assert!(our_cpu * 2.0 <= ejabberds_cpu, "time beside ejabberd's");
    assert!(
        ours >= (20.0 * prosodys).min(0.9 * bare),
        "beside Prosody's"
    );
    assert!(
        our_cpu <= (prosodys_cpu / 20.0).max(1.35 * bare_cpu),
        "time beside Prosody's"
    );
}

#[test]
fn the_program_copies_as_fast_as_a_plain_copy_that_does_as_much() {
    let _alone = alone();
    let octets = if full() { GIB } else { 256 * MIB };
    let runs = if full() { 5 } else { 3 };
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", octets);
    for hashed in [false, true] {
        let hash = if hashed { " --hash" } else { "" };
        let (mut plain, mut ours) = (Vec::new(), Vec::new());
        // The first round warms up.
        for _ in 0..=runs {
            let copy = Scratch::default();
            plain.push(octets as f64 / copy_seconds(&file, &copy.inbox().join("film.mkv"), hashed));
            let copy = Scratch::default();
            let receive = Cli::receive(copy.inbox()).args("--once").args(hash);
            let (mut receiver, to) = listening(receive);
            let sender = Cli::send(&file, &to).args("--method socks5 --direct-listen 127.0.0.1:0");
            let mut sender = sender.args(hash).start();
            sender.event("accepted", LOGIN);
            let began = Instant::now();
            sender.event("done", TRANSFER);
            ours.push(octets as f64 / began.elapsed().as_secs_f64());
            receiver.event("done", TRANSFER);
        }
        let (plain, ours) = (median(&mut plain[1..]), median(&mut ours[1..]));
        println!(
            "direct{hash}: ours {:.0} MB/s, a plain copy {:.0} MB/s; {:.2}",
            ours / 1e6,
            plain / 1e6,
            ours / plain
        );
        assert!(ours >= 0.9 * plain, "direct{hash}");
    }
}
