//! Two endpoints with a directory, and what both ways of moving a file are held to.

use super::{jid, loopback, octets, soon};
use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::{
    Config, Endpoint, Event, Method, Methods, Offers, ReceiveError, ReceiveFile, Received,
    SendError, SendFile, Sent, SocketOptions, Via, receive_file, send_file,
};
use core::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) struct Pair {
    pub(crate) a: Endpoint,
    pub(crate) to_a: Offers,
    pub(crate) b: Endpoint,
    pub(crate) to_b: Offers,
    pub(crate) dir: TempDir,
}

/// In band, and streams that nobody announced too.
pub(crate) fn unannounced() -> Config {
    let mut config = Config::default();
    config.allow_unannounced = true;
    config
}

/// SOCKS5, and in band when that comes to nothing.
pub(crate) fn both() -> Config {
    let mut config = unannounced();
    config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    config
}

/// A Requester that tells this address alone.
pub(crate) fn telling(addr: SocketAddr) -> Config {
    let mut config = both();
    config.socks5.listen = false;
    config.socks5.advertised = vec![(addr.ip().to_string().into(), addr.port())];
    config
}

/// Tells of the first progress, once.
pub(crate) fn first_progress() -> (impl FnMut(&Event) + Send, impl Future<Output = ()>) {
    let (moving, moved) = tokio::sync::oneshot::channel();
    let mut moving = Some(moving);
    let tell = move |event: &Event| {
        if let Event::Progress { .. } = event
            && let Some(moving) = moving.take()
        {
            let _ = moving.send(());
        }
    };
    (tell, async { moved.await.expect("octets moved") })
}

impl Pair {
    /// Two of a kind.
    pub(crate) async fn new(config: Config) -> Self {
        Self::with(config.clone(), SocketOptions::default(), config).await
    }

    pub(crate) async fn with(of_a: Config, sockets_of_a: SocketOptions, of_b: Config) -> Self {
        let (a, b) = loopback("a@here/1", "b@here/2").await;
        let a = Endpoint::spawn_with(a, of_a, sockets_of_a);
        Self::made(a, Endpoint::spawn(b, of_b))
    }

    pub(crate) fn made((a, to_a): (Endpoint, Offers), (b, to_b): (Endpoint, Offers)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("in")).expect("a directory");
        Self {
            a,
            to_a,
            b,
            to_b,
            dir,
        }
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn source(&self, name: &str, content: &[u8]) -> Source {
        Source::open(self.file(name, content)).expect("a source")
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    /// What lies in the inbox, partial files too.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.inbox()).expect("a directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name")
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.inbox()).expect("a store")
    }

    /// Sends from the one to the other; `on_event` hears the sender.
    pub(crate) async fn cross(
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

    /// Sends eight files each way at once, which arrive identical.
    pub(crate) async fn cross_many_both_ways(mut self, via: Via) {
        let store = self.store();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            let content = octets(200_000 + n);
            for (endpoint, to, way) in [(&self.a, "b@here/2", "ab"), (&self.b, "a@here/1", "ba")] {
                let source = self.source(&format!("{way}{n}"), &content);
                let endpoint = endpoint.clone();
                tasks.spawn(async move {
                    let how = SendFile::default();
                    let sent = send_file(&endpoint, jid(to), source, &how, |_| {}).await;
                    assert_eq!(sent.expect("sent").via, via);
                });
            }
        }
        soon(async {
            for offers in [&mut self.to_a, &mut self.to_b] {
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
                let path = self.inbox().join(format!("{way}{n}"));
                assert!(std::fs::read(path).expect("a file") == octets(200_000 + n));
            }
        }
    }

    /// Drops the sender of so many octets in the middle; answers what the receiver makes of it.
    pub(crate) async fn drop_the_sender(&mut self, size: usize) -> Result<Received, ReceiveError> {
        let source = self.source("c.bin", &octets(size));
        let (tell, moved) = first_progress();
        let store = self.store();
        let a = self.a.clone();
        let sending = tokio::spawn(async move {
            let how = SendFile::default();
            send_file(&a, jid("b@here/2"), source, &how, tell).await
        });
        let receiving = async {
            let offer = self.to_b.next().await.expect("an offer");
            receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await
        };
        let cancelling = async {
            moved.await;
            sending.abort();
        };
        soon(async { tokio::join!(receiving, cancelling) }).await.0
    }

    /// Drops the receiver of so many octets in the middle; answers what the sender makes of it.
    pub(crate) async fn drop_the_receiver(&mut self, size: usize) -> Result<Sent, SendError> {
        let source = self.source("c.bin", &octets(size));
        let how = SendFile::default();
        let sending = send_file(&self.a, jid("b@here/2"), source, &how, |_| {});
        let store = self.store();
        let receiving = async {
            let offer = self.to_b.next().await.expect("an offer");
            let (tell, moved) = first_progress();
            let how = ReceiveFile::default();
            tokio::select! {
                received = receive_file(offer, &store, &how, tell) => panic!("{received:?}"),
                () = moved => {}
            }
        };
        soon(async { tokio::join!(sending, receiving) }).await.0
    }
}
