//! A link for programs that own a [`tokio_xmpp::Client`] already, and go on owning it.
//!
//! ```no_run
//! use bytestreams_tokio::{Config, Endpoint, link::bridge};
//! use futures::StreamExt;
//!
//! # async fn example(mut client: tokio_xmpp::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let own = "romeo@montague.example/orchard".parse()?; // from Event::Online
//! let (mut bridge, link) = bridge::bridge(own);
//! let (endpoint, offers) = Endpoint::spawn(link, Config::default());
//! loop {
//!     tokio::select! {
//!         event = client.next() => match event {
//!             Some(tokio_xmpp::Event::Stanza(stanza)) => {
//!                 if let Some(_mine) = bridge.take(stanza).await { /* no file transfer */ }
//!             }
//!             Some(_) => {}
//!             None => break,
//!         },
//!         Some(stanza) = bridge.next() => { client.send_stanza(stanza).await?; }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Requests that are not about file transfer stay the program's, disco#info among them: tell
//! [`crate::Endpoint::features`] there.
//!
//! Make the client in a runtime of one thread. In one of several, tokio-xmpp 6.0.0 may stop handing
//! out stanzas for good: its `StanzaReceiver` answers that it is pending, and leaves no waker, where
//! a stanza is being sent on another thread at that moment.

use super::{LinkError, StanzaLink};
use bytestreams_machine::Own;
use bytestreams_stanza::door::{ElementSink, read_element};
use bytestreams_stanza::{Decoder, Id, Jid, Limits, Payload, Stanza, ns};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_xmpp::minidom::Element;

/// Stanzas from the program that wait for the driver at most.
const INCOMING: usize = 64;

/// Requests of ours whose answers are told from those to the program's at most.
const PENDING: usize = 4096;

/// Makes a link of whatever the program feeds in and takes out. `own` is the full JID that the
/// server gave.
pub fn bridge(own: Jid) -> (Bridge, BridgeLink) {
    let queues = Arc::new(Mutex::new(Queues::default()));
    let bridge = Bridge {
        queues: queues.clone(),
        decoder: Decoder::new(Limits::DEFAULT),
        pending: BTreeSet::new(),
    };
    let link = BridgeLink {
        queues,
        own: Own { jid: own },
    };
    (bridge, link)
}

#[derive(Debug, Default)]
struct Queues {
    incoming: VecDeque<Stanza>,
    outgoing: VecDeque<Stanza>,
    /// Octets of the outgoing stanzas, about.
    octets: usize,
    /// Waits for incoming stanzas, and for outgoing ones to leave.
    link: Option<Waker>,
    /// Waits for outgoing stanzas.
    program: Option<Waker>,
    /// Waits for room for incoming ones.
    feeder: Option<Waker>,
    link_gone: bool,
    program_gone: bool,
}

fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program's side.
pub struct Bridge {
    queues: Arc<Mutex<Queues>>,
    decoder: Decoder,
    /// Requests sent, so that their answers are told from those to the program's own.
    pending: BTreeSet<Id>,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Takes a stanza that came in, or hands back what is not about file transfer. Waits while too
    /// many are waiting: dropped meanwhile, the stanza is lost.
    pub async fn take(&mut self, stanza: tokio_xmpp::Stanza) -> Option<tokio_xmpp::Stanza> {
        if !self.is_ours(&stanza) {
            return Some(stanza);
        }
        let Ok(element) = xso::transform::<Element, _>(&stanza) else {
            return Some(stanza);
        };
        match read_element(&element, &mut self.decoder) {
            Ok(()) => {}
            Err(never) => match never {},
        }
        let Ok(decoded) = self.decoder.finish() else {
            return Some(stanza);
        };
        if let Stanza::Iq(iq) = &decoded {
            self.pending.remove(&iq.id);
        }
        let mut decoded = Some(decoded);
        poll_fn(|cx| {
            let mut queues = lock(&self.queues);
            if queues.link_gone {
                return Poll::Ready(());
            }
            if queues.incoming.len() >= INCOMING {
                queues.feeder = Some(cx.waker().clone());
                return Poll::Pending;
            }
            queues.incoming.extend(decoded.take());
            let waker = queues.link.take();
            drop(queues);
            waker.into_iter().for_each(Waker::wake);
            Poll::Ready(())
        })
        .await;
        None
    }

    /// Waits for the next stanza to send; `None` when the link is gone.
    pub async fn next(&mut self) -> Option<tokio_xmpp::Stanza> {
        loop {
            let stanza = poll_fn(|cx| {
                let mut queues = lock(&self.queues);
                if let Some(stanza) = queues.outgoing.pop_front() {
                    queues.octets = queues.octets.saturating_sub(weight(&stanza));
                    let waker = queues.link.take();
                    drop(queues);
                    waker.into_iter().for_each(Waker::wake);
                    return Poll::Ready(Some(stanza));
                }
                if queues.link_gone {
                    return Poll::Ready(None);
                }
                queues.program = Some(cx.waker().clone());
                Poll::Pending
            })
            .await?;
            if let Stanza::Iq(iq) = &stanza
                && iq.request().is_some()
            {
                if self.pending.len() >= PENDING {
                    self.pending.pop_first();
                }
                self.pending.insert(iq.id.clone());
            }
            let mut sink = ElementSink::default();
            // What cannot be written as XML, such as a name with a control character, is lost.
            if stanza.emit(&mut sink).is_ok()
                && let Ok(element) = sink.finish()
                && let Ok(stanza) = xso::transform(&element)
            {
                return Some(stanza);
            }
        }
    }

    fn is_ours(&self, stanza: &tokio_xmpp::Stanza) -> bool {
        use tokio_xmpp::parsers::iq::Iq as Theirs;
        let known =
            |element: &Element| [ns::IBB, ns::SI, ns::BYTESTREAMS].contains(&element.ns().as_str());
        match stanza {
            tokio_xmpp::Stanza::Iq(iq) => match iq {
                Theirs::Get { payload, .. } | Theirs::Set { payload, .. } => known(payload),
                Theirs::Result { id, .. } | Theirs::Error { id, .. } => {
                    self.pending.contains(&Id::from(id.as_str()))
                }
            },
            tokio_xmpp::Stanza::Message(message) => message.payloads.iter().any(known),
            tokio_xmpp::Stanza::Presence(_) => false,
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues);
        queues.program_gone = true;
        queues.link.take().into_iter().for_each(Waker::wake);
    }
}

/// The endpoint's side.
#[derive(Debug)]
pub struct BridgeLink {
    queues: Arc<Mutex<Queues>>,
    own: Own,
}

fn weight(stanza: &Stanza) -> usize {
    let payload = match stanza {
        Stanza::Iq(iq) => iq.request(),
        Stanza::Message(message) => message.payload.as_ref(),
        Stanza::Presence(_) => None,
    };
    let octets = if let Some(Payload::Data(data)) = payload {
        data.octets.len() / 3 * 4
    } else {
        0
    };
    octets + 256
}

impl StanzaLink for BridgeLink {
    fn own(&self) -> &Own {
        &self.own
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stanza, LinkError>> {
        let mut queues = lock(&self.queues);
        if let Some(stanza) = queues.incoming.pop_front() {
            let waker = queues.feeder.take();
            drop(queues);
            waker.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(stanza));
        }
        if queues.program_gone {
            return Poll::Ready(Err(LinkError::Closed));
        }
        queues.link = Some(cx.waker().clone());
        Poll::Pending
    }

    fn write(&mut self, stanza: &Stanza) {
        let mut queues = lock(&self.queues);
        queues.octets += weight(stanza);
        queues.outgoing.push_back(stanza.clone());
        queues.program.take().into_iter().for_each(Waker::wake);
    }

    fn buffered(&self) -> usize {
        lock(&self.queues).octets
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut queues = lock(&self.queues);
        if queues.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if queues.program_gone {
            return Poll::Ready(Err(LinkError::Closed));
        }
        queues.link = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.poll_flush(cx)
    }
}

impl Drop for BridgeLink {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues);
        queues.link_gone = true;
        queues.program.take().into_iter().for_each(Waker::wake);
        queues.feeder.take().into_iter().for_each(Waker::wake);
    }
}
