//! Everything that a client may do wrong, and everything that may go wrong: a clear answer, and
//! nothing half-written under a final name.

#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

mod common;

use bytestreams_upload::{Config, Decide, Event, Failure};
use common::{Raw, Running, content, list, stor};
use futures_util::SinkExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// Says messages, the last of which is refused.
async fn refused(config: Config, messages: Vec<Message>, kind: &str, code: u16, words: &str) {
    let mut server = Running::start(config).await;
    let mut client = Raw::connect(server.addr).await;
    let last = messages.len() - 1;
    for (n, message) in messages.into_iter().enumerate() {
        let answer = client.ask(message).await;
        if n < last {
            assert_eq!(answer["code"], 200, "{answer}");
        } else {
            assert_eq!(
                (&answer["type"], &answer["code"]),
                (&kind.into(), &code.into()),
                "{answer}"
            );
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains(words), "{message}");
        }
    }
    assert_eq!(client.closed().await, 1008);
    assert!(matches!(server.end().await, Event::Failed { .. }));
    server.holds(&[]).await;
}

fn text(text: impl Into<String>) -> Message {
    Message::Text(text.into().into())
}

fn binary(octets: &[u8]) -> Message {
    Message::Binary(octets.to_vec().into())
}

#[tokio::test]
async fn malformed_json_is_answered_400() {
    for (json, words) in [
        ("STOR: {\"filename\":", "not JSON"),
        ("STOR: nonsense", "not JSON"),
        ("STOR: []", "not an object"),
        ("STOR: {\"size\":1}", "filename"),
        ("STOR: {\"filename\":\"a\",\"size\":-1}", "size"),
        (
            "STOR: {\"filename\":\"a\",\"size\":1,\"type\":\"hex\"}",
            "type",
        ),
    ] {
        refused(Config::default(), vec![text(json)], "STOR", 400, words).await;
    }
    let deep = format!("STOR: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    refused(Config::default(), vec![text(deep)], "STOR", 400, "deeper").await;
    refused(
        Config::default(),
        vec![text("AUTH: {}")],
        "AUTH",
        400,
        "login",
    )
    .await;
}

#[tokio::test]
async fn a_block_before_stor_is_answered_400() {
    for block in [text("VEVT"), binary(b"TES"), text("")] {
        refused(Config::default(), vec![block], "DATA", 400, "before STOR").await;
    }
}

#[tokio::test]
async fn a_second_stor_is_answered_400() {
    let messages = vec![text(stor("a", 3, "base64")), text(stor("b", 3, "base64"))];
    refused(Config::default(), messages, "STOR", 400, "second STOR").await;
}

#[tokio::test]
async fn blocks_that_come_otherwise_than_declared_are_answered_400() {
    let messages = vec![text(stor("a", 3, "base64")), binary(b"TES")];
    refused(
        Config::default(),
        messages,
        "DATA",
        400,
        "base64 was declared",
    )
    .await;
    let messages = vec![text(stor("a", 3, "binary")), text("VEVT")];
    refused(
        Config::default(),
        messages,
        "DATA",
        400,
        "binary was declared",
    )
    .await;
    let messages = vec![text(stor("a", 3, "base64")), text("VEV*")];
    refused(Config::default(), messages, "DATA", 400, "not base64").await;
}

#[tokio::test]
async fn files_too_large_are_answered_413() {
    let config = || config(|config| config.max_size = Some(10));
    let messages = vec![text(stor("a", 11, "binary"))];
    refused(config(), messages, "STOR", 413, "at most 10").await;
    let messages = vec![text(stor("a", u64::MAX, "binary"))];
    refused(config(), messages, "STOR", 413, "at most 10").await;
}

#[tokio::test]
async fn a_file_larger_than_the_disk_is_answered_500_at_once() {
    let messages = vec![text(stor("a", u64::MAX, "binary"))];
    refused(Config::default(), messages, "STOR", 500, "no space").await;
}

#[tokio::test]
async fn more_than_declared_is_answered_422() {
    let messages = vec![text(stor("a", 10, "binary")), binary(&content(11))];
    refused(Config::default(), messages, "DATA", 422, "10 declared").await;
    let messages = vec![text(stor("a", 10, "binary")), binary(b"12345"), binary(b"")];
    refused(Config::default(), messages, "DATA", 422, "5 of the 10").await;
}

#[tokio::test]
async fn what_the_application_decides_is_answered_403() {
    let config = config(|config| {
        config.decide = Some(Decide::new(|request, _| {
            if request.parameters == r#"[{"album":7}]"# {
                Ok(())
            } else {
                Err("no such album".into())
            }
        }));
    });
    let messages = vec![text(stor("a", 1, "binary"))];
    refused(config.clone(), messages, "STOR", 403, "no such album").await;
    let server = Running::start(config).await;
    let mut client = Raw::connect(server.addr).await;
    let message = r#"STOR: {"filename":"a","size":1,"type":"binary","parameters":[{"album":7}]}"#;
    assert_eq!(client.ask(message).await["code"], 200);
}

#[tokio::test]
async fn ten_declared_and_a_gibibyte_sent_ends_with_422_and_an_end_to_reading() {
    let mut server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    client.stor("a", 10, "binary").await;
    // As much of it as the server takes before it closes.
    let block = binary(&content(1 << 20));
    let mut sent = 0;
    while sent < 1 << 10 && client.0.feed(block.clone()).await.is_ok() {
        sent += 1;
    }
    assert!(matches!(
        server.end().await,
        Event::Failed { failure: Failure::Fault(fault), .. } if fault.code().as_u16() == 422
    ));
    server.holds(&[]).await;
}

#[tokio::test]
async fn an_answer_arrives_though_the_client_goes_on_sending() {
    let server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    client.stor("a", 10, "binary").await;
    for _ in 0..16 {
        client.say(binary(&content(1 << 20))).await;
    }
    let answer = client.hear().await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"DATA".into(), &422.into())
    );
    assert_eq!(client.closed().await, 1008);
}

#[tokio::test]
async fn a_gibibyte_declared_and_ten_sent_leaves_nothing() {
    let mut server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    client.stor("a", 1 << 30, "binary").await;
    assert_eq!(client.ask(binary(&content(10))).await["bytesRead"], 10);
    assert_eq!(list(server.dir.path()).len(), 1, "a partial file");
    assert!(list(server.dir.path())[0].starts_with(".a."));
    client.0.close(None).await.unwrap();
    assert!(matches!(
        server.end().await,
        Event::Failed {
            failure: Failure::Left,
            ..
        }
    ));
    server.holds(&[]).await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing() {
    let mut server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    client.stor("a", 100, "base64").await;
    client.ask(text("VEVT")).await;
    drop(client);
    assert!(matches!(
        server.end().await,
        Event::Failed {
            failure: Failure::Left,
            ..
        }
    ));
    server.holds(&[]).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let config = config(|config| {
        // Longer than who shakes hands may be kept waiting by a busy machine.
        config.bounds.handshake = Duration::from_millis(400);
        config.bounds.idle = Duration::from_millis(400);
    });
    let mut server = Running::start(config).await;
    let mut silent = Raw::connect(server.addr).await;
    assert_eq!(silent.closed().await, 1008);
    let mut idle = Raw::connect(server.addr).await;
    idle.stor("a", 10, "binary").await;
    assert_eq!(idle.closed().await, 1008);
    assert!(matches!(
        server.end().await,
        Event::Failed {
            failure: Failure::TimedOut,
            ..
        }
    ));
    // Not even a request.
    let mut mute = TcpStream::connect(server.addr).await.unwrap();
    mute.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut heard = Vec::new();
    mute.read_to_end(&mut heard).await.unwrap();
    server.holds(&[]).await;
}

#[tokio::test]
async fn json_of_ten_megabytes_is_answered_413_without_being_kept() {
    let mut server = Running::start(Config::default()).await;
    let mut client = Raw::connect(server.addr).await;
    let answer = client
        .ask(format!(
            "STOR: {{\"filename\":\"{}\",\"size\":1}}",
            "a".repeat(10_000_000)
        ))
        .await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"STOR".into(), &413.into())
    );
    assert_eq!(client.closed().await, 1009);
    assert!(matches!(server.end().await, Event::Failed { .. }));
    // Shorter than a block, and still too long for a command.
    let mut client = Raw::connect(server.addr).await;
    let answer = client
        .ask(format!("STOR: {{\"x\":\"{}\"}}", "a".repeat(100_000)))
        .await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"STOR".into(), &413.into())
    );
}

#[tokio::test]
async fn a_block_beyond_the_bound_is_answered_413() {
    let mut server = Running::start(Config::default()).await;
    for (encoding, block) in [
        ("binary", binary(&content((1 << 20) + 1))),
        ("binary", binary(&content(3 << 20))),
        ("base64", text("A".repeat(4 << 20))),
    ] {
        let mut client = Raw::connect(server.addr).await;
        client.stor("a", 10 << 20, encoding).await;
        let answer = client.ask(block).await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&"DATA".into(), &413.into())
        );
        assert!(matches!(server.end().await, Event::Failed { .. }));
    }
    server.holds(&[]).await;
}

#[tokio::test]
async fn two_uploads_of_one_name_at_once_get_two_files() {
    let mut server = Running::start(Config::default()).await;
    let mut clients = [
        Raw::connect(server.addr).await,
        Raw::connect(server.addr).await,
    ];
    for client in &mut clients {
        client.stor("photo.jpg", 3, "binary").await;
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(binary(&[n as u8; 2])).await["code"], 200);
    }
    for (n, client) in clients.iter_mut().enumerate().rev() {
        let name = ["photo (1).jpg", "photo.jpg"][n];
        let answer = client.ask(binary(&[n as u8; 1])).await;
        assert_eq!(answer["bytestreams"]["filename"], name);
        let Event::Stored { path, .. } = server.end().await else {
            panic!()
        };
        assert_eq!(std::fs::read(path).unwrap(), [n as u8; 3]);
    }
    server.holds(&["photo (1).jpg", "photo.jpg"]).await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_answered_409_where_names_stay() {
    let mut server = Running::start(config(|config| config.exact_names = true)).await;
    let mut first = Raw::connect(server.addr).await;
    first.stor("photo.jpg", 3, "binary").await;
    let mut second = Raw::connect(server.addr).await;
    let answer = second.ask(stor("x/photo.jpg", 3, "binary")).await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"STOR".into(), &409.into())
    );
    assert!(matches!(server.end().await, Event::Failed { .. }));
    assert_eq!(first.ask(binary(b"abc")).await["code"], 200);
    assert!(matches!(server.end().await, Event::Stored { .. }));
    let mut third = Raw::connect(server.addr).await;
    assert_eq!(third.ask(stor("photo.jpg", 3, "binary")).await["code"], 409);
    assert!(matches!(server.end().await, Event::Failed { .. }));
    // Someone else makes the file meanwhile.
    let mut fourth = Raw::connect(server.addr).await;
    fourth.stor("other.jpg", 3, "binary").await;
    std::fs::write(server.dir.path().join("other.jpg"), b"mine").unwrap();
    let answer = fourth.ask(binary(b"abc")).await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&"DATA".into(), &409.into())
    );
    assert_eq!(
        std::fs::read(server.dir.path().join("other.jpg")).unwrap(),
        b"mine"
    );
    server.holds(&["other.jpg", "photo.jpg"]).await;
}

#[tokio::test]
async fn names_are_one_safe_component() {
    let server = Running::start(Config::default()).await;
    for (name, stored) in [
        ("../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        ("C:\\boot.ini", "boot.ini"),
        ("..", "file"),
        ("", "file (1)"),
        (".bashrc", "bashrc"),
        ("a\u{0}\u{202e}b\r\n.txt", "ab.txt"),
        ("CON", "_CON"),
    ] {
        let mut client = Raw::connect(server.addr).await;
        client.stor(name, 1, "binary").await;
        let answer = client.ask(binary(b"x")).await;
        assert_eq!(answer["bytestreams"]["filename"], stored, "{name}");
    }
    let mut names = list(server.dir.path());
    names.retain(|name| name.starts_with('.'));
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn uploads_at_once_have_a_bound() {
    let config = config(|config| config.bounds.uploads_a_source = 2);
    let server = Running::start(config).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::connect(server.addr).await;
        client.stor("a", 1, "binary").await;
        clients.push(client);
    }
    let mut third = Raw::connect(server.addr).await;
    let answer = third.ask(stor("a", 1, "binary")).await;
    assert_eq!(answer["code"], 403);
    assert!(answer["message"].as_str().unwrap().contains("too many"));
    let mut first = clients.swap_remove(0);
    first.ask(binary(b"x")).await;
    first.0.close(None).await.unwrap();
    // The place is free once the server has seen the end.
    for _ in 0..3000 {
        let mut client = Raw::connect(server.addr).await;
        if client.ask(stor("a", 1, "binary")).await["code"] == 200 {
            return;
        }
    }
    panic!("no upload after one has ended");
}

#[tokio::test]
async fn connections_at_once_have_a_bound() {
    let config = config(|config| config.bounds.connections = 2);
    let server = Running::start(config).await;
    let one = Raw::connect(server.addr).await;
    let _two = Raw::connect(server.addr).await;
    let mut three = TcpStream::connect(server.addr).await.unwrap();
    let mut heard = [0; 1];
    assert_eq!(
        three.read(&mut heard).await.unwrap_or(0),
        0,
        "closed at once"
    );
    drop(one);
    for _ in 0..3000 {
        let mut four = TcpStream::connect(server.addr).await.unwrap();
        four.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        if four.read(&mut heard).await.unwrap_or(0) == 1 {
            return;
        }
    }
    panic!("no connection after one has ended");
}

#[tokio::test]
async fn a_server_that_stops_lets_uploads_end_and_begins_none() {
    let mut server = Running::start(Config::default()).await;
    let mut running = Raw::connect(server.addr).await;
    running.stor("a", 2, "binary").await;
    running.ask(binary(b"x")).await;
    let mut waiting = Raw::connect(server.addr).await;
    server.begin_to_stop();
    assert_eq!(waiting.closed().await, 1001);
    assert_eq!(running.ask(binary(b"y")).await["code"], 200);
    assert!(matches!(server.end().await, Event::Stored { .. }));
    running.0.close(None).await.unwrap();
    let dir = server.stopped().await;
    assert_eq!(list(dir.path()), ["a"]);
}

#[tokio::test]
async fn a_server_that_stops_gives_up_what_does_not_end() {
    let config = config(|config| config.bounds.grace = Duration::from_millis(50));
    let mut server = Running::start(config).await;
    let mut client = Raw::connect(server.addr).await;
    client.stor("a", 2, "binary").await;
    server.begin_to_stop();
    assert_eq!(client.closed().await, 1001);
    assert!(matches!(
        server.end().await,
        Event::Failed {
            failure: Failure::Stopped,
            ..
        }
    ));
    drop(client);
    let dir = server.stopped().await;
    assert!(list(dir.path()).is_empty());
}
