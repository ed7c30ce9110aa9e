//! Transfers between two endpoints on threads, over loopback TCP.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "events that a test does not look at"
)]

mod common;

use bytestreams_blocking::file::{Source, StoreError};
use bytestreams_blocking::{
    Endpoint, Event, Method, Offer, Options, Reason, ReceiveError, ReceiveFile, SendError,
    SendFile, Side, SocketOptions, Via, accept_file, receive_file, send_file, start_file,
};
use bytestreams_stanza::{File, Range};
use common::{A, B, Pair, both, by, jid, octets, soon};
use core::net::SocketAddr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;

const METHODS: [(Method, Via); 2] = [(Method::Ibb, Via::Ibb), (Method::Socks5, Via::Direct)];

#[test]
fn files_of_all_sizes_arrive_identical() {
    soon(|| {
        for (method, via) in METHODS {
            let mut pair = Pair::new(&by(method));
            for sha256 in [false, true] {
                for size in [0, 1, 511, 512, 4095, 4096, 300_000, 5 << 20] {
                    let content = octets(size);
                    let source = pair.source(&format!("{sha256}{size}.bin"), &content);
                    let mut how = SendFile::default();
                    how.sha256 = sha256;
                    let mut receive = ReceiveFile::default();
                    receive.sha256 = sha256;
                    let (sent, received) = pair.cross(source, &how, &receive, |_| {});
                    let (sent, received) = (sent.expect("sent"), received.expect("received"));
                    assert_eq!((sent.octets, received.octets), (size as u64, size as u64));
                    assert_eq!((sent.method, sent.via), (method, via));
                    assert_eq!((received.method, received.via), (method, via));
                    assert_eq!(sent.sha256, received.file.sha256);
                    assert_eq!(sent.sha256.is_some(), sha256);
                    assert!(std::fs::read(&received.file.path).expect("a file") == content);
                }
            }
        }
    });
}

#[test]
fn many_files_cross_both_ways_at_once() {
    soon(|| {
        let mut pair = Pair::new(&both());
        let store = pair.store();
        std::thread::scope(|scope| {
            for n in 0..6 {
                let content = octets(200_000 + n);
                for (endpoint, to, way) in [(&pair.a, B, "ab"), (&pair.b, A, "ba")] {
                    let source = pair.source(&format!("{way}{n}"), &content);
                    scope.spawn(move || {
                        let how = SendFile::default();
                        let sent = send_file(endpoint, jid(to), source, &how, |_| {});
                        assert_eq!(sent.expect("sent").via, Via::Direct);
                    });
                }
            }
            for offers in [&mut pair.to_a, &mut pair.to_b] {
                for offer in offers.take(6) {
                    let store = &store;
                    scope.spawn(move || {
                        receive_file(offer, store, &ReceiveFile::default(), |_| {})
                            .expect("received");
                    });
                }
            }
        });
        for n in 0..6 {
            for way in ["ab", "ba"] {
                let path = pair.inbox().join(format!("{way}{n}"));
                assert!(std::fs::read(path).expect("a file") == octets(200_000 + n));
            }
        }
    });
}

#[test]
fn a_file_that_nobody_announced_is_named_by_its_stream() {
    soon(|| {
        for (method, via) in METHODS {
            let mut pair = Pair::new(&by(method));
            let content = octets(300_000);
            let source = pair.source("u.bin", &content);
            let mut how = SendFile::default();
            how.unannounced = true;
            let (sent, received) = pair.cross(source, &how, &ReceiveFile::default(), |_| {});
            let (sent, received) = (sent.expect("sent"), received.expect("received"));
            assert_eq!((sent.via, received.via), (via, via));
            assert_eq!(pair.names(), [sent.sid.as_str()]);
            assert!(std::fs::read(&received.file.path).expect("a file") == content);
        }
    });
}

#[test]
fn the_declined_learn_it() {
    soon(|| {
        let mut pair = Pair::new(&both());
        let source = pair.source("f.bin", &octets(10));
        std::thread::scope(|scope| {
            let to_b = &mut pair.to_b;
            scope.spawn(|| to_b.next().expect("an offer").decline(Some("not today")));
            let sent = send_file(&pair.a, jid(B), source, &SendFile::default(), |_| {});
            let declined = matches!(&sent, Err(SendError::Transfer(Reason::Declined { .. })));
            assert!(declined, "{sent:?}");
        });
    });
}

#[test]
fn a_streamhost_that_refuses_leads_in_band() {
    soon(|| {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = nobody.local_addr().expect("an address");
        drop(nobody);
        let mut config = both();
        config.socks5.listen = false;
        config.socks5.advertised = vec![(addr.ip().to_string().into(), addr.port())];
        let mut pair = Pair::with(config, SocketOptions::default(), both());
        let content = octets(300_000);
        let source = pair.source("f.bin", &content);
        let mut fell = Vec::new();
        let (sent, received) = pair.cross(
            source,
            &SendFile::default(),
            &ReceiveFile::default(),
            |event| {
                if let Event::FellBack { from, to, .. } = event {
                    fell.push((*from, *to));
                }
            },
        );
        let (sent, received) = (sent.expect("sent"), received.expect("received"));
        assert_eq!((sent.via, received.via), (Via::Ibb, Via::Ibb));
        assert_eq!(fell, [(Method::Socks5, Method::Ibb)]);
        assert!(std::fs::read(&received.file.path).expect("a file") == content);
    });
}

/// Sends and has one of the two cancel once a part has come; answers what became of both.
fn cut_short(
    method: Method,
    by_sender: bool,
) -> (Pair, Result<(), SendError>, Result<(), ReceiveError>) {
    let mut pair = Pair::new(&by(method));
    let source = pair.source("f.bin", &octets(64 << 20));
    let store = pair.store();
    let (sent, received) = std::thread::scope(|scope| {
        let to_b = &mut pair.to_b;
        let receiving = scope.spawn(|| {
            let offer = to_b.next().expect("an offer");
            let receiving = accept_file(offer, &store, &ReceiveFile::default())?;
            let canceller = receiving.canceller();
            let received = receiving.run(|event| {
                if !by_sender && matches!(event, Event::Progress { .. }) {
                    canceller.cancel();
                }
            });
            received.map(|_| ())
        });
        let how = SendFile::default();
        let sending = start_file(&pair.a, jid(B), source, &how).expect("begun");
        let canceller = sending.canceller();
        let sent = sending.run(|event| {
            if by_sender && matches!(event, Event::Progress { .. }) {
                canceller.cancel();
            }
        });
        (sent.map(|_| ()), receiving.join().expect("no panic"))
    });
    (pair, sent, received)
}

#[test]
fn either_side_can_cancel_and_the_other_learns_it() {
    soon(|| {
        for (method, _) in METHODS {
            let (pair, sent, received) = cut_short(method, true);
            let ours = Reason::Cancelled { by: Side::Us };
            assert!(
                matches!(&sent, Err(SendError::Transfer(reason)) if *reason == ours),
                "{sent:?}"
            );
            assert!(received.is_err());
            assert!(pair.names().is_empty(), "{:?}", pair.names());

            let (pair, sent, received) = cut_short(method, false);
            assert!(
                matches!(&received, Err(ReceiveError::Transfer(reason)) if *reason == ours),
                "{received:?}"
            );
            assert!(sent.is_err());
            assert!(pair.names().is_empty(), "{:?}", pair.names());
        }
    });
}

#[test]
fn only_the_rest_travels_after_a_broken_attempt() {
    soon(|| {
        let size = 8 << 20;
        for (method, _) in METHODS {
            let mut pair = Pair::new(&by(method));
            let content = octets(size);
            let source = pair.source("r.bin", &content);
            let mut how = SendFile::default();
            how.resumable = true;
            let mut receive = ReceiveFile::default();
            receive.resume = true;
            let store = pair.store();
            std::thread::scope(|scope| {
                let to_b = &mut pair.to_b;
                scope.spawn(|| {
                    let offer = to_b.next().expect("an offer");
                    let receiving = accept_file(offer, &store, &receive).expect("begun");
                    let canceller = receiving.canceller();
                    let received = receiving.run(|event| {
                        if matches!(event, Event::Progress { octets, .. } if *octets > 1 << 20) {
                            canceller.cancel();
                        }
                    });
                    assert!(received.is_err(), "{received:?}");
                });
                let sent = send_file(&pair.a, jid(B), source, &how, |_| {});
                assert!(sent.is_err(), "{sent:?}");
            });
            let partial = pair.names();
            assert!(
                partial.len() == 1 && partial[0].starts_with('.'),
                "{partial:?}"
            );
            let source = Source::open(pair.dir.path().join("r.bin")).expect("a source");
            let (sent, received) = pair.cross(source, &how, &receive, |_| {});
            let (sent, received) = (sent.expect("sent"), received.expect("received"));
            assert!(sent.offset >= 1 << 20, "{}", sent.offset);
            assert_eq!(sent.offset, received.offset);
            assert_eq!(sent.offset + sent.octets, size as u64);
            assert!(std::fs::read(&received.file.path).expect("a file") == content);
            assert_eq!(pair.names(), ["r.bin"]);
        }
    });
}

/// A proxy at the level of TCP between two ends of a link, to be cut.
fn cable(target: SocketAddr) -> (SocketAddr, impl FnOnce() + Send) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let (ends, cut) = channel();
    std::thread::spawn(move || {
        let near = listener.accept().expect("a caller").0;
        let far = TcpStream::connect(target).expect("a listener");
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (mut from, mut to) = (from.try_clone().expect("it"), to.try_clone().expect("it"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
        let _ = ends.send((near, far));
    });
    let cut = move || {
        let (near, far) = cut.recv().expect("both ends");
        let _ = near.shutdown(Shutdown::Both);
        let _ = far.shutdown(Shutdown::Both);
    };
    (addr, cut)
}

#[test]
fn a_peer_that_is_gone_ends_everything_in_band() {
    soon(|| {
        use bytestreams_blocking::serverless::{Listener, connect};
        let listener = Listener::bind("127.0.0.1:0").expect("a socket");
        let (addr, cut) = cable(listener.local_addr().expect("an address"));
        let there = std::thread::spawn(move || connect(addr, &common::setup(A)).expect("a link"));
        let b = listener.accept(&common::setup(B)).expect("a link");
        let a = there.join().expect("no panic");
        let (a, _) = Endpoint::spawn(a, by(Method::Ibb)).expect("threads");
        let (b, mut to_b) = Endpoint::spawn(b, by(Method::Ibb)).expect("threads");
        let dir = common::directory();
        let path = dir.path().join("f.bin");
        std::fs::write(&path, octets(64 << 20)).expect("a file");
        let store = bytestreams_blocking::file::Store::open(dir.path().join("in")).expect("one");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let offer = to_b.next().expect("an offer");
                let mut cut = Some(cut);
                let received = receive_file(offer, &store, &ReceiveFile::default(), |event| {
                    if matches!(event, Event::Progress { .. }) {
                        if let Some(cut) = cut.take() {
                            cut();
                        }
                    }
                });
                let lost = Reason::LinkLost;
                let reason = match received {
                    Err(ReceiveError::Transfer(reason)) => reason,
                    received => panic!("{received:?}"),
                };
                assert_eq!(reason, lost);
                assert!(to_b.next().is_none());
            });
            let source = Source::open(&path).expect("a source");
            let sent = send_file(&a, jid(B), source, &SendFile::default(), |_| {});
            let lost = matches!(&sent, Err(SendError::Transfer(Reason::LinkLost)));
            assert!(lost, "{sent:?}");
        });
        let _ = (a.close(), b.close());
        let late = send_file(
            &a,
            jid(B),
            Source::open(&path).expect("a source"),
            &SendFile::default(),
            |_| {},
        );
        let lost = matches!(&late, Err(SendError::Transfer(Reason::LinkLost)));
        assert!(lost, "{late:?}");
    });
}

#[test]
fn a_receiver_may_close_the_link_with_the_last_octet() {
    soon(|| {
        let Pair {
            a,
            to_a: _to_a,
            b,
            mut to_b,
            dir,
        } = Pair::new(&by(Method::Socks5));
        let path = dir.path().join("f.bin");
        std::fs::write(&path, octets(1 << 20)).expect("a file");
        let store = bytestreams_blocking::file::Store::open(dir.path().join("in")).expect("one");
        let receiving = std::thread::spawn(move || {
            let offer = to_b.next().expect("an offer");
            receive_file(offer, &store, &ReceiveFile::default(), |_| {}).expect("received");
            b.close();
        });
        let source = Source::open(&path).expect("a source");
        let sent = send_file(&a, jid(B), source, &SendFile::default(), |_| {});
        assert_eq!(sent.expect("sent").octets, 1 << 20);
        receiving.join().expect("no panic");
    });
}

fn stream(offer: Option<Offer>) -> bytestreams_blocking::Bytestream {
    let transfer = offer.expect("an offer").accept(Range::default());
    transfer
        .expect("a transfer")
        .into_stream()
        .expect("a stream")
}

#[test]
fn lines_cross_a_stream_both_ways() {
    soon(|| {
        for (method, _) in METHODS {
            let mut pair = Pair::new(&by(method));
            let to_b = &mut pair.to_b;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut stream = stream(to_b.next());
                    let mut line = String::new();
                    while BufReader::new(One(&mut stream))
                        .read_line(&mut line)
                        .expect("text")
                        > 0
                    {
                        stream
                            .write_all(line.to_uppercase().as_bytes())
                            .expect("room");
                        line.clear();
                    }
                    stream.close().expect("an orderly end");
                });
                let stream = pair.a.open(jid(B), Options::default()).into_stream();
                let mut stream = stream.expect("a stream");
                for word in ["one\n", "two\n", "three\n"] {
                    stream.write_all(word.as_bytes()).expect("room");
                    let mut answer = vec![0; word.len()];
                    stream.read_exact(&mut answer).expect("an answer");
                    assert_eq!(answer, word.to_uppercase().as_bytes());
                }
                stream.shutdown().expect("an end");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).expect("the other end");
                assert!(rest.is_empty());
            });
        }
    });
}

/// Reads an octet at a time, so that nothing is read ahead.
struct One<R>(R);

impl<R: Read> Read for One<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let most = buf.len().min(1);
        self.0.read(&mut buf[..most])
    }
}

#[test]
fn a_large_stream_ends_in_order() {
    soon(|| {
        for (method, _) in METHODS {
            let mut pair = Pair::new(&by(method));
            let content = octets(3 << 20);
            let to_b = &mut pair.to_b;
            std::thread::scope(|scope| {
                let expected = &content;
                scope.spawn(|| {
                    let mut stream = stream(to_b.next());
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).expect("octets");
                    assert!(all == *expected);
                    stream.close().expect("an orderly end");
                });
                let stream = pair.a.open(jid(B), Options::default()).into_stream();
                let mut stream = stream.expect("a stream");
                stream.write_all(&content).expect("room");
                stream.close().expect("an orderly end");
            });
        }
    });
}

#[test]
fn a_stream_that_is_dropped_breaks_the_other_end() {
    soon(|| {
        for (method, _) in METHODS {
            let mut pair = Pair::new(&by(method));
            let to_b = &mut pair.to_b;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut stream = stream(to_b.next());
                    let mut two = [0; 2];
                    stream.read_exact(&mut two).expect("octets");
                    drop(stream);
                });
                let stream = pair.a.open(jid(B), Options::default()).into_stream();
                let mut stream = stream.expect("a stream");
                stream.write_all(b"hi").expect("room");
                let mut rest = Vec::new();
                let read = stream.read_to_end(&mut rest);
                let wrote = stream.write_all(&octets(1 << 20));
                assert!(read.is_err() || wrote.is_err());
            });
        }
    });
}

/// What goes by a socket does so after the peer has closed the link, until that is closed here too.
#[test]
fn a_link_that_the_peer_closes_leaves_sockets_alone() {
    soon(|| {
        let mut pair = Pair::new(&by(Method::Socks5));
        let transfer = pair.a.open(jid(B), Options::default());
        let to_b = &mut pair.to_b;
        let (mut ours, mut theirs) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| stream(to_b.next()));
            let ours = transfer.into_stream().expect("a stream");
            (ours, theirs.join().expect("no panic"))
        });
        pair.b.close();
        assert_eq!(theirs.transfer().failure(), Some(Reason::LinkLost));
        assert!(pair.to_a.next().is_none());
        assert!(pair.a.others().next().is_none());
        assert_eq!(ours.transfer().failure(), None);
        pair.a.close();
        assert_eq!(ours.transfer().failure(), Some(Reason::LinkLost));
    });
}

/// The receiver's verdict reaches the sender, whose octets were all taken.
#[test]
fn a_file_whose_hash_is_another_fails_at_both_ends() {
    soon(|| {
        let mut pair = Pair::new(&by(Method::Ibb));
        let content = octets(10_000);
        let file = File {
            name: Some("x.bin".into()),
            size: Some(content.len() as u64),
            hash: Some([7; 16]),
            ..File::default()
        };
        let store = pair.store();
        std::thread::scope(|scope| {
            let to_b = &mut pair.to_b;
            scope.spawn(move || {
                let offer = to_b.next().expect("an offer");
                let received = receive_file(offer, &store, &ReceiveFile::default(), |_| {});
                let differs = matches!(received, Err(ReceiveError::Store(StoreError::Hash)));
                assert!(differs, "{received:?}");
            });
            let mut transfer = pair.a.offer(jid(B), file, Options::default());
            let mut failure = None;
            while let Some(event) = transfer.next() {
                match event {
                    Event::Established { .. } => {
                        // What becomes of it is told by an event.
                        let _ = transfer.write(&mut content.clone().into());
                        let _ = transfer.finish();
                    }
                    Event::Failed { reason, .. } => failure = Some(reason),
                    _ => {}
                }
            }
            let said = failure.expect("the sender learns it").to_string();
            assert!(said.contains("the file differs"), "{said}");
        });
        assert_eq!(pair.names(), Vec::<String>::new());
    });
}
