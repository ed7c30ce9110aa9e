//! Pairs of endpoints, and time that does not run out unseen.
#![allow(dead_code, reason = "not every test uses all of it")]

use bytestreams_blocking::file::{Source, Store};
use bytestreams_blocking::{
    Config, Endpoint, Event, Link, Method, Methods, Offers, ReceiveError, ReceiveFile, Received,
    SendError, SendFile, Sent, SocketOptions, receive_file, send_file, serverless,
};
use bytestreams_stanza::Jid;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use tempfile::TempDir;

pub(crate) const A: &str = "a@here/1";
pub(crate) const B: &str = "b@here/2";

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

/// Does it on a thread of its own, and waits, but not for ever.
pub(crate) fn soon<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || {
        let result = what();
        let _ = done.send(());
        result
    });
    match result.recv_timeout(Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("it does not happen within a minute"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Octets that do not repeat soon.
pub(crate) fn octets(count: usize) -> Vec<u8> {
    let mut x: u32 = 0x2545_f491;
    (0..count)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x.to_le_bytes()[1]
        })
        .collect()
}

pub(crate) fn setup(name: &str) -> serverless::Setup {
    serverless::Setup {
        jid: Some(jid(name)),
        ..serverless::Setup::default()
    }
}

/// Two links with each other.
pub(crate) fn loopback() -> (Link, Link) {
    let listener = serverless::Listener::bind("127.0.0.1:0").expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let there = std::thread::spawn(move || serverless::connect(addr, &setup(A)).expect("a link"));
    let here = listener.accept(&setup(B)).expect("a link");
    (there.join().expect("no panic"), here)
}

/// This method alone.
pub(crate) fn by(method: Method) -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[method]);
    config.allow_unannounced = true;
    config
}

/// SOCKS5, and in band when that comes to nothing.
pub(crate) fn both() -> Config {
    let mut config = by(Method::Socks5);
    config.methods.push(Method::Ibb);
    config
}

/// Two endpoints and their directory.
pub(crate) struct Pair {
    pub(crate) a: Endpoint,
    pub(crate) to_a: Offers,
    pub(crate) b: Endpoint,
    pub(crate) to_b: Offers,
    pub(crate) dir: TempDir,
}

impl Pair {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with(config.clone(), SocketOptions::default(), config.clone())
    }

    pub(crate) fn with(of_a: Config, sockets_of_a: SocketOptions, of_b: Config) -> Self {
        let (a, b) = loopback();
        let (a, to_a) = Endpoint::spawn_with(a, of_a, sockets_of_a).expect("threads");
        let (b, to_b) = Endpoint::spawn(b, of_b).expect("threads");
        Self {
            a,
            to_a,
            b,
            to_b,
            dir: directory(),
        }
    }

    pub(crate) fn source(&self, name: &str, content: &[u8]) -> Source {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        Source::open(path).expect("a source")
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.inbox()).expect("a store")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.inbox()).expect("a directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name")
        };
        entries.map(name).collect()
    }

    /// Sends from the one to the other; `on_event` hears the sender.
    pub(crate) fn cross(
        &mut self,
        source: Source,
        how: &SendFile,
        receive: &ReceiveFile,
        on_event: impl FnMut(&Event) + Send,
    ) -> (Result<Sent, SendError>, Result<Received, ReceiveError>) {
        let store = self.store();
        let Self { a, b, to_b, .. } = self;
        let to = b.jid().clone();
        std::thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let offer = to_b.next().expect("an offer");
                receive_file(offer, &store, receive, |_| {})
            });
            let sent = send_file(a, to, source, how, on_event);
            (sent, receiving.join().expect("no panic"))
        })
    }
}

pub(crate) fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("in")).expect("a directory");
    dir
}
