use super::*;
use bytes::Bytes;
use bytestreams_machine::HANDSHAKE_OCTETS;
use core::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LISTEN: ListenId = ListenId(7);

fn loopback() -> Ends {
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    Ends {
        local: here,
        remote: here,
        direct: true,
    }
}

struct Scene {
    sockets: Sockets,
    detached: Detached,
}

impl Scene {
    fn new() -> Self {
        Self {
            sockets: Sockets::new(SocketOptions::default(), Some(loopback())),
            detached: Detached::new(),
        }
    }

    fn tell(&mut self, command: NetCommand) {
        self.sockets.carry_out(command, &mut self.detached);
    }

    /// Waits until something happened.
    async fn seen(&mut self) -> Vec<NetInput> {
        poll_fn(|cx| {
            let more = self.sockets.poll(cx, true);
            let seen: Vec<NetInput> = self.sockets.inputs().collect();
            if seen.is_empty() && !more {
                Poll::Pending
            } else {
                Poll::Ready(seen)
            }
        })
        .await
    }

    /// A connection that came in, and its other end.
    async fn accepted(&mut self) -> (ConnId, TcpStream) {
        self.tell(NetCommand::Listen(LISTEN));
        let [NetInput::Listening(LISTEN, addr)] = self.seen().await[..] else {
            panic!("one address");
        };
        let (there, here) = tokio::join!(TcpStream::connect(addr), self.seen());
        let there = there.expect("a connection");
        let [NetInput::Accepted { listen, conn, from }] = here[..] else {
            panic!("{here:?}");
        };
        assert_eq!(
            (listen, from),
            (LISTEN, there.local_addr().expect("an address"))
        );
        (conn, there)
    }
}

#[tokio::test]
async fn a_handshake_is_read_and_no_octet_of_what_follows() {
    let mut scene = Scene::new();
    let (conn, mut there) = scene.accepted().await;
    let octets: Vec<u8> = (0..2000).map(|n| n as u8).collect();
    there.write_all(&octets).await.expect("room");
    let mut read = Vec::new();
    while read.len() < HANDSHAKE_OCTETS {
        for input in scene.seen().await {
            let NetInput::Received(from, octets) = input else {
                panic!("{input:?}");
            };
            assert_eq!(from, conn);
            read.extend_from_slice(&octets);
        }
    }
    assert_eq!(read.len(), HANDSHAKE_OCTETS);
    // More is not read, whatever comes and ends.
    there.write_all(&octets).await.expect("room");
    there.shutdown().await.expect("an open socket");
    let more = poll_fn(|cx| Poll::Ready(scene.sockets.poll(cx, true))).await;
    assert!(!more && scene.sockets.inputs().next().is_none());
    // It is the application's.
    scene.tell(NetCommand::Send(conn, Bytes::from_static(b"reply")));
    scene.tell(NetCommand::Detach(conn));
    let (mut stream, unsent) = scene.detached.remove(&conn).expect("it").into_parts();
    assert!(unsent.is_empty());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("octets");
    read.extend_from_slice(&rest);
    assert!(read == [&octets[..], &octets].concat());
    drop(stream);
    let mut reply = Vec::new();
    there.read_to_end(&mut reply).await.expect("octets");
    assert_eq!(reply, b"reply");
}

#[tokio::test]
async fn what_is_given_back_is_shut_down_and_read_to_its_end() {
    let mut scene = Scene::new();
    let (conn, mut there) = scene.accepted().await;
    scene.tell(NetCommand::Detach(conn));
    let (stream, _) = scene.detached.remove(&conn).expect("it").into_parts();
    scene
        .detached
        .insert(conn, Conn::given_back(stream, TransferId(1)));
    scene.tell(NetCommand::ShutdownWrite(conn));
    let ending = async {
        assert_eq!(there.read(&mut [0]).await.expect("an end"), 0);
        there.write_all(&vec![0; 1 << 20]).await.expect("room");
        there.shutdown().await.expect("an open socket");
    };
    let ((), seen) = tokio::join!(ending, scene.seen());
    assert_eq!(seen, [NetInput::Closed(conn)]);
    scene.tell(NetCommand::Close(conn));
    assert!(!poll_fn(|cx| Poll::Ready(scene.sockets.poll(cx, true))).await);
    assert!(scene.sockets.conns.is_empty());
}

#[tokio::test]
async fn a_reset_behind_the_last_octet_is_no_end() {
    let mut scene = Scene::new();
    let (conn, there) = scene.accepted().await;
    scene.tell(NetCommand::Detach(conn));
    let (stream, _) = scene.detached.remove(&conn).expect("it").into_parts();
    scene
        .detached
        .insert(conn, Conn::given_back(stream, TransferId(1)));
    scene.tell(NetCommand::ShutdownWrite(conn));
    there.set_zero_linger().expect("an option");
    drop(there);
    let broken = poll_fn(|cx| {
        let _ = scene.sockets.poll(cx, true);
        let broken: Vec<TransferId> = scene.sockets.broken().collect();
        if broken.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(broken)
        }
    })
    .await;
    assert_eq!(broken, [TransferId(1)]);
    assert!(scene.sockets.inputs().next().is_none());
}

#[tokio::test]
async fn attempts_are_answered_by_their_tokens() {
    let mut scene = Scene::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a socket");
    let free = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let host = |port: u16, host: &str| StreamHost {
        jid: bytestreams_stanza::Jid::new("a@b/c").expect("a JID"),
        host: host.into(),
        port,
    };
    let port = listener.local_addr().expect("an address").port();
    let nobody = free.local_addr().expect("an address").port();
    drop(free);
    scene.tell(NetCommand::Connect(Token(1), host(port, "127.0.0.1")));
    scene.tell(NetCommand::Connect(Token(2), host(nobody, "127.0.0.1")));
    scene.tell(NetCommand::Connect(Token(3), host(port, "10.0.0.1")));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(scene.seen().await);
    }
    assert!(seen.contains(&NetInput::Failed(Token(2), ConnectError::Refused)));
    assert!(seen.contains(&NetInput::Failed(Token(3), ConnectError::Forbidden)));
    assert!(
        seen.iter()
            .any(|input| matches!(input, NetInput::Connected(Token(1), _))),
        "{seen:?}"
    );
}

#[tokio::test]
async fn nobody_comes_in_where_nobody_listens_any_more() {
    let mut scene = Scene::new();
    let (_, there) = scene.accepted().await;
    let addr = there.peer_addr().expect("an address");
    scene.tell(NetCommand::Unlisten(LISTEN));
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn nobody_comes_in_while_the_machine_wants_no_input() {
    let mut scene = Scene::new();
    scene.tell(NetCommand::Listen(LISTEN));
    let [NetInput::Listening(LISTEN, addr)] = scene.seen().await[..] else {
        panic!("one address");
    };
    // The system has taken them; they wait for us.
    let mut there = Vec::new();
    for _ in 0..3 {
        there.push(TcpStream::connect(addr).await.expect("a connection"));
    }
    for _ in 0..100 {
        let more = poll_fn(|cx| Poll::Ready(scene.sockets.poll(cx, false))).await;
        assert!(!more && scene.sockets.inputs().next().is_none());
        tokio::task::yield_now().await;
    }
    assert!(scene.sockets.conns.is_empty());
    // They were kept, and come in once they are wanted.
    let mut came = 0;
    while came < there.len() {
        for input in scene.seen().await {
            assert!(matches!(input, NetInput::Accepted { .. }), "{input:?}");
            came += 1;
        }
    }
}

#[tokio::test]
async fn attempts_are_bounded() {
    let mut scene = Scene::new();
    for n in 0..=ATTEMPTS as u64 {
        let host = StreamHost {
            jid: bytestreams_stanza::Jid::new("a@b/c").expect("a JID"),
            host: "127.0.0.1".into(),
            port: 1,
        };
        scene.tell(NetCommand::Connect(Token(n), host));
    }
    let failed: Vec<NetInput> = scene.sockets.inputs().collect();
    let one_too_many = Token(ATTEMPTS as u64);
    assert_eq!(
        failed,
        [NetInput::Failed(one_too_many, ConnectError::Forbidden)]
    );
}
