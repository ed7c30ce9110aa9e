//! Connects at a peer's word.

use crate::endpoint::shared::Shared;
use bytestreams_machine::{ConnectError, DialPolicy, Token};
use bytestreams_net::{PACE, candidates, connect_error};
use bytestreams_stanza::StreamHost;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long the system may try one address: longer than any machine waits, and an end for a thread.
const PATIENCE: Duration = Duration::from_secs(60);

/// An attempt to connect, with threads of its own. It is called off when this is dropped.
#[derive(Debug)]
pub(super) struct Attempt {
    calls: Arc<Calls>,
    words: Sender<Word>,
}

/// Attempts at the addresses of one name, beside each other.
#[derive(Debug, Default)]
struct Calls {
    off: AtomicBool,
    sockets: Mutex<Vec<Arc<Socket>>>,
}

/// What the thread of an attempt waits for.
enum Word {
    Resolved(io::Result<Vec<SocketAddr>>),
    Called(Result<TcpStream, ConnectError>),
    Off,
}

impl Attempt {
    /// Resolves the host, drops the addresses that the policy does not permit, and connects to one
    /// of the others.
    pub(super) fn start(
        token: Token,
        host: StreamHost,
        policy: DialPolicy,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        let (words, heard) = channel();
        let calls = Arc::new(Calls::default());
        let attempt = Self {
            calls: calls.clone(),
            words: words.clone(),
        };
        let of_thread = shared.clone();
        shared.threads.start("attempt", move || {
            let shared = of_thread;
            let result = connect(&host, &policy, &calls, &words, &heard);
            let mut state = shared.lock();
            state.sockets.connected(token, result, &shared);
            drop(shared.drive(state));
        })?;
        Ok(attempt)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.calls.call_off();
        // Its thread may be done.
        let _ = self.words.send(Word::Off);
    }
}

impl Calls {
    fn call_off(&self) {
        self.off.store(true, Ordering::Relaxed);
        for socket in self.lock().drain(..) {
            // Where the system does not end the attempt by this, time does.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(
    host: &StreamHost,
    policy: &DialPolicy,
    calls: &Arc<Calls>,
    words: &Sender<Word>,
    heard: &Receiver<Word>,
) -> Result<TcpStream, ConnectError> {
    let found = resolve(host, words, heard)?;
    if found.is_empty() {
        return Err(ConnectError::Dns);
    }
    let addrs = candidates(found, policy);
    std::thread::scope(|scope| {
        let mut addrs = addrs.into_iter();
        let mut running = 0;
        let mut error = ConnectError::Forbidden;
        let result = loop {
            match addrs.next() {
                Some(addr) => {
                    running += 1;
                    let words = words.clone();
                    scope.spawn(move || {
                        // Nobody waits for those that lose.
                        let _ = words.send(Word::Called(call(addr, calls)));
                    });
                }
                None if running == 0 => break Err(error),
                None => {}
            }
            let word = if addrs.len() == 0 {
                heard.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                heard.recv_timeout(PACE)
            };
            match word {
                Ok(Word::Called(Ok(stream))) => break Ok(stream),
                Ok(Word::Called(Err(why))) => {
                    running -= 1;
                    error = why;
                }
                Ok(Word::Resolved(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Word::Off) | Err(RecvTimeoutError::Disconnected) => {
                    break Err(ConnectError::Unreachable);
                }
            }
        };
        calls.call_off();
        result
    })
}

/// Finds the addresses of the host. The system cannot be told to stop looking, so it looks on a
/// thread for which nobody waits.
fn resolve(
    host: &StreamHost,
    words: &Sender<Word>,
    heard: &Receiver<Word>,
) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(ip) = host.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, host.port)]);
    }
    let (name, port, words) = (host.host.clone(), host.port, words.clone());
    let builder = std::thread::Builder::new().name("bytestreams resolver".into());
    let started = builder.spawn(move || {
        let found = (&*name, port).to_socket_addrs();
        // It may be too late.
        let _ = words.send(Word::Resolved(found.map(Iterator::collect)));
    });
    started.map_err(|_| ConnectError::Dns)?;
    match heard.recv() {
        Ok(Word::Resolved(Ok(addrs))) => Ok(addrs),
        _ => Err(ConnectError::Dns),
    }
}

fn call(addr: SocketAddr, calls: &Calls) -> Result<TcpStream, ConnectError> {
    let stream = try_call(addr, calls).map_err(|error| connect_error(&error))?;
    // A free port of this machine, called from that same port, answers itself.
    if stream.local_addr().is_ok_and(|local| local == addr) {
        return Err(ConnectError::Refused);
    }
    Ok(stream)
}

fn try_call(addr: SocketAddr, calls: &Calls) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    let socket = Arc::new(socket);
    calls.lock().push(socket.clone());
    if calls.off.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let connected = socket.connect_timeout(&addr.into(), PATIENCE);
    // One that won is not called off with those that lose.
    calls.lock().retain(|other| !Arc::ptr_eq(other, &socket));
    connected?;
    let socket = Arc::into_inner(socket).ok_or(io::ErrorKind::TimedOut)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::Jid;
    use std::net::TcpListener;

    fn jid() -> Jid {
        Jid::new("a@b/c").expect("a JID")
    }

    fn call(name: &str, port: u16, policy: &DialPolicy) -> Result<TcpStream, ConnectError> {
        let host = StreamHost {
            jid: jid(),
            host: name.into(),
            port,
        };
        let (words, heard) = channel();
        connect(&host, policy, &Arc::default(), &words, &heard)
    }

    fn local() -> DialPolicy {
        DialPolicy {
            link: Some("127.0.0.1".parse().expect("an address")),
            ..DialPolicy::default()
        }
    }

    #[test]
    fn an_address_is_called_where_it_is_permitted_and_never_else() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        for name in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
            call(name, port, &local()).expect(name);
            listener.accept().expect("a connection");
        }
        listener.set_nonblocking(true).expect("an option");
        for name in ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "0"] {
            let error = call(name, port, &DialPolicy::default());
            assert_eq!(error.expect_err(name), ConnectError::Forbidden, "{name}");
        }
        assert!(listener.accept().is_err());
    }

    #[test]
    fn failures_are_told_apart() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let refused = call("127.0.0.1", port, &local());
        assert_eq!(refused.expect_err("nobody"), ConnectError::Refused);
        for name in ["", "no such name", "a..b"] {
            let error = call(name, 1, &local());
            assert_eq!(error.expect_err(name), ConnectError::Dns, "{name}");
        }
    }

    #[test]
    fn one_that_is_called_off_calls_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        listener.set_nonblocking(true).expect("an option");
        let calls = Calls::default();
        calls.call_off();
        let addr = listener.local_addr().expect("an address");
        assert!(try_call(addr, &calls).is_err());
        assert!(listener.accept().is_err());
    }
}
