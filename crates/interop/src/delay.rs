//! A TCP proxy that delays what it relays, and can tell when the blocks of an in-band stream went by.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::xml::Splitter;

/// Delays both directions by the same time, at any rate and in order. Stops when dropped.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    record: Arc<Mutex<Vec<Chunk>>>,
}

/// Octets that went by: stamped when the client wrote them, or just before they were handed to the client.
#[derive(Debug)]
struct Chunk {
    at: Instant,
    connection: usize,
    from_client: bool,
    octets: Vec<u8>,
}

/// What went over one in-band stream of one client, seen from that client.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// When the client wrote its first `<data/>`.
    pub first_data: Instant,
    /// When the last acknowledgement was handed to the client.
    pub last_acknowledgement: Instant,
    /// Octets of payload in blocks that were acknowledged.
    pub octets: u64,
    /// Octets of payload in all blocks.
    pub sent: u64,
}

impl Flow {
    /// Payload octets a second from the first block to the last acknowledgement.
    pub fn rate(&self) -> f64 {
        self.octets as f64 / (self.last_acknowledgement - self.first_data).as_secs_f64()
    }
}

impl DelayProxy {
    /// Relays connections to `target`, each direction `delay` later.
    pub fn start(target: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let proxy = Self {
            address: listener.local_addr().expect("bound"),
            stop: Arc::new(AtomicBool::new(false)),
            sockets: Arc::default(),
            record: Arc::default(),
        };
        let (stop, sockets, record) = (
            Arc::clone(&proxy.stop),
            Arc::clone(&proxy.sockets),
            Arc::clone(&proxy.record),
        );
        thread::spawn(move || {
            for (connection, client) in listener.incoming().enumerate() {
                let Ok(client) = client else { continue };
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let both = [client, server];
                both.iter()
                    .for_each(|socket| socket.set_nodelay(true).expect("TCP"));
                let copy = |socket: &TcpStream| socket.try_clone().expect("a descriptor");
                sockets
                    .lock()
                    .expect("no panic under the lock")
                    .extend(both.iter().map(copy));
                let [client, server] = both;
                let lane = Lane {
                    delay,
                    connection,
                    from_client: true,
                    record: Arc::clone(&record),
                };
                lane.run(copy(&client), copy(&server));
                let lane = Lane {
                    delay,
                    connection,
                    from_client: false,
                    record: Arc::clone(&record),
                };
                lane.run(server, client);
            }
        });
        proxy
    }

    /// Gives the address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection that is open now, as a failing network does.
    pub fn cut(&self) {
        for socket in self
            .sockets
            .lock()
            .expect("no panic under the lock")
            .drain(..)
        {
            socket.shutdown(Shutdown::Both).ok();
        }
    }

    /// Gives the flow of the blocks that clients sent by IQ through here so far, if there was one; plaintext streams only.
    pub fn flow(&self) -> Option<Flow> {
        let record = self.record.lock().expect("no panic under the lock");
        let mut splitters: BTreeMap<(usize, bool), Splitter> = BTreeMap::new();
        let mut pending: BTreeMap<(usize, String), u64> = BTreeMap::new();
        let mut flow: Option<Flow> = None;
        for chunk in record.iter() {
            let splitter = splitters
                .entry((chunk.connection, chunk.from_client))
                .or_default();
            splitter.push(&chunk.octets);
            while let Some(stanza) = splitter.next_stanza() {
                let Some(id) = stanza.attr("id") else {
                    continue;
                };
                let key = (chunk.connection, id.to_owned());
                if chunk.from_client
                    && stanza.is_iq("set")
                    && stanza.has("http://jabber.org/protocol/ibb")
                    && stanza.has("<data")
                {
                    let octets = payload(&stanza.0);
                    pending.insert(key, octets);
                    let start = Flow {
                        first_data: chunk.at,
                        last_acknowledgement: chunk.at,
                        octets: 0,
                        sent: 0,
                    };
                    flow.get_or_insert(start).sent += octets;
                } else if !chunk.from_client
                    && stanza.is_iq("result")
                    && let (Some(octets), Some(flow)) = (pending.remove(&key), &mut flow)
                {
                    flow.last_acknowledgement = chunk.at;
                    flow.octets += octets;
                }
            }
        }
        flow
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        self.cut();
    }
}

/// Counts the octets in the text of the first `<data>` of a stanza.
fn payload(stanza: &str) -> u64 {
    let text = stanza
        .split_once("<data")
        .and_then(|(_, rest)| rest.split_once('>'))
        .and_then(|(_, rest)| rest.split_once('<'));
    text.and_then(|(text, _)| STANDARD.decode(text).ok())
        .map_or(0, |octets| octets.len() as u64)
}

struct Lane {
    delay: Duration,
    connection: usize,
    from_client: bool,
    record: Arc<Mutex<Vec<Chunk>>>,
}

impl Lane {
    fn run(self, from: TcpStream, to: TcpStream) {
        let (sender, chunks) = mpsc::channel::<(Instant, Vec<u8>)>();
        thread::spawn(move || read(from, &sender));
        thread::spawn(move || {
            let mut to = to;
            for (read_at, octets) in chunks {
                thread::sleep((read_at + self.delay).saturating_duration_since(Instant::now()));
                let at = if self.from_client {
                    read_at
                } else {
                    Instant::now()
                };
                let chunk = Chunk {
                    at,
                    connection: self.connection,
                    from_client: self.from_client,
                    octets: octets.clone(),
                };
                // Before it goes out: what answers it stands behind it, and is there once it is heard.
                self.record
                    .lock()
                    .expect("no panic under the lock")
                    .push(chunk);
                if to.write_all(&octets).is_err() {
                    break;
                }
            }
            to.shutdown(Shutdown::Write).ok();
        });
    }
}

fn read(mut from: TcpStream, to: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; 1 << 18];
    while let Ok(octets @ 1..) = from.read(&mut buffer) {
        if to
            .send((Instant::now(), buffer[..octets].to_vec()))
            .is_err()
        {
            break;
        }
    }
    from.shutdown(Shutdown::Read).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_each_way_and_keeps_the_order() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let target = echo.local_addr().expect("bound");
        thread::spawn(move || {
            let (mut socket, _) = echo.accept().expect("a connection");
            let mut copy = socket.try_clone().expect("a descriptor");
            std::io::copy(&mut socket, &mut copy).ok();
            copy.shutdown(Shutdown::Write).ok();
        });
        let proxy = DelayProxy::start(target, Duration::from_millis(40));
        let mut socket = TcpStream::connect(proxy.address()).expect("the proxy");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("TCP");
        let sent: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
        let began = Instant::now();
        let mut writer = socket.try_clone().expect("a descriptor");
        let copy = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&copy).expect("written");
            writer.shutdown(Shutdown::Write).expect("shut down");
        });
        let mut got = vec![0; 1];
        socket.read_exact(&mut got).expect("an octet");
        assert!(began.elapsed() >= Duration::from_millis(80));
        socket.read_to_end(&mut got).expect("the rest");
        writing.join().expect("no panic");
        assert!(got == sent, "order or content changed");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "the rate is not meant to be bounded"
        );
    }

    #[test]
    fn a_block_counts_as_soon_as_its_acknowledgement_is_heard() {
        const DATA: &[u8] =
            b"<iq type='set' id='1'><data xmlns='http://jabber.org/protocol/ibb'>AAAA</data></iq>";
        const RESULT: &[u8] = b"<iq type='result' id='1'/>";
        const HEADER: &[u8] = b"<stream:stream>";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let target = listener.local_addr().expect("bound");
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            socket.write_all(HEADER).expect("written");
            socket.read_exact(&mut [0; HEADER.len()]).expect("a header");
            let mut data = [0; DATA.len()];
            while socket.read_exact(&mut data).is_ok() {
                socket.write_all(RESULT).expect("written");
            }
        });
        let proxy = DelayProxy::start(target, Duration::ZERO);
        let mut socket = TcpStream::connect(proxy.address()).expect("the proxy");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("TCP");
        socket.write_all(HEADER).expect("written");
        socket.read_exact(&mut [0; HEADER.len()]).expect("a header");
        for blocks in 1..=200 {
            socket.write_all(DATA).expect("written");
            socket
                .read_exact(&mut [0; RESULT.len()])
                .expect("an answer");
            let flow = proxy.flow().expect("a flow");
            assert_eq!((flow.sent, flow.octets), (3 * blocks, 3 * blocks));
        }
    }
}
