//! The page, the handshake, and who may.

#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

mod common;

use bytestreams_upload::{Config, Event, hash_password};
use common::{LONG, Running, stor};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Sends a request and gives all that comes back.
async fn request(server: &Running, head: &str) -> String {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let text = format!("{head}\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(LONG, read).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn the_page_is_served_whole_and_alone() {
    let mut config = Config::default();
    config.max_size = Some(7);
    let server = Running::start(config).await;
    for (path, mime, text) in [
        ("/", "text/html", "<title>Upload files</title>"),
        ("/?x=1", "text/html", "type=\"file\" multiple"),
        ("/page.css", "text/css", "progress"),
        ("/page.js", "text/javascript", "import { upload }"),
        ("/upload.js", "text/javascript", "export function upload"),
        (
            "/options.json",
            "application/json",
            r#"{"login":false,"maxSize":7}"#,
        ),
    ] {
        let answer = request(&server, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains(&format!("content-type: {mime}")),
            "{answer}"
        );
        assert!(
            answer.contains("content-security-policy: default-src 'none'"),
            "{answer}"
        );
        assert!(answer.contains(text), "{answer}");
    }
    for (head, status) in [
        ("GET /nothing HTTP/1.1", "404"),
        ("GET /../Cargo.toml HTTP/1.1", "404"),
        ("POST / HTTP/1.1", "405"),
        ("HEAD / HTTP/1.1", "200"),
        ("GET / HTTP/1.1\r\nUpgrade: websocket", "400"),
        ("nonsense", "400"),
    ] {
        let answer = request(&server, head).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {answer}"
        );
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100_000));
    let answer = request(&server, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.holds(&[]).await;
}

#[tokio::test]
async fn pages_of_strangers_may_not_upload() {
    let mut config = Config::default();
    config.origins = vec!["https://friend.example".parse().unwrap()];
    let server = Running::start(config).await;
    let own = format!("http://{}", server.addr);
    for (origin, may) in [
        (None, true),
        (Some(own.as_str()), true),
        (Some("https://friend.example"), true),
        (Some("http://friend.example"), false),
        (Some("http://evil.example"), false),
        (Some("null"), false),
    ] {
        let mut request = server.url().into_client_request().unwrap();
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(server.addr).await.unwrap();
        match client_async(request, stream).await {
            Ok(_) => assert!(may, "{origin:?}"),
            Err(Error::Http(response)) => {
                assert!(!may, "{origin:?}");
                assert_eq!(response.status(), 403);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the server believes of a client behind a proxy.
async fn peer(trust: bool) -> bytestreams_upload::Peer {
    let mut config = Config::default();
    config.trust_proxy = trust;
    let hash = hash_password(b"x").unwrap();
    config.passwords = Some(format!("romeo:{hash}").parse().unwrap());
    let mut server = Running::start(config).await;
    let mut request = server.url().into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
    headers.insert("x-forwarded-proto", "https".parse().unwrap());
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut ws, _) = client_async(request, stream).await.unwrap();
    let auth = r#"AUTH: {"login":"romeo","password":"x"}"#;
    for message in [auth.to_owned(), stor("a", 1, "binary")] {
        ws.send(Message::Text(message.into())).await.unwrap();
        ws.next().await.unwrap().unwrap();
    }
    match server.events.recv().await {
        Some(Event::Requested { peer, .. }) => peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_is_believed_only_where_it_is_trusted() {
    let trusted = peer(true).await;
    assert_eq!(
        (trusted.addr.to_string().as_str(), trusted.secure),
        ("203.0.113.9", true)
    );
    assert_eq!(trusted.login.as_deref(), Some("romeo"));
    let other = peer(false).await;
    assert_eq!(
        (other.addr.to_string().as_str(), other.secure),
        ("127.0.0.1", false)
    );
}
