//! A pair of endpoints, and time that does not run out unseen.
#![allow(dead_code, reason = "not every test uses all of it")]

pub(crate) mod pair;

use bytestreams_stanza::Jid;
use bytestreams_tokio::serverless::{self, Listener, Serverless, Setup};
use core::future::Future;
use core::time::Duration;

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it happens within a minute")
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

/// Two links with each other.
pub(crate) async fn loopback(a: &str, b: &str) -> (Serverless, Serverless) {
    let setup = |name| Setup {
        jid: Some(jid(name)),
        ..Setup::default()
    };
    let listener = Listener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let (theirs, ours) = (setup(a), setup(b));
    let (a, b) = tokio::join!(serverless::connect(addr, &theirs), listener.accept(&ours));
    (a.expect("a link"), b.expect("a link"))
}

/// The same, where the one is an endpoint of another runtime.
pub(crate) async fn loopback_on(
    other: &tokio::runtime::Handle,
) -> (
    (bytestreams_tokio::Endpoint, bytestreams_tokio::Offers),
    Serverless,
) {
    let setup = |name| Setup {
        jid: Some(jid(name)),
        ..Setup::default()
    };
    let listener = Listener::bind("127.0.0.1:0").await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let (theirs, ours) = (setup("a@here/1"), setup("b@here/2"));
    let there = other.spawn(async move {
        let link = serverless::connect(addr, &theirs).await.expect("a link");
        bytestreams_tokio::Endpoint::spawn(link, pair::both())
    });
    let (there, here) = tokio::join!(there, listener.accept(&ours));
    (there.expect("no panic"), here.expect("a link"))
}
