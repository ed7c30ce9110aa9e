//! Files between two processes without a server.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;

use common::{Peer, Running, command, content, crossed, file, names};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Sends a file in band to a receiver that takes one, and gives what both say at the end.
#[track_caller]
fn cross(content: &[u8], to_sender: &[&str], to_receiver: &[&str]) -> (Value, Value) {
    let mut args = vec!["--method", "ibb"];
    args.extend_from_slice(to_sender);
    crossed(content, &args, to_receiver, ("ibb", "ibb"))
}

#[test]
fn files_of_all_sizes_arrive_identical() {
    for size in [0, 1, 4095, 4096, 1_000_000] {
        let (_, received) = cross(&content(size), &["--block-size", "4096"], &[]);
        assert_eq!(received["name"], "photo.jpg");
    }
}

#[test]
fn blocks_are_numbered_past_the_wrap() {
    cross(&content(255 * 65_536 + 1), &["--block-size", "256"], &[]);
}

#[test]
fn every_way_of_sending_works() {
    let data = content(100_000);
    for args in [
        &["--window", "1"][..],
        &["--window", "8", "--block-size", "1000"],
        &["--carrier", "message"],
        &["--resume"],
        &["--block-size", "65535"],
    ] {
        cross(&data, args, &["--method", "ibb"]);
    }
}

#[test]
fn both_ends_tell_the_hash_if_asked() {
    let (sent, received) = cross(&content(100_000), &["--hash"], &["--hash"]);
    assert!(sent["sha256"].as_str().is_some_and(|hash| hash.len() == 64));
    assert_eq!(sent["sha256"], received["sha256"]);
    let (sent, received) = cross(b"", &[], &[]);
    assert_eq!(
        (&sent["sha256"], &received["sha256"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn the_date_of_the_file_arrives() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", b"x");
    let at = std::time::UNIX_EPOCH + core::time::Duration::from_secs(1_000_000_000);
    fs::File::options()
        .write(true)
        .open(&photo)
        .unwrap()
        .set_modified(at)
        .unwrap();
    let (receiver, addr) = Running::receiver(there.path(), &["--once", "--accept", "any"]);
    Running::sender(&photo, &addr, &[]).exits(0);
    receiver.exits(0);
    let arrived = fs::metadata(there.path().join("photo.jpg")).unwrap();
    assert_eq!(arrived.modified().unwrap(), at);
}

#[test]
fn events_tell_the_life_of_a_transfer() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(100_000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut sender = Running::sender(&photo, &addr, &["--method", "ibb"]);
    let offered = receiver.event("offered");
    assert_eq!(offered["name"], "photo.jpg");
    assert_eq!(offered["size"], 100_000);
    assert!(offered["from"].is_string());
    for end in [&mut receiver, &mut sender] {
        let accepted = end.event("accepted");
        assert_eq!(accepted["sid"], offered["sid"]);
        assert_eq!(accepted["method"], "ibb");
        assert_eq!(accepted["offset"], 0);
        let progress = end.event("progress");
        assert_eq!(progress["sid"], offered["sid"]);
        assert_eq!(progress["total"], 100_000);
        assert!(
            progress["done"]
                .as_u64()
                .is_some_and(|n| n > 0 && n <= 100_000)
        );
        end.event("done");
    }
    sender.exits(0);
}

#[test]
fn without_once_more_files_are_taken_and_none_is_overwritten() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    for n in 0..3_u8 {
        let photo = file(here.path(), "photo.jpg", &[n; 1000]);
        Running::sender(&photo, &addr, &[]).exits(0);
        receiver.event("done");
    }
    assert!(receiver.is_running());
    let expected = ["photo (1).jpg", "photo (2).jpg", "photo.jpg"];
    assert_eq!(names(there.path()).0, expected);
    for (n, name) in ["photo.jpg", "photo (1).jpg", "photo (2).jpg"]
        .iter()
        .enumerate()
    {
        assert_eq!(fs::read(there.path().join(name)).unwrap(), [n as u8; 1000]);
    }
}

#[test]
fn several_files_at_once_arrive() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let senders: Vec<Running> = (0..5)
        .map(|n| {
            let data = content(200_000 + n);
            let name = format!("{n}.bin");
            Running::sender(file(here.path(), &name, &data), &addr, &[])
        })
        .collect();
    for sender in senders {
        sender.exits(0);
        receiver.event("done");
    }
    for n in 0..5 {
        let arrived = fs::read(there.path().join(format!("{n}.bin"))).unwrap();
        assert!(arrived == content(200_000 + n), "{n}");
    }
}

#[test]
fn what_is_not_wanted_is_declined() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1001));
    for args in [&["--accept", "any", "--max-size", "1000"][..], &[]] {
        let (mut receiver, addr) = Running::receiver(there.path(), args);
        let mut sender = Running::sender(&photo, &addr, &[]);
        let failed = sender.event("failed");
        assert!(failed["sid"].is_string(), "{failed}");
        sender.exits(3);
        assert!(
            receiver.event("failed")["reason"]
                .as_str()
                .unwrap()
                .starts_with("declined")
        );
        assert!(receiver.is_running());
        assert_eq!(names(there.path()), (vec![], vec![]));
    }
    // The bound itself is taken.
    let small = file(here.path(), "small", &content(1000));
    let (receiver, addr) = Running::receiver(
        there.path(),
        &["--accept", "any", "--max-size", "1000", "--once"],
    );
    Running::sender(&small, &addr, &[]).exits(0);
    receiver.exits(0);
}

#[test]
fn a_stream_without_an_offer_is_taken_only_if_allowed() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = content(50_000);
    let photo = file(here.path(), "photo.jpg", &data);
    let (_receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    Running::sender(&photo, &addr, &["--no-si"]).exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));

    let allowed = ["--accept", "any", "--allow-unannounced", "--once"];
    let (mut receiver, addr) = Running::receiver(there.path(), &allowed);
    let sender = Running::sender(&photo, &addr, &["--no-si"]);
    let offered = receiver.event("offered");
    assert_eq!(
        (&offered["name"], &offered["size"]),
        (&Value::Null, &Value::Null)
    );
    let done = receiver.event("done");
    sender.exits(0);
    receiver.exits(0);
    // It is named by the stream.
    let name = names(there.path()).0.remove(0);
    assert!(
        name.starts_with(&offered["sid"].as_str().unwrap()[..8]),
        "{name}"
    );
    assert_eq!(done["name"], name.as_str());
    assert_eq!(fs::read(there.path().join(name)).unwrap(), data);
}

#[test]
fn a_stream_without_an_offer_is_bounded_too() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(50_000));
    let args = [
        "--accept",
        "any",
        "--allow-unannounced",
        "--once",
        "--max-size",
        "20000",
    ];
    let (receiver, addr) = Running::receiver(there.path(), &args);
    Running::sender(&photo, &addr, &["--no-si"]).exits(1);
    receiver.exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn sentences_are_for_people() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = if cfg!(unix) {
        "\x1b[31mred.txt"
    } else {
        "red.txt"
    };
    let path = file(here.path(), name, b"hello");
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut command = command(&["send", "--to", &addr, "--hash"]);
    command.arg(&path);
    let sent = Running::start(command).exits(0);
    receiver.event("done");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(sent.out.contains("5 bytes"), "{}", sent.out);
    assert!(sent.out.contains(hash), "{}", sent.out);
    assert!(
        !sent.out.contains('\x1b') && sent.err.is_empty(),
        "{}{}",
        sent.out,
        sent.err
    );
    assert!(!names(there.path()).0[0].contains('\x1b'));
}

/// Names as the attribute's text, and whether the file may keep a name of its own.
const HOSTILE: [&str; 14] = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    ".bashrc",
    "C:\\x",
    "..\\..\\boot.ini",
    "CON",
    "nul.txt",
    "&#x202e;gpj.exe",
    "a&#10;b&#9;c",
    "a/",
    "-rf",
];

#[test]
fn hostile_names_stay_in_the_directory() {
    let outer = tempfile::tempdir().unwrap();
    let inbox = outer.path().join("in").join("box");
    fs::create_dir_all(&inbox).unwrap();
    let (mut receiver, addr) = Running::receiver(&inbox, &["--accept", "any"]);
    let long = "x".repeat(4096);
    for name in HOSTILE.iter().copied().chain([long.as_str()]) {
        let mut peer = Peer::connect(&addr);
        let answer = peer.offer("s1", &format!("name='{name}' size='3'"));
        assert!(answer.contains("result"), "{name}: {answer}");
        assert!(peer.open("s1").contains("result"));
        assert!(peer.data("s1", 0, "YWJj").contains("result"));
        assert!(peer.close("s1").contains("result"));
        let done = receiver.event("done");
        let path = Path::new(done["path"].as_str().unwrap());
        assert_eq!(path.parent(), Some(inbox.as_path()), "{name}");
        assert_eq!(fs::read(path).unwrap(), b"abc");
        let placed = path.file_name().unwrap().to_str().unwrap();
        let hidden = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(
            !placed.starts_with('.') && !placed.contains(hidden),
            "{name}: {placed}"
        );
        assert!(
            placed.len() < 255 && !placed.contains(['/', '\\', ':']),
            "{name}: {placed}"
        );
    }
    assert_eq!(names(&inbox).0.len(), HOSTILE.len() + 1);
    assert_eq!(names(&inbox).1, Vec::<String>::new());
    assert_eq!(names(outer.path()).0, ["in"]);
    assert_eq!(names(&outer.path().join("in")).0, ["box"]);
}

#[test]
fn once_means_one_file() {
    let there = tempfile::tempdir().unwrap();
    let (receiver, addr) = Running::receiver(there.path(), &["--accept", "any", "--once"]);
    let (mut first, mut second) = (Peer::connect(&addr), Peer::connect(&addr));
    assert!(first.offer("s1", "name='a' size='3'").contains("result"));
    // The sid is of another peer, and so of another stream.
    assert!(
        second
            .offer("s1", "name='b' size='3'")
            .contains("forbidden")
    );
    first.open("s1");
    first.data("s1", 0, "YWJj");
    first.close("s1");
    receiver.exits(0);
    assert_eq!(names(there.path()), (vec!["a".into()], vec![]));
}

#[test]
fn a_withdrawn_offer_leaves_the_receiver_as_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut peer = Peer::connect(&addr);
    peer.offer("s1", "name='a' size='3'");
    drop(peer);
    assert_eq!(receiver.event("failed")["sid"], "s1");
    assert_eq!(names(there.path()), (vec![], vec![]));
    Running::sender(&photo, &addr, &[]).exits(0);
    receiver.event("done");
}

#[test]
fn a_file_shorter_than_declared_is_no_file() {
    let there = tempfile::tempdir().unwrap();
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut peer = Peer::connect(&addr);
    peer.offer("s1", "name='a' size='10'");
    peer.open("s1");
    assert!(peer.data("s1", 0, "YWJj").contains("result"));
    peer.close("s1");
    let failed = receiver.event("failed");
    assert_eq!(failed["sid"], "s1");
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn a_file_longer_than_declared_is_no_file() {
    let there = tempfile::tempdir().unwrap();
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut peer = Peer::connect(&addr);
    peer.offer("s1", "name='a' size='4'");
    peer.open("s1");
    assert!(peer.data("s1", 0, "YWJj").contains("result"));
    peer.say(
        "<iq type='set' id='d1'><data xmlns='http://jabber.org/protocol/ibb' sid='s1' seq='1'>\
         YWJj</data></iq>",
    );
    let failed = receiver.event("failed");
    assert_eq!(failed["sid"], "s1");
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn a_file_of_another_hash_is_no_file() {
    let there = tempfile::tempdir().unwrap();
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut peer = Peer::connect(&addr);
    peer.offer(
        "s1",
        "name='a' size='3' hash='00000000000000000000000000000000'",
    );
    peer.open("s1");
    peer.data("s1", 0, "YWJj");
    peer.close("s1");
    let failed = receiver.event("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("hash"),
        "{failed}"
    );
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn who_does_not_speak_xmpp_keeps_nobody_out() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let (receiver, addr) = Running::receiver(there.path(), &["--accept", "any", "--once"]);
    let silent: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(&addr).unwrap())
        .collect();
    let mut rude = std::net::TcpStream::connect(&addr).unwrap();
    std::io::Write::write_all(&mut rude, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    Running::sender(&photo, &addr, &[]).exits(0);
    receiver.exits(0);
    drop(silent);
}
