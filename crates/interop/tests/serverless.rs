//! Two processes and no server.

use std::time::Duration;

use bytestreams_interop::exchange::{listening, number, text};
use bytestreams_interop::files::{hidden, visible};
use bytestreams_interop::{Cli, DelayProxy, LOGIN, Scratch, full};

fn crosses(size: u64, within: Duration) {
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", size);
    let (mut receiver, to) = listening(Cli::receive(scratch.inbox()).args("--once --hash"));
    let mut sender = Cli::send(&file, &to)
        .args("--block-size 4096 --method ibb --hash")
        .start();
    let done = sender.event("done", within);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", LOGIN);
    receiver.exits(0, LOGIN);
    assert_eq!(
        (number(&done, "bytes"), number(&got, "bytes")),
        (size, size)
    );
    assert_eq!(text(&done, "sha256"), text(&got, "sha256"));
    scratch.assert_arrived(&file);
}

#[test]
fn files_of_sizes_about_one_block_arrive_identical() {
    for size in [0, 1, 4095, 4096, 8190, 8191] {
        crosses(size, LOGIN);
    }
}

#[test]
fn a_file_past_the_wrap_of_seq_arrives_identical() {
    crosses(65_536 * 4_095 + 1, Duration::from_secs(240));
}

#[test]
fn a_gigabyte_arrives_identical() {
    if full() {
        crosses(1 << 30, Duration::from_secs(900));
    }
}

#[test]
fn the_declined_learn_it() {
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", 10_000);
    let receive = Cli::new("receive")
        .arg("--dir")
        .arg(scratch.inbox())
        .args("--accept any --max-size 9999");
    let (mut receiver, to) = listening(receive);
    let mut sender = Cli::send(&file, &to).args("--method ibb").start();
    sender.exits(3, LOGIN);
    assert!(!receiver.ended());
    scratch.assert_nothing_arrived();
}

#[test]
fn mistakes_on_the_command_line_exit_with_2() {
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", 10);
    let exit = |cli: Cli| cli.start().exit(LOGIN);
    assert_eq!(exit(Cli::new("send")), 2);
    assert_eq!(
        exit(Cli::send(scratch.inbox(), "127.0.0.1:9")),
        2,
        "a directory"
    );
    assert_eq!(
        exit(Cli::send("-".as_ref(), "127.0.0.1:9")),
        2,
        "standard input"
    );
    assert_eq!(
        exit(Cli::send(&file, "127.0.0.1:9").args("--window nonsense")),
        2
    );
    let receive = Cli::new("receive").arg("--dir").arg(scratch.inbox());
    assert_eq!(
        exit(receive.args("--listen 127.0.0.1:0 --accept romeo@example.org")),
        2,
        "JIDs mean nothing without a server"
    );
    assert_eq!(visible(scratch.inbox()).len(), 0);
}

#[test]
fn nobody_listening_exits_with_4() {
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", 10);
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    Cli::send(&file, free.to_string()).start().exits(4, LOGIN);
}

/// Interrupts one end in the middle and gives the directory with what it left.
fn interrupted(sender_first: bool) -> Scratch {
    let scratch = Scratch::default();
    let file = scratch.file("file.bin", 700_000);
    let (mut receiver, to) = listening(Cli::receive(scratch.inbox()).args("--once --resume"));
    let slow = DelayProxy::start(to.parse().expect("an address"), Duration::from_millis(25));
    let slowly = "--method ibb --block-size 4096 --window 1 --resume";
    let mut sender = Cli::send(&file, slow.address().to_string())
        .args(slowly)
        .start();
    receiver.event_where("progress", LOGIN, |event| number(event, "done") >= 50_000);
    if sender_first {
        sender.interrupt()
    } else {
        receiver.interrupt()
    }
    // Each learns it by the protocol, long before a timer would tell.
    for end in [&mut sender, &mut receiver] {
        end.event("failed", LOGIN);
        end.exits(1, LOGIN);
    }
    scratch
}

#[test]
fn an_interrupted_sender_cancels_the_transfer() {
    interrupted(true).assert_nothing_arrived();
}

#[test]
fn an_interrupted_receiver_cancels_the_transfer_and_keeps_the_partial_file() {
    let scratch = interrupted(false);
    scratch.assert_nothing_arrived();
    assert_eq!(
        hidden(scratch.inbox()).len(),
        1,
        "{:?}",
        hidden(scratch.inbox())
    );
}
