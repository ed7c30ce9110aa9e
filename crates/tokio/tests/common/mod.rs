//! A pair of endpoints, and time that does not run out unseen.
#![allow(dead_code, reason = "not every test uses all of it")]

use bytestreams_machine::Own;
use bytestreams_stanza::{Jid, Stanza};
use bytestreams_tokio::link::{LinkError, StanzaLink};
use core::future::Future;
use core::task::{Context, Poll};
use core::time::Duration;
use tokio::sync::mpsc;

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

/// One end of a link that carries stanzas as they are.
#[derive(Debug)]
pub(crate) struct Direct {
    own: Own,
    input: mpsc::UnboundedReceiver<Stanza>,
    output: Option<mpsc::UnboundedSender<Stanza>>,
}

impl Direct {
    pub(crate) fn pair(a: &str, b: &str) -> (Self, Self) {
        let (to_a, from_b) = mpsc::unbounded_channel();
        let (to_b, from_a) = mpsc::unbounded_channel();
        let end = |name, input, output| Self {
            own: Own { jid: jid(name) },
            input,
            output: Some(output),
        };
        (end(a, from_b, to_b), end(b, from_a, to_a))
    }
}

impl StanzaLink for Direct {
    fn own(&self) -> &Own {
        &self.own
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        self.input.poll_recv(cx).map(|s| s.ok_or(LinkError::Closed))
    }

    fn write(&mut self, stanza: &Stanza) {
        let mut stanza = stanza.clone();
        stanza.set_from(Some(self.own.jid.clone()));
        if let Some(output) = &self.output {
            let _ = output.send(stanza);
        }
    }

    fn buffered(&self) -> usize {
        0
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.output = None;
        Poll::Ready(Ok(()))
    }
}
