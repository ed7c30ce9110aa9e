//! What is dropped on its way: nothing of it stays behind, and the peer is not left waiting.
#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::wildcard_enum_match_arm,
    reason = "tests are of the standard library, and look for one thing among many"
)]

mod common;

use bytestreams_stanza::Range;
use bytestreams_tokio::link::LinkError;
use bytestreams_tokio::{
    Bytestream, Endpoint, Event, Method, Methods, Options, ReceiveFile, SendFile, receive_file,
    send_file,
};
use common::pair::{Pair, both};
use common::{jid, octets, soon};
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::sync::Arc;
use std::task::{Wake, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Polls so often at most, then drops what was polled.
async fn polled<T>(most: usize, what: impl Future<Output = T>) -> Option<T> {
    let mut what = Box::pin(what);
    let mut left = most;
    poll_fn(|cx: &mut Context<'_>| {
        let Some(fewer) = left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        left = fewer;
        what.as_mut().poll(cx).map(Some)
    })
    .await
}

fn by(method: Method) -> Options {
    let mut options = Options::default();
    options.methods = Methods::from_slice(&[method]);
    options
}

async fn streams(pair: &mut Pair, method: Method) -> (Bytestream, Bytestream) {
    let opening = pair.a.open(jid("b@here/2"), by(method)).into_stream();
    let accepting = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let transfer = offer.accept(Range::default()).expect("a transfer");
        transfer.into_stream().await
    };
    let (here, there) = soon(async { tokio::join!(opening, accepting) }).await;
    (here.expect("a stream"), there.expect("a stream"))
}

#[tokio::test]
async fn a_receiver_dropped_at_any_await_leaves_nothing_and_the_sender_learns_it() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut pair = Pair::new(both()).await;
        let store = pair.store();
        let mut how = SendFile::default();
        how.options = by(method);
        for most in 0..24 {
            let source = pair.source("f", &octets(300_000));
            let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
            let receiving = async {
                let offer = pair.to_b.next().await.expect("an offer");
                let receive = ReceiveFile::default();
                polled(most, receive_file(offer, &store, &receive, |_| {})).await
            };
            let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
            // Dropped when the file was in its place already, it is received all the same.
            let there = pair.inbox().join("f").exists();
            assert!(there || sent.is_err(), "{method:?}, {most} polls");
            assert!(there || received.is_none(), "{method:?}, {most} polls");
            for name in pair.names().iter().filter(|name| !name.starts_with('.')) {
                std::fs::remove_file(pair.inbox().join(name)).expect("a file");
            }
        }
        // Threads that write see to the rest by themselves.
        soon(async {
            while pair.names().iter().any(|name| name.starts_with('.')) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let (receive, source) = (ReceiveFile::default(), pair.source("last", b"last"));
        let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
        assert_eq!(sent.expect("sent").octets, 4);
        received.expect("received");
    }
}

#[tokio::test]
async fn a_sender_dropped_at_any_await_leaves_nothing() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut how = SendFile::default();
        how.options = by(method);
        how.resumable = true;
        for most in 0..16 {
            let mut pair = Pair::new(both()).await;
            let (store, source) = (pair.store(), pair.source("f", &octets(300_000)));
            let sending = async {
                let to = jid("b@here/2");
                let sent = polled(most, send_file(&pair.a, to, source, &how, |_| {})).await;
                pair.a.close().await;
                sent.is_some()
            };
            let receiving = async {
                let offer = pair.to_b.next().await?;
                let how = ReceiveFile::default();
                Some(receive_file(offer, &store, &how, |_| {}).await)
            };
            let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
            if let Some(Ok(_)) = received {
                assert_eq!(pair.names(), ["f"]);
            } else {
                assert!(!sent, "{method:?}, {most} polls: {received:?}");
                assert_eq!(pair.names(), [""; 0], "{method:?}, {most} polls");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_kept_is_not_told_to_be_done() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut pair = Pair::new(both()).await;
        let file = bytestreams_stanza::File {
            name: Some("f".into()),
            size: Some(300_000),
            hash: Some([7; 16]),
            ..bytestreams_stanza::File::default()
        };
        let mut sending = pair.a.offer(jid("b@here/2"), file, by(method));
        let sending = async {
            let mut content = bytes::Bytes::from(octets(300_000));
            while let Some(event) = sending.next().await {
                match event {
                    Event::Established { .. } => {
                        // What is refused before the last octet is over by then.
                        let _ = sending.write(&mut content).await;
                        let _ = sending.finish();
                    }
                    Event::Done { .. } => panic!("by {method:?}"),
                    _ => {}
                }
            }
            sending.failure().expect("it failed")
        };
        let store = pair.store();
        let receiving = async {
            let offer = pair.to_b.next().await.expect("an offer");
            receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
        };
        let (_, received) = soon(async { tokio::join!(sending, receiving) }).await;
        received.expect_err("another hash");
        assert_eq!(pair.names(), [""; 0]);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_behind_its_end_arrives_whole() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut pair = Pair::new(both()).await;
        let (mut here, mut there) = streams(&mut pair, method).await;
        let content = octets(3_000_000);
        let mut heard = Vec::new();
        let saying = async {
            here.write_all(&content).await.expect("room");
            here.shutdown().await.expect("room");
            drop(here);
            // And with it every handle on this side.
            drop((pair.a, pair.to_a));
        };
        let hearing = there.read_to_end(&mut heard);
        let (_, result) = soon(async { tokio::join!(saying, hearing) }).await;
        result.expect("an end");
        assert!(heard == content, "{method:?}: {} octets", heard.len());
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_before_its_end_is_no_whole_one() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut pair = Pair::new(both()).await;
        let (mut here, mut there) = streams(&mut pair, method).await;
        soon(here.write_all(b"half a wo")).await.expect("room");
        drop(here);
        let mut heard = Vec::new();
        let read = soon(there.read_to_end(&mut heard)).await;
        // In band a stream has no other end than a close.
        if method == Method::Socks5 {
            read.expect_err("no end");
        }
        assert!(heard.len() <= 9);
    }
}

#[tokio::test]
async fn the_link_ends_with_the_last_handle() {
    let pair = Pair::new(both()).await;
    let Pair { a, to_a, b, .. } = pair;
    let others = a.others();
    drop(a);
    drop(to_a);
    let mut closed = pin!(b.closed());
    for _ in 0..100 {
        tokio::task::yield_now().await;
        let early = poll_fn(|cx| Poll::Ready(closed.as_mut().poll(cx).is_ready())).await;
        assert!(!early, "a handle is left");
    }
    drop(others);
    assert!(matches!(*soon(closed).await, LinkError::Closed));
}

/// Counts its clones by those of the [`Arc`].
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn whoever_waits_no_more_is_forgotten() {
    let mut pair = Pair::new(both()).await;
    let mut others = pair.a.others();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(nobody.clone());
    let mut cx = Context::from_waker(&waker);
    let mut once =
        |what: Pin<&mut dyn Future<Output = ()>>| assert!(what.poll(&mut cx).is_pending());
    let a: Endpoint = pair.a.clone();
    once(pin!(async { drop(a.closed().await) }));
    once(pin!(async { drop(others.next().await) }));
    once(pin!(async { drop(pair.to_a.next().await) }));
    assert_eq!(Arc::strong_count(&nobody), 2, "the waker here and no other");
}

#[tokio::test]
async fn all_who_wait_hear_of_the_end() {
    let pair = Pair::new(both()).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut others = pair.a.others();
            tokio::spawn(async move { others.next().await })
        })
        .collect();
    tokio::task::yield_now().await;
    soon(pair.b.close()).await;
    for other in waiting {
        assert_eq!(soon(other).await.expect("no panic"), None);
    }
}

#[test]
fn a_runtime_that_ends_ends_what_is_on_its_way() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("one")
    };
    let (theirs, ours) = (runtime(), runtime());
    ours.block_on(async {
        let mut pair = soon(async {
            let (a, b) = common::loopback_on(theirs.handle()).await;
            Pair::made(a, Endpoint::spawn(b, both()))
        })
        .await;
        let (tell, moved) = common::pair::first_progress();
        let source = pair.source("f", &octets(50_000_000));
        let a = pair.a.clone();
        let sending = theirs.spawn(async move {
            let how = SendFile::default();
            send_file(&a, jid("b@here/2"), source, &how, tell).await
        });
        let store = pair.store();
        let receiving = async {
            let offer = pair.to_b.next().await.expect("an offer");
            receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
        };
        let ending = async {
            moved.await;
            theirs.shutdown_background();
        };
        let (received, ()) = soon(async { tokio::join!(receiving, ending) }).await;
        received.expect_err("half of it");
        assert!(sending.await.expect_err("no task").is_cancelled());
        assert!(matches!(*soon(pair.a.closed()).await, LinkError::Closed));
        assert_eq!(pair.names(), [""; 0]);
    });
}
