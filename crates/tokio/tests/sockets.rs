//! Transfers by sockets beside the link (XEP-0065), over loopback TCP.

mod common;

use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::{
    Config, Endpoint, Event, Method, Methods, Offers, ReceiveError, ReceiveFile, Received,
    SendError, SendFile, Sent, Via, receive_file, send_file,
};
use common::{jid, loopback, octets, soon};
use std::path::PathBuf;
use tempfile::TempDir;

struct Pair {
    a: Endpoint,
    to_a: Offers,
    b: Endpoint,
    to_b: Offers,
    dir: TempDir,
}

fn both() -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    config
}

async fn pair() -> Pair {
    pair_with(both(), both()).await
}

async fn pair_with(of_a: Config, of_b: Config) -> Pair {
    let (a, b) = loopback("a@here/1", "b@here/2").await;
    let (a, to_a) = Endpoint::spawn(a, of_a);
    let (b, to_b) = Endpoint::spawn(b, of_b);
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
    fn source(&self, name: &str, content: &[u8]) -> Source {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        Source::open(path).expect("a source")
    }

    fn inbox(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    fn store(&self) -> Store {
        Store::open(self.inbox()).expect("a store")
    }

    /// Sends from the one to the other.
    async fn cross(
        &mut self,
        source: Source,
        how: &SendFile,
        receive: &ReceiveFile,
    ) -> (Result<Sent, SendError>, Result<Received, ReceiveError>) {
        let store = self.store();
        let sending = send_file(&self.a, jid("b@here/2"), source, how, |_| {});
        let receiving = async {
            let offer = self.to_b.next().await.expect("an offer");
            receive_file(offer, &store, receive, |_| {}).await
        };
        soon(async { tokio::join!(sending, receiving) }).await
    }
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
            let (sent, received) = pair.cross(source, &how, &receive).await;
            let (sent, received) = (sent.expect("sent"), received.expect("received"));
            assert_eq!((sent.octets, received.octets), (size as u64, size as u64));
            assert_eq!((sent.method, sent.via), (Method::Socks5, Via::Direct));
            assert_eq!(
                (received.method, received.via),
                (Method::Socks5, Via::Direct)
            );
            assert_eq!(sent.sha256, received.file.sha256);
            assert_eq!(sent.sha256.is_some(), sha256);
            assert!(std::fs::read(&received.file.path).expect("a file") == content);
        }
    }
}
