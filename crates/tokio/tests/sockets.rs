//! Transfers by sockets beside the link (XEP-0065), over loopback TCP.

mod common;

use bytestreams_machine::Own;
use bytestreams_stanza::{Range, Stanza};
use bytestreams_tokio::link::{Ends, LinkError, StanzaLink};
use bytestreams_tokio::serverless::Serverless;
use bytestreams_tokio::{
    Endpoint, Event, Method, Options, Reason, ReceiveError, ReceiveFile, SendError, SendFile,
    SocketOptions, Via,
};
use common::pair::{Pair, both, telling};
use common::{jid, loopback, octets, soon};
use core::net::SocketAddr;
use core::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn pair() -> Pair {
    Pair::new(both()).await
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
    pair().await.cross_many_both_ways(Via::Direct).await;
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
    let mut pair = Pair::with(telling(addr), SocketOptions::default(), both()).await;
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
        let mut pair = Pair::made(
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
    let received = pair.drop_the_sender(64 << 20).await;
    assert!(
        matches!(received, Err(ReceiveError::Transfer(_))),
        "{received:?}"
    );
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[tokio::test]
async fn a_receiver_that_is_dropped_cancels() {
    let sent = pair().await.drop_the_receiver(64 << 20).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::Connection(_)))),
        "{sent:?}"
    );
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
