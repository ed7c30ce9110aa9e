//! What becomes of octets between an application and its link.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "events that the test does not count"
)]

mod common;

use bytestreams_blocking::{Endpoint, Event, Method, Options, serverless};
use bytestreams_stanza::{File, Message, Range};
use common::{A, B, Pair, by, jid, octets, setup, soon};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A link that takes nothing holds nobody up, and nothing on it is lost or overtaken.
#[test]
fn commands_do_not_wait_for_a_link_that_is_stuck() {
    soon(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let peer = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a connection");
            let header = format!(
                "<stream:stream xmlns='jabber:client' version='1.0' from='{B}' to='{A}' \
                 xmlns:stream='http://etherx.jabber.org/streams'>"
            );
            peer.write_all(header.as_bytes()).expect("room");
            peer
        });
        let link = serverless::connect(addr, &setup(A)).expect("a link");
        let mut peer = peer.join().expect("no panic");
        let (endpoint, _offers) = Endpoint::spawn(link, by(Method::Ibb)).expect("threads");
        let mut sent = 0;
        let message = |n: usize| Message {
            from: None,
            to: None,
            id: Some(format!("{}-{n}.", "x".repeat(400)).as_str().into()),
            payload: None,
            error: None,
        };
        // The system takes some megabytes.
        while endpoint.send_stanza(message(sent).into()).is_ok() {
            sent += 1;
        }
        let mut transfer = endpoint.offer(jid(B), File::default(), Options::default());
        transfer.cancel();
        while let Some(event) = transfer.next() {
            assert!(matches!(event, Event::Failed { .. }), "{event:?}");
        }
        let reading = std::thread::spawn(move || {
            let mut heard = String::new();
            let mut piece = vec![0; 1 << 16];
            while !heard.ends_with("</stream:stream>") {
                let n = peer.read(&mut piece).expect("octets");
                assert!(n > 0, "it ends too early");
                heard.push_str(core::str::from_utf8(&piece[..n]).expect("text"));
            }
            peer.write_all(b"</stream:stream>").expect("room");
            heard
        });
        endpoint.close();
        let heard = reading.join().expect("no panic");
        let mut from = 0;
        for n in 0..sent {
            let at = heard[from..].find(&format!("-{n}."));
            from += at.expect("a message that was taken");
        }
    });
}

/// However little was written, and however soon after the last.
#[test]
fn every_write_is_heard_to_have_arrived() {
    soon(|| {
        let mut pair = Pair::new(&by(Method::Ibb));
        let content = octets(64 * 20);
        let file = File {
            size: Some(content.len() as u64),
            ..File::default()
        };
        std::thread::scope(|scope| {
            let to_b = &mut pair.to_b;
            scope.spawn(|| {
                let offer = to_b.next().expect("an offer");
                let mut transfer = offer.accept(Range::default()).expect("a transfer");
                let mut came = Vec::new();
                while let Some(block) = transfer.read().expect("octets") {
                    transfer.stored(block.len());
                    came.extend_from_slice(&block);
                }
                transfer.completed(Ok(())).expect("all is here");
                assert!(came == content);
            });
            let mut transfer = pair.a.offer(jid(B), file, Options::default());
            let mut pieces = content.chunks(20);
            let mut written = 0;
            while let Some(event) = transfer.next() {
                let arrived = match event {
                    Event::Established { .. } => 0,
                    Event::Progress { octets, .. } => octets,
                    Event::Failed { reason, .. } => panic!("{reason}"),
                    _ => continue,
                };
                // One after the other: each waits for word of the last.
                if arrived == written {
                    match pieces.next() {
                        Some(piece) => {
                            let mut octets = piece.to_vec().into();
                            transfer.write(&mut octets).expect("it is taken");
                            written += piece.len() as u64;
                        }
                        None => transfer.finish().expect("it ends"),
                    }
                }
            }
            assert!(pieces.next().is_none());
        });
    });
}
