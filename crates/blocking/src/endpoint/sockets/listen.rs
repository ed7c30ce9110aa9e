//! Listens for peers.

use crate::endpoint::shared::Shared;
use bytestreams_machine::{Ends, ListenId};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// A pause after the socket gave an error, such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

/// How long a thread waits for a connection before it sees whether it still should, in case the word
/// to stop is lost.
const LONG: Duration = Duration::from_secs(1);

/// Sockets of one port that listen, with a thread each. They stop when this is dropped.
#[derive(Debug)]
pub(super) struct Listening(Vec<Arc<Door>>);

#[derive(Debug)]
struct Door {
    socket: TcpListener,
    stopped: AtomicBool,
    /// What wakes the thread, kept until it has.
    knock: Mutex<Option<Socket>>,
}

impl Listening {
    /// Listens with the socket given, or at a free port of all local addresses: that of the link
    /// alone, where the peer is on this machine. Answers the addresses to tell peers too, best
    /// first.
    pub(super) fn open(
        id: ListenId,
        given: Option<&TcpListener>,
        ends: Option<Ends>,
        shared: &Arc<Shared>,
    ) -> io::Result<(Self, Vec<SocketAddr>)> {
        let (sockets, addrs) = bytestreams_net::listen(given, ends)?;
        let mut listening = Self(Vec::new());
        for socket in sockets {
            // It only makes sure.
            let _ = SockRef::from(&socket).set_read_timeout(Some(LONG));
            let door = Arc::new(Door {
                socket,
                stopped: AtomicBool::new(false),
                knock: Mutex::new(None),
            });
            let (theirs, shared) = (door.clone(), shared.clone());
            let threads = shared.clone();
            let accept = move || accept(&theirs, id, &shared);
            threads.threads.start("listener", accept)?;
            listening.0.push(door);
        }
        Ok((listening, addrs))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        for door in &self.0 {
            door.stop();
        }
    }
}

impl Door {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // The only way to end the wait of another thread for a connection, everywhere.
        let knock = self.socket.local_addr().and_then(knock);
        *self.knock.lock().unwrap_or_else(PoisonError::into_inner) = knock.ok();
    }
}

/// Connects to a socket of this machine, without waiting until it has.
fn knock(mut addr: SocketAddr) -> io::Result<Socket> {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // That it takes a while is an error too.
    let _ = socket.connect(&addr.into());
    Ok(socket)
}

/// Takes connections until the door is shut.
fn accept(door: &Door, id: ListenId, shared: &Arc<Shared>) {
    loop {
        let accepted = door.socket.accept();
        if door.stopped.load(Ordering::Relaxed) {
            return;
        }
        match accepted {
            Ok((stream, from)) => {
                let Some(mut state) = shared.until_wanted() else {
                    return;
                };
                state.sockets.accepted(id, stream, from, shared);
                drop(shared.drive(state));
            }
            Err(error) if crate::endpoint::driver::is_tick(&error) => {}
            Err(_) => std::thread::sleep(BREATH),
        }
    }
}
