//! Files over sockets beside the link, between two processes without a server.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;

use common::{Running, command, content, crossed, dam, file, names};
use std::fs;
use std::net::TcpListener;

/// An address at which nobody listens, now.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn files_go_directly_by_default() {
    let direct = ("socks5", "direct");
    for size in [0, 1, 3_000_000] {
        crossed(&content(size), &[], &[], direct);
    }
    let data = content(300_000);
    for args in [
        &["--method", "socks5"][..],
        &["--direct-listen", "127.0.0.1:0"],
        &["--no-proxy", "--resume"],
    ] {
        crossed(&data, args, &["--method", "socks5"], direct);
    }
    let (sent, received) = crossed(&data, &["--hash"], &["--hash"], direct);
    assert!(sent["sha256"].as_str().is_some_and(|hash| hash.len() == 64));
    assert_eq!(sent["sha256"], received["sha256"]);
}

#[test]
fn a_stream_without_an_offer_goes_directly_too() {
    let data = content(1_000_000);
    let allowed = ["--allow-unannounced"];
    crossed(&data, &["--no-si"], &allowed, ("socks5", "direct"));
}

#[test]
fn what_cannot_go_directly_goes_in_band_and_says_so() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = content(300_000);
    let photo = file(here.path(), "photo.jpg", &data);
    let nobody = free();
    for (to_sender, to_receiver) in [
        (&["--no-direct", "--streamhost", &nobody][..], &[][..]),
        (&[], &["--proxy-only"]),
    ] {
        let mut args = vec!["--accept", "any", "--once"];
        args.extend_from_slice(to_receiver);
        let (mut receiver, addr) = Running::receiver(there.path(), &args);
        let mut sender = Running::sender(&photo, &addr, to_sender);
        let sid = receiver.event("offered")["sid"].clone();
        for end in [&mut sender, &mut receiver] {
            assert_eq!(end.event("accepted")["method"], "socks5");
            let fell = end.event("fell-back");
            assert_eq!(
                (&fell["from"], &fell["to"]),
                (&"socks5".into(), &"ibb".into())
            );
            assert_eq!(fell["sid"], sid);
            assert!(
                fell["reason"].as_str().is_some_and(|why| !why.is_empty()),
                "{fell}"
            );
            let done = end.event("done");
            assert_eq!(
                (&done["method"], &done["via"]),
                (&"ibb".into(), &"ibb".into())
            );
        }
        sender.exits(0);
        receiver.exits(0);
        fs::remove_file(there.path().join("photo.jpg")).unwrap();
    }
}

#[test]
fn what_may_go_over_socks5_alone_fails_where_that_fails() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let nobody = free();
    let args = ["--method", "socks5", "--no-direct", "--streamhost", &nobody];
    let mut sender = Running::sender(&photo, &addr, &args);
    assert!(sender.event("failed")["reason"].is_string());
    sender.exits(1);
    receiver.event("failed");
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn two_that_have_no_method_in_common_say_so() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let args = ["--accept", "any", "--method", "ibb"];
    let (_receiver, addr) = Running::receiver(there.path(), &args);
    let mut sender = Running::sender(&photo, &addr, &["--method", "socks5"]);
    let failed = sender.event("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("in common"),
        "{failed}"
    );
    sender.exits(1);
}

#[test]
fn a_killed_receiver_goes_on_where_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // More than the system buffers between the two.
    let data = content(40_000_000);
    let photo = file(here.path(), "photo.jpg", &data);
    let any = ["--resume", "--accept", "any"];
    let (mut receiver, addr) = Running::receiver(there.path(), &any);
    let listening = free();
    let gate = dam(listening.clone(), 4_000_000);
    let args = [
        "--resume",
        "--direct-listen",
        &listening,
        "--streamhost",
        &gate,
    ];
    let mut sender = Running::sender(&photo, &addr, &args);
    while receiver.event("progress")["done"].as_u64().unwrap() < 2_000_000 {}
    receiver.kill();
    sender.event("failed");
    sender.exits(1);
    let (files, partial) = names(there.path());
    assert_eq!((files.len(), partial.len()), (0, 1));
    let kept = fs::metadata(there.path().join(&partial[0])).unwrap().len();
    assert!(kept > 1_000_000, "{kept}");

    let (mut receiver, addr) = Running::receiver(there.path(), &any);
    let mut sender = Running::sender(&photo, &addr, &["--resume"]);
    assert_eq!(receiver.event("accepted")["offset"], kept);
    assert_eq!(sender.event("done")["bytes"], data.len() as u64 - kept);
    sender.exits(0);
    assert_eq!(receiver.event("done")["via"], "direct");
    assert!(fs::read(there.path().join("photo.jpg")).unwrap() == data);
    assert_eq!(names(there.path()), (vec!["photo.jpg".into()], vec![]));
}

#[test]
fn a_killed_sender_leaves_no_short_file() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(40_000_000));
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let listening = free();
    let gate = dam(listening.clone(), 4_000_000);
    let args = ["--direct-listen", &listening, "--streamhost", &gate];
    let sender = Running::sender(&photo, &addr, &args);
    receiver.event("progress");
    sender.kill();
    receiver.event("failed");
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[cfg(unix)]
#[test]
fn an_interrupted_sender_tells_the_receiver() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = here.path().join("large");
    // It takes a while.
    let large = fs::File::create(&path).unwrap();
    large.set_len(2 << 30).unwrap();
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut sender = Running::sender(&path, &addr, &["--method", "socks5"]);
    sender.event("progress");
    sender.interrupt();
    sender.event("failed");
    sender.exits(1);
    receiver.event("failed");
    assert!(receiver.is_running());
    assert_eq!(names(there.path()), (vec![], vec![]));
}

/// The most memory that a process has had, in KiB.
#[cfg(target_os = "linux")]
fn peak(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_file_takes_little_memory() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = here.path().join("large");
    let large = fs::File::create(&path).unwrap();
    large.set_len(256 << 20).unwrap();
    let (mut receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
    let mut sender = Running::sender(&path, &addr, &[]);
    while sender.event("progress")["done"].as_u64().unwrap() < 128 << 20 {}
    let sender_peak = peak(&sender);
    sender.event("done");
    receiver.event("done");
    for peak in [sender_peak, peak(&receiver)] {
        assert!(peak < 64 << 10, "{peak} KiB");
    }
    assert_eq!(
        fs::metadata(there.path().join("large")).unwrap().len(),
        256 << 20
    );
}

#[test]
fn sentences_tell_the_way() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", b"hello");
    let nobody = free();
    for (args, words) in [
        (&[][..], &["Accepted, over SOCKS5.", "5 bytes directly"][..]),
        (
            &["--no-direct", "--streamhost", &nobody],
            &["Going on in band: ", "5 bytes in band"],
        ),
    ] {
        let (_receiver, addr) = Running::receiver(there.path(), &["--accept", "any"]);
        let mut command = command(&["send", "--to", &addr]);
        command.args(args).arg(&photo);
        let sent = Running::start(command).exits(0);
        for words in words {
            assert!(sent.out.contains(words), "{words}: {}", sent.out);
        }
    }
}

#[test]
fn a_receiver_that_takes_proxies_only_says_what_to_do_where_none_is_named() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(1000));
    let args = ["--once", "--accept", "any", "--proxy-only"];
    let (mut receiver, addr) = Running::receiver(there.path(), &args);
    let mut sender = Running::sender(&photo, &addr, &["--method", "socks5"]);
    let failed = receiver.event("failed");
    assert_eq!(
        failed["reason"],
        "the SOCKS5 bytestream failed: the peer offers no StreamHost that may be used here; have \
         the peer name a proxy, allow direct connections here, or have it sent in band"
    );
    sender.event("failed");
    sender.exits(1);
    receiver.exits(1);
}
