//! Transfers between two endpoints over loopback TCP.

mod common;

use bytes::Bytes;
use bytestreams_stanza::{Carrier, File, Range};
use bytestreams_tokio::file::{Source, SourceError, Store, StoreError};
use bytestreams_tokio::{
    Config, Endpoint, Event, Offers, Options, Reason, ReceiveError, ReceiveFile, SendError,
    SendFile, Side, WriteError, receive_file, send_file,
};
use common::{jid, loopback, octets, soon};
use md5::Digest;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Pair {
    a: Endpoint,
    to_a: Offers,
    b: Endpoint,
    to_b: Offers,
    dir: TempDir,
}

async fn pair() -> Pair {
    pair_with(Config::default()).await
}

async fn pair_with(config: Config) -> Pair {
    let (a, b) = loopback("a@here/1", "b@here/2").await;
    let (a, to_a) = Endpoint::spawn(a, config.clone());
    let (b, to_b) = Endpoint::spawn(b, config);
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
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    fn source(&self, name: &str, content: &[u8]) -> Source {
        Source::open(self.file(name, content)).expect("a source")
    }

    fn store(&self) -> Store {
        Store::open(self.dir.path().join("in")).expect("a store")
    }

    /// What lies in the inbox, partial files too.
    fn inbox(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path().join("in"))
            .expect("a directory")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        names.sort();
        names
    }
}

fn unannounced() -> Config {
    let mut config = Config::default();
    config.allow_unannounced = true;
    config
}

#[tokio::test]
async fn files_of_all_sizes_arrive_identical() {
    let mut pair = pair().await;
    for (n, size) in [0, 1, 4095, 4096, 300_000, 3 << 20].into_iter().enumerate() {
        let content = octets(size);
        let source = pair.source(&format!("{n}.bin"), &content);
        let mut how = SendFile::default();
        how.sha256 = true;
        let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
        let store = pair.store();
        let receiving = async {
            let offer = pair.to_b.next().await.expect("an offer");
            let mut how = ReceiveFile::default();
            how.sha256 = true;
            receive_file(offer, &store, &how, |_| {}).await
        };
        let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
        let (sent, received) = (sent.expect("sent"), received.expect("received"));
        assert_eq!((sent.octets, received.octets), (size as u64, size as u64));
        assert_eq!(
            (&sent.sid, sent.sha256),
            (&received.sid, received.file.sha256)
        );
        assert!(sent.sha256.is_some());
        assert!(std::fs::read(&received.file.path).expect("a file") == content);
    }
    assert_eq!(pair.inbox().len(), 6);
}

#[tokio::test]
async fn a_file_by_message_arrives_identical() {
    let mut pair = pair().await;
    let content = octets(500_000);
    let source = pair.source("m.bin", &content);
    let mut how = SendFile::default();
    how.options.carrier = Carrier::Message;
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    sent.expect("sent");
    let path = received.expect("received").file.path;
    assert!(std::fs::read(path).expect("a file") == content);
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
                send_file(&endpoint, jid(to), source, &how, |_| {})
                    .await
                    .expect("sent");
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
                    receive_file(offer, &store, &how, |_| {})
                        .await
                        .expect("received");
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
            let path = pair.dir.path().join(format!("in/{way}{n}"));
            assert!(std::fs::read(path).expect("a file") == octets(200_000 + n));
        }
    }
}

#[tokio::test]
async fn a_file_that_nobody_announced_is_named_by_its_stream() {
    let mut pair = pair_with(unannounced()).await;
    let content = octets(100_000);
    let source = pair.source("u.bin", &content);
    let mut how = SendFile::default();
    how.unannounced = true;
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert_eq!((sent.octets, received.octets), (100_000, 100_000));
    assert_eq!(pair.inbox(), [sent.sid.as_str()]);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
}

#[tokio::test]
async fn an_unannounced_file_beyond_the_bound_is_given_up() {
    let mut pair = pair_with(unannounced()).await;
    let source = pair.source("u.bin", &octets(3 << 20));
    let mut how = SendFile::default();
    how.unannounced = true;
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let mut how = ReceiveFile::default();
        how.max_size = Some(1 << 20);
        receive_file(offer, &store, &how, |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(sent.is_err(), "{sent:?}");
    assert!(
        matches!(
            received,
            Err(ReceiveError::Store(StoreError::TooLarge { .. }))
        ),
        "{received:?}"
    );
    assert!(pair.inbox().is_empty(), "{:?}", pair.inbox());
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
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        let mut how = ReceiveFile::default();
        how.max_size = Some(1000);
        receive_file(offer, &store, &how, |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
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
    assert!(pair.inbox().is_empty());
}

#[tokio::test]
async fn a_sender_that_is_dropped_cancels() {
    let mut pair = pair().await;
    let source = pair.source("c.bin", &octets(8 << 20));
    let how = SendFile::default();
    let (moving, moved) = tokio::sync::oneshot::channel();
    let mut moving = Some(moving);
    let store = pair.store();
    let a = pair.a.clone();
    let sending = tokio::spawn(async move {
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
    assert!(pair.inbox().is_empty(), "{:?}", pair.inbox());
}

#[tokio::test]
async fn a_receiver_that_is_dropped_cancels() {
    let mut pair = pair().await;
    let source = pair.source("c.bin", &octets(8 << 20));
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
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let store = pair.store();
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(
        matches!(sent, Err(SendError::Source(SourceError::Changed(_)))),
        "{sent:?}"
    );
    assert!(received.is_err(), "{received:?}");
    assert!(pair.inbox().is_empty());
}

#[tokio::test]
async fn only_the_rest_travels_after_a_broken_attempt() {
    let mut pair = pair().await;
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
            pair.inbox().iter().all(|name| name.starts_with('.')),
            "{:?}",
            pair.inbox()
        );
    }
    let source = Source::open(&path).expect("a source");
    let sending = send_file(&pair.a, jid("b@here/2"), source, &how, |_| {});
    let receiving = async {
        let offer = pair.to_b.next().await.expect("an offer");
        receive_file(offer, &store, &receive, |_| {}).await
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    let (sent, received) = (sent.expect("sent"), received.expect("received"));
    assert!(sent.offset >= 1 << 20, "{}", sent.offset);
    assert_eq!(sent.offset, received.offset);
    assert_eq!(sent.offset + sent.octets, 4 << 20);
    assert!(std::fs::read(&received.file.path).expect("a file") == content);
    assert_eq!(pair.inbox(), ["r.bin"]);
}

#[tokio::test]
async fn a_file_offered_again_goes_on_where_its_lost_transfer_is() {
    let mut pair = pair().await;
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
    assert_eq!(pair.inbox(), ["r.bin"]);
}

#[tokio::test]
async fn octets_cross_a_stream_both_ways() {
    let mut pair = pair_with(unannounced()).await;
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
    let mut pair = pair_with(unannounced()).await;
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
