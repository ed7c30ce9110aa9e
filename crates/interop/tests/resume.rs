//! `kill -9` of either end in the middle, then `--resume`: only the rest travels.

use std::time::Duration;

use bytestreams_interop::exchange::{listening, number, online, text};
use bytestreams_interop::files::{Watch, partial_only};
use bytestreams_interop::{
    Cli, DelayProxy, EJABBERD, LOGIN, PROSODY, Process, Scratch, Setup, TRANSFER,
};

const SIZE: u64 = 700_001;
const ENOUGH: u64 = 100_000;
/// Makes the first leg last some seconds, whatever the machine.
const SLOWLY: &str = "--block-size 4096 --window 1";
const DELAY: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Receiver,
    Sender,
}

fn begun(receiver: &mut Process, sender: &mut Process) {
    receiver.event_where("progress", TRANSFER, |event| {
        number(event, "done") >= ENOUGH
    });
    assert!(!sender.ended(), "too fast to be killed in the middle");
}

/// Demands that the rest, and nothing but the rest, went by.
fn resumed(sender: &mut Process, proxy: &DelayProxy) {
    let offset = number(&sender.event("accepted", TRANSFER), "offset");
    assert!((ENOUGH..SIZE).contains(&offset), "resumed at {offset}");
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    assert_eq!(
        proxy.flow().expect("blocks went by").sent,
        SIZE - offset,
        "octets that travelled again"
    );
}

fn through_a_server(setup: Setup, victim: Victim) {
    let server = setup.start();
    let (romeo, juliet) = (server.account("romeo"), server.account("juliet"));
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", SIZE);
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let receive = || {
        online(
            Cli::receive(scratch.inbox())
                .account(&juliet)
                .args("--resume --method ibb"),
        )
    };
    let (mut receiver, to) = receive();
    let slow = DelayProxy::start(server.clients, DELAY);
    let send = |to: &str, proxy: &DelayProxy| {
        Cli::send(&file, to)
            .account(&romeo.through(proxy.address()))
            .args("--resume --method ibb")
    };
    let mut sender = send(&to, &slow).args(SLOWLY).start();
    begun(&mut receiver, &mut sender);
    let (mut receiver, to) = if victim == Victim::Receiver {
        receiver.kill();
        sender.exits(1, TRANSFER);
        partial_only(scratch.inbox());
        receive()
    } else {
        sender.kill();
        partial_only(scratch.inbox());
        (receiver, to)
    };
    let fast = DelayProxy::start(server.clients, Duration::ZERO);
    resumed(&mut send(&to, &fast).start(), &fast);
    // A receiver that outlived its sender has reported that failure by now, or will.
    receiver.event_in_spite_of_failures("done", TRANSFER);
    scratch.assert_arrived(&file);
    watch.assert_never_short();
}

#[test]
fn a_killed_receiver_resumes_through_prosody() {
    through_a_server(PROSODY, Victim::Receiver);
}

#[test]
fn a_killed_sender_resumes_through_prosody() {
    through_a_server(PROSODY, Victim::Sender);
}

#[test]
fn a_killed_receiver_resumes_through_ejabberd() {
    through_a_server(EJABBERD, Victim::Receiver);
}

#[test]
fn a_killed_sender_resumes_through_ejabberd() {
    through_a_server(EJABBERD, Victim::Sender);
}

#[test]
fn a_killed_receiver_resumes_without_a_server() {
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", SIZE);
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let receive = || listening(Cli::receive(scratch.inbox()).args("--resume"));
    let send = |proxy: &DelayProxy| {
        Cli::send(&file, proxy.address().to_string()).args("--resume --method ibb")
    };
    let (mut receiver, to) = receive();
    let slow = DelayProxy::start(to.parse().expect("an address"), DELAY);
    let mut sender = send(&slow).args(SLOWLY).start();
    begun(&mut receiver, &mut sender);
    receiver.kill();
    sender.exits(1, TRANSFER);
    partial_only(scratch.inbox());
    let (mut receiver, to) = receive();
    let fast = DelayProxy::start(to.parse().expect("an address"), Duration::ZERO);
    resumed(&mut send(&fast).start(), &fast);
    receiver.event("done", TRANSFER);
    scratch.assert_arrived(&file);
    watch.assert_never_short();
}

#[test]
fn a_link_that_is_cut_fails_the_transfer_which_then_resumes() {
    let server = PROSODY.start();
    let romeo = server.account("romeo");
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", SIZE);
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let receive = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receive.args("--resume --method ibb"));
    let slow = DelayProxy::start(server.clients, DELAY);
    let send = |proxy: &DelayProxy| {
        let sender = Cli::send(&file, &to).account(&romeo.through(proxy.address()));
        sender.args("--resume --method ibb")
    };
    let mut sender = send(&slow).args(SLOWLY).start();
    begun(&mut receiver, &mut sender);
    slow.cut();
    let failed = sender.event("failed", TRANSFER);
    assert_eq!(text(&failed, "reason"), "link-lost");
    sender.exits(1, LOGIN);
    partial_only(scratch.inbox());
    let fast = DelayProxy::start(server.clients, Duration::ZERO);
    resumed(&mut send(&fast).start(), &fast);
    receiver.event_in_spite_of_failures("done", TRANSFER);
    scratch.assert_arrived(&file);
    watch.assert_never_short();
}
