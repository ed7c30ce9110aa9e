//! The sockets beside the link: what a machine asks for by [`NetCommand`], carried out.
//!
//! Nothing here knows what passes over a socket, and nothing here gives up after a time: both are
//! the machine's. Only an attempt to connect ends by itself, since no machine calls one off.

mod conn;
mod dial;
mod listen;

pub(crate) use conn::Conn;

use bytestreams_machine::{ConnId, ConnectError, Ends, ListenId, NetCommand, NetInput, Token};
use bytestreams_net::SocketOptions;
use bytestreams_stanza::StreamHost;
use bytestreams_transfer::TransferId;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use listen::Listening;
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::net::TcpStream;

/// Connections that are not an application's, at which no more are taken from strangers. Machines
/// bound theirs more closely.
const CONNECTIONS: usize = 1024;

/// Attempts to connect at once; one more fails. A peer whose transfers were accepted names hosts that
/// never answer as often as it likes, and each holds sockets, or a thread that looks its name up.
const ATTEMPTS: usize = 128;

/// Inputs that wait for the machine, at which nothing more is read.
const INPUTS: usize = 64;

/// Connections that the machine has detached and that are not with their transfers: on their way
/// to them, or given back.
pub(crate) type Detached = HashMap<ConnId, Conn>;

/// All sockets of one machine.
pub(super) struct Sockets {
    options: SocketOptions,
    ends: Option<Ends>,
    next: u64,
    listening: BTreeMap<ListenId, Listening>,
    attempts: Vec<(Token, Attempt)>,
    conns: BTreeMap<ConnId, Conn>,
    seen: Seen,
}

/// What happened and is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    inputs: VecDeque<NetInput>,
    /// Transfers whose socket broke after it was given back.
    broken: Vec<TransferId>,
}

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream, ConnectError>> + Send>>;

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("listening", &self.listening.len())
            .field("attempts", &self.attempts.len())
            .field("conns", &self.conns.len())
            .finish_non_exhaustive()
    }
}

impl Sockets {
    pub(super) fn new(options: SocketOptions, ends: Option<Ends>) -> Self {
        Self {
            options,
            ends,
            next: 0,
            listening: BTreeMap::new(),
            attempts: Vec::new(),
            conns: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn set_options(&mut self, options: SocketOptions) {
        self.options = options;
    }

    /// Carries out a command. [`Sockets::poll`] afterwards.
    pub(super) fn carry_out(&mut self, command: NetCommand, detached: &mut Detached) {
        match command {
            NetCommand::Listen(id) => self.listen(id),
            NetCommand::Unlisten(id) => drop(self.listening.remove(&id)),
            NetCommand::Connect(token, host) => self.connect(token, host),
            NetCommand::Send(id, octets) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.send(octets);
                }
            }
            NetCommand::ShutdownWrite(id) => {
                if let Some(conn) = detached.remove(&id) {
                    self.conns.insert(id, conn.draining());
                } else if let Some(conn) = self.conns.get_mut(&id) {
                    conn.shutdown();
                }
            }
            NetCommand::Close(id) => {
                detached.remove(&id);
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.close();
                }
            }
            NetCommand::Detach(id) => {
                if let Some(conn) = self.conns.remove(&id) {
                    detached.insert(id, conn);
                }
            }
        }
    }

    fn listen(&mut self, id: ListenId) {
        // Who cannot listen says nothing.
        if let Ok(listening) = Listening::open(self.options.listener(), self.ends) {
            let addrs = listening.addrs().iter();
            self.seen
                .inputs
                .extend(addrs.map(|&addr| NetInput::Listening(id, addr)));
            self.listening.insert(id, listening);
        }
    }

    fn connect(&mut self, token: Token, host: StreamHost) {
        if self.attempts.len() >= ATTEMPTS {
            // Of a host that is not called nothing is to be remembered.
            let failed = NetInput::Failed(token, ConnectError::Forbidden);
            return self.seen.inputs.push_back(failed);
        }
        let policy = self.options.policy(self.ends);
        self.attempts
            .push((token, Box::pin(dial::connect(host, policy))));
    }

    /// Sees what happened. Follow with [`Sockets::inputs`]; true when there is more to see at once.
    ///
    /// Unless the machine `wants_input` nobody comes in: who connects waits with the system, which
    /// bounds that. What happens to the connections that there are is told all the same. They are
    /// few, each has no more than a handshake to say, and some make room for others by it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wants_input: bool) -> bool {
        let Self {
            next,
            listening,
            attempts,
            conns,
            seen,
            ..
        } = self;
        let mut new = |stream: TcpStream, conns: &mut BTreeMap<ConnId, Conn>| {
            let id = ConnId(*next);
            *next += 1;
            conns.insert(id, Conn::new(stream));
            id
        };
        for (&listen, listening) in listening.iter_mut().filter(|_| wants_input) {
            while seen.inputs.len() < INPUTS && conns.len() < CONNECTIONS {
                let Poll::Ready((stream, from)) = listening.poll_accept(cx) else {
                    break;
                };
                let conn = new(stream, conns);
                seen.inputs
                    .push_back(NetInput::Accepted { listen, conn, from });
            }
        }
        attempts.retain_mut(|(token, attempt)| {
            let Poll::Ready(result) = attempt.as_mut().poll(cx) else {
                return true;
            };
            seen.inputs.push_back(match result {
                Ok(stream) => NetInput::Connected(*token, new(stream, conns)),
                Err(error) => NetInput::Failed(*token, error),
            });
            false
        });
        conns.retain(|&id, conn| conn.poll(id, seen, cx));
        seen.inputs.len() >= INPUTS
    }

    /// What happened since the last time.
    pub(super) fn inputs(&mut self) -> impl Iterator<Item = NetInput> + '_ {
        self.seen.inputs.drain(..)
    }

    /// Transfers that had all written to a socket which broke since.
    pub(super) fn broken(&mut self) -> impl Iterator<Item = TransferId> + '_ {
        self.seen.broken.drain(..)
    }

    /// Drops every socket.
    pub(super) fn clear(&mut self) {
        self.listening.clear();
        self.attempts.clear();
        self.conns.clear();
        self.seen = Seen::default();
    }
}

#[cfg(test)]
mod tests;
