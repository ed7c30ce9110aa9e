//! StreamHosts and a proxy that fail on purpose: silent, refusing, dying, cutting.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::raw::RawClient;
use crate::server::Server;
use crate::socks::{BYTESTREAMS, dst_addr};
use crate::xml::Stanza;

/// How a [`FakeHost`] treats whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Accepts TCP and never says a word.
    Silent,
    /// Hangs up at once.
    HangsUp,
    /// Shakes hands, but knows none of the hashes.
    Refuses,
    /// Takes every hash, and relays once activated until so many octets went by; then cuts both connections.
    Relays {
        /// The octets after which it cuts, counted over both directions of all streams.
        cut_after: u64,
    },
    /// Takes every hash, and relays once activated until so many octets went by; then keeps the connections and lets nothing through.
    Stalls {
        /// The octets after which it stalls, counted as above.
        after: u64,
    },
}

/// A StreamHost on loopback with a free port. Stops when dropped.
#[derive(Debug)]
pub struct FakeHost {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    stop: AtomicBool,
    connections: AtomicUsize,
    relayed: AtomicU64,
    sockets: Mutex<Vec<TcpStream>>,
    by_hash: Mutex<BTreeMap<String, Vec<TcpStream>>>,
}

impl FakeHost {
    /// Starts to listen.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            manner,
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            relayed: AtomicU64::new(0),
            sockets: Mutex::default(),
            by_hash: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for socket in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                lock(&shared.sockets).push(copy(&socket));
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(socket));
            }
        });
        Self { address, state }
    }

    /// Gives the address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts the connections that were opened so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Counts the octets that were relayed so far.
    pub fn relayed(&self) -> u64 {
        self.state.relayed.load(Ordering::SeqCst)
    }

    /// Begins to relay between the two connections with that hash; says whether there were two.
    pub fn activate(&self, hash: &str) -> bool {
        let mut by_hash = lock(&self.state.by_hash);
        if by_hash.get(hash).is_none_or(|sockets| sockets.len() < 2) {
            return false;
        }
        let sockets = by_hash.remove(hash).expect("looked at");
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (copy(&sockets[from]), copy(&sockets[to]));
            let state = Arc::clone(&self.state);
            thread::spawn(move || state.relay(from, to));
        }
        true
    }

    /// Cuts every connection and refuses further ones.
    pub fn die(&self) {
        self.state.stop.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        self.state.cut();
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.die();
    }
}

impl State {
    fn serve(&self, mut socket: TcpStream) {
        match self.manner {
            Manner::Silent => {
                let mut buffer = [0; 512];
                while socket.read(&mut buffer).is_ok_and(|octets| octets > 0) {}
            }
            Manner::HangsUp => {
                socket.shutdown(Shutdown::Both).ok();
            }
            Manner::Refuses | Manner::Relays { .. } | Manner::Stalls { .. } => {
                let mut greeting = [0; 3];
                let mut request = [0; 47];
                let heard = socket
                    .read_exact(&mut greeting)
                    .and_then(|()| socket.write_all(&[5, 0]))
                    .and_then(|()| socket.read_exact(&mut request));
                if heard.is_err() {
                    return;
                }
                let mut reply = request;
                reply[1] = 2 * u8::from(self.manner == Manner::Refuses);
                if self.manner == Manner::Refuses {
                    socket.write_all(&reply).ok();
                    socket.shutdown(Shutdown::Both).ok();
                    return;
                }
                let hash = String::from_utf8_lossy(&request[5..45]).into_owned();
                // Registered before the reply: whoever saw the reply may activate.
                lock(&self.by_hash)
                    .entry(hash)
                    .or_default()
                    .push(copy(&socket));
                socket.write_all(&reply).ok();
            }
        }
    }

    fn relay(&self, mut from: TcpStream, mut to: TcpStream) {
        let limit = match self.manner {
            Manner::Relays { cut_after: limit } | Manner::Stalls { after: limit } => limit,
            Manner::Silent | Manner::HangsUp | Manner::Refuses => 0,
        };
        let mut buffer = vec![0; 1 << 16];
        while let Ok(octets @ 1..) = from.read(&mut buffer) {
            let left = limit.saturating_sub(self.relayed.load(Ordering::SeqCst));
            let octets = octets.min(usize::try_from(left).unwrap_or(usize::MAX));
            if to.write_all(&buffer[..octets]).is_err() {
                break;
            }
            self.relayed.fetch_add(octets as u64, Ordering::SeqCst);
            if self.relayed() >= limit {
                if let Manner::Relays { .. } = self.manner {
                    self.cut();
                }
                return;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    }

    fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::SeqCst)
    }

    fn cut(&self) {
        lock(&self.by_hash).clear();
        for socket in lock(&self.sockets).drain(..) {
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic under the lock")
}

fn copy(socket: &TcpStream) -> TcpStream {
    socket.try_clone().expect("a descriptor")
}

/// What a [`FakeProxy`] does when it is asked to activate a bytestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Activates where both are connected, and answers item-not-found where not.
    Granted,
    /// Answers not-allowed.
    Refused,
    /// Cuts all connections and leaves the server, without an answer.
    Dies,
    /// Never answers, and keeps the connections.
    Unanswered,
}

/// A SOCKS5 proxy joined to a server as its component. Leaves when dropped.
#[derive(Debug)]
pub struct FakeProxy {
    /// Its JID.
    pub jid: String,
    /// Where it listens.
    pub host: Arc<FakeHost>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeProxy {
    /// Joins the server in the place of its component.
    pub fn join(server: &Server, manner: Manner, activation: Activation) -> Self {
        let mut component = RawClient::component(server, &server.component);
        let host = Arc::new(FakeHost::start(manner));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&host), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                match component.try_recv(Duration::from_millis(100)) {
                    Ok(stanza) => {
                        if !answer(&mut component, &stanza, &shared, activation) {
                            return;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    Err(_) => return,
                }
            }
        });
        Self {
            jid: server.component.clone(),
            host,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Answers a stanza; says whether the component lives on.
fn answer(
    component: &mut RawClient,
    stanza: &Stanza,
    host: &FakeHost,
    activation: Activation,
) -> bool {
    if stanza.is_iq("set") && stanza.has("<activate") {
        match activation {
            Activation::Granted => {
                let target = stanza
                    .0
                    .split_once("<activate>")
                    .and_then(|(_, rest)| rest.split_once("</activate>"))
                    .map_or("", |(target, _)| target);
                let sid = stanza.child_attr("query", "sid").unwrap_or_default();
                let from = stanza.attr("from").unwrap_or_default();
                if host.activate(&dst_addr(sid, from, target)) {
                    component.result(stanza, "");
                } else {
                    component.refuse(stanza, "modify", "item-not-found");
                }
            }
            Activation::Refused => component.refuse(stanza, "cancel", "not-allowed"),
            Activation::Dies => {
                host.die();
                return false;
            }
            Activation::Unanswered => {}
        }
    } else if stanza.is_iq("get") && stanza.has(BYTESTREAMS) {
        let (jid, at) = (component.jid.clone(), host.address());
        let (ip, port) = (at.ip(), at.port());
        component.result(
            stanza,
            &format!("<query xmlns='{BYTESTREAMS}'><streamhost jid='{jid}' host='{ip}' port='{port}'/></query>"),
        );
    } else if stanza.is_iq("get") && stanza.has("disco#info") {
        component.result(
            stanza,
            &format!(
                "<query xmlns='http://jabber.org/protocol/disco#info'>\
                 <identity category='proxy' type='bytestreams' name='Fake'/><feature var='{BYTESTREAMS}'/></query>"
            ),
        );
    } else if stanza.is_iq("get") || stanza.is_iq("set") {
        component.refuse(stanza, "cancel", "service-unavailable");
    }
    true
}
