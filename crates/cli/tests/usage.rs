//! Mistakes on the command line, and what cannot be reached.

mod common;

use common::{Running, command, content, file, run};
use std::net::TcpListener;

/// Runs what must be refused with exit status 2, and gives what it says.
#[track_caller]
fn refused(args: &[&str]) -> String {
    let (status, out, err) = run(args);
    assert_eq!(status, 2, "{args:?}: {out}{err}");
    assert_eq!(out, "", "{args:?}");
    err
}

#[test]
fn mistakes_are_told_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let inbox = dir.path().to_str().unwrap();
    let photo = file(dir.path(), "photo.jpg", &content(10));
    let photo = photo.to_str().unwrap();
    let to = "127.0.0.1:9";
    for (args, hint) in [
        (vec!["send", "-", "--to", to], "write it to a file first"),
        (vec!["send", inbox, "--to", to], "pack it first"),
        (vec!["send", "/no/such/file", "--to", to], "cannot read"),
        (vec!["send", photo], "--to"),
        (vec!["send", photo, "--to", "@"], "HOST:PORT"),
        (vec!["send", photo, "--to", "a@b.example"], "--jid"),
        (vec!["send", photo, "--to", to, "--window", "0"], "auto"),
        (
            vec!["send", photo, "--to", to, "--block-size", "255"],
            "256",
        ),
        (
            vec!["send", photo, "--to", to, "--block-size", "65536"],
            "65535",
        ),
        (vec!["send", photo, "--to", to, "--method", "smoke"], "ibb"),
        (
            vec!["send", photo, "--to", to, "--no-si", "--resume"],
            "--resume",
        ),
        (vec!["send", photo, "--to", to, "--server", "a:1"], "--jid"),
        (
            vec!["send", photo, "--to", to, "--jid", "a@b.example"],
            "BYTESTREAMS_PASSWORD",
        ),
        (vec!["receive", "--dir", inbox], "--listen"),
        (vec!["receive", "--listen", to], "--dir"),
        (
            vec![
                "receive",
                "--dir",
                inbox,
                "--listen",
                to,
                "--jid",
                "a@b.example",
            ],
            "cannot be used",
        ),
        (
            vec![
                "receive",
                "--dir",
                inbox,
                "--listen",
                to,
                "--accept",
                "a@b.example",
            ],
            "--accept any",
        ),
        (
            vec![
                "receive", "--dir", inbox, "--listen", to, "--accept", "any,@",
            ],
            "commas",
        ),
        (vec!["receive", "--dir", photo, "--listen", to], "--dir"),
        (
            vec!["receive", "--dir", "/no/such/dir", "--listen", to],
            "--dir",
        ),
        (
            vec![
                "receive",
                "--dir",
                inbox,
                "--jid",
                "b.example",
                "--accept",
                "any",
            ],
            "USER@DOMAIN",
        ),
        (
            vec!["send", photo, "--to", to, "--method", "ibb", "--no-proxy"],
            "--no-proxy",
        ),
        (
            vec!["send", photo, "--to", to, "--no-proxy", "--no-direct"],
            "--method ibb",
        ),
        (
            vec!["send", photo, "--to", to, "--no-direct"],
            "--method ibb",
        ),
        (
            vec![
                "send",
                photo,
                "--to",
                to,
                "--no-direct",
                "--direct-listen",
                to,
            ],
            "cannot be used",
        ),
        (vec!["send", photo, "--to", to, "--proxy-only"], "--jid"),
        (
            vec!["send", photo, "--to", to, "--proxy", "proxy.example"],
            "--jid",
        ),
        (vec!["send", photo, "--to", to, "--proxy", "@"], "--proxy"),
        (
            vec!["send", photo, "--to", to, "--streamhost", "example"],
            "HOST:PORT",
        ),
        (
            vec![
                "receive",
                "--dir",
                inbox,
                "--listen",
                to,
                "--allow-host",
                "10.0.0.0/33",
            ],
            "10.0.0.0/8",
        ),
        (
            vec![
                "receive",
                "--dir",
                inbox,
                "--listen",
                to,
                "--method",
                "ibb",
                "--proxy-only",
            ],
            "--proxy-only",
        ),
        (vec!["demo", "--fast"], "--fast"),
        (vec![], "Usage"),
    ] {
        let err = refused(&args);
        assert!(err.contains(hint), "{args:?} without {hint:?}: {err}");
    }
}

#[test]
fn an_address_takes_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let photo = file(dir.path(), "photo.jpg", &content(10));
    let mut command = command(&["send", "--to", "127.0.0.1:9", "--jid", "a@b.example"]);
    command.arg(photo).env("BYTESTREAMS_PASSWORD", "secret");
    let finished = Running::start(command).exits(2);
    assert!(finished.err.contains("leave --jid out"), "{}", finished.err);
}

#[test]
fn help_says_what_is_not_safe_and_gives_examples() {
    for sub in ["send", "receive"] {
        let (status, out, _) = run(&[sub, "--help"]);
        assert_eq!(status, 0);
        let words: Vec<&str> = out.split_whitespace().collect();
        let out = words.join(" ");
        assert!(out.contains("nauthenticated and in clear"), "{out}");
        assert!(out.contains("Examples:"), "{out}");
        assert!(out.contains("BYTESTREAMS_PASSWORD"), "{out}");
    }
}

#[test]
fn nobody_listening_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let photo = file(dir.path(), "photo.jpg", &content(10));
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let finished = Running::sender(&photo, &free.to_string(), &[]).exits(4);
    assert!(finished.err.starts_with("error: "), "{}", finished.err);
    assert!(finished.err.contains("cannot connect"), "{}", finished.err);
}

#[test]
fn an_address_in_use_cannot_be_listened_on() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (status, _, err) = run(&[
        "receive",
        "--listen",
        &addr,
        "--accept",
        "any",
        "--dir",
        dir.path().to_str().unwrap(),
    ]);
    assert_eq!(status, 4, "{err}");
}

#[test]
fn a_server_that_is_not_there_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let secret = file(dir.path(), "secret", b"open sesame\n");
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (status, out, err) = run(&[
        "receive",
        "--json",
        "--accept",
        "any",
        "--jid",
        "juliet@example.org",
        "--server",
        &free.to_string(),
        "--tls",
        "insecure-plaintext",
        "--password-file",
        secret.to_str().unwrap(),
        "--dir",
        dir.path().to_str().unwrap(),
    ]);
    assert_eq!(status, 4, "{out}{err}");
    assert!(!err.contains("sesame"), "{err}");
}
