//! A peer by hand at the other end of a SOCKS5 stream: odd but legal replies, octets in odd places, ends too early and too late.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytestreams_interop::exchange::{accepts, number, online, text};
use bytestreams_interop::files::hidden;
use bytestreams_interop::process::wait_until;
use bytestreams_interop::socks::{
    STEP, connect, dst_addr, hosts_query, read_to_end, si_accept, si_offer, stream_host, used,
};
use bytestreams_interop::{Cli, LOGIN, PROSODY, Process, RawClient, Scratch, Server, TRANSFER};

const LETTER: &[u8] = b"the more I give to thee, the more I have";

/// A receiver of ours that accepted a letter, and romeo who offered it.
struct Scene {
    romeo: RawClient,
    receiver: Process,
    to: String,
    scratch: Scratch,
    _server: Server,
}

impl Scene {
    fn set() -> Self {
        let server = PROSODY.start();
        let scratch = Scratch::default();
        let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
        let (receiver, to) = online(receiver.args("--once"));
        let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
        let offer = si_offer("s1", "letter.txt", LETTER.len() as u64);
        accepts(&romeo.request("set", &to, &offer));
        Self {
            romeo,
            receiver,
            to,
            scratch,
            _server: server,
        }
    }

    /// Names a StreamHost of romeo's own and waits for the answer.
    fn name(&mut self, host: SocketAddr) {
        let own = self.romeo.jid.clone();
        let query = hosts_query("s1", &[(&own, host)]);
        let answer = self.romeo.request("set", &self.to, &query);
        accepts(&answer);
        assert_eq!(answer.child_attr("streamhost-used", "jid"), Some(&*own));
    }

    fn arrived(mut self) {
        let done = self.receiver.event("done", TRANSFER);
        assert_eq!(
            (text(&done, "via"), number(&done, "bytes")),
            ("direct".into(), LETTER.len() as u64)
        );
        self.receiver.exits(0, LOGIN);
        let path = self.scratch.inbox().join("letter.txt");
        assert_eq!(std::fs::read(path).expect("it arrived"), LETTER);
        assert_eq!(hidden(self.scratch.inbox()), Vec::<String>::new());
    }

    fn failed(mut self) {
        self.receiver.event("failed", TRANSFER);
        self.receiver.exits(1, LOGIN);
        self.scratch.assert_nothing_arrived();
        assert_eq!(hidden(self.scratch.inbox()), Vec::<String>::new());
    }
}

/// Listens for one connection, which the test then drives.
fn host(serve: impl FnOnce(TcpStream, [u8; 47]) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        socket.set_read_timeout(Some(STEP)).expect("TCP");
        socket.set_nodelay(true).expect("TCP");
        let mut greeting = [0; 3];
        socket.read_exact(&mut greeting).expect("a greeting");
        assert_eq!(greeting, [5, 1, 0]);
        socket.write_all(&[5, 0]).expect("written");
        let mut request = [0; 47];
        socket.read_exact(&mut request).expect("a request");
        assert_eq!(request[..5], [5, 1, 0, 3, 40]);
        serve(socket, request);
    });
    (address, thread)
}

/// Waits until the other end, on this machine, has read all that was sent, so that what is sent
/// next comes to it alone.
fn until_read(socket: &TcpStream) {
    let column = |addr: SocketAddr| {
        let IpAddr::V4(ip) = addr.ip() else {
            panic!("{addr} is none of IPv4")
        };
        let ip = u32::from_ne_bytes(ip.octets());
        format!("{ip:08X}:{:04X}", addr.port())
    };
    let from = column(socket.peer_addr().expect("connected"));
    let to = column(socket.local_addr().expect("bound"));
    wait_until("the other end reads", STEP, || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
        let mut lines = table.lines().map(|line| line.split_whitespace().skip(1));
        // The addresses, the state, then the two queues: what waits to be read is the second.
        let queues = lines.find_map(|mut line| {
            let theirs = line.next() == Some(&from) && line.next() == Some(&to);
            line.nth(1).filter(|_| theirs)
        });
        queues.expect("a connection").ends_with(":00000000")
    });
}

fn success(request: &[u8; 47]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[1] = 0;
    reply
}

#[test]
fn octets_glued_to_the_reply_are_the_streams() {
    let mut scene = Scene::set();
    let (address, serving) = host(|mut socket, request| {
        let all = [&success(&request), LETTER].concat();
        socket.write_all(&all).expect("written");
        socket.shutdown(Shutdown::Write).expect("shut down");
        read_to_end(&socket);
    });
    scene.name(address);
    scene.arrived();
    serving.join().expect("no panic");
}

#[test]
fn a_reply_in_pieces_and_one_with_an_address_are_taken() {
    for address_reply in [false, true] {
        let mut scene = Scene::set();
        let (address, serving) = host(move |mut socket, request| {
            let reply = if address_reply {
                vec![5, 0, 0, 1, 127, 0, 0, 1, 0x1e, 0x61]
            } else {
                success(&request)
            };
            for piece in reply.chunks(7) {
                socket.write_all(piece).expect("written");
                until_read(&socket);
            }
            socket.write_all(LETTER).expect("written");
            socket.shutdown(Shutdown::Write).expect("shut down");
            read_to_end(&socket);
        });
        scene.name(address);
        scene.arrived();
        serving.join().expect("no panic");
    }
}

#[test]
fn a_sender_that_never_shuts_down_is_not_waited_for() {
    let mut scene = Scene::set();
    let (address, serving) = host(|mut socket, request| {
        socket.write_all(&success(&request)).expect("written");
        socket.write_all(LETTER).expect("written");
        // Until the receiver hangs up.
        assert_eq!(read_to_end(&socket), b"");
    });
    scene.name(address);
    scene.arrived();
    serving.join().expect("no panic");
}

#[test]
fn octets_beyond_the_size_are_not_the_files() {
    let mut scene = Scene::set();
    let (address, serving) = host(|mut socket, request| {
        socket.write_all(&success(&request)).expect("written");
        let all = [LETTER, LETTER].concat();
        socket.write_all(&all).expect("written");
        socket.shutdown(Shutdown::Write).ok();
        read_to_end(&socket);
    });
    scene.name(address);
    let done = scene.receiver.end(TRANSFER);
    let path = scene.scratch.inbox().join("letter.txt");
    if done["event"] == "done" {
        assert_eq!(std::fs::read(path).expect("it arrived"), LETTER);
    } else {
        scene.scratch.assert_nothing_arrived();
    }
    serving.join().expect("no panic");
}

/// Sends half a letter and closes.
fn ends_early(reset: bool) {
    let mut scene = Scene::set();
    let (address, serving) = host(move |mut socket, request| {
        socket.write_all(&success(&request)).expect("written");
        socket.write_all(&LETTER[..20]).expect("written");
        if reset {
            close_by_reset(&socket);
        }
    });
    scene.name(address);
    scene.failed();
    serving.join().expect("no panic");
}

#[test]
fn an_early_end_is_a_failure() {
    ends_early(false);
}

#[test]
fn an_early_reset_is_a_failure() {
    ends_early(true);
}

/// Makes the close of a socket a reset.
fn close_by_reset(socket: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).expect("TCP");
}

#[test]
fn a_host_name_is_resolved() {
    let mut scene = Scene::set();
    let (address, serving) = host(|mut socket, request| {
        let all = [&success(&request), LETTER].concat();
        socket.write_all(&all).expect("written");
        socket.shutdown(Shutdown::Write).expect("shut down");
        read_to_end(&socket);
    });
    let own = scene.romeo.jid.clone();
    let query = hosts_query("s1", &[(&own, address)]).replace("127.0.0.1", "localhost");
    accepts(&scene.romeo.request("set", &scene.to, &query));
    scene.arrived();
    serving.join().expect("no panic");
}

#[test]
fn a_second_query_for_a_stream_that_is_being_negotiated_changes_nothing() {
    let mut scene = Scene::set();
    let (asked_twice, may_answer) = channel();
    let (address, serving) = host(move |mut socket, request| {
        may_answer.recv_timeout(LOGIN).expect("the second query");
        let all = [&success(&request), LETTER].concat();
        socket.write_all(&all).expect("written");
        socket.shutdown(Shutdown::Write).expect("shut down");
        read_to_end(&socket);
    });
    let own = scene.romeo.jid.clone();
    let query = hosts_query("s1", &[(&own, address)]);
    let first = scene.romeo.post("set", &scene.to, &query);
    let second = scene.romeo.post("set", &scene.to, &query);
    // Its answer says that the receiver has read what stands before it.
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let ping = scene.romeo.post("get", &scene.to, ping);
    // Their order is the receiver's business.
    let mut answers = Vec::new();
    while answers.len() < 3 {
        let answer = scene.romeo.recv_where("all answers", |stanza| {
            [&first, &second, &ping]
                .map(|id| Some(id.as_str()))
                .contains(&stanza.attr("id"))
        });
        if answer.attr("id") == Some(&ping) {
            asked_twice.send(()).expect("it waits");
        }
        answers.push(answer);
    }
    let of = |id: &str| {
        answers
            .iter()
            .find(|answer| answer.attr("id") == Some(id))
            .expect("each was answered")
    };
    accepts(of(&first));
    of(&second);
    scene.arrived();
    serving.join().expect("no panic");
}

#[test]
fn of_three_connections_with_one_hash_one_gets_the_file() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("letter", 100_001);
    let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
    let sender = Cli::send(&file, &juliet.jid).account(&server.account("romeo"));
    let mut sender = sender
        .args("--method socks5 --no-proxy --direct-listen 127.0.0.1:0")
        .start();
    let romeo = text(&sender.event("online", LOGIN), "jid");
    let offer = juliet.recv_where("an offer", |stanza| stanza.has("<si "));
    let sid = offer.child_attr("si", "id").expect("a sid").to_owned();
    juliet.result(&offer, &si_accept());
    let query = juliet.recv_where("StreamHosts", |stanza| stanza.has("<streamhost "));
    let (jid, address) = stream_host(&query);
    let hash = dst_addr(&sid, &romeo, &juliet.jid);
    let sockets = [0; 3].map(|_| connect(address, &hash));
    juliet.result(&query, &used(&sid, &jid));
    let readers = sockets.map(|socket| thread::spawn(move || read_to_end(&socket)));
    let got = readers.map(|reader| reader.join().expect("no panic"));
    let sent = std::fs::read(&file).expect("readable");
    let whole = got.iter().filter(|octets| **octets == sent).count();
    let none = got.iter().filter(|octets| octets.is_empty()).count();
    assert_eq!((whole, none), (1, 2));
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
}
