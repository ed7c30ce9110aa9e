//! What ends before its time: the peer learns the truth, and nobody waits for ever.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytes::Bytes;
use bytestreams_blocking::link::LinkError;
use bytestreams_blocking::{
    Config, Endpoint, Event, Method, Options, ReceiveFile, receive_file, serverless,
};
use bytestreams_stanza::{Data, File, Iq, Payload, Range, Sid};
use common::{A, B, Pair, both, by, jid, octets, setup, soon};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn a_file_that_is_not_kept_is_not_told_to_be_done() {
    for method in [Method::Ibb, Method::Socks5] {
        let mut pair = Pair::new(&by(method));
        let file = File {
            name: Some("f".into()),
            size: Some(300_000),
            hash: Some([7; 16]),
            ..File::default()
        };
        let mut sending = pair.a.offer(jid(B), file, Options::default());
        let sending = std::thread::spawn(move || {
            let mut content = Bytes::from(octets(300_000));
            while let Some(event) = sending.next() {
                match event {
                    Event::Established { .. } => {
                        // What is refused before the last octet is over by then.
                        let _ = sending.write(&mut content);
                        let _ = sending.finish();
                    }
                    Event::Done { .. } => panic!("by {method:?}"),
                    _ => {}
                }
            }
            sending.failure().expect("it failed")
        });
        let store = pair.store();
        soon(move || {
            let offer = pair.to_b.next().expect("an offer");
            let received = receive_file(offer, &store, &ReceiveFile::default(), |_| {});
            received.expect_err("another hash");
            sending.join().expect("no panic");
        });
    }
}

#[test]
fn a_stream_that_is_dropped_behind_its_end_arrives_whole() {
    let mut pair = Pair::new(&both());
    let content = octets(3_000_000);
    let there = content.clone();
    soon(move || {
        let saying = std::thread::spawn(move || {
            let transfer = pair.a.open(jid(B), Options::default());
            let mut here = transfer.into_stream().expect("a stream");
            here.write_all(&content).expect("room");
            here.shutdown().expect("room");
            drop(here);
            pair.a
        });
        let offer = pair.to_b.next().expect("an offer");
        let transfer = offer.accept(Range::default()).expect("a transfer");
        let mut heard = Vec::new();
        let mut stream = transfer.into_stream().expect("a stream");
        stream.read_to_end(&mut heard).expect("an end");
        assert!(heard == there, "{} octets", heard.len());
        drop(stream);
        saying.join().expect("no panic").close();
    });
}

#[test]
fn a_peer_that_reads_nothing_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let peer = std::thread::spawn(move || -> TcpStream {
        let (mut stream, _) = listener.accept().expect("a connection");
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' from='{B}' version='1.0'>\
             <stream:features/>"
        );
        stream.write_all(header.as_bytes()).expect("room");
        stream
    });
    let link = serverless::connect(addr, &setup(A)).expect("a link");
    let _silent = peer.join().expect("a peer");
    let (endpoint, _offers) = Endpoint::spawn(link, Config::default()).expect("threads");
    let data = |seq| {
        Payload::Data(Data {
            sid: Sid::new("s").expect("a sid"),
            seq,
            octets: octets(30_000).into(),
        })
    };
    // More than any buffer on the way holds.
    for seq in 0.. {
        let stanza = Iq::set(Some(jid(B)), "x".into(), data(seq));
        if endpoint.send_stanza(stanza.into()).is_err() {
            break;
        }
    }
    let why = soon(move || endpoint.close());
    assert!(matches!(*why, LinkError::Silent), "{why:?}");
}
