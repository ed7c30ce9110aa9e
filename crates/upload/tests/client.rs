//! The client, against our server and against others.

#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

mod common;

use bytestreams_file::Source;
use bytestreams_upload::{
    Config, Credentials, Encoding, Event, Progress, Reason, UploadError, UploadOptions,
    hash_password, upload,
};
use common::{LONG, Running, content};
use futures_util::{SinkExt, StreamExt};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

fn file(size: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let (path, content) = (dir.path().join("a.bin"), content(size));
    std::fs::write(&path, &content).unwrap();
    (dir, path, content)
}

fn options(change: impl FnOnce(&mut UploadOptions)) -> UploadOptions {
    let mut options = UploadOptions::default();
    change(&mut options);
    options
}

#[tokio::test]
async fn files_of_all_sizes_arrive_in_both_ways() {
    let mut server = Running::start(Config::default()).await;
    for encoding in [Encoding::Binary, Encoding::Base64] {
        for size in [0, 1, 262_143, 262_144, 262_145, 3_000_003, 9 << 20] {
            let (_dir, path, content) = file(size);
            let options = options(|options| {
                options.encoding = encoding;
                options.sha256 = true;
            });
            let mut seen = Vec::new();
            let source = Source::open(path).unwrap();
            let url = server.url();
            let uploaded = upload(&url, source, &options, |progress| seen.push(progress));
            let uploaded = tokio::time::timeout(LONG, uploaded).await.unwrap().unwrap();
            assert_eq!(uploaded.octets, size as u64);
            assert_eq!(
                seen[0],
                Progress::Accepted {
                    window: 16,
                    block: 262_144
                }
            );
            assert_eq!(seen.last(), Some(&Progress::Stored(size as u64)));
            assert!(uploaded.sha256.is_some());
            let Event::Stored { path, .. } = server.end().await else {
                panic!()
            };
            assert_eq!(path.file_name().unwrap().to_str(), uploaded.name.as_deref());
            assert!(std::fs::read(path).unwrap() == content, "{encoding} {size}");
        }
    }
}

#[tokio::test]
async fn a_login_is_given() {
    let mut config = Config::default();
    let hash = hash_password(b"secret").unwrap();
    config.passwords = Some(format!("romeo:{hash}").parse().unwrap());
    let server = Running::start(config).await;
    let (_dir, path, _) = file(10);
    for (password, right) in [("secret", true), ("wrong", false)] {
        let options = options(|options| {
            options.credentials = Some(Credentials {
                login: "romeo".into(),
                password: password.into(),
            });
        });
        let source = Source::open(&path).unwrap();
        match upload(&server.url(), source, &options, |_| {}).await {
            Ok(_) => assert!(right),
            Err(UploadError::Failed(Reason::Refused { code, .. })) => {
                assert_eq!((code, right), (401, false));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A server of someone else's, which announces nothing; it answers each block only when no other has
/// come for a moment. Gives the blocks.
async fn other(listener: TcpListener, size: usize) -> Vec<usize> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut ws = accept_async(stream).await.unwrap();
    let Some(Ok(Message::Text(stor))) = ws.next().await else {
        panic!()
    };
    assert!(stor.starts_with("STOR: {\"filename\":\"a.bin\""));
    let ok = r#"{"type":"STOR","message":"Upload initialized. Wait for data","code":200}"#;
    ws.send(Message::Text(ok.into())).await.unwrap();
    let (mut blocks, mut got) = (Vec::new(), 0);
    while got < size {
        let Some(Ok(Message::Binary(block))) = ws.next().await else {
            panic!()
        };
        let early = tokio::time::timeout(Duration::from_millis(20), ws.next()).await;
        assert!(early.is_err(), "a block before the answer");
        got += block.len();
        blocks.push(block.len());
        let answer = format!(
            r#"{{"type":"DATA","code":200,"bytesRead":{}}}"#,
            block.len()
        );
        ws.send(Message::Text(answer.into())).await.unwrap();
    }
    blocks
}

#[tokio::test]
async fn towards_others_there_is_one_block_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (_dir, path, _) = file(40_000);
    let options = options(|options| options.window = 50.try_into().ok());
    let source = Source::open(path).unwrap();
    let (uploaded, blocks) = tokio::join!(
        upload(&url, source, &options, |_| {}),
        other(listener, 40_000)
    );
    assert_eq!(uploaded.unwrap().name, None);
    assert_eq!(blocks, [16_384, 16_384, 7232]);
}

#[tokio::test]
async fn what_is_no_server_is_told() {
    let (_dir, path, _) = file(10);
    let open = || Source::open(&path).unwrap();
    let options = UploadOptions::default();
    let failed = |url: &'static str| {
        let source = open();
        let options = options.clone();
        async move { upload(url, source, &options, |_| {}).await.unwrap_err() }
    };
    assert!(matches!(
        failed("http://a.example").await,
        UploadError::Url(_)
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let refused = upload(&format!("ws://{addr}"), open(), &options, |_| {}).await;
    assert!(
        matches!(refused, Err(UploadError::Connect(_))),
        "{refused:?}"
    );
    let mut config = Config::default();
    config.max_size = Some(5);
    let server = Running::start(config).await;
    let error = upload(&server.url(), open(), &options, |_| {})
        .await
        .unwrap_err();
    let UploadError::Failed(Reason::Refused { code: 413, message }) = error else {
        panic!("{error}")
    };
    assert!(message.contains("at most 5"), "{message}");
}

#[tokio::test]
async fn a_server_that_goes_away_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (_dir, path, _) = file(100_000);
    let source = Source::open(path).unwrap();
    let gone = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = accept_async(stream).await.unwrap();
        ws.next().await;
        let ok = r#"{"type":"STOR","code":200}"#;
        ws.send(Message::Text(ok.into())).await.unwrap();
        ws.next().await;
    };
    let options = UploadOptions::default();
    let (failed, ()) = tokio::join!(upload(&url, source, &options, |_| {}), gone);
    assert!(
        matches!(failed, Err(UploadError::Failed(Reason::Closed))),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_file_that_shrinks_is_not_uploaded() {
    let mut server = Running::start(Config::default()).await;
    let (_dir, path, _) = file(4 << 20);
    let source = Source::open(&path).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let failed = upload(&server.url(), source, &UploadOptions::default(), |_| {}).await;
    assert!(matches!(failed, Err(UploadError::Source(_))), "{failed:?}");
    assert!(matches!(server.end().await, Event::Failed { .. }));
    server.holds(&[]).await;
}
