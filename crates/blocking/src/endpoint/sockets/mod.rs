//! The sockets beside the link: what a machine asks for by [`NetCommand`], carried out.
//!
//! Nothing here knows what passes over a socket, and nothing here gives up after a time: both are
//! the machine's.

mod conn;
mod dial;
mod listen;

use super::shared::{Shared, State};
use bytestreams_machine::{ConnId, ConnectError, Ends, ListenId, NetCommand, NetInput, Token};
use bytestreams_net::SocketOptions;
use bytestreams_stanza::StreamHost;
use bytestreams_transfer::TransferId;
use conn::Conn;
use dial::Attempt;
use listen::Listening;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// Connections, each with a thread, at which no more are taken from strangers. Machines bound theirs
/// more closely.
const CONNECTIONS: usize = 256;

/// Attempts to connect at once, each with threads; one more fails. A peer whose transfers were
/// accepted names hosts that never answer as often as it likes.
const ATTEMPTS: usize = 64;

/// All sockets of one machine.
#[derive(Debug)]
pub(crate) struct Sockets {
    options: SocketOptions,
    ends: Option<Ends>,
    next: u64,
    listening: BTreeMap<ListenId, Listening>,
    attempts: BTreeMap<Token, Attempt>,
    conns: BTreeMap<ConnId, Conn>,
    pub(crate) seen: Seen,
}

/// What happened and is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) inputs: VecDeque<NetInput>,
    /// Transfers whose socket broke after it was given back.
    pub(crate) broken: Vec<TransferId>,
}

impl Sockets {
    pub(crate) fn new(options: SocketOptions, ends: Option<Ends>) -> Self {
        Self {
            options,
            ends,
            next: 0,
            listening: BTreeMap::new(),
            attempts: BTreeMap::new(),
            conns: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// Carries out a command. What comes of it at once is in [`Sockets::seen`].
    pub(crate) fn carry_out(&mut self, command: NetCommand, shared: &Arc<Shared>) {
        match command {
            NetCommand::Listen(id) => self.listen(id, shared),
            NetCommand::Unlisten(id) => drop(self.listening.remove(&id)),
            NetCommand::Connect(token, host) => self.connect(token, host, shared),
            NetCommand::Send(id, octets) => {
                if let Some(conn) = self.conns.get(&id) {
                    conn.send(&octets);
                }
            }
            NetCommand::ShutdownWrite(id) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.shutdown();
                }
            }
            NetCommand::Close(id) => drop(self.conns.remove(&id)),
            NetCommand::Detach(id) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.detach();
                }
            }
        }
    }

    fn listen(&mut self, id: ListenId, shared: &Arc<Shared>) {
        // Who cannot listen says nothing.
        let listener = self.options.listener();
        if let Ok((listening, addrs)) = Listening::open(id, listener, self.ends, shared) {
            let told = addrs.into_iter().map(|addr| NetInput::Listening(id, addr));
            self.seen.inputs.extend(told);
            self.listening.insert(id, listening);
        }
    }

    fn connect(&mut self, token: Token, host: StreamHost, shared: &Arc<Shared>) {
        if self.attempts.len() >= ATTEMPTS {
            // Of a host that is not called nothing is to be remembered.
            return self.failed(token, ConnectError::Forbidden);
        }
        let policy = self.options.policy(self.ends);
        match Attempt::start(token, host, policy, shared) {
            Ok(attempt) => drop(self.attempts.insert(token, attempt)),
            Err(_) => self.failed(token, ConnectError::Unreachable),
        }
    }

    fn failed(&mut self, token: Token, error: ConnectError) {
        self.seen.inputs.push_back(NetInput::Failed(token, error));
    }

    /// Takes the outcome of an attempt.
    fn connected(
        &mut self,
        token: Token,
        result: Result<TcpStream, ConnectError>,
        shared: &Arc<Shared>,
    ) {
        if self.attempts.remove(&token).is_none() {
            return;
        }
        let made = result.and_then(|stream| {
            let made = self.adopt(stream, shared);
            made.map_err(|_| ConnectError::Unreachable)
        });
        match made {
            Ok(conn) => {
                let connected = NetInput::Connected(token, conn);
                self.seen.inputs.push_back(connected);
            }
            Err(error) => self.failed(token, error),
        }
    }

    /// Takes a connection that came in, if there is room for it.
    fn accepted(
        &mut self,
        listen: ListenId,
        stream: TcpStream,
        from: SocketAddr,
        shared: &Arc<Shared>,
    ) {
        if self.conns.len() >= CONNECTIONS || !self.listening.contains_key(&listen) {
            return;
        }
        if let Ok(conn) = self.adopt(stream, shared) {
            let accepted = NetInput::Accepted { listen, conn, from };
            self.seen.inputs.push_back(accepted);
        }
    }

    fn adopt(&mut self, stream: TcpStream, shared: &Arc<Shared>) -> io::Result<ConnId> {
        let id = ConnId(self.next);
        self.next += 1;
        let conn = Conn::start(id, stream, shared)?;
        self.conns.insert(id, conn);
        Ok(id)
    }

    /// The socket of a connection that was detached, for its transfer.
    pub(crate) fn take(&mut self, id: ConnId, owner: TransferId) -> Option<TcpStream> {
        self.conns.get_mut(&id)?.take(owner)
    }

    /// Lets go of every socket.
    pub(crate) fn clear(&mut self) {
        self.listening.clear();
        self.attempts.clear();
        self.conns.clear();
        self.seen = Seen::default();
    }
}

/// The connection of that name, for its thread.
fn conn(state: &mut State, id: ConnId) -> Option<(&mut Conn, &mut Seen)> {
    let Sockets { conns, seen, .. } = &mut state.sockets;
    Some((conns.get_mut(&id)?, seen))
}
