//! The relay of the proxy, between sockets of its own.
#![cfg(feature = "proxy")]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests are of the standard library"
)]

mod common;

use bytes::Bytes;
use bytestreams_tokio::proxy::{End, Relayed, Relays};
use common::{octets, soon};
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MIB: usize = 1 << 20;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Two connected sockets.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let (far, near) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (far.expect("connected"), near.expect("accepted").0)
}

/// The far ends of a session.
async fn session(relays: &Arc<Relays>) -> (TcpStream, TcpStream, JoinHandle<Relayed>) {
    session_with(relays, Default::default()).await
}

async fn session_with(
    relays: &Arc<Relays>,
    early: [Bytes; 2],
) -> (TcpStream, TcpStream, JoinHandle<Relayed>) {
    let ((a, near_a), (b, near_b)) = (pair().await, pair().await);
    let relay = relays.relay([near_a, near_b], early);
    (a, b, tokio::spawn(relay))
}

/// With the kernel's pipes, and without.
fn engines() -> [Arc<Relays>; 2] {
    [Relays::new(8, LONG), Relays::new(0, LONG)]
}

async fn ended(relay: JoinHandle<Relayed>) -> Relayed {
    soon(relay).await.expect("no panic")
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    soon(stream.read_to_end(&mut got)).await.expect("an end");
    got
}

async fn read_error(stream: &mut TcpStream) -> ErrorKind {
    let mut got = Vec::new();
    let read = soon(stream.read_to_end(&mut got)).await;
    read.expect_err("no end in order").kind()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_arrive_both_ways_at_once_and_an_end_is_passed_on() {
    for relays in engines() {
        let (mut a, mut b, relay) = session(&relays).await;
        let (there, back) = (octets(9 * MIB + 1), octets(5 * MIB + 3));
        let (mut a_in, mut a_out) = a.split();
        let (mut b_in, mut b_out) = b.split();
        let (mut at_a, mut at_b) = (Vec::new(), Vec::new());
        let all = async {
            tokio::try_join!(
                async {
                    a_out.write_all(&there).await?;
                    a_out.shutdown().await
                },
                async {
                    b_out.write_all(&back).await?;
                    b_out.shutdown().await
                },
                a_in.read_to_end(&mut at_a),
                b_in.read_to_end(&mut at_b),
            )
        };
        soon(all).await.expect("no error");
        assert!(at_a == back && at_b == there);
        let relayed = ended(relay).await;
        assert!(matches!(relayed.end, End::Complete), "{:?}", relayed.end);
        assert_eq!(relayed.octets, [there.len() as u64, back.len() as u64]);
        assert_eq!(relays.octets(), (there.len() + back.len()) as u64);
        assert_eq!(relays.pipes(), 0);
    }
}

#[tokio::test]
async fn one_direction_goes_on_after_the_end_of_the_other() {
    for relays in engines() {
        let (mut a, mut b, relay) = session(&relays).await;
        a.write_all(b"question").await.expect("room");
        a.shutdown().await.expect("open");
        assert_eq!(read_to_end(&mut b).await, b"question");
        for part in [&b"a long "[..], b"answer"] {
            b.write_all(part).await.expect("open still");
        }
        b.shutdown().await.expect("open");
        assert_eq!(read_to_end(&mut a).await, b"a long answer");
        assert!(matches!(ended(relay).await.end, End::Complete));
    }
}

#[tokio::test]
async fn early_octets_go_first() {
    for relays in engines() {
        let early = [Bytes::from_static(b"one"), Bytes::from_static(b"uno")];
        let (mut a, mut b, relay) = session_with(&relays, early).await;
        a.write_all(b" two").await.expect("room");
        b.write_all(b" due").await.expect("room");
        a.shutdown().await.expect("open");
        b.shutdown().await.expect("open");
        assert_eq!(read_to_end(&mut b).await, b"one two");
        assert_eq!(read_to_end(&mut a).await, b"uno due");
        assert_eq!(ended(relay).await.octets, [7, 7]);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_session_that_waits_holds_no_pipe() {
    let relays = Relays::new(1, LONG);
    let (mut a, mut b, _relay) = session(&relays).await;
    let mut got = [0; 4];
    for _ in 0..3 {
        a.write_all(b"ping").await.expect("room");
        soon(b.read_exact(&mut got)).await.expect("four octets");
        assert_eq!(&got, b"ping");
        assert_eq!(relays.pipes(), 0);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_session_without_a_pipe_left_goes_on_all_the_same() {
    let relays = Relays::new(1, LONG);
    let (mut a, mut b, relay) = session(&relays).await;
    let sent = octets(64 * MIB);
    let sender = tokio::spawn({
        let sent = sent.clone();
        async move {
            a.write_all(&sent).await?;
            a.shutdown().await
        }
    });
    // Nobody reads, so the pipe fills and stays lent.
    soon(async {
        while relays.pipes() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut c, mut d, other) = session(&relays).await;
    let lively = octets(MIB);
    let (wrote, got) = tokio::join!(
        async {
            c.write_all(&lively).await?;
            c.shutdown().await
        },
        read_to_end(&mut d)
    );
    wrote.expect("taken");
    assert!(got == lively);
    drop((c, d));
    assert!(matches!(ended(other).await.end, End::Complete));
    assert_eq!(relays.pipes(), 1);
    assert!(read_to_end(&mut b).await == sent);
    soon(sender).await.expect("no panic").expect("taken");
    drop(b);
    assert!(matches!(ended(relay).await.end, End::Complete));
    assert_eq!(relays.pipes(), 0);
}

#[tokio::test]
async fn what_moves_nothing_for_too_long_is_reset() {
    for pipes in [8, 0] {
        let relays = Relays::new(pipes, Duration::from_millis(200));
        let (mut a, mut b, relay) = session(&relays).await;
        a.write_all(b"and then").await.expect("room");
        let mut got = [0; 8];
        soon(b.read_exact(&mut got)).await.expect("eight octets");
        assert_eq!(read_error(&mut a).await, ErrorKind::ConnectionReset);
        assert_eq!(read_error(&mut b).await, ErrorKind::ConnectionReset);
        assert!(matches!(ended(relay).await.end, End::Idle));
    }
}

#[tokio::test]
async fn a_receiver_that_stalls_is_idle_too() {
    for pipes in [8, 0] {
        let relays = Relays::new(pipes, Duration::from_millis(200));
        let (mut a, _b, relay) = session(&relays).await;
        let sent = octets(64 * MIB);
        soon(a.write_all(&sent)).await.expect_err("a reset");
        assert!(matches!(ended(relay).await.end, End::Idle));
        assert_eq!(relays.pipes(), 0);
    }
}

#[tokio::test]
async fn the_other_side_of_a_broken_connection_sees_no_end_in_order() {
    for relays in engines() {
        let (mut a, mut b, relay) = session(&relays).await;
        a.write_all(b"half").await.expect("room");
        let mut got = [0; 4];
        soon(b.read_exact(&mut got)).await.expect("four octets");
        a.set_zero_linger().expect("a socket");
        drop(a);
        assert_eq!(read_error(&mut b).await, ErrorKind::ConnectionReset);
        assert!(matches!(ended(relay).await.end, End::Broken(_)));
    }
}

#[tokio::test]
async fn what_was_sent_before_an_end_in_order_arrives_though_nobody_takes_the_rest() {
    for relays in engines() {
        let (mut a, mut b, relay) = session(&relays).await;
        let answer = octets(2 * MIB);
        let writer = tokio::spawn({
            let answer = answer.clone();
            async move {
                b.write_all(&answer).await.expect("taken");
                // Closed in both directions, with nothing unread.
            }
        });
        soon(writer).await.expect("no panic");
        // These have nowhere to go; the relay learns that from the reset they cause.
        let unwanted = octets(4 * MIB);
        soon(a.write_all(&unwanted)).await.expect("thrown away");
        assert!(read_to_end(&mut a).await == answer);
        drop(a);
        assert!(matches!(ended(relay).await.end, End::Broken(_)));
        assert_eq!(relays.pipes(), 0);
    }
}

#[tokio::test]
async fn a_sender_to_nobody_learns_it_at_once() {
    for relays in engines() {
        let (mut a, b, relay) = session(&relays).await;
        drop(b);
        let unwanted = octets(64 * MIB);
        soon(a.write_all(&unwanted)).await.expect_err("a reset");
        assert!(matches!(ended(relay).await.end, End::Broken(_)));
    }
}

#[tokio::test]
async fn a_relay_that_is_dropped_resets_what_was_not_complete() {
    for relays in engines() {
        let ((mut a, near_a), (mut b, near_b)) = (pair().await, pair().await);
        let relay = relays.relay([near_a, near_b], Default::default());
        drop(relay);
        assert_eq!(read_error(&mut a).await, ErrorKind::ConnectionReset);
        assert_eq!(read_error(&mut b).await, ErrorKind::ConnectionReset);
        assert_eq!(relays.pipes(), 0);
    }
}
