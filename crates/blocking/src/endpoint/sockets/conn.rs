//! One connection and its thread.

use super::{Seen, conn};
use crate::endpoint::driver::{TICK, is_tick};
use crate::endpoint::shared::Shared;
use bytes::Bytes;
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, NetInput};
use bytestreams_transfer::TransferId;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar};

/// What is thrown away at once.
const WASTE: usize = 4096;

/// A connection. Before it is detached its thread reads a handshake's worth and no more; once it is
/// shut down, the thread reads to the end and throws away. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Conn {
    stream: Arc<TcpStream>,
    reads: Reads,
    changed: Arc<Condvar>,
    /// Whose it is, or was.
    owner: Option<TransferId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// So many octets more, for the machine.
    Handshake(usize),
    /// Nothing here: the application does.
    Detached,
    /// To the end, for nobody.
    Waste,
    /// No more: the peer has shut its half down, or it broke.
    Ended,
}

impl Conn {
    pub(super) fn start(id: ConnId, stream: TcpStream, shared: &Arc<Shared>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(TICK))?;
        let stream = Arc::new(stream);
        let changed = Arc::new(Condvar::new());
        let reader = Reader {
            id,
            shared: shared.clone(),
            stream: stream.clone(),
            changed: changed.clone(),
        };
        shared.threads.start("connection", move || reader.run())?;
        Ok(Self {
            stream,
            reads: Reads::Handshake(HANDSHAKE_OCTETS),
            changed,
            owner: None,
        })
    }

    /// Writes octets of a handshake, for which there is always room.
    pub(super) fn send(&self, octets: &[u8]) {
        if (&*self.stream).write_all(octets).is_err() {
            // The thread tells.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn detach(&mut self) {
        self.reads = Reads::Detached;
        self.changed.notify_all();
    }

    pub(super) fn take(&mut self, owner: TransferId) -> Option<TcpStream> {
        self.owner = Some(owner);
        self.stream.try_clone().ok()
    }

    /// Shuts the write half down, and reads to the end what the application will not.
    pub(super) fn shutdown(&mut self) {
        // The thread tells what is wrong.
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(None);
        if self.reads == Reads::Detached {
            self.reads = Reads::Waste;
        }
        self.changed.notify_all();
    }

    /// Takes note of the end.
    fn ended(&mut self, id: ConnId, orderly: bool, seen: &mut Seen) {
        self.reads = Reads::Ended;
        match self.owner {
            // Of a stream whose octets were all written, a reset means that the peer may lack the
            // last.
            Some(owner) if !orderly => seen.broken.push(owner),
            _ => seen.inputs.push_back(NetInput::Closed(id)),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // The thread wakes by this, and closes the socket by letting go of it: no end is said here,
        // where a reset is to be seen.
        let _ = self.stream.shutdown(Shutdown::Read);
        self.changed.notify_all();
    }
}

/// The thread of a connection.
struct Reader {
    id: ConnId,
    shared: Arc<Shared>,
    stream: Arc<TcpStream>,
    changed: Arc<Condvar>,
}

impl Reader {
    fn run(self) {
        let mut octets = [0; WASTE];
        while let Some(reads) = self.turn_to_read() {
            let result = match reads {
                // Only looked at: it is the application's, if it has been detached meanwhile.
                Reads::Handshake(left) => self.stream.peek(&mut octets[..left]),
                Reads::Waste | Reads::Detached | Reads::Ended => (&*self.stream).read(&mut octets),
            };
            self.take_note(result, &mut octets);
        }
    }

    /// Waits until there is something to read for here; `None` when never again.
    fn turn_to_read(&self) -> Option<Reads> {
        let mut state = self.shared.lock();
        loop {
            let (conn, _) = conn(&mut state, self.id)?;
            match conn.reads {
                Reads::Handshake(1..) | Reads::Waste => return Some(conn.reads),
                Reads::Handshake(0) | Reads::Detached | Reads::Ended => {}
            }
            state = state.wait(&self.changed, None);
        }
    }

    fn take_note(&self, result: io::Result<usize>, octets: &mut [u8]) {
        let mut state = self.shared.lock();
        let Some((conn, seen)) = conn(&mut state, self.id) else {
            return;
        };
        match (conn.reads, result) {
            (Reads::Detached | Reads::Ended, _) => {}
            (_, Err(error)) if is_tick(&error) => {}
            (_, Err(_)) => conn.ended(self.id, false, seen),
            (_, Ok(0)) => {
                // A reset right behind the end shows only here.
                let orderly = matches!(self.stream.take_error(), Ok(None));
                conn.ended(self.id, orderly, seen);
            }
            (Reads::Waste, Ok(_)) => return,
            (Reads::Handshake(left), Ok(n)) => {
                let octets = &mut octets[..n];
                // They are there, so this does not wait.
                if (&*self.stream).read_exact(octets).is_err() {
                    conn.ended(self.id, false, seen);
                } else {
                    conn.reads = Reads::Handshake(left - n);
                    let octets = Bytes::copy_from_slice(octets);
                    let received = NetInput::Received(self.id, octets);
                    seen.inputs.push_back(received);
                }
            }
        }
        drop(self.shared.drive(state));
    }
}
