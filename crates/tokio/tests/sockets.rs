//! Transfers by sockets beside the link (XEP-0065), over loopback TCP.

mod common;

use bytestreams_machine::Own;
use bytestreams_stanza::{Range, Stanza};
use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::link::{Ends, LinkError, StanzaLink};
use bytestreams_tokio::serverless::Serverless;
use bytestreams_tokio::{
    Config, Endpoint, Event, Method, Methods, Offers, Options, Reason, ReceiveError, ReceiveFile,
    Received, SendError, SendFile, Sent, SocketOptions, Via, receive_file, send_file,
};
use common::{jid, loopback, octets, soon};
use core::net::SocketAddr;
use core::task::{Context, Poll};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Pair {
    a: Endpoint,
    to_a: Offers,
    b: Endpoint,
    to_b: Offers,
    dir: TempDir,
}

/// SOCKS5, and in band when that comes to nothing.
fn both() -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    config.allow_unannounced = true;
    config
}

/// A Requester that tells this address alone.
fn telling(addr: SocketAddr) -> Config {
    let mut config = both();
    config.socks5.listen = false;
    config.socks5.advertised = vec![(addr.ip().to_string().into(), addr.port())];
    config
}

async fn pair() -> Pair {
    pair_with(both(), SocketOptions::default()).await
}

async fn pair_with(of_a: Config, sockets_of_a: SocketOptions) -> Pair {
    let (a, b) = loopback("a@here/1", "b@here/2").await;
    let a = Endpoint::spawn_with(a, of_a, sockets_of_a);
    made(a, Endpoint::spawn(b, both()))
}

fn made((a, to_a): (Endpoint, Offers), (b, to_b): (Endpoint, Offers)) -> Pair {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("in")).expect("a directory");
    Pair {
        a,
        to_a,
        b,
        to_b,
        dir,
    }
}

impl Pair {
    fn source(&self, name: &str, content: &[u8]) -> Source {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        Source::open(path).expect("a source")
    }

    fn inbox(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.inbox()).expect("a directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name")
        };
        entries.map(name).collect()
    }

    fn store(&self) -> Store {
        Store::open(self.inbox()).expect("a store")
    }

    /// Sends from the one to the other; `on_event` hears the sender.
    async fn cross(
        &mut self,
        source: Source,
        how: &SendFile,
        receive: &ReceiveFile,
        on_event: impl FnMut(&Event),
    ) -> (Result<Sent, SendError>, Result<Received, ReceiveError>) {
        let store = self.store();
        let sending = send_file(&self.a, jid("b@here/2"), source, how, on_event);
        let receiving = async {
            let offer = self.to_b.next().await.expect("an offer");
            receive_file(offer, &store, receive, |_| {}).await
        };
        soon(async { tokio::join!(sending, receiving) }).await
    }
}

#[tokio::test]
async fn files_of_all_sizes_arrive_identical() {
    let mut pair = pair().await;
    for sha256 in [false, true] {
        for (n, size) in [0, 1, 511, 512, 300_000, 9 << 20].into_iter().enumerate() {
            let content = octets(size);
            let source = pair.source(&format!("{sha256}{n}.bin"), &content);
            let mut how = SendFile::default();
            how.sha256 = sha256;
            let mut receive = ReceiveFile::default();
            receive.sha256 = sha256;
            let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
            let (sent, received) = (sent.expect("sent"), received.expect("received"));
            assert_eq!((sent.octets, received.octets), (size as u64, size as u64));
            let direct = (Method::Socks5, Via::Direct);
            assert_eq!((sent.method, sent.via), direct);
            assert_eq!((received.method, received.via), direct);
            assert_eq!(sent.sha256, received.file.sha256);
            assert_eq!(sent.sha256.is_some(), sha256);
            assert!(std::fs::read(&received.file.path).expect("a file") == content);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_files_cross_both_ways_at_once() {
    let mut pair = pair().await;
    let store = pair.store();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let content = octets(200_000 + n);
        for (endpoint, to, way) in [(&pair.a, "b@here/2", "ab"), (&pair.b, "a@here/1", "ba")] {
            let source = pair.source(&format!("{way}{n}"), &content);
            let endpoint = endpoint.clone();
            tasks.spawn(async move {
                let how = SendFile::default();
                let sent = send_file(&endpoint, jid(to), source, &how, |_| {}).await;
                assert_eq!(sent.expect("sent").via, Via::Direct);
            });
        }
    }
    soon(async {
        for offers in [&mut pair.to_a, &mut pair.to_b] {
            for _ in 0..8 {
                let offer = offers.next().await.expect("an offer");
                let store = store.clone();
                tasks.spawn(async move {
                    let how = ReceiveFile::default();
                    let received = receive_file(offer, &store, &how, |_| {}).await;
                    received.expect("received");
                });
            }
        }
        while let Some(result) = tasks.join_next().await {
            result.expect("no panic");
        }
    })
    .await;
    for n in 0..8 {
        for way in ["ab", "ba"] {
            let path = pair.inbox().join(format!("{way}{n}"));
            assert!(std::fs::read(path).expect("a file") == octets(200_000 + n));
        }
    }
}

#[tokio::test]
async fn a_file_that_nobody_announced_goes_by_a_socket_too() {
    let mut pair = pair().await;
    let content = octets(3 << 20);
    let source = pair.source("u.bin", &content);
    let mut how = SendFile::default();
    how.unannounced = true;
    let receive = ReceiveFile::default();
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert_eq!((sent.via, received.via), (Via::Direct, Via::Direct));
    assert_eq!(pair.names(), [sent.sid.as_str()]);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
}

#[tokio::test]
async fn a_streamhost_that_refuses_leads_in_band() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = nobody.local_addr().expect("an address");
    drop(nobody);
    let mut pair = pair_with(telling(addr), SocketOptions::default()).await;
    let content = octets(300_000);
    let source = pair.source("f.bin", &content);
    let mut fell = Vec::new();
    let (sent, received) = pair
        .cross(
            source,
            &SendFile::default(),
            &ReceiveFile::default(),
            |event| {
                if let Event::FellBack { from, to, .. } = event {
                    fell.push((*from, *to));
                }
            },
        )
        .await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert_eq!(fell, [(Method::Socks5, Method::Ibb)]);
    assert_eq!((sent.method, sent.via), (Method::Ibb, Via::Ibb));
    assert_eq!((received.method, received.via), (Method::Ibb, Via::Ibb));
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
}

/// A link whose other end is far away, as far as it says.
struct Elsewhere(Serverless);

impl StanzaLink for Elsewhere {
    fn own(&self) -> &Own {
        self.0.own()
    }

    fn ends(&self) -> Option<Ends> {
        let ends = self.0.ends()?;
        Some(Ends {
            remote: SocketAddr::from(([203, 0, 113, 1], 5222)),
            ..ends
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        self.0.poll_next(cx)
    }

    fn write(&mut self, stanza: &Stanza) {
        self.0.write(stanza);
    }

    fn buffered(&self) -> usize {
        self.0.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_close(cx)
    }
}

#[tokio::test]
async fn a_stranger_makes_nobody_dial_inside_unless_allowed() {
    for allowed in [false, true] {
        let inside = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let (a, b) = loopback("a@here/1", "b@here/2").await;
        let mut sockets = SocketOptions::default();
        if allowed {
            sockets.allowed = vec!["127.0.0.0/8".parse().expect("a network")];
        }
        let addr = inside.local_addr().expect("an address");
        let mut pair = made(
            Endpoint::spawn(a, telling(addr)),
            Endpoint::spawn_with(Elsewhere(b), both(), sockets),
        );
        let source = pair.source("f.bin", &octets(1000));
        let (how, receive) = (SendFile::default(), ReceiveFile::default());
        let crossing = pair.cross(source, &how, &receive, |_| {});
        // Who answers there does not speak SOCKS5.
        let mut dialled = false;
        let answering = async {
            drop(inside.accept().await);
            dialled = true;
            core::future::pending::<()>().await;
        };
        let (sent, received) = tokio::select! {
            crossed = crossing => crossed,
            () = answering => unreachable!(),
        };
        assert_eq!(sent.expect("sent").via, Via::Ibb);
        received.expect("received");
        assert_eq!(dialled, allowed);
    }
}

#[tokio::test]
async fn a_sender_that_is_dropped_cancels() {
    let mut pair = pair().await;
    let source = pair.source("c.bin", &octets(64 << 20));
    let (moving, moved) = tokio::sync::oneshot::channel();
    let mut moving = Some(moving);
    let store = pair.store();
    let a = pair.a.clone();
    let sending = tokio::spawn(async move {
        let how = SendFile::default();
        send_file(&a, jid("b@here/2"), source, &how, |event| {
            if let Event::Progress { .. } = event
                && let Some(moving) = moving.take()
            {
                let _ = moving.send(());
            }
        })
        .await
    });
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let cancelling = async {
        moved.await.expect("octets moved");
        sending.abort();
    };
    let (received, ()) = soon(async { tokio::join!(receiving, cancelling) }).await;
    assert!(
        matches!(received, Err(ReceiveError::Transfer(_))),
        "{received:?}"
    );
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[tokio::test]
async fn a_receiver_that_is_dropped_cancels() {
    let mut pair = pair().await;
    let source = pair.source("c.bin", &octets(64 << 20));
    let how = SendFile::default();
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let (moving, moved) = tokio::sync::oneshot::channel();
        let mut moving = Some(moving);
        let how = ReceiveFile::default();
        let receiving = receive_file(offer, &store, &how, |event| {
            if let Event::Progress { .. } = event
                && let Some(moving) = moving.take()
            {
                let _ = moving.send(());
            }
        });
        tokio::select! {
            received = receiving => panic!("{received:?}"),
            _ = moved => {}
        }
    };
    let (sent, ()) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::Connection(_)))),
        "{sent:?}"
    );
}

/// Passes connections on, and from the target so many octets of each before it cuts them off.
async fn cutter(target: SocketAddr, octets: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut near, mut far) = (near, TcpStream::connect(target).await?);
                let (mut near_read, mut near_write) = near.split();
                let (far_read, mut far_write) = far.split();
                let mut far_read = far_read.take(octets as u64);
                let there = async {
                    tokio::io::copy(&mut near_read, &mut far_write).await?;
                    far_write.shutdown().await?;
                    core::future::pending::<std::io::Result<()>>().await
                };
                let back = async {
                    tokio::io::copy(&mut far_read, &mut near_write).await?;
                    if far_read.limit() > 0 {
                        near_write.shutdown().await?;
                        core::future::pending::<()>().await;
                    }
                    Ok(())
                };
                tokio::select! { there = there => there, back = back => back }?;
                // The sender sees a reset, the receiver an end after all that came.
                far.set_zero_linger()
            });
        }
    });
    addr
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_fails_and_is_resumed() {
    let mut sockets = SocketOptions::default();
    let addr = sockets.listen("127.0.0.1:0").expect("a socket");
    let half = 2 << 20;
    let mut config = telling(cutter(addr, half).await);
    config.socks5.listen = true;
    let mut pair = pair_with(config, sockets).await;
    let content = octets(2 * half - 1000);
    let mut how = SendFile::default();
    how.resumable = true;
    let mut receive = ReceiveFile::default();
    receive.resume = true;
    receive.sha256 = true;
    let source = pair.source("r.bin", &content);
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(matches!(sent, Err(SendError::Transfer(_))), "{sent:?}");
    assert!(
        matches!(
            received,
            Err(ReceiveError::Transfer(
                Reason::TooShort { .. } | Reason::Connection(_)
            ))
        ),
        "{received:?}"
    );
    let partial = pair.names();
    assert!(
        partial.len() == 1 && partial[0].starts_with('.'),
        "{partial:?}"
    );

    let source = Source::open(pair.dir.path().join("r.bin")).expect("a source");
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert_eq!((sent.via, sent.offset), (Via::Direct, received.offset));
    // All that came before is there, less the handshake.
    assert!(sent.offset > half as u64 - 512, "{}", sent.offset);
    assert_eq!(sent.offset + sent.octets, content.len() as u64);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
    assert_eq!(pair.names(), ["r.bin"]);
}

#[tokio::test]
async fn without_resume_a_cut_connection_leaves_nothing() {
    let mut sockets = SocketOptions::default();
    let addr = sockets.listen("127.0.0.1:0").expect("a socket");
    let mut config = telling(cutter(addr, 1 << 20).await);
    config.socks5.listen = true;
    let mut pair = pair_with(config, sockets).await;
    let source = pair.source("r.bin", &octets(4 << 20));
    let (how, receive) = (SendFile::default(), ReceiveFile::default());
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(sent.is_err() && received.is_err(), "{sent:?} {received:?}");
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[tokio::test]
async fn octets_cross_a_stream_both_ways() {
    let mut pair = pair().await;
    let content = octets(1 << 20);
    let echo = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let transfer = offer.accept(Range::default()).expect("accepted");
        let mut stream = transfer.into_stream().await.expect("a stream");
        let mut buffer = vec![0; 10_000];
        loop {
            let n = stream.read(&mut buffer).await.expect("octets");
            if n == 0 {
                break;
            }
            stream.write_all(&buffer[..n]).await.expect("room");
        }
        // The other half is still open.
        stream.write_all(b"the end").await.expect("room");
        stream.close().await
    };
    let asking = async {
        let transfer = pair.a.open(jid("b@here/2"), Options::default());
        let mut stream = transfer.into_stream().await.expect("a stream");
        assert_eq!(stream.transfer().via(), Some(Via::Direct));
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(&content).await.expect("room");
            writer.shutdown().await.expect("an open stream");
        };
        let mut back = Vec::new();
        let read = reader.read_to_end(&mut back);
        let ((), read) = tokio::join!(write, read);
        read.expect("octets");
        assert!(back[..content.len()] == content);
        assert_eq!(&back[content.len()..], b"the end");
        reader.unsplit(writer).close().await
    };
    let (asked, echoed) = soon(async { tokio::join!(asking, echo) }).await;
    asked.expect("closed in order");
    echoed.expect("closed in order");
}

#[tokio::test]
async fn a_stream_that_is_dropped_breaks_the_other_end() {
    let mut pair = pair().await;
    let dropping = async {
        let transfer = pair.a.open(jid("b@here/2"), Options::default());
        let mut stream = transfer.into_stream().await.expect("a stream");
        stream.write_all(&octets(100)).await.expect("room");
        stream
    };
    let reading = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let transfer = offer.accept(Range::default()).expect("accepted");
        let mut stream = transfer.into_stream().await.expect("a stream");
        let mut some = vec![0; 100];
        stream.read_exact(&mut some).await.expect("octets");
        stream
    };
    let (dropped, mut stream) = soon(async { tokio::join!(dropping, reading) }).await;
    drop(dropped);
    let error = soon(stream.read_to_end(&mut Vec::new())).await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn octets_may_be_moved_by_hand() {
    let mut pair = pair().await;
    let content = octets(3 << 20);
    let file = bytestreams_stanza::File {
        name: Some("h".into()),
        size: Some(content.len() as u64),
        ..Default::default()
    };
    let sending = async {
        let mut transfer = pair.a.offer(jid("b@here/2"), file, Options::default());
        while !matches!(transfer.next().await, Some(Event::Established { .. })) {}
        let mut all = content.clone().into();
        transfer.write(&mut all).await.expect("room");
        transfer.finish().expect("established");
        let mut last = None;
        while let Some(event) = transfer.next().await {
            last = Some(event);
        }
        last
    };
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let mut transfer = offer.accept(Range::default()).expect("accepted");
        while !matches!(transfer.next().await, Some(Event::Established { .. })) {}
        let mut got = Vec::new();
        while let Some(block) = transfer.read().await.expect("octets") {
            got.extend_from_slice(&block);
            transfer.stored(block.len());
        }
        transfer.completed(Ok(())).expect("all has come");
        assert!(got == content);
        while transfer.next().await.is_some() {}
        transfer.failure()
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(matches!(sent, Some(Event::Done { .. })), "{sent:?}");
    assert_eq!(received, None);
}

#[tokio::test]
async fn a_link_that_is_closed_here_takes_its_sockets_with_it() {
    let pair = pair().await;
    let transfer = pair.a.open(jid("b@here/2"), Options::default());
    let mut to_b = pair.to_b;
    let (a, b) = soon(async {
        tokio::join!(transfer.into_stream(), async {
            let offer = to_b.next().await.expect("an offer");
            let transfer = offer.accept(Range::default()).expect("accepted");
            transfer.into_stream().await
        })
    })
    .await;
    let (mut a, mut b) = (a.expect("a stream"), b.expect("a stream"));
    soon(pair.b.close()).await;
    let ended = soon(b.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(b.transfer().failure(), Some(Reason::LinkLost));
    // The other end goes on by its socket until that ends.
    soon(pair.a.closed()).await;
    a.write_all(b"x").await.expect("an open socket");
    drop(b);
    let _ = soon(a.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn behind_the_last_octet_the_socket_decides_and_no_more_the_link() {
    for read in [true, false] {
        let pair = pair().await;
        let file = bytestreams_stanza::File {
            name: Some("f".into()),
            size: Some(1000),
            ..Default::default()
        };
        let mut to_b = pair.to_b;
        let (all_written, written) = tokio::sync::oneshot::channel();
        let sending = async {
            let mut transfer = pair.a.offer(jid("b@here/2"), file, Options::default());
            while !matches!(transfer.next().await, Some(Event::Established { .. })) {}
            let mut all = octets(1000).into();
            transfer.write(&mut all).await.expect("room");
            transfer.finish().expect("established");
            all_written.send(()).expect("a receiver");
            while transfer.next().await.is_some() {}
            transfer.failure()
        };
        let receiving = async {
            let offer = to_b.next().await.expect("an offer");
            let mut transfer = offer.accept(Range::default()).expect("accepted");
            while !matches!(transfer.next().await, Some(Event::Established { .. })) {}
            written.await.expect("all is written");
            while read && transfer.read().await.expect("octets").is_some() {}
            pair.b.close().await;
            assert_eq!(transfer.failure(), Some(Reason::LinkLost));
            drop(transfer);
        };
        let (failure, ()) = soon(async { tokio::join!(sending, receiving) }).await;
        // What was not read is gone with the one who did not read it.
        assert_eq!(failure.is_none(), read, "{failure:?}");
    }
}
