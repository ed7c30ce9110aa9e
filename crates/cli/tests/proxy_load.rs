//! `bytestreams proxy` with many sessions at once, and under attack. The figures are printed;
//! `BYTESTREAMS_FULL=1` makes them those that were asked for, and holds the speed against them.
//!
//! `BYTESTREAMS_FULL=1 cargo test --release -p bytestreams-cli --test proxy_load -- --nocapture`
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(
    clippy::std_instead_of_alloc,
    reason = "a test of the standard library"
)]

mod common;
mod proxied;

use bytestreams_stanza::{Jid, Sid};
use bytestreams_tokio::proxy::{DstAddr, raise_open_files};
use common::{LONG, Running, content};
use core::net::SocketAddr;
use core::time::Duration;
use proxied::{JULIET, Proxied, ROMEO, shaken};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

fn full() -> bool {
    std::env::var_os("BYTESTREAMS_FULL").is_some()
}

/// The resident memory of a process, in KiB.
fn memory(of: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", of.id())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The sockets that a process has open.
fn sockets(of: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", of.id()))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter(|what| what.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Both tests want the machine for themselves.
static ALONE: Mutex<()> = Mutex::new(());

fn start(sessions: usize) -> Proxied {
    raise_open_files();
    let sessions = sessions.to_string();
    let connections = "100000";
    Proxied::start(&[
        "--max-sessions",
        &sessions,
        "--max-sessions-a-user",
        &sessions,
        "--max-connections-a-source",
        connections,
    ])
}

/// The Target and the Requester of a session.
fn session(proxy: &mut Proxied, sid: &str) -> (TcpStream, TcpStream) {
    let jid = |text| Jid::new(text).unwrap();
    let hash = DstAddr::new(&Sid::new(sid).unwrap(), &jid(ROMEO), &jid(JULIET));
    let connect = || shaken(TcpStream::connect(&proxy.addr).unwrap(), hash.as_str()).unwrap();
    let pair = (connect(), connect());
    proxy.link.activate(sid);
    pair
}

/// Sends so many octets through a session and answers how many MB a second that made.
fn rate(pair: (TcpStream, TcpStream), octets: usize) -> f64 {
    let (mut target, mut requester) = pair;
    let piece = content(256 << 10);
    let began = Instant::now();
    let sender = thread::spawn(move || {
        for _ in 0..octets / piece.len() {
            requester.write_all(&piece).unwrap();
        }
        requester.shutdown(Shutdown::Write).unwrap();
        requester
    });
    let mut buffer = vec![0; 256 << 10];
    let mut got = 0;
    loop {
        match target.read(&mut buffer).unwrap() {
            0 => break,
            n => got += n,
        }
    }
    drop(sender.join().unwrap());
    assert_eq!(got, octets);
    got as f64 / began.elapsed().as_secs_f64() / 1e6
}

#[test]
fn many_sessions_are_relayed_at_once() {
    let _alone = ALONE.lock();
    let count = if full() { 2_000 } else { 200 };
    let mut proxy = start(count);
    let (memory_before, sockets_before) = (memory(&proxy.program), sockets(&proxy.program));
    let mut sessions: Vec<_> = (0..count)
        .map(|n| session(&mut proxy, &format!("stream-{n}")))
        .collect();
    let idle = memory(&proxy.program);
    let piece = content(64 << 10);
    let began = Instant::now();
    let rounds = 4;
    let mut highest = idle;
    for _ in 0..rounds {
        // Every session has octets on their way before any receiver reads.
        for (_, requester) in &mut sessions {
            requester.write_all(&piece).unwrap();
        }
        highest = highest.max(memory(&proxy.program));
        let mut got = vec![0; piece.len()];
        for (target, _) in &mut sessions {
            target.read_exact(&mut got).unwrap();
            assert!(got == piece);
        }
    }
    let took = began.elapsed().as_secs_f64();
    let moved = rounds * count * piece.len();
    println!(
        "{count} sessions: {} KiB at rest, {idle} KiB with all idle ({:.1} KiB a session), \
         at most {highest} KiB with octets in all; {:.0} MB/s in all",
        memory_before,
        idle.saturating_sub(memory_before) as f64 / count as f64,
        moved as f64 / took / 1e6
    );
    for (target, requester) in sessions {
        drop((target, requester));
    }
    for _ in 0..count {
        proxy.program.event("ended");
    }
    assert_eq!(sockets(&proxy.program), sockets_before);
    // Generous: what a session takes is a few kilobytes.
    // The system may take pages back meanwhile.
    assert!(idle < memory_before + 64 * count as u64);
    assert!(highest < memory_before + 64 * count as u64);
}

/// Opens connections from many addresses, says one octet on each, and holds them; those that the
/// proxy closes are opened anew, `a_second` of them. Says when it holds all, and goes on until the other
/// end of `stop` is gone.
fn attack(
    to: SocketAddr,
    connections: usize,
    a_second: u32,
    full: &Sender<()>,
    stop: &Receiver<()>,
) {
    let wait = |time| stop.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    let mut open = VecDeque::new();
    let mut opened = 0;
    let mut next = || -> Option<TcpStream> {
        // 256 addresses, so that none of them has more than its share.
        let from = SocketAddr::from(([127, 1, 0, (opened % 256) as u8], 0));
        opened += 1;
        let mut stream = connect_from(from, to)?;
        stream.write_all(&[5]).ok()?;
        Some(stream)
    };
    while open.len() < connections && wait(Duration::ZERO) {
        open.extend(next());
    }
    let _ = full.send(());
    while wait(Duration::from_secs(1) / a_second) {
        open.pop_front();
        open.extend(next());
    }
}

fn connect_from(from: SocketAddr, to: SocketAddr) -> Option<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .ok()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(from)?;
        socket.connect(to).await?.into_std()
    });
    stream.ok()
}

#[test]
fn an_attacker_who_shakes_no_hands_costs_others_little() {
    let _alone = ALONE.lock();
    let (connections, octets) = if full() {
        (10_000, 2 << 30)
    } else {
        (500, 64 << 20)
    };
    let mut proxy = start(64);
    let mut sids = 0..;
    let mut pair = |proxy: &mut Proxied| {
        let sid = format!("stream-{}", sids.next().unwrap());
        session(proxy, &sid)
    };
    let mut measure = |proxy: &mut Proxied| {
        let mut rates: Vec<f64> = (0..3).map(|_| rate(pair(proxy), octets)).collect();
        rates.sort_by(f64::total_cmp);
        rates[1]
    };
    let before = measure(&mut proxy);
    let (memory_before, sockets_before) = (memory(&proxy.program), sockets(&proxy.program));
    let to: SocketAddr = proxy.addr.parse().unwrap();
    let ((full_now, holds_all), (stop, stopped)) = (channel(), channel());
    let attacker = thread::spawn(move || attack(to, connections, 500, &full_now, &stopped));
    holds_all.recv_timeout(LONG).expect("all connections held");
    let (memory_then, sockets_then) = (memory(&proxy.program), sockets(&proxy.program));
    let during = measure(&mut proxy);
    drop(stop);
    attacker.join().unwrap();
    println!(
        "{connections} half-open handshakes: {memory_before} KiB and {sockets_before} sockets before, \
         {memory_then} KiB and {sockets_then} sockets then; {before:.0} MB/s before, {during:.0} MB/s \
         then, {:.2} of it",
        during / before
    );
    // Handshakes at once are bounded, whoever begins them.
    assert!(sockets_then < sockets_before + 1_100);
    assert!(memory_then < memory_before + 16 * 1024);
    if full() {
        assert!(during >= 0.7 * before);
    }
}
