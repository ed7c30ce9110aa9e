//! The driver of a link and the handles that applications hold.

mod bytestream;
mod driver;
mod offer;
mod shared;
mod socket;
mod sockets;
mod transfer;
mod waiters;

pub use bytestream::Bytestream;
pub use bytestreams_net::SocketOptions;
pub use driver::Driver;
pub use offer::{Offer, Offers};
pub(crate) use socket::Socket;
pub use transfer::Transfer;

use crate::link::{LinkError, StanzaLink};
use bytestreams_net::entropy;
use bytestreams_stanza::{Caps, File, Iq, IqBody, Jid, Payload, Stanza, StanzaError};
use bytestreams_transfer::{Config, Options, Transfers};
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use shared::{Answer, Handle, LinkState, Shared, Slot, keep};
use std::sync::Arc;
use waiters::Waiting;

/// Stanzas of the application's own that wait for the link at most.
const OUTGOING: usize = 64;

/// One end of a link: where transfers start. Clones are handles to the same. With the last handle,
/// [`Offers`], [`Others`], transfers and streams among them, the link is closed in order.
///
/// ```no_run
/// use bytestreams_tokio::{Config, Endpoint, Options, SendFile, file::Source, send_file, serverless};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let link = serverless::connect("192.0.2.7:5298", &serverless::Setup::default()).await?;
/// let peer = link.peer().clone();
/// let (endpoint, _offers) = Endpoint::spawn(link, Config::default());
/// let source = Source::open("photo.jpg")?;
/// let sent = send_file(&endpoint, peer, source, &SendFile::default(), |_| {}).await?;
/// println!("{} octets", sent.octets);
/// endpoint.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint {
    shared: Handle,
    caps: Arc<Caps>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(self.jid()).finish()
    }
}

impl Endpoint {
    /// Makes an endpoint of a link. Nothing moves until the [`Driver`] is spawned. A link without a
    /// server has none to ask for Proxies.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new<L: StanzaLink>(link: L, config: Config) -> (Self, Offers, Driver<L>) {
        let origin = tokio::time::Instant::now();
        let start = bytestreams_machine::Instant::ZERO;
        let stack = Transfers::stack(link.own().clone(), config, link.ends(), start);
        let caps = Arc::new(stack.responder.caps());
        let shared = Arc::new(Shared::new(stack, origin));
        let driver = Driver::new(link, shared.clone());
        let shared = Handle::new(shared);
        let offers = Offers::new(shared.clone());
        (Self { shared, caps }, offers, driver)
    }

    /// Makes an endpoint of a link and spawns its driver.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<L: StanzaLink>(link: L, config: Config) -> (Self, Offers) {
        let (endpoint, offers, driver) = Self::new(link, config);
        tokio::spawn(driver);
        (endpoint, offers)
    }

    /// The same as [`Endpoint::spawn`], with a say in how peers are reached beside the link.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_with<L: StanzaLink>(
        link: L,
        config: Config,
        sockets: SocketOptions,
    ) -> (Self, Offers) {
        let (endpoint, offers, mut driver) = Self::new(link, config);
        driver.set_sockets(sockets);
        tokio::spawn(driver);
        (endpoint, offers)
    }

    /// Who we are on this link.
    pub fn jid(&self) -> &Jid {
        self.shared.jid()
    }

    /// What we are able to do, for a presence (XEP-0115).
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// What we are able to do (XEP-0030), sorted.
    pub fn features(&self) -> Vec<Arc<str>> {
        self.shared.lock().stack.responder.features().to_vec()
    }

    /// Offers a file. [`crate::send_file`] does that and the rest.
    pub fn offer(&self, to: Jid, file: File, options: Options) -> Transfer {
        self.start(|machine, now| machine.offer(to, file, options, entropy(), now))
    }

    /// Opens a stream without an offer, for octets both ways. [`Transfer::into_stream`] waits until
    /// octets can travel.
    pub fn open(&self, to: Jid, options: Options) -> Transfer {
        self.start(|machine, now| machine.open(to, options, entropy(), now))
    }

    fn start(
        &self,
        command: impl FnOnce(
            &mut Transfers,
            bytestreams_machine::Instant,
        ) -> bytestreams_transfer::TransferId,
    ) -> Transfer {
        let (id, sid) = self.shared.act(|state, now| {
            let id = command(&mut state.stack.machine, now);
            // Once the driver has its turn, the transfer may be over.
            let sid = state.stack.machine.sid(id).cloned();
            let slot = match state.link {
                LinkState::Ended(_) => Slot::stillborn(id),
                LinkState::Up | LinkState::Closing => Slot::default(),
            };
            state.slots.insert(id, slot);
            (id, sid)
        });
        Transfer::new(self.shared.clone(), id, sid)
    }

    /// Sends a stanza of the application's own, such as a presence.
    ///
    /// # Errors
    /// The stanza, when too many wait already or the link has ended.
    pub fn send_stanza(&self, stanza: Stanza) -> Result<(), Box<Stanza>> {
        self.shared.act(|state, _| {
            if state.outgoing.len() >= OUTGOING || !state.is_up() {
                return Err(Box::new(stanza));
            }
            state.outgoing.push_back(stanza);
            Ok(())
        })
    }

    /// Asks an entity, or the own server without `to`, and waits for the answer. Dropped, an answer is
    /// thrown away.
    ///
    /// # Errors
    /// The entity's error; [`RequestError::TimedOut`] after `patience`; the end of the link.
    pub async fn get(
        &self,
        to: Option<Jid>,
        payload: Payload,
        patience: Duration,
    ) -> Result<Option<Payload>, RequestError> {
        let request = self.shared.act(|state, now| {
            if !state.is_up() || state.outgoing.len() >= OUTGOING {
                return None;
            }
            let request = state.next_request;
            state.next_request += 1;
            let id: bytestreams_stanza::Id = format!("ask-{request:x}").as_str().into();
            let (requests, answers) = (&mut state.requests, &mut state.answers);
            requests.insert(to.clone(), id.clone(), now + patience, request);
            answers.insert(request, Answer::default());
            state.outgoing.push_back(Iq::get(to, id, payload).into());
            Some(request)
        });
        let request = request.ok_or(RequestError::LinkLost)?;
        let _forget = Forget {
            shared: &self.shared,
            request,
        };
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            let up = state.is_up();
            let Some(answer) = state.answers.get_mut(&request) else {
                return Poll::Ready(Err(RequestError::LinkLost));
            };
            Poll::Ready(match answer.body.take() {
                Some(IqBody::Error(error)) => Err(RequestError::Refused(error)),
                Some(IqBody::Result(payload)) => Ok(payload),
                _ if answer.expired => Err(RequestError::TimedOut),
                _ if !up => Err(RequestError::LinkLost),
                _ => {
                    keep(&mut answer.waker, cx.waker());
                    return Poll::Pending;
                }
            })
        })
        .await
    }

    /// Begins to collect the stanzas that no part of the endpoint knows: presences, messages.
    /// There is one collection, which lasts as long as a handle to it does.
    pub fn others(&self) -> Others {
        let mut state = self.shared.lock();
        state.collectors += 1;
        state.others.open = true;
        drop(state);
        Others {
            shared: self.shared.clone(),
        }
    }

    /// Closes the link in order, once everything that waits is written, and answers when it is
    /// down: for a peer that reads nothing it waits 5 s, and 2 s for the peer's own end of the stream.
    /// Transfers that are not over fail, with [`bytestreams_transfer::Reason::LinkLost`]; cancel them
    /// first to have the peer told. One whose octets are all out by a socket of its own is waited for.
    /// Dropped, it closes all the same.
    pub async fn close(&self) {
        self.shared.act(|state, _| {
            if state.is_up() {
                state.link = LinkState::Closing;
            }
        });
        let _ = self.closed().await;
    }

    /// Answers why the link has ended, once it has.
    pub async fn closed(&self) -> Arc<LinkError> {
        let mut waiting = Waiting::new(&self.shared, |state| &mut state.watchers);
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let LinkState::Ended(error) = &state.link {
                return Poll::Ready(error.clone());
            }
            waiting.keep(&mut state, cx);
            Poll::Pending
        })
        .await
    }
}

/// Stanzas that no part of the endpoint knows.
#[derive(Debug)]
pub struct Others {
    shared: Handle,
}

impl Others {
    /// Waits for the next; `None` when the link has ended. Of those that nobody takes the newest
    /// 256 are kept.
    pub async fn next(&mut self) -> Option<Stanza> {
        let mut waiting = Waiting::new(&self.shared, |state| &mut state.others.waiters);
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(stanza) = state.others.queue.pop_front() {
                return Poll::Ready(Some(stanza));
            }
            if let LinkState::Ended(_) = state.link {
                return Poll::Ready(None);
            }
            waiting.keep(&mut state, cx);
            Poll::Pending
        })
        .await
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.collectors -= 1;
        if state.collectors == 0 {
            state.others.open = false;
            state.others.queue.clear();
        }
    }
}

struct Forget<'a> {
    shared: &'a Shared,
    request: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.answers.remove(&self.request);
        state.requests.retain(|&request| request != self.request);
    }
}

/// Why a request of the application's own was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The answer is an error.
    Refused(Box<StanzaError>),
    /// There was no answer in time.
    TimedOut,
    /// The link has ended, or too much waits for it.
    LinkLost,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::LinkLost => f.write_str("the link has ended"),
        }
    }
}

impl core::error::Error for RequestError {}
