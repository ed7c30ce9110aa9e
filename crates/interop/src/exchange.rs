//! What nearly every test does: a directory for each side, a receiver that is online, a sender, and a look at the result.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::Cli;
use crate::files::{assert_identical, hidden, random_file, visible};
use crate::process::Process;
use crate::raw::RawClient;
use crate::server::Server;
use crate::socks::{activate, address_query, connect, dst_addr, read_to_end, stream_host};
use crate::xml::Stanza;

/// How long a login may take.
pub const LOGIN: Duration = Duration::from_secs(30);
/// How long a transfer of an ordinary test may take.
pub const TRANSFER: Duration = Duration::from_secs(90);

/// A directory to send from and one to receive into, both removed in the end.
#[derive(Debug)]
pub struct Scratch {
    outbox: TempDir,
    inbox: TempDir,
}

impl Default for Scratch {
    fn default() -> Self {
        let dir = || TempDir::with_prefix("bytestreams-files-").expect("a temporary directory");
        Self {
            outbox: dir(),
            inbox: dir(),
        }
    }
}

impl Scratch {
    /// Makes a file to send.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let seed = size + name.bytes().map(u64::from).sum::<u64>();
        random_file(self.outbox.path(), name, size, seed)
    }

    /// Gives the directory to receive into.
    pub fn inbox(&self) -> &Path {
        self.inbox.path()
    }

    /// Demands that a file to send arrived whole under its own name, and that no partial file is left.
    #[track_caller]
    pub fn assert_arrived(&self, sent: &Path) {
        assert_identical(sent, &self.inbox().join(sent.file_name().expect("a file")));
        assert_eq!(
            hidden(self.inbox()),
            Vec::<String>::new(),
            "partial files left behind"
        );
    }

    /// Demands that nothing was received.
    #[track_caller]
    pub fn assert_nothing_arrived(&self) {
        assert_eq!(visible(self.inbox()), Vec::<String>::new());
    }
}

/// Starts a receiver with an account and gives it with its full JID.
pub fn online(receiver: Cli) -> (Process, String) {
    let mut receiver = receiver.start();
    let jid = text(&receiver.event("online", LOGIN), "jid");
    (receiver, jid)
}

/// Starts a serverless receiver on a free port and gives it with its address.
pub fn listening(receiver: Cli) -> (Process, String) {
    let mut receiver = receiver.args("--listen 127.0.0.1:0").start();
    let addr = text(&receiver.event("listening", LOGIN), "addr");
    (receiver, addr)
}

/// Starts our proxy as the component of a server and gives it once it serves.
pub fn joined(proxy: Cli) -> Process {
    let mut proxy = proxy.start();
    proxy.event("online", LOGIN);
    proxy
}

/// Runs a sender to its end and gives its `done`; it must exit with 0.
#[track_caller]
pub fn sent(sender: Cli) -> Value {
    let mut sender = sender.start();
    let done = sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    done
}

/// Demands that an answer is a result.
#[track_caller]
pub fn accepts(answer: &Stanza) {
    assert!(answer.is_iq("result"), "{}", answer.0);
}

/// Demands that an answer is an error of that condition.
#[track_caller]
pub fn refuses(answer: &Stanza, condition: &str) {
    refuses_somehow(answer, &[condition]);
}

/// Demands that an answer is an error of one of those conditions.
#[track_caller]
pub fn refuses_somehow(answer: &Stanza, conditions: &[&str]) {
    let named = |condition: &&str| answer.has(&format!("<{condition}"));
    assert!(
        answer.is_iq("error") && conditions.iter().any(named),
        "wanted one of {conditions:?}: {}",
        answer.0
    );
}

/// Gives a member of an event that must be a string.
#[track_caller]
pub fn text(event: &Value, name: &str) -> String {
    event[name]
        .as_str()
        .unwrap_or_else(|| panic!("no string {name:?} in {event}"))
        .to_owned()
}

/// Gives a member of an event that must be a whole number.
#[track_caller]
pub fn number(event: &Value, name: &str) -> u64 {
    event[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {name:?} in {event}"))
}

/// Meets at a proxy by hand as two users: what one writes before its shutdown must be what the other reads before the end.
pub fn relays(server: &Server, proxy: &str) {
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    let juliet = RawClient::login(&server.account("juliet"), "balcony");
    let answer = romeo.request("get", proxy, &address_query());
    let (jid, address) = stream_host(&answer);
    assert_eq!(jid.split('/').next(), Some(proxy));
    for (sid, octets) in [("meeting", 100_001), ("parting", 1)] {
        let hash = dst_addr(sid, &romeo.jid, &juliet.jid);
        let target = connect(address, &hash);
        let mut requester = connect(address, &hash);
        let activated = romeo.request("set", &jid, &activate(sid, &juliet.jid));
        assert!(activated.is_iq("result"), "{}", activated.0);
        let mut back = [0; 2];
        (&target).write_all(b"hi").expect("written");
        requester.read_exact(&mut back).expect("the way back");
        assert_eq!(&back, b"hi");
        let sent: Vec<u8> = (0..octets).map(|n: u32| (n % 251) as u8).collect();
        requester.write_all(&sent).expect("written");
        requester.shutdown(Shutdown::Write).expect("shut down");
        assert!(
            read_to_end(&target) == sent,
            "octets through {proxy} changed"
        );
    }
    let unknown = romeo.request("set", &jid, &activate("unknown", &juliet.jid));
    assert!(unknown.is_iq("error"), "{}", unknown.0);
}
