//! Accounts on a server that is not quite one.

mod common;

use common::{Running, command};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' from='example.org' version='1.0'>";

/// Reads until these octets came.
fn heard(stream: &mut TcpStream, what: &str) {
    let mut text = Vec::new();
    let mut octet = [0];
    while !text.ends_with(what.as_bytes()) {
        if stream.read(&mut octet).expect("a conversation") == 0 {
            return;
        }
        text.extend_from_slice(&octet);
    }
}

/// Takes one account, whatever its password, and says `last` upon its presence.
fn server(last: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a conversation");
    let addr = listener.local_addr().expect("a conversation").to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a conversation");
        for (what, answer) in [
            (
                "version='1.0'>",
                "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                 <mechanism>PLAIN</mechanism></mechanisms></stream:features>",
            ),
            (
                "</auth>",
                "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            ),
            (
                "version='1.0'>",
                "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
            ),
            (
                "</iq>",
                "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                 <jid>juliet@example.org/balcony</jid></bind></iq>",
            ),
            ("</presence>", last),
        ] {
            heard(&mut stream, what);
            let header = if what.starts_with("version") {
                HEADER
            } else {
                ""
            };
            stream.write_all(header.as_bytes()).expect("a conversation");
            stream.write_all(answer.as_bytes()).expect("a conversation");
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    addr
}

#[test]
fn who_was_replaced_by_another_program_does_not_drive_it_out_again() {
    let dir = tempfile::tempdir().expect("a conversation");
    let server = server(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>",
    );
    let mut command = command(&["receive", "--json", "--accept", "any", "--server", &server]);
    command.args(["--jid", "juliet@example.org/balcony"]);
    command.args(["--tls", "insecure-plaintext", "--dir"]);
    command
        .arg(dir.path())
        .env("BYTESTREAMS_PASSWORD", "secret");
    let mut receiver = Running::start(command);
    receiver.event("online");
    let reason = receiver.event("failed")["reason"].to_string();
    assert!(reason.contains("another resource"), "{reason}");
    receiver.exits(4);
}
