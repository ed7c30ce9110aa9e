//! The threads of a link and the handles that applications hold.

mod bytestream;
mod driver;
mod locked;
mod offer;
mod outlet;
mod shared;
mod sockets;
mod threads;
mod transfer;

pub use bytestream::Bytestream;
pub use bytestreams_net::SocketOptions;
pub use offer::{Offer, Offers};
pub(crate) use transfer::Step;
pub use transfer::{Canceller, Transfer};

use crate::link::{Link, LinkError};
use bytestreams_machine::Instant;
use bytestreams_net::entropy;
use bytestreams_stanza::{File, Jid, Stanza};
use bytestreams_transfer::{Config, Options, TransferId, Transfers};
use core::fmt;
use shared::{LinkState, Shared, Slot};
use sockets::Sockets;
use std::io;
use std::sync::Arc;

/// Stanzas of the application's own that wait for the link at most.
const OUTGOING: usize = 64;

/// One end of a link: where transfers start. Clones are handles to the same. With the last of them
/// the link is closed, and every thread has ended.
///
/// ```no_run
/// use bytestreams_blocking::{Config, Endpoint, SendFile, file::Source, send_file, serverless};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let link = serverless::connect("192.0.2.7:5298", &serverless::Setup::default())?;
/// let peer = link.peer().clone();
/// let (endpoint, _offers) = Endpoint::spawn(link, Config::default())?;
/// let source = Source::open("photo.jpg")?;
/// let sent = send_file(&endpoint, peer, source, &SendFile::default(), |_| {})?;
/// println!("{} octets", sent.octets);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint {
    running: Arc<Running>,
}

/// The threads of a link, as long as someone holds them.
struct Running {
    shared: Arc<Shared>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(self.jid()).finish()
    }
}

impl Endpoint {
    /// Makes an endpoint of a link and starts its threads.
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn spawn(link: Link, config: Config) -> io::Result<(Self, Offers)> {
        Self::spawn_with(link, config, SocketOptions::default())
    }

    /// The same as [`Endpoint::spawn`], with a say in how peers are reached beside the link.
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn spawn_with(
        link: Link,
        config: Config,
        sockets: SocketOptions,
    ) -> io::Result<(Self, Offers)> {
        link.socket.set_read_timeout(None)?;
        link.socket.set_write_timeout(Some(driver::TICK))?;
        let sockets = Sockets::new(sockets, link.ends);
        let (shared, reader) = Shared::new(link, sockets, config);
        let shared = Arc::new(shared);
        let endpoint = Self {
            running: Arc::new(Running {
                shared: shared.clone(),
            }),
        };
        let (reading, writing) = (shared.clone(), shared.clone());
        let writing = move || driver::write(&writing);
        shared.threads.start("writer", writing)?;
        let reading = move || driver::read(&reading, reader);
        shared.threads.start("reader", reading)?;
        Ok((endpoint, Offers::new(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.running.shared
    }

    /// Who we are on this link.
    pub fn jid(&self) -> &Jid {
        &self.shared().jid
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

    fn start(&self, command: impl FnOnce(&mut Transfers, Instant) -> TransferId) -> Transfer {
        let shared = self.shared();
        let (id, changed, sid) = shared.act(|state, now| {
            let id = command(&mut state.stack.machine, now);
            // Once the crank is turned, the transfer may be over.
            let sid = state.stack.machine.sid(id).cloned();
            let slot = match state.link {
                LinkState::Ended(_) => Slot::stillborn(id),
                LinkState::Up | LinkState::Closing | LinkState::Lingering => Slot::default(),
            };
            let changed = slot.own.changed.clone();
            state.slots.insert(id, slot);
            (id, changed, sid)
        });
        Transfer::new(shared.clone(), id, changed, sid)
    }

    /// Sends a stanza of the application's own, such as a message.
    ///
    /// # Errors
    /// The stanza, when too many wait already or the link has ended.
    pub fn send_stanza(&self, stanza: Stanza) -> Result<(), Box<Stanza>> {
        self.shared().act(|state, _| {
            if state.outgoing.len() >= OUTGOING || !state.is_up() {
                return Err(Box::new(stanza));
            }
            state.outgoing.push_back(stanza);
            Ok(())
        })
    }

    /// Begins to collect the stanzas that no part of the endpoint knows: presences, messages.
    /// There is one collection, which all such handles share.
    pub fn others(&self) -> Others {
        self.shared().lock().others.open = true;
        Others {
            shared: self.shared().clone(),
        }
    }

    /// Closes the link in order, once everything that waits is written, and answers why it has ended
    /// when it is down and every thread with it: for a peer that reads nothing it waits 5 s, and 2 s for
    /// the peer's own end of the stream. Transfers that are not over fail, with
    /// [`bytestreams_transfer::Reason::LinkLost`]; cancel them first to have the peer told.
    /// One whose octets are all out by a socket of its own is waited for.
    pub fn close(&self) -> Arc<LinkError> {
        self.running.close();
        self.closed()
    }

    /// Waits until the link has ended, and what goes by sockets without it; answers why.
    pub fn closed(&self) -> Arc<LinkError> {
        let mut state = self.shared().lock();
        loop {
            if let LinkState::Ended(error) = &state.link {
                return error.clone();
            }
            state = state.wait_for_news();
        }
    }
}

impl Running {
    fn close(&self) {
        let mut locked = self.shared.lock();
        let (state, calls) = locked.parts();
        state.leaving = true;
        match state.link {
            LinkState::Up => state.link = LinkState::Closing,
            LinkState::Lingering => state.part(false, self.shared.now(), calls),
            LinkState::Closing | LinkState::Ended(_) => {}
        }
        drop(self.shared.drive(locked));
        self.shared.threads.join();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}

/// Stanzas that no part of the endpoint knows: `next` waits for one, and answers `None` when the
/// link has ended. Of those that nobody takes the newest 256 are kept.
#[derive(Debug)]
pub struct Others {
    shared: Arc<Shared>,
}

impl Iterator for Others {
    type Item = Stanza;

    fn next(&mut self) -> Option<Stanza> {
        let mut state = self.shared.lock();
        loop {
            if let Some(stanza) = state.others.queue.pop_front() {
                return Some(stanza);
            }
            if state.is_gone() {
                return None;
            }
            state = state.wait_for_news();
        }
    }
}
