//! What the browser class WebSocketFileTransfer says, message by message.

#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytestreams_upload::{Config, Event, hash_password};
use common::{Raw, Running, content};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

/// What the class does when it is told to start: logs in if it was given a login, asks, and sends
/// block after block, each once the one before is answered. It sees `type`, `code` and `bytesRead`,
/// adds the latter up for its progress, and closes by itself behind the last block.
struct Class {
    block_size: usize,
    kind: &'static str,
    login: Option<(&'static str, &'static str)>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Success { loaded: u64 },
    Error { code: i64, message: String },
}

impl Class {
    async fn start(&self, server: &Running, name: &str, file: &[u8]) -> Outcome {
        let mut socket = Raw::connect(server.addr).await;
        let infos = serde_json::json!({
            "filename": name, "size": file.len(), "type": self.kind, "parameters": [],
        });
        let (mut index, mut last, mut loaded) = (0, false, 0);
        match self.login {
            Some((login, password)) => {
                let infos = serde_json::json!({"login": login, "password": password});
                socket.say(format!("AUTH: {infos}")).await;
            }
            None => socket.say(format!("STOR: {infos}")).await,
        }
        loop {
            let response: Value = socket.hear().await;
            if response["code"] != 200 {
                socket.0.close(None).await.unwrap();
                return Outcome::Error {
                    code: response["code"].as_i64().unwrap(),
                    message: response["message"].as_str().unwrap().into(),
                };
            }
            match response["type"].as_str().unwrap() {
                "AUTH" => {
                    socket.say(format!("STOR: {infos}")).await;
                    continue;
                }
                "STOR" => {}
                "DATA" => {
                    loaded = index as u64 + response["bytesRead"].as_u64().unwrap();
                    if last {
                        socket.0.close(None).await.unwrap();
                        return Outcome::Success { loaded };
                    }
                    index += self.block_size;
                }
                other => panic!("{other} is not understood"),
            }
            assert!(loaded <= file.len() as u64);
            let stop = file.len().min(index + self.block_size);
            last = stop == file.len();
            let slice = &file[index..stop];
            socket
                .say(match self.kind {
                    "binary" => Message::Binary(slice.to_vec().into()),
                    _ => Message::Text(STANDARD.encode(slice).into()),
                })
                .await;
        }
    }
}

#[tokio::test]
async fn the_class_uploads_files_of_all_sizes_in_both_ways() {
    let mut server = Running::start(Config::default()).await;
    for kind in ["base64", "binary"] {
        for size in [0, 1, 1023, 1024, 1025, 5000] {
            let class = Class {
                block_size: 1024,
                kind,
                login: None,
            };
            let (name, file) = (format!("{kind} {size}.bin"), content(size));
            let outcome = class.start(&server, &name, &file).await;
            assert_eq!(
                outcome,
                Outcome::Success {
                    loaded: size as u64
                },
                "{name}"
            );
            let Event::Stored { path, .. } = server.end().await else {
                panic!()
            };
            assert_eq!(path, server.dir.path().join(&name));
            assert!(std::fs::read(path).unwrap() == file, "{name}");
        }
    }
}

#[tokio::test]
async fn the_class_may_have_larger_blocks() {
    let mut server = Running::start(Config::default()).await;
    for kind in ["base64", "binary"] {
        let class = Class {
            block_size: 1 << 20,
            kind,
            login: None,
        };
        let file = content((1 << 20) + 5);
        let outcome = class.start(&server, kind, &file).await;
        assert_eq!(
            outcome,
            Outcome::Success {
                loaded: (1 << 20) + 5
            }
        );
        let Event::Stored { path, .. } = server.end().await else {
            panic!()
        };
        assert!(std::fs::read(path).unwrap() == file);
    }
}

#[tokio::test]
async fn the_class_logs_in() {
    let mut config = Config::default();
    let hash = hash_password(b"secret").unwrap();
    config.passwords = Some(format!("romeo:{hash}").parse().unwrap());
    let server = Running::start(config).await;
    let mut class = Class {
        block_size: 1024,
        kind: "base64",
        login: Some(("romeo", "secret")),
    };
    let outcome = class.start(&server, "a", b"abc").await;
    assert_eq!(outcome, Outcome::Success { loaded: 3 });
    for login in [None, Some(("romeo", "Secret")), Some(("juliet", "secret"))] {
        class.login = login;
        let outcome = class.start(&server, "b", b"abc").await;
        assert!(
            matches!(outcome, Outcome::Error { code: 401, .. }),
            "{outcome:?}"
        );
    }
    server.holds(&["a"]).await;
}

#[tokio::test]
async fn the_classs_own_description_has_no_colon() {
    let mut server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    let answer = client.ask(r#"STOR {"filename":"a.txt","size":7}"#).await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"STOR".into(), &200.into())
    );
    let answer = client.ask("VEVTVElORw==").await;
    assert_eq!(
        (&answer["code"], &answer["bytesRead"]),
        (&200.into(), &7.into())
    );
    assert!(matches!(server.end().await, Event::Stored { size: 7, .. }));
    assert_eq!(
        std::fs::read(server.dir.path().join("a.txt")).unwrap(),
        b"TESTING"
    );
}
