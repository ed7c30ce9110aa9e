//! Transfers that are broken off: killed, interrupted, out of room; and resumed.
#![cfg(unix)]

mod common;

use common::{Peer, Running, command, content, file, gate, names, spoiler};
use std::fs;
use std::process::Command;

/// In band, where a gate on the link holds the octets.
const ANY: [&str; 5] = ["--resume", "--method", "ibb", "--accept", "any"];

/// How far a gate lets a transfer come.
const HALF: usize = 400_000;

#[test]
fn a_killed_receiver_goes_on_where_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = content(1_000_000);
    let photo = file(here.path(), "photo.jpg", &data);
    let (mut receiver, addr) = Running::receiver(there.path(), &ANY);
    let mut sender = Running::sender(&photo, &gate(&addr, HALF), &["--resume"]);
    receiver.event("progress");
    receiver.kill();
    sender.event("failed");
    sender.exits(1);
    let (files, partial) = names(there.path());
    assert_eq!((files.len(), partial.len()), (0, 1));
    let kept = fs::metadata(there.path().join(&partial[0])).unwrap().len();
    assert!(kept > 0);

    let mut args = ANY.to_vec();
    args.push("--once");
    let (mut receiver, addr) = Running::receiver(there.path(), &args);
    let mut sender = Running::sender(&photo, &addr, &["--resume", "--hash"]);
    assert_eq!(receiver.event("accepted")["offset"], kept);
    assert_eq!(sender.event("accepted")["offset"], kept);
    // Only the rest travels.
    assert_eq!(sender.event("done")["bytes"], data.len() as u64 - kept);
    sender.exits(0);
    receiver.exits(0);
    assert!(fs::read(there.path().join("photo.jpg")).unwrap() == data);
    assert_eq!(names(there.path()), (vec!["photo.jpg".into()], vec![]));
}

#[test]
fn a_killed_sender_goes_on_where_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = content(1_000_000);
    let photo = file(here.path(), "photo.jpg", &data);
    let (mut receiver, addr) = Running::receiver(there.path(), &ANY);
    let mut sender = Running::sender(&photo, &gate(&addr, HALF), &["--resume"]);
    sender.event("progress");
    receiver.event("progress");
    sender.kill();
    receiver.event("failed");
    assert_eq!(names(there.path()).0, Vec::<String>::new());

    let mut sender = Running::sender(&photo, &addr, &["--resume"]);
    assert!(sender.event("accepted")["offset"].as_u64().unwrap() > 0);
    sender.exits(0);
    receiver.event("done");
    assert!(fs::read(there.path().join("photo.jpg")).unwrap() == data);
    assert_eq!(names(there.path()).1, Vec::<String>::new());
}

/// Its link stays up, as that of an account does for a while, and so nobody says that it is gone.
#[test]
fn the_file_of_a_sender_that_fell_silent_is_taken_again_with_once() {
    let there = tempfile::tempdir().unwrap();
    let (mut receiver, addr) =
        Running::receiver(there.path(), &["--resume", "--accept", "any", "--once"]);
    let offer = |peer: &mut Peer, sid: &str| {
        peer.say(&format!(
            "<iq type='set' id='{sid}'><si xmlns='http://jabber.org/protocol/si' id='{sid}' \
             profile='http://jabber.org/protocol/si/profile/file-transfer'>\
             <file xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='a' size='6' \
             hash='e80b5017098950fc58aad83c8c14978e'><range/></file>\
             <feature xmlns='http://jabber.org/protocol/feature-neg'><x xmlns='jabber:x:data' \
             type='form'><field var='stream-method' type='list-single'><option>\
             <value>http://jabber.org/protocol/ibb</value></option></field></x></feature></si></iq>"
        ));
        peer.answer(sid)
    };
    let (mut silent, mut again) = (Peer::connect(&addr), Peer::connect(&addr));
    assert!(offer(&mut silent, "s1").contains("result"));
    silent.open("s1");
    silent.data("s1", 0, "YWJj");
    receiver.event("progress");
    let answer = offer(&mut again, "s2");
    assert!(answer.contains("offset='3'"), "{answer}");
    assert_eq!(receiver.event("failed")["sid"], "s1");
    again.open("s2");
    again.data("s2", 0, "ZGVm");
    again.close("s2");
    receiver.event("done");
    receiver.exits(0);
    assert_eq!(fs::read(there.path().join("a")).unwrap(), b"abcdef");
    assert_eq!(names(there.path()), (vec!["a".into()], vec![]));
}

#[test]
fn a_changed_file_is_sent_from_the_beginning() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1_000_000));
    let (mut receiver, addr) = Running::receiver(there.path(), &ANY);
    let sender = Running::sender(&photo, &gate(&addr, HALF), &["--resume"]);
    receiver.event("progress");
    sender.kill();
    receiver.event("failed");
    let mut changed = content(1_000_000);
    changed[999_999] ^= 1;
    fs::write(&photo, &changed).unwrap();
    let mut sender = Running::sender(&photo, &addr, &["--resume"]);
    assert_eq!(sender.event("accepted")["offset"], 0);
    sender.exits(0);
    receiver.event("done");
    assert!(fs::read(there.path().join("photo.jpg")).unwrap() == changed);
}

#[test]
fn without_resume_a_broken_transfer_leaves_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1_000_000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any", "--once"]);
    let sender = Running::sender(&photo, &gate(&addr, HALF), &["--method", "ibb"]);
    receiver.event("progress");
    sender.kill();
    receiver.event("failed");
    receiver.exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn an_interrupted_receiver_tells_the_sender_and_keeps_its_part() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1_000_000));
    for (resume, kept) in [(true, 1), (false, 0)] {
        let args = if resume { &ANY[..] } else { &ANY[1..] };
        let (mut receiver, addr) = Running::receiver(there.path(), args);
        let mut sender = Running::sender(&photo, &gate(&addr, HALF), &["--resume"]);
        receiver.event("progress");
        receiver.interrupt();
        receiver.event("failed");
        // Once more, while it cleans up.
        receiver.interrupt();
        receiver.exits(1);
        let failed = sender.event("failed");
        let reason = failed["reason"].as_str().unwrap();
        assert!(reason.contains("the peer ended the transfer"), "{reason}");
        sender.exits(1);
        let (files, partial) = names(there.path());
        assert_eq!((files.len(), partial.len()), (0, kept), "{partial:?}");
        for name in partial {
            fs::remove_file(there.path().join(name)).unwrap();
        }
    }
}

#[test]
fn an_interrupted_sender_tells_the_receiver() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(50_000_000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let slowly = ["--method", "ibb", "--block-size", "256", "--window", "1"];
    let mut sender = Running::sender(&photo, &addr, &slowly);
    sender.event("progress");
    sender.interrupt();
    sender.event("failed");
    sender.exits(1);
    let failed = receiver.event("failed");
    assert!(failed["reason"].is_string());
    assert_eq!(names(there.path()), (vec![], vec![]));
    assert!(receiver.is_running());
}

#[test]
fn an_idle_receiver_ends_when_interrupted() {
    let there = tempfile::tempdir().unwrap();
    for (args, code) in [
        (&["--accept", "any"][..], 0),
        (&["--accept", "any", "--once"], 1),
    ] {
        let (receiver, _) = Running::receiver(there.path(), args);
        receiver.interrupt();
        receiver.exits(code);
    }
}

#[test]
fn an_offer_that_nobody_answers_can_be_interrupted() {
    let here = tempfile::tempdir().unwrap();
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let sender = Running::sender(&photo, &addr, &[]);
    let (_stream, _) = silent.accept().unwrap();
    sender.interrupt();
    sender.exits(1);
}

/// The shell's bound on the size of a file stands for a disk that is full: writing fails midway.
#[test]
fn a_full_disk_ends_the_transfer_and_leaves_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_bytestreams"))
        .args(["receive", "--json", "--once", "--accept", "any"])
        .args(["--listen", "127.0.0.1:0", "--dir"])
        .arg(there.path())
        .stdin(std::process::Stdio::null());
    let mut receiver = Running::start(shell);
    let addr = receiver.event("listening")["addr"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut sender = Running::sender(&photo, &addr, &[]);
    let failed = receiver.event("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("no space"),
        "{failed}"
    );
    receiver.exits(1);
    sender.event("failed");
    sender.exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn a_directory_that_went_away_is_a_clear_failure() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inbox = there.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let (mut receiver, addr) = Running::receiver(&inbox, &["--accept", "any", "--once"]);
    fs::remove_dir(&inbox).unwrap();
    let sender = Running::sender(&photo, &addr, &[]);
    assert!(
        receiver.event("failed")["reason"]
            .as_str()
            .unwrap()
            .contains("cannot create")
    );
    receiver.exits(1);
    sender.exits(3);
}

#[test]
fn who_reads_no_output_breaks_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(100_000));
    let (receiver, addr) = Running::receiver(there.path(), &["--accept", "any", "--once"]);
    let mut command = command(&["send", "--to", &addr]);
    let mut sender = command
        .arg(&photo)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(sender.stdout.take());
    assert!(sender.wait().unwrap().success());
    receiver.exits(0);
}

#[test]
fn a_file_that_is_spoilt_on_its_way_fails_at_both_ends() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &[b'A'; 30_000]);
    let mut args = ANY.to_vec();
    args.push("--once");
    let (mut receiver, addr) = Running::receiver(there.path(), &args);
    let mut sender = Running::sender(
        &photo,
        &spoiler(&addr, b"QUFBQUFB", b"QUFBQUFC"),
        &["--resume"],
    );
    let differs = "differs from the one announced";
    for (end, why) in [(&mut sender, differs), (&mut receiver, "does not match")] {
        let failed = end.event("failed");
        let reason = failed["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
    }
    sender.exits(1);
    receiver.exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));
}
