//! A SOCKS5 stream that is cut in the middle: failed, with no short file, and with `--resume` only the rest travels again.

use std::time::Duration;

use bytestreams_interop::exchange::{number, online, text};
use bytestreams_interop::files::{Watch, hidden, partial_only, visible};
use bytestreams_interop::process::wait_until;
use bytestreams_interop::{
    Activation, Cli, DelayProxy, FakeProxy, LOGIN, Manner, PROSODY, Process, Scratch, Server,
    TRANSFER,
};

const SIZE: u64 = 20_000_003;
const MIDDLE: u64 = 7_654_321;
const CUT: Manner = Manner::Relays { cut_after: MIDDLE };
const STALL: Manner = Manner::Stalls { after: MIDDLE };
const ALL: Manner = Manner::Relays {
    cut_after: u64::MAX,
};

fn receive(server: &Server, scratch: &Scratch, options: &str) -> (Process, String) {
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    online(receiver.args(options))
}

fn send(server: &Server, scratch: &Scratch, to: &str, options: &str) -> Process {
    let file = scratch.file("film.mkv", SIZE);
    let sender = Cli::send(&file, to).account(&server.account("romeo"));
    sender
        .args("--method socks5 --proxy-only")
        .args(options)
        .start()
}

fn fails(sender: &mut Process, receiver: &mut Process) {
    for process in [sender, receiver] {
        let failed = process.event("failed", TRANSFER);
        assert_ne!(text(&failed, "reason"), "");
    }
}

#[test]
fn a_cut_socket_fails_both_sides_and_leaves_nothing() {
    let server = PROSODY.proxyless().start();
    let proxy = FakeProxy::join(&server, CUT, Activation::Granted);
    let scratch = Scratch::default();
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let (mut receiver, to) = receive(&server, &scratch, "--once");
    let mut sender = send(&server, &scratch, &to, "");
    fails(&mut sender, &mut receiver);
    sender.exits(1, LOGIN);
    receiver.exits(1, LOGIN);
    assert_eq!(proxy.host.relayed(), MIDDLE);
    assert_eq!(visible(scratch.inbox()), Vec::<String>::new());
    assert_eq!(hidden(scratch.inbox()), Vec::<String>::new());
    watch.assert_never_short();
}

#[test]
fn a_cut_socket_resumes_with_the_rest() {
    let server = PROSODY.proxyless().start();
    let scratch = Scratch::default();
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let (mut receiver, to) = receive(&server, &scratch, "--resume");
    {
        let _proxy = FakeProxy::join(&server, CUT, Activation::Granted);
        let mut sender = send(&server, &scratch, &to, "--resume");
        fails(&mut sender, &mut receiver);
        sender.exits(1, LOGIN);
        partial_only(scratch.inbox());
    }
    let proxy = FakeProxy::join(&server, ALL, Activation::Granted);
    let mut sender = send(&server, &scratch, &to, "--resume");
    let offset = number(&sender.event("accepted", TRANSFER), "offset");
    assert!(
        (1..=MIDDLE).contains(&offset),
        "resumed at {offset}, cut at {MIDDLE}"
    );
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    receiver.event_in_spite_of_failures("done", TRANSFER);
    assert_eq!(
        proxy.host.relayed(),
        SIZE - offset,
        "octets that travelled again"
    );
    scratch.assert_arrived(&scratch.file("film.mkv", SIZE));
    watch.assert_never_short();
}

#[test]
fn a_receiver_killed_in_the_middle_resumes_direct() {
    let server = PROSODY.proxyless().start();
    let scratch = Scratch::default();
    let watch = Watch::over(scratch.inbox().join("film.mkv"), SIZE);
    let (mut receiver, to) = receive(&server, &scratch, "--resume");
    {
        let proxy = FakeProxy::join(&server, STALL, Activation::Granted);
        let mut sender = send(&server, &scratch, &to, "--resume");
        wait_until("half the film is through", TRANSFER, || {
            proxy.host.relayed() == MIDDLE
        });
        // Until it has told so of some of them, none need be in its file.
        receiver.event_where("progress", TRANSFER, |event| number(event, "done") > 0);
        receiver.kill();
        proxy.host.die();
        sender.event("failed", TRANSFER);
        sender.exits(1, LOGIN);
        partial_only(scratch.inbox());
    }
    let (mut receiver, to) = receive(&server, &scratch, "--resume");
    let file = scratch.file("film.mkv", SIZE);
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let mut sender = sender
        .args("--resume --method socks5 --no-proxy --direct-listen 127.0.0.1:0")
        .start();
    let offset = number(&sender.event("accepted", TRANSFER), "offset");
    assert!((1..=MIDDLE).contains(&offset), "resumed at {offset}");
    let done = sender.event("done", TRANSFER);
    assert_eq!(text(&done, "via"), "direct");
    receiver.event("done", TRANSFER);
    scratch.assert_arrived(&file);
    watch.assert_never_short();
}

#[test]
fn either_side_may_cancel_in_the_middle() {
    let server = PROSODY.proxyless().start();
    for by_sender in [true, false] {
        let scratch = Scratch::default();
        let proxy = FakeProxy::join(&server, STALL, Activation::Granted);
        let (mut receiver, to) = receive(&server, &scratch, "--once");
        let mut sender = send(&server, &scratch, &to, "");
        wait_until("half the film is through", TRANSFER, || {
            proxy.host.relayed() == MIDDLE
        });
        let (one, other) = if by_sender {
            (&mut sender, &mut receiver)
        } else {
            (&mut receiver, &mut sender)
        };
        one.interrupt();
        one.exits(1, LOGIN);
        // Nobody tells it but the end of the socket, which the relay passes on late.
        proxy.host.die();
        other.event("failed", TRANSFER);
        other.exits(1, LOGIN);
        assert_eq!(visible(scratch.inbox()), Vec::<String>::new());
    }
}

#[test]
fn a_lost_link_ends_a_transfer_by_socket() {
    let server = PROSODY.proxyless().start();
    let scratch = Scratch::default();
    let _proxy = FakeProxy::join(&server, STALL, Activation::Granted);
    let (mut receiver, to) = receive(&server, &scratch, "");
    let wire = DelayProxy::start(server.clients, Duration::ZERO);
    let romeo = server.account("romeo").through(wire.address());
    let file = scratch.file("film.mkv", SIZE);
    let sender = Cli::send(&file, &to).account(&romeo);
    let mut sender = sender.args("--method socks5 --proxy-only").start();
    receiver.event_where("progress", TRANSFER, |event| number(event, "done") > 0);
    wire.cut();
    let failed = sender.event("failed", TRANSFER);
    assert_eq!(text(&failed, "reason"), "link-lost");
    sender.exits(1, LOGIN);
    scratch.assert_nothing_arrived();
}
