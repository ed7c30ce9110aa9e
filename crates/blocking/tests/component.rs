//! Links of components, with a server that does no more than such links need.

mod common;

use bytestreams_blocking::file::{Source, Store};
use bytestreams_blocking::link::ConnectFailure;
use bytestreams_blocking::{
    Config, Endpoint, Link, Method, ReceiveFile, SendFile, Via, component, receive_file, send_file,
};
use bytestreams_stanza::{Jid, ns};
use common::{both, by, directory, jid, octets, soon};
use core::net::SocketAddr;
use core::time::Duration;
use sha1::{Digest, Sha1};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const SECRET: &str = "test";
const PATIENCE: Duration = Duration::from_secs(30);

/// Hears until what is said ends like this.
fn heard(stream: &mut TcpStream, end: &str) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        text.extend(octet);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Takes a component in, if it knows the secret.
fn welcome(stream: &mut TcpStream) -> io::Result<()> {
    let header = heard(stream, "example'>")?;
    assert!(header.contains(ns::COMPONENT), "{header}");
    let content = ns::COMPONENT;
    write!(
        stream,
        "<?xml version='1.0'?><stream:stream xmlns:stream='{}' xmlns='{content}' from='example' id='3BF9'>",
        ns::STREAM
    )?;
    let proof = heard(stream, "</handshake>")?;
    let digest = Sha1::digest(format!("3BF9{SECRET}"));
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    if proof.contains(&hex) {
        stream.write_all(b"<handshake/>")
    } else {
        let condition = "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
        write!(
            stream,
            "<stream:error>{condition}</stream:error></stream:stream>"
        )
    }
}

/// A server that takes two components in and passes on what one says to the other.
fn server() -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let mut a = listener.accept()?.0;
        welcome(&mut a)?;
        let mut b = listener.accept()?.0;
        welcome(&mut b)?;
        let (mut from_b, mut to_a) = (b.try_clone()?, a.try_clone()?);
        let back = std::thread::spawn(move || {
            let copied = io::copy(&mut from_b, &mut to_a);
            let _ = to_a.shutdown(std::net::Shutdown::Write);
            copied
        });
        io::copy(&mut a, &mut b)?;
        let _ = b.shutdown(std::net::Shutdown::Write);
        back.join().expect("no panic")?;
        Ok(())
    });
    (addr, thread)
}

fn join(addr: SocketAddr, name: &str) -> Result<Link, ConnectFailure> {
    component::connect(addr, &jid(name), SECRET, PATIENCE)
}

#[test]
fn files_cross_between_components() {
    soon(|| {
        for (mut config, via) in [(by(Method::Ibb), Via::Ibb), (both(), Via::Direct)] {
            config.socks5.discover = false;
            let (addr, server) = server();
            let a = join(addr, "a.example").expect("a link");
            assert_eq!(a.peer(), &jid("example"));
            let b = join(addr, "b.example").expect("a link");
            let (a, _to_a) = Endpoint::spawn(a, config.clone()).expect("threads");
            let (b, mut to_b) = Endpoint::spawn(b, config).expect("threads");
            let dir = directory();
            let content = octets(3 << 20);
            let path = dir.path().join("f.bin");
            std::fs::write(&path, &content).expect("a file");
            let store = Store::open(dir.path().join("in")).expect("a store");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let offer = to_b.next().expect("an offer");
                    assert_eq!(offer.from(), &jid("a.example"));
                    let received = receive_file(offer, &store, &ReceiveFile::default(), |_| {});
                    let received = received.expect("received");
                    assert!(std::fs::read(received.file.path).expect("a file") == content);
                });
                let source = Source::open(&path).expect("a source");
                let to: Jid = b.jid().clone();
                let sent = send_file(&a, to, source, &SendFile::default(), |_| {});
                assert_eq!(sent.expect("sent").via, via);
            });
            let _ = (a.close(), b.close());
            server.join().expect("no panic").expect("an orderly end");
        }
    });
}

#[test]
fn a_wrong_secret_is_told() {
    soon(|| {
        let (addr, _server) = server();
        let refused = component::connect(addr, &jid("a.example"), "guess", PATIENCE);
        assert!(
            matches!(&refused, Err(ConnectFailure::Auth(what)) if what.contains("not-authorized")),
            "{refused:?}"
        );
    });
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_long() {
    soon(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let patience = Duration::from_millis(50);
        let late = component::connect(addr, &jid("a.example"), SECRET, patience);
        assert!(
            matches!(late, Err(ConnectFailure::TimedOut { .. })),
            "{late:?}"
        );
    });
}

#[test]
fn a_server_that_ends_the_stream_ends_the_link() {
    soon(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || -> io::Result<String> {
            let mut stream = listener.accept()?.0;
            welcome(&mut stream)?;
            stream.write_all(b"</stream:stream>")?;
            heard(&mut stream, "</stream:stream>")
        });
        let link = join(addr, "a.example").expect("a link");
        let (endpoint, mut offers) = Endpoint::spawn(link, Config::default()).expect("threads");
        assert!(offers.next().is_none());
        assert!(matches!(
            *endpoint.closed(),
            bytestreams_blocking::link::LinkError::Closed
        ));
        assert_eq!(
            server.join().expect("no panic").expect("an answer"),
            "</stream:stream>"
        );
    });
}
