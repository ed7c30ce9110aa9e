//! What the driver reads, and when not.
#![expect(
    clippy::std_instead_of_alloc,
    reason = "tests are of the standard library"
)]

mod common;

use bytestreams_machine::Own;
use bytestreams_stanza::{
    Carrier, Data, Iq, Open, Payload, Presence, PresenceType, Range, Sid, Stanza,
};
use bytestreams_tokio::link::{LinkError, StanzaLink};
use bytestreams_tokio::{Config, Endpoint, Event};
use common::{jid, soon};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A link on which a peer says what the test wants, and how much of that was read.
struct Scripted {
    own: Own,
    script: mpsc::UnboundedReceiver<Stanza>,
    read: Arc<AtomicUsize>,
    writes: Writes,
}

/// What becomes of what is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Taken,
    /// Nobody reads it.
    Stuck,
    /// It breaks the link, while what the peer said still waits to be heard.
    Broken,
}

impl StanzaLink for Scripted {
    fn own(&self) -> &Own {
        &self.own
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        self.script.poll_recv(cx).map(|stanza| {
            self.read.fetch_add(1, Ordering::Relaxed);
            stanza.ok_or(LinkError::Closed)
        })
    }

    fn write(&mut self, _stanza: &Stanza) {}

    fn buffered(&self) -> usize {
        0
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match self.writes {
            Writes::Taken => Poll::Ready(Ok(())),
            Writes::Stuck => Poll::Pending,
            Writes::Broken => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe)),
        }
        .map_err(|error: std::io::ErrorKind| LinkError::Io(error.into()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.poll_flush(cx)
    }
}

fn presence() -> Stanza {
    Presence {
        from: Some(jid("peer@there/1")),
        to: None,
        kind: PresenceType::Available,
        priority: 0,
        caps: None,
    }
    .into()
}

fn from_peer(id: &str, payload: Payload) -> Stanza {
    let mut iq = Iq::set(None, id.into(), payload);
    iq.from = Some(jid("peer@there/1"));
    iq.into()
}

#[tokio::test]
async fn wake_ups_read_nothing_while_there_is_no_room() {
    const FLOOD: usize = 5_000;
    let (peer, script) = mpsc::unbounded_channel();
    let say = |stanza| peer.send(stanza).expect("a link");
    let read = Arc::new(AtomicUsize::new(0));
    let link = Scripted {
        own: Own {
            jid: jid("we@here/1"),
        },
        script,
        read: read.clone(),
        writes: Writes::Taken,
    };
    let mut config = Config::default();
    config.allow_unannounced = true;
    config.bounds.buffered = 0;
    let (endpoint, mut offers) = Endpoint::spawn(link, config);
    let sid = Sid::new("s1").expect("a sid");
    let open = Open {
        sid: sid.clone(),
        block_size: 4096,
        carrier: Carrier::Iq,
    };
    say(from_peer("open", Payload::Open(open)));
    let offer = soon(offers.next()).await.expect("an offer");
    let mut transfer = offer.accept(Range::default()).expect("a transfer");
    while !matches!(soon(transfer.next()).await, Some(Event::Established { .. })) {}
    let octets = bytes::Bytes::from_static(b"not stored yet");
    say(from_peer(
        "data",
        Payload::Data(Data {
            sid,
            seq: 0,
            octets,
        }),
    ));
    for _ in 0..FLOOD {
        say(presence());
    }
    let settled = || read.load(Ordering::Relaxed);
    while settled() < 2 {
        tokio::task::yield_now().await;
    }
    let heard = settled();
    assert!(heard < FLOOD / 10, "{heard}");
    for _ in 0..200 {
        endpoint.send_stanza(presence()).expect("room");
        tokio::task::yield_now().await;
    }
    assert_eq!(settled(), heard);
    // Once it is stored, the rest is heard.
    let block = soon(transfer.read()).await.expect("a block");
    transfer.stored(block.expect("a block").len());
    soon(async {
        while settled() < FLOOD + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn scripted(writes: Writes) -> (mpsc::UnboundedSender<Stanza>, Scripted) {
    let (peer, script) = mpsc::unbounded_channel();
    let link = Scripted {
        own: Own {
            jid: jid("we@here/1"),
        },
        script,
        read: Arc::default(),
        writes,
    };
    (peer, link)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_does_not_hold_up_the_end() {
    let (peer, link) = scripted(Writes::Stuck);
    let (endpoint, _offers) = Endpoint::spawn(link, Config::default());
    endpoint.send_stanza(presence()).expect("room");
    soon(endpoint.close()).await;
    assert!(matches!(*soon(endpoint.closed()).await, LinkError::Silent));
    // Nor does one that ends the stream, and still reads nothing.
    let (another, link) = scripted(Writes::Stuck);
    let (endpoint, _offers) = Endpoint::spawn(link, Config::default());
    drop(another);
    assert!(matches!(*soon(endpoint.closed()).await, LinkError::Closed));
    drop(peer);
}

#[tokio::test]
async fn what_the_peer_said_before_the_link_broke_is_heard() {
    let (peer, link) = scripted(Writes::Broken);
    peer.send(presence()).expect("a link");
    let (endpoint, _offers) = Endpoint::spawn(link, Config::default());
    let mut others = endpoint.others();
    endpoint.send_stanza(presence()).expect("room");
    for _ in 0..3 {
        peer.send(presence()).expect("a link");
    }
    drop(peer);
    for _ in 0..4 {
        assert!(soon(others.next()).await.is_some());
    }
    // How the peer ended it says more than that nothing could be written.
    assert!(matches!(*soon(endpoint.closed()).await, LinkError::Closed));
}
