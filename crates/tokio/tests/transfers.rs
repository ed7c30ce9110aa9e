//! Transfers between two endpoints over loopback TCP.

mod common;

use bytes::Bytes;
use bytestreams_stanza::{Carrier, File, Range};
use bytestreams_tokio::file::{Source, SourceError, StoreError};
use bytestreams_tokio::{
    Config, Event, Options, Reason, ReceiveError, ReceiveFile, SendError, SendFile, Side, Via,
    WriteError, receive_file, send_file,
};
use common::pair::{Pair, unannounced};
use common::{jid, octets, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn pair() -> Pair {
    Pair::new(Config::default()).await
}

#[tokio::test]
async fn files_of_all_sizes_arrive_identical() {
    let mut pair = pair().await;
    for (n, size) in [0, 1, 4095, 4096, 300_000, 3 << 20].into_iter().enumerate() {
        let content = octets(size);
        let source = pair.source(&format!("{n}.bin"), &content);
        let mut how = SendFile::default();
        how.sha256 = true;
        let mut receive = ReceiveFile::default();
        receive.sha256 = true;
        let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
        let (sent, received) = (sent.expect("sent"), received.expect("received"));
        assert_eq!((sent.octets, received.octets), (size as u64, size as u64));
        assert_eq!(
            (&sent.sid, sent.sha256),
            (&received.sid, received.file.sha256)
        );
        assert!(sent.sha256.is_some());
        assert!(std::fs::read(&received.file.path).expect("a file") == content);
    }
    assert_eq!(pair.names().len(), 6);
}

#[tokio::test]
async fn a_file_by_message_arrives_identical() {
    let mut pair = pair().await;
    let content = octets(500_000);
    let source = pair.source("m.bin", &content);
    let mut how = SendFile::default();
    how.options.carrier = Carrier::Message;
    let receive = ReceiveFile::default();
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    sent.expect("sent");
    let path = received.expect("received").file.path;
    assert!(std::fs::read(path).expect("a file") == content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_files_cross_both_ways_at_once() {
    pair().await.cross_many_both_ways(Via::Ibb).await;
}

#[tokio::test]
async fn a_file_that_nobody_announced_is_named_by_its_stream() {
    let mut pair = Pair::new(unannounced()).await;
    let content = octets(100_000);
    let source = pair.source("u.bin", &content);
    let mut how = SendFile::default();
    how.unannounced = true;
    let receive = ReceiveFile::default();
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert_eq!((sent.octets, received.octets), (100_000, 100_000));
    assert_eq!(pair.names(), [sent.sid.as_str()]);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
}

#[tokio::test]
async fn an_unannounced_file_beyond_the_bound_is_given_up() {
    let mut pair = Pair::new(unannounced()).await;
    let source = pair.source("u.bin", &octets(3 << 20));
    let mut how = SendFile::default();
    how.unannounced = true;
    let mut receive = ReceiveFile::default();
    receive.max_size = Some(1 << 20);
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(sent.is_err(), "{sent:?}");
    assert!(
        matches!(
            received,
            Err(ReceiveError::Store(StoreError::TooLarge { .. }))
        ),
        "{received:?}"
    );
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[tokio::test]
async fn a_directory_that_takes_no_file_declines() {
    let mut pair = pair().await;
    let source = pair.source("f.bin", &octets(100_000));
    let how = SendFile::default();
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let inbox = pair.dir.path().join("in");
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        std::fs::remove_dir(&inbox).expect("an empty directory");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::Declined { .. }))),
        "{sent:?}"
    );
    assert!(
        matches!(received, Err(ReceiveError::Store(_))),
        "{received:?}"
    );
}

#[tokio::test]
async fn the_declined_learn_it() {
    let mut pair = pair().await;
    let source = pair.source("no.bin", b"no");
    let how = SendFile::default();
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let declining = async {
        let offer = pair.to_b.next().await.expect("an offer");
        offer.decline(Some("not today"));
    };
    let (sent, ()) = soon(async { tokio::join!(sending, declining) }).await;
    match sent {
        Err(SendError::Transfer(Reason::Declined {
            by: Side::Peer,
            text,
        })) => {
            assert_eq!(text.as_deref(), Some("not today"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_offer_nobody_listens_for_is_declined() {
    let pair = pair().await;
    drop(pair.to_b);
    let how = SendFile::default();
    let path = pair.dir.path().join("x");
    std::fs::write(&path, b"x").expect("a file");
    let source = Source::open(path).expect("a source");
    let sent = soon(send_file(&pair.a, jid("b@here/2"), source, &how, |_| {})).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::Declined { .. }))),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_file_too_large_is_declined() {
    let mut pair = pair().await;
    let source = pair.source("big.bin", &octets(1001));
    let how = SendFile::default();
    let mut receive = ReceiveFile::default();
    receive.max_size = Some(1000);
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::Declined { .. }))),
        "{sent:?}"
    );
    assert!(
        matches!(
            received,
            Err(ReceiveError::Store(StoreError::TooLarge { most: 1000 }))
        ),
        "{received:?}"
    );
    assert!(pair.names().is_empty());
}

#[tokio::test]
async fn a_sender_that_is_dropped_cancels() {
    let mut pair = pair().await;
    let received = pair.drop_the_sender(8 << 20).await;
    assert!(
        matches!(received, Err(ReceiveError::Transfer(_))),
        "{received:?}"
    );
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[tokio::test]
async fn a_receiver_that_is_dropped_cancels() {
    let sent = pair().await.drop_the_receiver(8 << 20).await;
    assert!(matches!(sent, Err(SendError::Transfer(_))), "{sent:?}");
}

#[tokio::test]
async fn a_lost_link_ends_everything() {
    let mut pair = pair().await;
    let source = pair.source("l.bin", &octets(8 << 20));
    let how = SendFile::default();
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let b = pair.b.clone();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let how = ReceiveFile::default();
        let closing = async {
            b.close().await;
        };
        tokio::join!(receive_file(offer, &store, &how, |_| {}), closing).0
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(
        matches!(sent, Err(SendError::Transfer(Reason::LinkLost))),
        "{sent:?}"
    );
    assert!(
        matches!(received, Err(ReceiveError::Transfer(Reason::LinkLost))),
        "{received:?}"
    );
    assert!(soon(pair.to_a.next()).await.is_none());
    soon(pair.a.closed()).await;
    let late = send_file(
        &pair.a,
        jid("b@here/2"),
        pair.source("late", b""),
        &how,
        |_| {},
    );
    assert!(matches!(
        soon(late).await,
        Err(SendError::Transfer(Reason::LinkLost))
    ));
}

#[tokio::test]
async fn a_file_that_shrinks_is_not_sent_as_another() {
    let mut pair = pair().await;
    let path = pair.file("s.bin", &octets(100_000));
    let source = Source::open(&path).expect("a source");
    std::fs::write(&path, octets(50_000)).expect("a file");
    let how = SendFile::default();
    let receive = ReceiveFile::default();
    let (sent, received) = pair.cross(source, &how, &receive, |_| {}).await;
    assert!(
        matches!(sent, Err(SendError::Source(SourceError::Changed(_)))),
        "{sent:?}"
    );
    assert!(received.is_err(), "{received:?}");
    assert!(pair.names().is_empty());
}

#[tokio::test]
async fn octets_cross_a_stream_both_ways() {
    let mut pair = Pair::new(unannounced()).await;
    let content = octets(1 << 20);
    let echo = async {
        let offer = pair.to_b.next().await.expect("an offer");
        assert!(!offer.announced());
        let transfer = offer.accept(Range::default()).expect("accepted");
        let mut stream = transfer.into_stream().await.expect("a stream");
        let mut buffer = vec![0; 10_000];
        loop {
            let n = stream.read(&mut buffer).await.expect("octets");
            if n == 0 {
                break;
            }
            stream.write_all(&buffer[..n]).await.expect("room");
            stream.flush().await.expect("room");
        }
        stream.close().await
    };
    let asking = async {
        let transfer = pair.a.open(jid("b@here/2"), Options::default());
        let stream = transfer.into_stream().await.expect("a stream");
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(&content).await.expect("room");
            writer.flush().await.expect("room");
        };
        let mut back = vec![0; content.len()];
        let read = reader.read_exact(&mut back);
        let (_, read) = tokio::join!(write, read);
        read.expect("octets");
        assert!(back == content);
        reader.unsplit(writer).close().await
    };
    let (asked, echoed) = soon(async { tokio::join!(asking, echo) }).await;
    asked.expect("closed in order");
    echoed.expect("closed in order");
}

#[tokio::test]
async fn a_stream_that_is_dropped_breaks_the_other_end() {
    let mut pair = Pair::new(unannounced()).await;
    let dropping = async {
        let transfer = pair.a.open(jid("b@here/2"), Options::default());
        let mut stream = transfer.into_stream().await.expect("a stream");
        stream.write_all(&octets(100)).await.expect("room");
    };
    let reading = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let transfer = offer.accept(Range::default()).expect("accepted");
        let mut stream = transfer.into_stream().await.expect("a stream");
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        assert!(all.len() <= 100);
    };
    soon(async { tokio::join!(dropping, reading) }).await;
}

#[tokio::test]
async fn nothing_can_be_written_before_the_stream_is_there() {
    let pair = pair().await;
    let mut transfer = pair.a.open(jid("b@here/2"), Options::default());
    let mut octets = Bytes::from_static(b"early");
    let error = soon(transfer.write(&mut octets))
        .await
        .expect_err("refused");
    assert_eq!(error, WriteError::NotEstablished);
    transfer.cancel();
    while !matches!(soon(transfer.next()).await, Some(Event::Failed { .. })) {}
    assert!(soon(transfer.next()).await.is_none());
}

/// The receiver's verdict reaches the sender, whose octets were all taken.
#[tokio::test]
async fn a_file_whose_hash_is_another_fails_at_both_ends() {
    let mut pair = pair().await;
    let content = octets(10_000);
    let file = File {
        name: Some("x.bin".into()),
        size: Some(content.len() as u64),
        hash: Some([7; 16]),
        ..File::default()
    };
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let mut transfer = pair.a.offer(jid("b@here/2"), file, Options::default());
    let sending = async {
        let mut failure = None;
        while let Some(event) = transfer.next().await {
            if matches!(event, Event::Established { .. }) {
                // What becomes of it is told by an event.
                let _ = transfer.write(&mut content.clone().into()).await;
                let _ = transfer.finish();
            } else if let Event::Failed { reason, .. } = event {
                failure = Some(reason);
            }
        }
        failure
    };
    let (received, sent) = soon(async { tokio::join!(receiving, sending) }).await;
    assert!(
        matches!(received, Err(ReceiveError::Store(StoreError::Hash))),
        "{received:?}"
    );
    let said = sent.expect("the sender learns it").to_string();
    assert!(said.contains("the file differs"), "{said}");
    assert_eq!(pair.names(), Vec::<String>::new());
}
