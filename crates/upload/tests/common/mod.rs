//! A server in this process, and a client that says whatever it is told.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

use bytestreams_upload::{Config, Event, Server};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Long enough for anything on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) dir: TempDir,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind("127.0.0.1:0", dir.path(), config)
            .await
            .unwrap();
        let addr = server.local_addr();
        let (tell, events) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(
            async {
                let _ = stopped.await;
            },
            move |event| drop(tell.send(event)),
        ));
        Self {
            addr,
            dir,
            events,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/upload", self.addr)
    }

    /// The next event that says how an upload ended.
    pub(crate) async fn end(&mut self) -> Event {
        loop {
            let event = tokio::time::timeout(LONG, self.events.recv()).await;
            match event.expect("in time").expect("a server that runs") {
                Event::Requested { .. } => {}
                end => return end,
            }
        }
    }

    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn stopped(mut self) -> TempDir {
        drop(self.stop.take());
        tokio::time::timeout(LONG, self.task)
            .await
            .unwrap()
            .unwrap();
        self.dir
    }

    /// Waits until nothing but the named files is there; hidden ones are in the way, too.
    pub(crate) async fn holds(&self, names: &[&str]) {
        let start = Instant::now();
        loop {
            let there = list(self.dir.path());
            if there == names {
                return;
            }
            assert!(start.elapsed() < LONG, "{there:?} instead of {names:?}");
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Octets that are not all alike.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// A client that says what it is told.
pub(crate) struct Raw(pub(crate) WebSocketStream<TcpStream>);

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (ws, _) = client_async(format!("ws://{addr}/any/path"), stream)
            .await
            .unwrap();
        Self(ws)
    }

    pub(crate) async fn say(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    /// Says something and gives the answer.
    pub(crate) async fn ask(&mut self, message: impl Into<Message>) -> Value {
        self.say(message).await;
        self.hear().await
    }

    pub(crate) async fn hear(&mut self) -> Value {
        match tokio::time::timeout(LONG, self.0.next())
            .await
            .expect("in time")
        {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} instead of an answer"),
        }
    }

    /// The code of the closing frame; nothing else comes before it.
    pub(crate) async fn closed(&mut self) -> u16 {
        match tokio::time::timeout(LONG, self.0.next())
            .await
            .expect("in time")
        {
            Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
            other => panic!("{other:?} instead of a close"),
        }
    }

    /// Asks for an upload that is granted.
    pub(crate) async fn stor(&mut self, name: &str, size: u64, encoding: &str) {
        let answer = self.ask(stor(name, size, encoding)).await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&"STOR".into(), &200.into()),
            "{answer}"
        );
    }
}

pub(crate) fn stor(name: &str, size: u64, encoding: &str) -> String {
    let name = Value::from(name);
    format!(r#"STOR: {{"filename":{name},"size":{size},"type":"{encoding}","parameters":[]}}"#)
}
