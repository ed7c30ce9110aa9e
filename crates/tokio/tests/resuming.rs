//! Transfers that are broken off, and go on where they stopped.

mod common;

use bytes::Bytes;
use bytestreams_stanza::{File, Range};
use bytestreams_tokio::file::Source;
use bytestreams_tokio::{
    Config, Event, Options, Reason, ReceiveError, ReceiveFile, SendError, SendFile, Side,
    SocketOptions, Via, receive_file, send_file,
};
use common::pair::{Pair, both, telling};
use common::{jid, octets, soon};
use core::net::SocketAddr;
use md5::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn only_the_rest_travels_after_a_broken_attempt() {
    let mut pair = Pair::new(Config::default()).await;
    let content = octets(4 << 20);
    let path = pair.file("r.bin", &content);
    let mut how = SendFile::default();
    how.resumable = true;
    let mut receive = ReceiveFile::default();
    receive.resume = true;
    receive.sha256 = true;
    let store = pair.store();
    {
        let source = Source::open(&path).expect("a source");
        let (half, halfway) = tokio::sync::oneshot::channel();
        let sending = async {
            let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
            tokio::select! {
                sent = sending => panic!("{sent:?}"),
                _ = halfway => {}
            }
        };
        let receiving = async {
            let offer = pair.to_b.next().await.expect("an offer");
            let mut half = Some(half);
            receive_file(offer, &store, &receive, |event| {
                if let Event::Progress { octets, .. } = event
                    && *octets > 1 << 20
                    && let Some(half) = half.take()
                {
                    let _ = half.send(());
                }
            })
            .await
        };
        let ((), received) = soon(async { tokio::join!(sending, receiving) }).await;
        assert!(received.is_err(), "{received:?}");
        assert!(
            pair.names().iter().all(|name| name.starts_with('.')),
            "{:?}",
            pair.names()
        );
    }
    let source = Source::open(&path).expect("a source");
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert!(sent.offset >= 1 << 20, "{}", sent.offset);
    assert_eq!(sent.offset, received.offset);
    assert_eq!(sent.offset + sent.octets, 4 << 20);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
    assert_eq!(pair.names(), ["r.bin"]);
}

#[tokio::test]
async fn a_file_offered_again_goes_on_where_its_lost_transfer_is() {
    let mut pair = Pair::new(Config::default()).await;
    let content = octets(1 << 20);
    let path = pair.file("r.bin", &content);
    let mut how = SendFile::default();
    how.resumable = true;
    let mut receive = ReceiveFile::default();
    receive.resume = true;
    let store = pair.store();
    let file = File {
        name: Some("r.bin".into()),
        size: Some(1 << 20),
        hash: Some(md5::Md5::digest(&content).into()),
        range: Some(Range::default()),
        ..File::default()
    };
    // A sender that says no more after the first half.
    let mut lost = pair.a.offer(jid("b@here/2"), file, Options::default());
    let stalling = async {
        while !matches!(lost.next().await, Some(Event::Established { .. })) {}
        let mut half = Bytes::from(content[..1 << 19].to_vec());
        lost.write(&mut half).await.expect("room");
        while let Some(event) = lost.next().await {
            if let Event::Failed { reason, .. } = event {
                return reason;
            }
        }
        panic!("the lost one ends in a failure");
    };
    let (half, halfway) = tokio::sync::oneshot::channel();
    let offer = soon(pair.to_b.next()).await;
    let first = async {
        let mut half = Some(half);
        receive_file(offer.expect("an offer"), &store, &receive, |event| {
            if let Event::Progress { octets, .. } = event
                && *octets == 1 << 19
                && let Some(half) = half.take()
            {
                let _ = half.send(());
            }
        })
        .await
    };
    let again = async {
        halfway.await.expect("half of it");
        let source = Source::open(&path).expect("a source");
        send_file(&pair.a, jid("b@here/2"), source, &how, |_| {}).await
    };
    let second = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &receive, |_| {}).await
    };
    let (lost, first, sent, second) =
        soon(async { tokio::join!(stalling, first, again, second) }).await;
    assert_eq!(lost, Reason::Cancelled { by: Side::Peer });
    assert!(matches!(first, Err(ReceiveError::Superseded)), "{first:?}");
    assert_eq!(sent.expect("sent").offset, 1 << 19);
    let path = second.expect("received").file.path;
    assert!(std::fs::read(path).expect("a file") == content);
    assert_eq!(pair.names(), ["r.bin"]);
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
    let mut pair = Pair::with(config, sockets, both()).await;
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
    let mut pair = Pair::with(config, sockets, both()).await;
    let source = pair.source("r.bin", &octets(4 << 20));
    let (how, receive) = (SendFile::default(), ReceiveFile::default());
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(sent.is_err() && received.is_err(), "{sent:?} {received:?}");
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}
