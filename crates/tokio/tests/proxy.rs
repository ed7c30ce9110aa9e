//! The proxy as a component of a scripted server, with clients on the loopback interface.
#![cfg(feature = "proxy")]

mod common;
mod proxy_support;

use bytestreams_tokio::proxy::{Allowed, End, Event, serve_metrics};
use common::{octets, soon};
use core::time::Duration;
use proxy_support::{
    JULIET, Link, Proxied, ROMEO, config, connect_from, connected, hash, request, rest,
};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_session_is_relayed_both_ways_from_the_address_to_the_end() {
    let mut proxy = Proxied::start(config()).await;
    let answer = proxy.link.ask_address(ROMEO).await;
    let port = proxy.addr.port();
    for part in [
        "type='result'",
        "jid='proxy.example.org'",
        "host='files.example.org'",
        &format!("port='{port}'"),
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    let [mut target, mut requester] = proxy.session("s1").await;
    let Event::Activated {
        session,
        requester: from,
        target: to,
    } = proxy.event().await
    else {
        panic!("not activated");
    };
    assert_eq!(session.as_str(), hash("s1", ROMEO, JULIET));
    assert_eq!((from.as_str(), to.as_str()), (ROMEO, JULIET));
    assert_eq!(proxy.handle.stats().active, 1);

    let (file, answer) = (octets(5 * MIB + 1), octets(1000));
    let sending = async {
        requester.write_all(&file).await.expect("taken");
        requester.shutdown().await.expect("open");
        let mut got = Vec::new();
        requester.read_to_end(&mut got).await.expect("an end");
        got
    };
    let receiving = async {
        let mut got = Vec::new();
        target.read_to_end(&mut got).await.expect("an end");
        // The other half is open still.
        target.write_all(&answer).await.expect("taken");
        target.shutdown().await.expect("open");
        got
    };
    let (back, there) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(there == file && back == answer);
    let Event::Ended {
        session: ended,
        relayed,
        ..
    } = proxy.event().await
    else {
        panic!("not ended");
    };
    assert_eq!(ended, session);
    assert!(matches!(relayed.end, End::Complete), "{:?}", relayed.end);
    assert_eq!(relayed.octets, [1000, file.len() as u64]);
    proxy.until(|stats| stats.active == 0).await;
    assert_eq!(proxy.handle.counts().complete, 1);
    assert_eq!(proxy.handle.octets(), file.len() as u64 + 1000);
}

#[tokio::test]
async fn others_find_a_proxy_by_its_identity() {
    let mut proxy = Proxied::start(config()).await;
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    // Even those who may not use it.
    for from in [ROMEO, "mallory@example.net/x"] {
        let answer = proxy.link.ask("get", from, query).await;
        for part in [
            "category='proxy'",
            "type='bytestreams'",
            "<feature var='http://jabber.org/protocol/bytestreams'/>",
        ] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
    }
}

#[tokio::test]
async fn what_a_client_sends_too_early_goes_to_the_other_first() {
    let mut proxy = Proxied::start(config()).await;
    let addr = hash("s1", ROMEO, JULIET);
    // Greeting, request and the stream's first octets in one segment.
    let mut all = vec![5, 1, 0];
    all.extend(request(&addr));
    all.extend_from_slice(b"early ");
    let mut requester = TcpStream::connect(proxy.addr).await.expect("a connection");
    requester.write_all(&all).await.expect("room");
    let mut target = connected(proxy.addr, &addr).await;
    let mut replies = [0; 49];
    soon(requester.read_exact(&mut replies))
        .await
        .expect("both");
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
    requester.write_all(b"late").await.expect("room");
    requester.shutdown().await.expect("open");
    assert_eq!(rest(&mut target).await, b"early late");
}

#[tokio::test]
async fn a_flood_before_the_activation_waits_with_its_sender() {
    let mut proxy = Proxied::start(config()).await;
    let addr = hash("s1", ROMEO, JULIET);
    let mut requester = connected(proxy.addr, &addr).await;
    let flood = octets(8 * MIB);
    let sender = tokio::spawn({
        let flood = flood.clone();
        async move {
            requester.write_all(&flood).await.expect("taken at last");
            requester.shutdown().await.expect("open");
        }
    });
    let mut target = connected(proxy.addr, &addr).await;
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
    assert!(rest(&mut target).await == flood);
    soon(sender).await.expect("no panic");
}

/// The replies to a request that is not for a hash, and to a greeting without our method.
const NOT_ALLOWED: &[u8] = &[5, 0, 5, 2, 0, 3, 0, 0, 0];
const NO_METHOD: &[u8] = &[5, 0xff];

#[tokio::test]
async fn bad_handshakes_are_refused_and_closed() {
    let good = hash("s1", ROMEO, JULIET);
    let greeted = |request: &[u8]| [&[5, 1, 0][..], request].concat();
    let upper = good.to_uppercase();
    let long = "a".repeat(255);
    let mut methods = vec![5, 255];
    methods.extend(1..=255);
    let mut cases: Vec<(&str, Vec<u8>, &[u8])> = vec![
        ("version 4", vec![4, 1, 0], NO_METHOD),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), NO_METHOD),
        ("no methods", vec![5, 0], NO_METHOD),
        ("255 methods, none of them ours", methods, NO_METHOD),
        ("a password alone", vec![5, 1, 2], NO_METHOD),
        (
            "version 4 after the greeting",
            greeted(&[4, 1, 0, 3]),
            NOT_ALLOWED,
        ),
        ("BIND", greeted(&[5, 2, 0, 3]), NOT_ALLOWED),
        ("UDP ASSOCIATE", greeted(&[5, 3, 0, 3]), NOT_ALLOWED),
        (
            "an IPv4 address",
            greeted(&[5, 1, 0, 1, 127, 0, 0, 1, 0, 80]),
            NOT_ALLOWED,
        ),
        ("an IPv6 address", greeted(&[5, 1, 0, 4]), NOT_ALLOWED),
        ("an empty address", greeted(&request("")), NOT_ALLOWED),
        (
            "an address too short",
            greeted(&request(&good[1..])),
            NOT_ALLOWED,
        ),
        ("an address too long", greeted(&request(&long)), NOT_ALLOWED),
        ("upper case", greeted(&request(&upper)), NOT_ALLOWED),
        (
            "no hexadecimal digit",
            greeted(&request(&good.replace('a', "g"))),
            NOT_ALLOWED,
        ),
    ];
    // More than is ever read of a handshake.
    cases.push(("oversized", greeted(&[9; 4096]), NOT_ALLOWED));
    let proxy = Proxied::start(config()).await;
    let count = cases.len() as u64;
    for (name, octets, expected) in cases {
        let mut stream = TcpStream::connect(proxy.addr).await.expect("a connection");
        // It may be refused before the last octet.
        let _ = stream.write_all(&octets).await;
        let got = rest(&mut stream).await;
        // A reset overtakes the reply where octets were left unread.
        assert!(
            got == expected || (name == "oversized" && expected.starts_with(&got)),
            "{name}: {got:?}"
        );
    }
    proxy.until(|stats| stats.handshakes_failed == count).await;
    let stats = proxy.handle.stats();
    assert_eq!((stats.handshaking, stats.waiting, stats.active), (0, 0, 0));
}

#[tokio::test]
async fn ours_among_255_methods_is_taken() {
    let proxy = Proxied::start(config()).await;
    let mut greeting = vec![5, 255];
    greeting.extend(core::iter::repeat_n(2, 254));
    greeting.push(0);
    let mut stream = TcpStream::connect(proxy.addr).await.expect("a connection");
    stream.write_all(&greeting).await.expect("room");
    let mut reply = [0; 2];
    soon(stream.read_exact(&mut reply)).await.expect("a reply");
    assert_eq!(reply, proxy_support::GREETED);
}

#[tokio::test]
async fn a_handshake_may_come_octet_by_octet() {
    let mut proxy = Proxied::start(config()).await;
    let addr = hash("s1", ROMEO, JULIET);
    let mut slow = TcpStream::connect(proxy.addr).await.expect("a connection");
    slow.set_nodelay(true).expect("a socket");
    for octet in [&[5, 1, 0][..], &request(&addr)].concat() {
        slow.write_all(&[octet]).await.expect("room");
        tokio::task::yield_now().await;
    }
    proxy.until(|stats| stats.waiting == 1).await;
    let _other = connected(proxy.addr, &addr).await;
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
}

#[tokio::test]
async fn only_its_requester_activates_a_pair_and_only_once() {
    let mut proxy = Proxied::start(config()).await;
    let addr = hash("s1", ROMEO, JULIET);
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("<item-not-found"), "nobody there: {answer}");
    let mut target = connected(proxy.addr, &addr).await;
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("<not-allowed"), "one alone: {answer}");
    let mut requester = connected(proxy.addr, &addr).await;
    for (from, sid, to) in [
        ("mallory@example.org/x", "s1", JULIET),
        (ROMEO, "s2", JULIET),
        (ROMEO, "s1", "juliet@example.org/chamber"),
        (JULIET, "s1", ROMEO),
    ] {
        let answer = proxy.activate(from, sid, to).await;
        assert!(answer.contains("<item-not-found"), "{from}: {answer}");
    }
    let answer = proxy.activate("mallory@example.net/x", "s1", JULIET).await;
    assert!(answer.contains("<forbidden"), "{answer}");
    let answer = proxy.link.ask_address("mallory@example.net/x").await;
    assert!(answer.contains("<forbidden"), "{answer}");

    let mut third = TcpStream::connect(proxy.addr).await.expect("a connection");
    let mut all = vec![5, 1, 0];
    all.extend(request(&addr));
    third.write_all(&all).await.expect("room");
    assert_eq!(rest(&mut third).await[..4], [5, 0, 5, 2]);

    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
    proxy
        .link
        .say(
            "<iq type='set' id='again' from='romeo@example.org/orchard' to='proxy.example.org'>\
              <query xmlns='http://jabber.org/protocol/bytestreams' sid='s1'>\
              <activate>juliet@example.org/balcony</activate></query></iq>",
        )
        .await;
    // The pair of these carries on.
    requester.write_all(b"here").await.expect("room");
    requester.shutdown().await.expect("open");
    assert_eq!(rest(&mut target).await, b"here");
    proxy
        .until(|stats| stats.activations_refused == 7 && stats.forbidden == 2)
        .await;
    assert_eq!(proxy.handle.stats().third_refused, 1);
    assert_eq!(proxy.handle.stats().activated, 1);
}

#[tokio::test]
async fn whoever_is_allowed_is_served() {
    let mut config = config();
    config.bounds.allowed = Allowed::Domains(vec!["example.net".into()]);
    let mut proxy = Proxied::start(config).await;
    let answer = proxy.link.ask_address("x@example.net/y").await;
    assert!(answer.contains("<streamhost"), "{answer}");
    let answer = proxy.link.ask_address(ROMEO).await;
    assert!(answer.contains("<forbidden"), "{answer}");
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_no_more() {
    let mut config = config();
    config.bounds.sessions_a_jid = 1;
    let mut proxy = Proxied::start(config).await;
    let [target, requester] = proxy.session("s1").await;
    let addr = hash("s2", ROMEO, JULIET);
    let pair = (
        connected(proxy.addr, &addr).await,
        connected(proxy.addr, &addr).await,
    );
    let answer = proxy.activate(ROMEO, "s2", JULIET).await;
    assert!(answer.contains("<resource-constraint"), "{answer}");
    drop((target, requester));
    proxy.until(|stats| stats.active == 0).await;
    let answer = proxy.activate(ROMEO, "s2", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
    drop(pair);
}

#[tokio::test]
async fn a_source_has_so_many_connections_and_no_more() {
    let mut config = config();
    config.bounds.connections_a_source = 2;
    let proxy = Proxied::start(config).await;
    let from = |host: u8| core::net::SocketAddr::from(([127, 0, 0, host], 0));
    let first = connect_from(from(2), proxy.addr).await.expect("taken");
    let _second = connect_from(from(2), proxy.addr).await.expect("taken");
    proxy.until(|stats| stats.handshaking == 2).await;
    let mut third = connect_from(from(2), proxy.addr).await.expect("a backlog");
    assert_eq!(rest(&mut third).await, [0_u8; 0]);
    // Others are none the worse.
    let _other = connect_from(from(3), proxy.addr).await.expect("taken");
    proxy.until(|stats| stats.handshaking == 3).await;
    drop(first);
    proxy.until(|stats| stats.handshaking == 2).await;
    let _fourth = connect_from(from(2), proxy.addr).await.expect("taken");
    proxy.until(|stats| stats.handshaking == 3).await;
    assert_eq!(proxy.handle.stats().turned_away, 1);
}

#[tokio::test]
async fn silence_ends_a_handshake_and_the_oldest_makes_room() {
    let mut config = config();
    config.bounds.handshake_time = Duration::from_millis(300);
    config.bounds.handshakes = 2;
    let proxy = Proxied::start(config).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(proxy.addr).await.expect("a connection"));
    }
    // The first one by the third, the others by the time.
    for stream in &mut streams {
        assert_eq!(rest(stream).await, [0_u8; 0]);
    }
    proxy.until(|stats| stats.handshakes_expired == 3).await;
    assert_eq!(proxy.handle.stats().handshaking, 0);
}

#[tokio::test]
async fn connections_that_nobody_activates_are_closed() {
    let mut config = config();
    config.bounds.activation_time = Duration::from_millis(200);
    let proxy = Proxied::start(config).await;
    let addr = hash("s1", ROMEO, JULIET);
    let mut target = connected(proxy.addr, &addr).await;
    let mut requester = connected(proxy.addr, &addr).await;
    assert_eq!(rest(&mut target).await, [0_u8; 0]);
    assert_eq!(rest(&mut requester).await, [0_u8; 0]);
    proxy
        .until(|stats| stats.expired == 2 && stats.waiting == 0)
        .await;
}

#[tokio::test]
async fn a_client_that_leaves_makes_room_for_another() {
    let mut proxy = Proxied::start(config()).await;
    let addr = hash("s1", ROMEO, JULIET);
    let gone = connected(proxy.addr, &addr).await;
    let _target = connected(proxy.addr, &addr).await;
    drop(gone);
    proxy.until(|stats| stats.waiting == 1).await;
    let _requester = connected(proxy.addr, &addr).await;
    let answer = proxy.activate(ROMEO, "s1", JULIET).await;
    assert!(answer.contains("type='result'"), "{answer}");
}

#[tokio::test]
async fn sessions_go_on_while_the_server_is_away() {
    let mut proxy = Proxied::start(config()).await;
    let [mut target, mut requester] = proxy.session("s1").await;
    let activated = proxy.event().await;
    assert!(
        matches!(activated, Event::Activated { .. }),
        "{activated:?}"
    );
    requester.write_all(b"before, ").await.expect("room");
    // The server goes, without a word, and comes back.
    let (listener, link) = (proxy.listener, proxy.link);
    drop(link);
    requester.write_all(b"meanwhile, ").await.expect("room");
    let mut got = [0; 19];
    soon(target.read_exact(&mut got)).await.expect("relayed");
    assert_eq!(&got, b"before, meanwhile, ");
    let offline = soon(proxy.events.recv()).await.expect("an event");
    assert!(matches!(offline, Event::Offline { .. }), "{offline:?}");
    assert!(!proxy.handle.counts().online);
    let mut link = Link::accept(&listener).await;
    let online = soon(proxy.events.recv()).await.expect("an event");
    assert!(matches!(online, Event::Online), "{online:?}");
    let answer = link.ask_address(ROMEO).await;
    assert!(answer.contains("<streamhost"), "{answer}");
    requester.write_all(b"after").await.expect("room");
    requester.shutdown().await.expect("open");
    assert_eq!(rest(&mut target).await, b"after");
    assert_eq!(proxy.handle.counts().links, 2);
}

#[tokio::test]
async fn a_proxy_that_stops_lets_sessions_end() {
    let mut proxy = Proxied::start(config()).await;
    let [mut target, mut requester] = proxy.session("s1").await;
    let addr = hash("s2", ROMEO, JULIET);
    let mut waiting = connected(proxy.addr, &addr).await;
    proxy.handle.stop();
    assert_eq!(rest(&mut waiting).await, [0_u8; 0]);
    let refused = soon(async {
        loop {
            // What was in the backlog is reset.
            match TcpStream::connect(proxy.addr).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => return error.kind(),
            }
        }
    })
    .await;
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    let answer = proxy.link.ask_address(ROMEO).await;
    assert!(answer.contains("type='error'"), "{answer}");
    requester.write_all(b"to the end").await.expect("room");
    requester.shutdown().await.expect("open");
    assert_eq!(rest(&mut target).await, b"to the end");
    target.shutdown().await.expect("open");
    assert_eq!(proxy.ended().await.cut, 0);
}

#[tokio::test]
async fn a_proxy_that_stops_waits_so_long_and_no_longer() {
    let mut config = config();
    config.drain = Duration::from_millis(50);
    let mut proxy = Proxied::start(config).await;
    let [mut target, _requester] = proxy.session("s1").await;
    proxy.handle.stop();
    let error = soon(target.read_u8()).await.expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.ended().await.cut, 1);
}

#[tokio::test]
async fn a_proxy_that_is_halted_ends_at_once() {
    let mut proxy = Proxied::start(config()).await;
    let [mut target, _requester] = proxy.session("s1").await;
    proxy.handle.stop();
    proxy.handle.halt();
    let error = soon(target.read_u8()).await.expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let handle = proxy.handle.clone();
    assert_eq!(proxy.ended().await.cut, 1);
    assert_eq!(handle.counts().cut, 1);
}

async fn http(addr: core::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("room");
    String::from_utf8(rest(&mut stream).await).expect("text")
}

#[tokio::test]
async fn metrics_are_told_over_http() {
    let mut proxy = Proxied::start(config()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let metrics = tokio::spawn(serve_metrics(listener, proxy.handle.clone()));
    let pair = proxy.session("s1").await;
    proxy.until(|stats| stats.active == 1).await;
    let answer = http(addr, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "bytestreams_proxy_online 1",
        "bytestreams_proxy_sessions 1",
        "bytestreams_proxy_activations_total 1",
        "bytestreams_proxy_refused_total{why=\"forbidden\"} 0",
    ] {
        assert!(answer.lines().any(|l| l == line), "{line} in {answer}");
    }
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        (&*"x".repeat(8192), "400"),
    ] {
        let answer = http(addr, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    metrics.abort();
    drop(pair);
}

#[tokio::test]
async fn nobody_listens_where_the_server_does_not_take_the_component() {
    let server = bytestreams_tokio::proxy::Server::bind("127.0.0.1:0", config())
        .await
        .expect("a socket");
    let addr = server.local_addr();
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let to = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let login = bytestreams_tokio::proxy::Login::new(to, "secret");
    let failed = soon(server.run(login, |_| {})).await;
    assert!(failed.is_err());
    let refused = TcpStream::connect(addr).await.expect_err("nobody there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
