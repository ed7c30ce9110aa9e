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
    let logins = file(dir.path(), "logins", b"romeo:secret\n");
    let logins = logins.to_str().unwrap();
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
            vec!["receive", "--dir", inbox, "--listen", "nonsense"],
            "HOST:PORT",
        ),
        (
            vec!["upload-server", "--dir", photo, "--listen", to],
            "--dir",
        ),
        (
            vec![
                "upload-server",
                "--dir",
                inbox,
                "--listen",
                to,
                "--auth",
                logins,
            ],
            "--hash-password",
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
fn a_directory_that_takes_nothing_is_named_and_no_other_file() {
    let err = refused(&["receive", "--dir", "/no/such/dir", "--listen", "[::1]:9"]);
    assert!(err.contains("/no/such/dir: No such file"), "{err}");
    assert!(!err.contains(".tmp"), "{err}");
}

/// A standard error on which every write fails.
#[cfg(target_os = "linux")]
#[test]
fn the_exit_status_is_right_though_nobody_can_be_told() {
    let full = || {
        let device = std::fs::OpenOptions::new().write(true).open("/dev/full");
        std::process::Stdio::from(device.unwrap())
    };
    let status = |args: &[&str], to_out: bool| {
        let mut command = command(args);
        command.stderr(full());
        if to_out {
            command.stdout(full());
        }
        command.status().unwrap().code()
    };
    let send = ["send", "/no/such/file", "--to", "127.0.0.1:9"];
    assert_eq!(status(&send, false), Some(2));
    assert_eq!(status(&send, true), Some(2));
    assert_eq!(status(&["demo"], true), Some(0));
    // This one has nothing else to do than to tell.
    let dir = tempfile::tempdir().unwrap();
    let password = file(dir.path(), "password", b"open sesame\n");
    let mut command = command(&["upload-server", "--hash-password"]);
    command.stdin(std::fs::File::open(password).unwrap());
    command.stdout(full()).stderr(full());
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn programs_are_told_of_every_failure_by_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let photo = file(dir.path(), "photo.jpg", &content(10));
    let photo = photo.to_str().unwrap();
    for (args, status) in [
        (vec!["send", photo, "--to", "a@b.example", "--json"], 2),
        (
            vec!["send", "/no/such/file", "--to", "a@b.example", "--json"],
            2,
        ),
        (vec!["demo", "/no/such/file", "--json"], 2),
        (vec!["upload", photo, "ws://[::1", "--json"], 2),
        (
            vec![
                "receive", "--dir", photo, "--listen", "[::1]:9", "--accept", "any", "--json",
            ],
            2,
        ),
    ] {
        let (is, out, err) = run(&args);
        assert_eq!(is, status, "{args:?}: {err}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
        let event: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(event["event"], "failed", "{out}");
        assert!(
            event["reason"].is_string() && event["sid"].is_null(),
            "{out}"
        );
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
        // What is of no account does not stand under that heading.
        let [json, account] = ["--json", "Account:"].map(|text| out.find(text).unwrap());
        assert!(json < account, "{out}");
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
    let event: serde_json::Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!(event["event"], "failed");
    let (status, _, err) = run(&["upload", photo.to_str().unwrap(), &format!("ws://{free}/")]);
    assert_eq!(status, 4, "{err}");
    assert!(err.contains("check the address"), "{err}");
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
