//! `bytestreams proxy` as a child process, with a server for it to join and clients of it.
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;
mod proxied;

use common::{LONG, Running, command, content, run};
use proxied::{HASH, JULIET, Link, PROXY, Proxied, ROMEO};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

/// Waits until nobody listens there any more.
fn until_deaf(addr: &str) {
    let until = Instant::now() + LONG;
    while TcpStream::connect(addr).is_ok() {
        assert!(Instant::now() < until, "it listens still");
    }
}

#[test]
fn it_relays_and_tells_programs_so() {
    let mut proxy = Proxied::start(&["--metrics", "127.0.0.1:0"]);
    let (mut target, mut requester) = proxy.session();
    let activated = proxy.program.event("activated");
    assert_eq!(activated["session"], HASH);
    assert_eq!(activated["requester"], ROMEO);
    assert_eq!(activated["target"], JULIET);
    let sent = content(3 << 20);
    let sending = std::thread::spawn({
        let sent = sent.clone();
        move || {
            requester.write_all(&sent).unwrap();
            requester.shutdown(Shutdown::Write).unwrap();
            let mut back = Vec::new();
            requester.read_to_end(&mut back).unwrap();
            back
        }
    });
    let mut got = Vec::new();
    target.read_to_end(&mut got).unwrap();
    target.write_all(b"thanks").unwrap();
    drop(target);
    assert!(got == sent);
    assert_eq!(sending.join().unwrap(), b"thanks");
    let ended = proxy.program.event("ended");
    assert_eq!(ended["session"], HASH);
    assert_eq!(ended["bytes"], sent.len() as u64 + 6);
    assert_eq!(ended["how"], "complete");

    assert_eq!(
        metric(&proxy, "relayed_octets_total"),
        sent.len() as u64 + 6
    );
}

/// Asks for the state and takes one number of it.
fn metric(proxy: &Proxied, name: &str) -> u64 {
    let addr = proxy.listening["metrics"].as_str().unwrap();
    let mut asked = TcpStream::connect(addr).unwrap();
    asked.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    asked.read_to_string(&mut answer).unwrap();
    let name = format!("bytestreams_proxy_{name} ");
    let value = answer.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn clients_wait_while_no_file_may_be_opened() {
    let mut proxy = Proxied::start(&["--metrics", "127.0.0.1:0"]);
    let id = proxy.program.id().to_string();
    let limit = |files: usize| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &id, &format!("--nofile={files}:")]);
        assert!(prlimit.status().unwrap().success());
    };
    limit(std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count());
    let mut client = TcpStream::connect(&proxy.addr).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.write_all(&[5, 1, 0]).unwrap();
    proxy.program.event("accept-failed");
    limit(100);
    let mut greeted = [0; 2];
    client.read_exact(&mut greeted).unwrap();
    assert_eq!(greeted, [5, 0]);
    // It has waited between two attempts, and not worn itself out.
    let errors = metric(&proxy, "accept_errors_total");
    assert!((1..=1200).contains(&errors), "{errors} errors");
}

#[cfg(unix)]
#[test]
fn the_first_signal_waits_for_sessions_and_leaves_in_order() {
    let mut proxy = Proxied::start(&[]);
    let (mut target, mut requester) = proxy.session();
    proxy.program.event("activated");
    proxy.program.interrupt();
    // It has stopped to listen when it has stopped.
    until_deaf(&proxy.addr);
    requester.write_all(b"to the end").unwrap();
    drop(requester);
    let mut got = Vec::new();
    target.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"to the end");
    drop(target);
    proxy.link.heard("</stream:stream>");
    drop(proxy.link);
    let finished = proxy.program.exits(0);
    let stopped: Value = serde_json::from_str(finished.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        stopped,
        serde_json::json!({"event": "stopped", "sessions": 1, "bytes": 10, "cut": 0})
    );
}

#[cfg(unix)]
#[test]
fn the_second_signal_cuts_sessions_off() {
    let mut proxy = Proxied::start(&[]);
    let (mut target, _requester) = proxy.session();
    proxy.program.event("activated");
    proxy.program.interrupt();
    until_deaf(&proxy.addr);
    proxy.program.interrupt();
    let error = target.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let finished = proxy.program.exits(1);
    assert!(finished.out.contains("\"cut\":1"), "{}", finished.out);
}

#[cfg(unix)]
#[test]
fn it_says_what_the_limit_of_open_files_leaves() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 400 && exec \"$0\" proxy --json \"$@\""]);
    limited.arg(env!("CARGO_BIN_EXE_bytestreams"));
    let mut proxy = Proxied::of(limited, &["--drain", "0"]);
    drop(proxy.session());
    proxy.program.event("ended");
    proxy.program.interrupt();
    drop(proxy.link);
    let finished = proxy.program.exits(0);
    assert!(
        finished.err.contains("Only 118 sessions at once"),
        "{}",
        finished.err
    );
    assert!(finished.err.contains("400 files"), "{}", finished.err);
}

#[test]
fn a_wrong_secret_is_told_with_the_status_for_logins() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let mut command = command(&["proxy", "--component", PROXY, "--server", &to]);
    command
        .args(["--listen", "127.0.0.1:0", "--host", "localhost"])
        .env("BYTESTREAMS_SECRET", "test");
    let program = Running::start(command);
    let _link = Link::accept(
        &server,
        "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         </stream:error></stream:stream>",
    );
    let finished = program.exits(4);
    assert!(finished.err.contains("not-authorized"), "{}", finished.err);
    assert!(!finished.err.contains("test"), "{}", finished.err);
}

#[test]
fn mistakes_are_told_with_a_hint() {
    let good = [
        "proxy",
        "--component",
        PROXY,
        "--server",
        "127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
        "--host",
        "localhost",
    ];
    let with = |flag: &str, value: &'static str| {
        let mut args = good.to_vec();
        match args.iter().position(|arg| *arg == flag) {
            Some(at) => args[at + 1] = value,
            None => args.extend([flag.to_owned().leak(), value]),
        }
        args
    };
    let mut any = good.to_vec();
    any.extend(["--allow-any", "--allow", "montague.lit"]);
    for (args, hint) in [
        (good.to_vec(), "BYTESTREAMS_SECRET"),
        (with("--secret-file", "/no/such/file"), "cannot read"),
        (with("--component", "romeo@montague.lit"), "domain"),
        (with("--server", "localhost"), "HOST:PORT"),
        (with("--listen", "1080"), "HOST:PORT"),
        (with("--host", "localhost:1080"), "without a port"),
        (with("--allow", "romeo@montague.lit"), "domain"),
        (with("--max-sessions", "0"), "--max-sessions"),
        (any, "--allow-any"),
        (good[..3].to_vec(), "--server"),
    ] {
        let (status, out, err) = run(&args);
        assert_eq!(status, 2, "{args:?}: {out}{err}");
        assert!(err.contains(hint), "{args:?}: {err}");
    }
}

#[test]
fn a_component_without_a_domain_above_it_says_whom_to_serve() {
    let mut command = command(&["proxy", "--component", "proxy", "--server", "127.0.0.1:9"]);
    command
        .args(["--listen", "127.0.0.1:0", "--host", "localhost"])
        .env("BYTESTREAMS_SECRET", "test");
    let finished = Running::start(command).exits(2);
    assert!(finished.err.contains("--allow DOMAIN"), "{}", finished.err);
}
