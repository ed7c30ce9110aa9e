//! A proxy as a child process, the server that it joins, and clients of it.
#![allow(dead_code, reason = "each test file uses its part")]

use crate::common::{LONG, Running, command, file};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

pub(crate) const PROXY: &str = "proxy.montague.lit";
pub(crate) const ROMEO: &str = "romeo@montague.lit/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.lit/balcony";

/// The stream of these two.
pub(crate) const SID: &str = "vj3hs98y";
pub(crate) const HASH: &str = "972b7bf47291ca609517f67f86b5081086052dad";

/// The server's end of the component's stream.
pub(crate) struct Link(TcpStream);

impl Link {
    /// Takes a component, and answers its proof of the secret so.
    pub(crate) fn accept(listener: &TcpListener, answer: &str) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut link = Self(stream);
        link.heard("'proxy.montague.lit'>");
        link.say(
            "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns='jabber:component:accept' from='proxy.montague.lit' id='3BF96D32'>",
        );
        let proof = link.heard("</handshake>");
        // The example of XEP-0114, section 3: its secret is "test".
        assert_eq!(
            proof,
            "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>"
        );
        link.say(answer);
        link
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until the text ends so.
    pub(crate) fn heard(&mut self, end: &str) -> String {
        let mut text = String::new();
        let mut octet = [0];
        while !text.ends_with(end) {
            self.0.read_exact(&mut octet).unwrap();
            text.push(char::from(octet[0]));
        }
        text
    }

    pub(crate) fn activate(&mut self, sid: &str) {
        self.say(&format!(
            "<iq type='set' id='a1' from='{ROMEO}' to='{PROXY}'>\
             <query xmlns='http://jabber.org/protocol/bytestreams' sid='{sid}'>\
             <activate>{JULIET}</activate></query></iq>"
        ));
        let answer = self.heard("/>");
        assert!(answer.contains("type='result'"), "{answer}");
    }
}

/// A proxy that has joined, and where it is.
pub(crate) struct Proxied {
    pub(crate) program: Running,
    pub(crate) addr: String,
    pub(crate) listening: Value,
    pub(crate) link: Link,
}

impl Proxied {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(command(&["proxy", "--json"]), args)
    }

    pub(crate) fn of(mut command: Command, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = file(dir.path(), "secret", b"test\n");
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap().to_string();
        command
            .args(["--component", PROXY, "--server", &to])
            .args(["--listen", "127.0.0.1:0", "--host", "127.0.0.1"])
            .arg("--secret-file")
            .arg(secret)
            .args(args);
        let mut program = Running::start(command);
        let listening = program.event("listening");
        let link = Link::accept(&server, "<handshake/>");
        assert_eq!(program.event("online")["jid"], PROXY);
        Self {
            program,
            addr: listening["addr"].as_str().unwrap().to_owned(),
            listening,
            link,
        }
    }

    /// A client that has asked for the one stream.
    pub(crate) fn connect(&self) -> TcpStream {
        shaken(TcpStream::connect(&self.addr).unwrap(), HASH).unwrap()
    }

    /// The Target and the Requester of a session.
    pub(crate) fn session(&mut self) -> (TcpStream, TcpStream) {
        let pair = (self.connect(), self.connect());
        self.link.activate(SID);
        pair
    }
}

/// Asks for a stream by its hash.
pub(crate) fn shaken(mut stream: TcpStream, hash: &str) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(&[5, 1, 0])?;
    let mut greeted = [0; 2];
    stream.read_exact(&mut greeted)?;
    assert_eq!(greeted, [5, 0]);
    let request = [&[5, 1, 0, 3, 40][..], hash.as_bytes(), &[0, 0]].concat();
    stream.write_all(&request)?;
    let mut reply = [0; 47];
    stream.read_exact(&mut reply)?;
    assert_eq!(reply[..2], [5, 0]);
    Ok(stream)
}
