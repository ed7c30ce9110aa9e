//! The firmware of `examples/bare-metal` on an emulated LM3S6965, with our program at the far ends of its cables.

use std::path::Path;

use bytestreams_interop::board::{Board, Harm, section};
use bytestreams_interop::exchange::{listening, number, text};
use bytestreams_interop::files::visible;
use bytestreams_interop::{Cli, LOGIN, Process, Scratch, TRANSFER};

const SIZE: u64 = 65_536;
/// What of the board's 64 KiB its heap may take, at its highest.
const HEAP: u64 = 24 * 1024;
/// What the program may take of its flash.
const TEXT: u64 = 96 * 1024;

/// A receiver that stays, and a board that sends to it.
fn board(scratch: &Scratch) -> (Process, Board) {
    let (receiver, to) = listening(Cli::receive(scratch.inbox()).args("--hash"));
    let board = Board::start(to.parse().expect("an address"));
    (receiver, board)
}

/// Starts to send a file into the board. With its MD5, since nothing on a serial line checks anything.
fn send(file: &Path, board: &Board) -> Process {
    let to = board.inbound.address().to_string();
    Cli::send(file, to).args("--hash --resume").start()
}

/// Gives what follows `name` and a space on a line.
#[track_caller]
fn after(line: &str, name: &str) -> String {
    let (_, rest) = line
        .split_once(&format!("{name} "))
        .unwrap_or_else(|| panic!("no {name} in {line:?}"));
    let end = rest.find([' ', ',', ';']).unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// Sends a file into the board and has its own come out.
fn crosses(scratch: &Scratch, board: &mut Board, receiver: &mut Process) {
    let file = scratch.file("file.bin", SIZE);
    let mut sender = send(&file, board);
    let done = sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let line = board.console.line("received file.bin: 65536", LOGIN);
    assert_eq!(after(&line, "sha256"), text(&done, "sha256"));
    let line = board.console.line("sent board.bin: 65536", TRANSFER);
    let got = receiver.event_in_spite_of_failures("done", TRANSFER);
    assert_eq!(number(&got, "bytes"), SIZE);
    assert_eq!(after(&line, "sha256"), text(&got, "sha256"));
    let line = board.console.line("heap: peak", LOGIN);
    let peak: u64 = after(&line, "peak").parse().expect("a number");
    assert!((1..=HEAP).contains(&peak), "{line}");
    assert_eq!(after(&line, "lost"), "0", "{line}");
}

#[test]
fn a_file_goes_into_the_board_and_another_comes_out() {
    let scratch = Scratch::default();
    let (mut receiver, mut board) = board(&scratch);
    for round in 1..=2 {
        crosses(&scratch, &mut board, &mut receiver);
        assert_eq!(visible(scratch.inbox()).len(), round);
    }
}

#[test]
fn the_program_does_not_grow() {
    let octets = section(".text");
    assert!(octets <= TEXT, "{octets} octets of .text, at most {TEXT}");
}

/// Changes an octet on the way into the board, and gives what the board and the sender say.
fn harmed(harm: Harm) -> (String, String) {
    let scratch = Scratch::default();
    let (mut receiver, mut board) = board(&scratch);
    let file = scratch.file("harmed.bin", SIZE);
    board.inbound.harm(harm);
    let mut sender = send(&file, &board);
    let failed = sender.end(TRANSFER);
    assert_eq!(text(&failed, "event"), "failed");
    sender.exits(1, LOGIN);
    assert!(board.inbound.is_harmed());
    let line = board.console.line("failed to receive: ", LOGIN);
    crosses(&scratch, &mut board, &mut receiver);
    (line, text(&failed, "reason"))
}

/// Behind the number of the 41st block, in its tag.
const TAG: Harm = Harm {
    to_board: true,
    behind: "seq='40' sid",
    after: 0,
    into: |_| b'<',
};

/// In the block's base64, behind the tag.
const BLOCK: Harm = Harm { after: 100, ..TAG };

#[test]
fn a_broken_tag_ends_the_stream_and_the_next_one_is_served() {
    let (line, reason) = harmed(TAG);
    assert!(line.contains("connection was lost"), "{line}");
    assert_eq!(reason, "link-lost");
}

#[test]
fn an_element_that_does_not_end_ends_the_stream_and_the_next_one_is_served() {
    // Its closing quotation mark.
    let (line, reason) = harmed(Harm {
        behind: "seq='40",
        ..TAG
    });
    assert!(line.contains("connection was lost"), "{line}");
    assert_eq!(reason, "link-lost");
}

#[test]
fn a_block_that_is_no_base64_ends_the_transfer_and_the_next_one_is_served() {
    let (line, reason) = harmed(Harm {
        into: |_| b'!',
        ..BLOCK
    });
    assert!(line.contains("could not be read"), "{line}");
    assert!(reason.contains("bad-request"), "{reason}");
}

#[test]
fn a_block_with_another_letter_fails_the_check_and_the_next_one_is_served() {
    let (line, reason) = harmed(Harm {
        into: |octet| if octet == b'A' { b'B' } else { b'A' },
        ..BLOCK
    });
    assert!(line.contains("differs"), "{line}");
    assert_eq!(reason, "link-lost");
}

#[test]
fn a_broken_tag_of_the_boards_ends_its_stream_and_it_goes_on() {
    let scratch = Scratch::default();
    let (mut receiver, mut board) = board(&scratch);
    board.outbound.harm(Harm {
        to_board: false,
        ..TAG
    });
    let file = scratch.file("file.bin", 1000);
    let mut sender = send(&file, &board);
    sender.exits(0, TRANSFER);
    let failed = receiver.end(TRANSFER);
    assert_eq!(text(&failed, "event"), "failed");
    assert!(board.outbound.is_harmed());
    board.console.line("failed to send: ", LOGIN);
    board.console.line("stream broken: the peer says: ", LOGIN);
    crosses(&scratch, &mut board, &mut receiver);
}
