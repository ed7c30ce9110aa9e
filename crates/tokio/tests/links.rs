//! Setting links up and taking them down, against scripted peers.

#![expect(
    clippy::std_instead_of_alloc,
    reason = "a test of the standard library"
)]

mod common;

use bytestreams_stanza::{Iq, Jid, Payload, Presence, PresenceType, Stanza};
use bytestreams_tokio::link::{ConnectFailure, Direction, LinkError, StanzaLink};
use bytestreams_tokio::serverless::{self, Listener, Setup};
use bytestreams_tokio::{Config, Endpoint, component};
use common::{jid, loopback, soon};
use core::future::poll_fn;
use core::time::Duration;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn next(link: &mut impl StanzaLink) -> Result<Stanza, LinkError> {
    soon(poll_fn(|cx| link.poll_next(cx))).await
}

async fn write(link: &mut impl StanzaLink, stanza: impl Into<Stanza>) {
    link.write(&stanza.into());
    soon(poll_fn(|cx| link.poll_flush(cx)))
        .await
        .expect("written");
}

fn presence(from: Option<&str>) -> Presence {
    Presence {
        from: from.map(jid),
        to: None,
        kind: PresenceType::Available,
        priority: 0,
        caps: None,
    }
}

/// Reads until the text ends so.
async fn heard(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    soon(async {
        while !text.ends_with(end.as_bytes()) {
            let octet = stream.read_u8().await.expect("an octet");
            text.push(octet);
        }
    })
    .await;
    String::from_utf8(text).expect("text")
}

fn brief() -> Setup {
    Setup {
        patience: Duration::from_millis(50),
        ..Setup::default()
    }
}

#[tokio::test]
async fn both_ends_learn_the_others_name() {
    let (a, b) = soon(loopback("a&'<@here/1", "b@here")).await;
    assert_eq!(
        (a.own().jid.as_str(), a.peer().as_str()),
        ("a&'<@here/1", "b@here")
    );
    assert_eq!(
        (b.own().jid.as_str(), b.peer().as_str()),
        ("b@here", "a&'<@here/1")
    );
}

#[tokio::test]
async fn names_are_made_up_that_say_nothing() {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let setup = Setup::default();
    let (a, b) = tokio::join!(serverless::connect(addr, &setup), listener.accept(&setup));
    let (a, b) = (a.expect("a link"), b.expect("a link"));
    assert_eq!(a.own().jid.bare().as_str(), "caller@serverless");
    assert_eq!(a.peer(), &b.own().jid);
    assert_eq!(b.peer(), &a.own().jid);
    assert_ne!(a.own().jid.resource(), b.own().jid.resource());
}

#[tokio::test]
async fn a_serverless_peer_cannot_speak_for_others() {
    let (mut a, mut b) = soon(loopback("a@here/1", "b@here/2")).await;
    write(&mut a, presence(Some("eve@elsewhere/3"))).await;
    let stanza = next(&mut b).await.expect("a stanza");
    assert_eq!(stanza.from(), Some(&jid("a@here/1")));
}

#[tokio::test]
async fn the_end_is_orderly() {
    let (mut a, mut b) = soon(loopback("a@here/1", "b@here/2")).await;
    a.write(&presence(None).into());
    let closing = tokio::spawn(async move {
        let closed = poll_fn(|cx| a.poll_close(cx)).await;
        (closed, a)
    });
    next(&mut b).await.expect("what came before the end");
    assert!(matches!(next(&mut b).await, Err(LinkError::Closed)));
    soon(poll_fn(|cx| b.poll_close(cx))).await.expect("closed");
    soon(closing).await.expect("no panic").0.expect("closed");
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_told_from_one_that_ends() {
    let (a, mut b) = soon(loopback("a@here/1", "b@here/2")).await;
    drop(a);
    assert!(matches!(next(&mut b).await, Err(LinkError::Io(_))));
}

#[tokio::test]
async fn one_who_says_nothing_is_not_waited_for_long() {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let silent = TcpStream::connect(addr).await.expect("a connection");
    let arrival = soon(listener.next()).await.expect("an arrival");
    assert_eq!(arrival.from(), silent.local_addr().expect("an address"));
    let failure = soon(arrival.set_up(&brief())).await.expect_err("no peer");
    assert!(
        matches!(failure, ConnectFailure::TimedOut { .. }),
        "{failure}"
    );

    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = mute.local_addr().expect("an address");
    let failure = soon(serverless::connect(addr, &brief()))
        .await
        .expect_err("no peer");
    assert!(
        matches!(failure, ConnectFailure::TimedOut { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn one_who_speaks_no_xmpp_is_told_so_and_the_next_is_taken() {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let accepting = tokio::spawn(async move { listener.accept(&Setup::default()).await });
    for (said, told) in [
        ("GET / HTTP/1.1\r\n", "bad-format"),
        ("<stream xmlns='jabber:client'>", "invalid-namespace"),
        ("<!DOCTYPE x>", "restricted-xml"),
    ] {
        let mut stranger = TcpStream::connect(addr).await.expect("a connection");
        stranger.write_all(said.as_bytes()).await.expect("written");
        let mut heard = String::new();
        soon(stranger.read_to_string(&mut heard))
            .await
            .expect("text");
        assert!(heard.contains(told), "{said}: {heard}");
    }
    let peer = soon(serverless::connect(addr, &Setup::default()))
        .await
        .expect("a link");
    let link = soon(accepting).await.expect("no panic").expect("a link");
    assert_eq!(link.peer(), &peer.own().jid);
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_connect() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = free.local_addr().expect("an address");
    drop(free);
    let failure = soon(serverless::connect(addr, &Setup::default()))
        .await
        .expect_err("nobody");
    assert!(
        matches!(failure, ConnectFailure::Connect { .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains(&addr.to_string()));
}

/// A server for one component, which hears the secret's proof and says `answer`.
async fn server(
    answer: &'static str,
) -> (core::net::SocketAddr, tokio::task::JoinHandle<TcpStream>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = socket.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = soon(socket.accept()).await.expect("a component");
        let header = heard(&mut stream, "jabber.org/streams' to='relay.example'>").await;
        assert!(
            header.contains("xmlns='jabber:component:accept'"),
            "{header}"
        );
        stream
            .write_all(
                b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                  xmlns='jabber:component:accept' from='relay.example' id='3BF96D32'>",
            )
            .await
            .expect("written");
        // The example of XEP-0114, section 3.
        let proof = heard(&mut stream, "</handshake>").await;
        assert_eq!(
            proof,
            "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>"
        );
        stream.write_all(answer.as_bytes()).await.expect("written");
        stream
    });
    (addr, task)
}

#[tokio::test]
async fn a_component_proves_the_secret_and_says_who_it_is() {
    let (addr, task) =
        server("<handshake/><presence from='romeo@example/x' to='relay.example'/>").await;
    let own = jid("relay.example");
    let mut link = soon(component::connect(
        addr,
        &own,
        "test",
        Duration::from_secs(30),
    ))
    .await
    .expect("a link");
    assert_eq!(link.own().jid, own);
    assert_eq!(
        next(&mut link).await.expect("a stanza").from(),
        Some(&jid("romeo@example/x"))
    );
    write(
        &mut link,
        Iq::get(Some(jid("example")), "1".into(), Payload::Ping),
    )
    .await;
    let mut stream = soon(task).await.expect("no panic");
    let said = heard(&mut stream, "</iq>").await;
    assert!(said.contains("from='relay.example'"), "{said}");
}

#[tokio::test]
async fn a_component_with_a_wrong_secret_is_told_so() {
    let (addr, _task) = server(
        "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    )
    .await;
    let own = jid("relay.example");
    let failure = soon(component::connect(
        addr,
        &own,
        "test",
        Duration::from_secs(30),
    ))
    .await
    .expect_err("refused");
    assert!(matches!(failure, ConnectFailure::Auth(_)), "{failure}");
}

type Log = Vec<(Direction, Option<Jid>)>;

#[tokio::test]
async fn a_trace_sees_both_ways() {
    let (a, b) = soon(loopback("a@here/1", "b@here/2")).await;
    let seen: Arc<Mutex<Log>> = Arc::default();
    let (a, _offers, mut driver) = Endpoint::new(a, Config::default());
    let log = seen.clone();
    driver.set_trace(move |direction, stanza| {
        log.lock()
            .expect("a log")
            .push((direction, stanza.from().cloned()));
    });
    tokio::spawn(driver);
    let (b, _offers) = Endpoint::spawn(b, Config::default());
    let answer = soon(a.get(
        Some(b.jid().clone()),
        Payload::Ping,
        Duration::from_secs(30),
    ))
    .await;
    assert_eq!(answer, Ok(None));
    let seen = seen.lock().expect("a log").clone();
    assert_eq!(
        seen,
        [
            (Direction::Out, None),
            (Direction::In, Some(jid("b@here/2")))
        ]
    );
}

#[tokio::test]
async fn what_nobody_knows_is_kept_for_who_asks() {
    let (mut a, b) = soon(loopback("a@here/1", "b@here/2")).await;
    let (b, _offers) = Endpoint::spawn(b, Config::default());
    let first = b.others();
    let mut others = b.others();
    // That one handle is gone takes nothing from the other.
    drop(first);
    write(&mut a, presence(None)).await;
    let stanza = soon(others.next()).await.expect("a stanza");
    assert!(matches!(stanza, Stanza::Presence(_)), "{stanza:?}");
    drop(a);
    assert_eq!(soon(others.next()).await, None);
}

#[tokio::test]
async fn a_request_that_is_not_answered_ends() {
    let (_a, b) = soon(loopback("a@here/1", "b@here/2")).await;
    let (b, _offers) = Endpoint::spawn(b, Config::default());
    let asked = soon(b.get(None, Payload::Ping, Duration::from_millis(20))).await;
    assert_eq!(asked, Err(bytestreams_tokio::RequestError::TimedOut));
}

#[tokio::test]
async fn closing_says_everything_first() {
    let (a, mut b) = soon(loopback("a@here/1", "b@here/2")).await;
    let (a, _offers) = Endpoint::spawn(a, Config::default());
    for _ in 0..50 {
        a.send_stanza(presence(None).into()).expect("room");
    }
    let closing = tokio::spawn(async move { a.close().await });
    for _ in 0..50 {
        next(&mut b).await.expect("a stanza");
    }
    assert!(matches!(next(&mut b).await, Err(LinkError::Closed)));
    drop(b);
    soon(closing).await.expect("no panic");
}
