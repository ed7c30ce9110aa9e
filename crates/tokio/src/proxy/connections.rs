//! The connections that are not relayed yet, many of which say nothing.

use super::client::Client;
use super::lock;
use bytestreams_machine::{ConnId, NetCommand, NetInput};
use core::fmt;
use core::task::{Context, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use tokio::net::TcpStream;

/// All of them, each with a waker of its own: one that says nothing costs nothing when another
/// one does.
#[derive(Default)]
pub(super) struct Connections {
    next: u64,
    conns: HashMap<ConnId, Entry>,
    detached: HashMap<ConnId, Client>,
    woken: Arc<Mutex<Woken>>,
}

struct Entry {
    client: Client,
    signal: Arc<Signal>,
}

/// Those to look at, and who is to look.
#[derive(Debug, Default)]
struct Woken {
    queue: VecDeque<ConnId>,
    driver: Option<Waker>,
}

#[derive(Debug)]
struct Signal {
    id: ConnId,
    woken: Arc<Mutex<Woken>>,
    /// Whether it stands in the queue.
    queued: Mutex<bool>,
}

impl Signal {
    /// Has the connection looked at, without waking the driver.
    fn queue(&self) -> Option<Waker> {
        if core::mem::replace(&mut *lock(&self.queued), true) {
            return None;
        }
        let mut woken = lock(&self.woken);
        woken.queue.push_back(self.id);
        woken.driver.take()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(driver) = self.queue() {
            driver.wake();
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("conns", &self.conns.len())
            .field("detached", &self.detached.len())
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// Takes a connection that came in.
    pub(super) fn insert(&mut self, stream: TcpStream) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        let signal = Arc::new(Signal {
            id,
            woken: self.woken.clone(),
            queued: Mutex::default(),
        });
        signal.wake_by_ref();
        let client = Client::new(stream);
        self.conns.insert(id, Entry { client, signal });
        id
    }

    /// Carries out a command. [`Connections::poll`] afterwards.
    pub(super) fn carry_out(&mut self, command: NetCommand) {
        match command {
            NetCommand::Send(id, octets) => self.change(id, |client| client.send(octets)),
            NetCommand::ShutdownWrite(id) => self.change(id, Client::shutdown),
            NetCommand::Close(id) => {
                self.detached.remove(&id);
                self.change(id, Client::close);
            }
            NetCommand::Detach(id) => {
                if let Some(entry) = self.conns.remove(&id) {
                    self.detached.insert(id, entry.client);
                }
            }
            // A proxy listens all the time, and calls nobody.
            NetCommand::Listen(_) | NetCommand::Unlisten(_) | NetCommand::Connect(..) => {}
        }
    }

    fn change(&mut self, id: ConnId, what: impl FnOnce(&mut Client)) {
        if let Some(entry) = self.conns.get_mut(&id) {
            what(&mut entry.client);
            entry.signal.wake_by_ref();
        }
    }

    /// Takes a connection out that was detached.
    pub(super) fn take(&mut self, id: ConnId) -> Option<Client> {
        self.detached.remove(&id)
    }

    /// Looks at no more than `most` connections of which something is new; true when there was one.
    pub(super) fn poll(
        &mut self,
        most: usize,
        inputs: &mut VecDeque<NetInput>,
        cx: &Context<'_>,
    ) -> bool {
        let mut any = false;
        for _ in 0..most {
            let Some(id) = self.next_woken(cx) else {
                break;
            };
            any = true;
            let Some(entry) = self.conns.get_mut(&id) else {
                continue;
            };
            *lock(&entry.signal.queued) = false;
            let waker = Waker::from(entry.signal.clone());
            if !entry
                .client
                .poll(id, inputs, &mut Context::from_waker(&waker))
            {
                self.conns.remove(&id);
            }
        }
        any
    }

    fn next_woken(&self, cx: &Context<'_>) -> Option<ConnId> {
        let mut woken = lock(&self.woken);
        let id = woken.queue.pop_front();
        if id.is_none()
            && !woken
                .driver
                .as_ref()
                .is_some_and(|w| w.will_wake(cx.waker()))
        {
            woken.driver = Some(cx.waker().clone());
        }
        id
    }
}
