//! A proxy with the server it joins, and clients of it.
#![allow(dead_code, reason = "not every test uses all of it")]

use crate::common::{jid, soon};
use bytestreams_stanza::Sid;
use bytestreams_tokio::link::ConnectFailure;
use bytestreams_tokio::proxy::{
    Config, DstAddr, Event, Handle, Login, Outcome, ProxyStats, Server,
};
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

pub(crate) const PROXY: &str = "proxy.example.org";
pub(crate) const ROMEO: &str = "romeo@example.org/orchard";
pub(crate) const JULIET: &str = "juliet@example.org/balcony";

/// What a greeting is answered with.
pub(crate) const GREETED: [u8; 2] = [5, 0];

/// A proxy that runs, and the end of its link at the server.
pub(crate) struct Proxied {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) events: UnboundedReceiver<Event>,
    pub(crate) running: JoinHandle<Result<Outcome, ConnectFailure>>,
    /// Where it joins.
    pub(crate) listener: TcpListener,
    pub(crate) link: Link,
}

/// The server's end of the component's stream.
pub(crate) struct Link(TcpStream);

pub(crate) fn config() -> Config {
    Config::new(jid(PROXY), "files.example.org")
}

impl Proxied {
    pub(crate) async fn start(config: Config) -> Self {
        let server = Server::bind("127.0.0.1:0", config).await.expect("a socket");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let to = listener.local_addr().expect("an address").to_string();
        let (sender, events) = unbounded_channel();
        let (addr, handle) = (server.local_addr(), server.handle());
        let running = tokio::spawn(server.run(Login::new(to, "secret"), move |event| {
            let _ = sender.send(event);
        }));
        let link = Link::accept(&listener).await;
        let mut this = Self {
            addr,
            handle,
            events,
            running,
            listener,
            link,
        };
        assert!(matches!(this.event().await, Event::Online));
        this
    }

    pub(crate) async fn event(&mut self) -> Event {
        soon(self.events.recv()).await.expect("an event")
    }

    /// Waits until its state is such.
    pub(crate) async fn until(&self, what: impl Fn(&ProxyStats) -> bool) {
        let wait = async {
            while !what(&self.handle.stats()) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .is_err()
        {
            panic!("{:?}", self.handle.stats());
        }
    }

    /// The answer to the activation of a stream between two.
    pub(crate) async fn activate(&mut self, from: &str, sid: &str, target: &str) -> String {
        self.link
            .ask(
                "set",
                from,
                &format!(
                    "<query xmlns='http://jabber.org/protocol/bytestreams' sid='{sid}'>\
                     <activate>{target}</activate></query>"
                ),
            )
            .await
    }

    /// Both sides of a session that is activated: the Target and the Requester.
    pub(crate) async fn session(&mut self, sid: &str) -> [TcpStream; 2] {
        let addr = hash(sid, ROMEO, JULIET);
        let target = connected(self.addr, &addr).await;
        let requester = connected(self.addr, &addr).await;
        let answer = self.activate(ROMEO, sid, JULIET).await;
        assert!(answer.contains("type='result'"), "{answer}");
        [target, requester]
    }

    /// Waits for the end of it all.
    pub(crate) async fn ended(self) -> Outcome {
        let outcome = soon(self.running).await.expect("no panic");
        outcome.expect("it was joined")
    }
}

impl Link {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = soon(listener.accept()).await.expect("a component");
        let mut link = Self(stream);
        link.heard("'proxy.example.org'>").await;
        link.say(
            "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns='jabber:component:accept' from='proxy.example.org' id='3BF96D32'>",
        )
        .await;
        link.heard("</handshake>").await;
        link.say("<handshake/>").await;
        link
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
    }

    /// Reads until the text ends so.
    async fn heard(&mut self, end: &str) -> String {
        self.read_until(|text| text.ends_with(end)).await
    }

    async fn read_until(&mut self, whole: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        soon(async {
            while !whole(&text) {
                text.push(char::from(self.0.read_u8().await.expect("an octet")));
            }
        })
        .await;
        text
    }

    /// Asks the proxy and takes its answer.
    pub(crate) async fn ask(&mut self, kind: &str, from: &str, payload: &str) -> String {
        self.say(&format!(
            "<iq type='{kind}' id='q1' from='{from}' to='{PROXY}'>{payload}</iq>"
        ))
        .await;
        let answer = self
            .read_until(|text| {
                text.ends_with("</iq>") || (text.ends_with("/>") && text.matches('<').count() == 1)
            })
            .await;
        assert!(answer.contains("id='q1'"), "{answer}");
        assert!(answer.contains(&format!("to='{from}'")), "{answer}");
        assert!(answer.contains(&format!("from='{PROXY}'")), "{answer}");
        answer
    }

    /// Asks where it is.
    pub(crate) async fn ask_address(&mut self, from: &str) -> String {
        let query = "<query xmlns='http://jabber.org/protocol/bytestreams'/>";
        self.ask("get", from, query).await
    }
}

pub(crate) fn hash(sid: &str, requester: &str, target: &str) -> String {
    let sid = Sid::new(sid).expect("a sid");
    DstAddr::new(&sid, &jid(requester), &jid(target)).to_string()
}

/// What a client asks for.
pub(crate) fn request(hash: &str) -> Vec<u8> {
    let mut request = vec![5, 1, 0, 3, u8::try_from(hash.len()).expect("short")];
    request.extend_from_slice(hash.as_bytes());
    request.extend_from_slice(&[0, 0]);
    request
}

/// A connection with its handshake done.
pub(crate) async fn connected(addr: SocketAddr, hash: &str) -> TcpStream {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    shaken(stream, hash).await.expect("a handshake")
}

/// A connection from another address of this machine's own.
pub(crate) async fn connect_from(from: SocketAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(from)?;
    socket.connect(addr).await
}

pub(crate) async fn shaken(mut stream: TcpStream, hash: &str) -> io::Result<TcpStream> {
    stream.write_all(&[5, 1, 0]).await?;
    let mut greeting = [0; 2];
    soon(stream.read_exact(&mut greeting)).await?;
    assert_eq!(greeting, GREETED);
    let request = request(hash);
    stream.write_all(&request).await?;
    let mut reply = vec![0; request.len()];
    soon(stream.read_exact(&mut reply)).await?;
    let mut expected = request;
    expected[1] = 0;
    assert_eq!(reply, expected);
    Ok(stream)
}

/// What comes until the end, which may be a reset.
pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = soon(stream.read_to_end(&mut got)).await;
    got
}
