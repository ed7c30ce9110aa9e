//! Our proxy under load and under attack, with its memory beside it. For `full`: it needs some 10,000 descriptors and a quiet machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use bytestreams_interop::exchange::joined;
use bytestreams_interop::plain::seconds_through;
use bytestreams_interop::process::wait_until;
use bytestreams_interop::socks::{
    activate, address_query, dial_from, dst_addr, shake, stream_host,
};
use bytestreams_interop::{Cli, LOGIN, PROSODY, Process, RawClient, Server, full};

const MIB: u64 = 1 << 20;
/// Users a domain of the test has, and sessions each of them asks for: below what one may have.
const EACH: usize = 40;

struct Scene {
    users: RawClient,
    domain: String,
    jid: String,
    address: SocketAddr,
    proxy: Process,
    _server: Server,
}

impl Scene {
    fn set() -> Self {
        let server = PROSODY.proxyless().start();
        let options = format!("--allow {} --max-sessions 3000", server.users);
        let proxy = joined(Cli::proxy(&server).args(&options));
        let mut users = RawClient::component(&server, &server.users);
        let answer = users.request("get", &server.component, &address_query());
        let (jid, address) = stream_host(&answer);
        Self {
            users,
            domain: server.users.clone(),
            jid,
            address,
            proxy,
            _server: server,
        }
    }

    /// Connects both ends of a session, each user from an address of its own; gives Requester and Target.
    fn pair(&self, n: usize) -> (TcpStream, TcpStream) {
        let hash = dst_addr(&format!("s{n}"), &self.requester(n), &self.target());
        let [target, requester] = [0; 2].map(|_| {
            let (socket, reply) = shake(dial_from(source(n / EACH), self.address), &hash);
            assert_eq!(reply, 0, "session {n}");
            socket
        });
        (requester, target)
    }

    fn requester(&self, n: usize) -> String {
        format!("user{}@{}/r", n / EACH, self.domain)
    }

    fn target(&self) -> String {
        format!("target@{}/r", self.domain)
    }

    fn activate(&mut self, n: usize) {
        let (jid, target) = (self.jid.clone(), self.target());
        self.users.speak_as(&self.requester(n));
        let answer = self
            .users
            .request("set", &jid, &activate(&format!("s{n}"), &target));
        assert!(answer.is_iq("result"), "session {n}: {}", answer.0);
    }

    fn figures(&self, what: &str) {
        println!(
            "{what}: {:.1} MB resident, {} descriptors, {:.2} CPU s so far",
            self.proxy.memory() as f64 / 1e6,
            self.proxy.descriptors(),
            self.proxy.cpu_seconds()
        );
    }

    /// Relays so much on a new session and gives octets a second.
    fn rate(&mut self, n: usize, octets: u64) -> f64 {
        let (requester, target) = self.pair(n);
        self.activate(n);
        octets as f64 / seconds_through(requester, target, octets)
    }
}

/// Gives the loopback address of a user.
fn source(user: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(user + 2).expect("few users").to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

#[test]
fn two_thousand_sessions_at_once() {
    let sessions = if full() { 2_000 } else { 200 };
    let mut scene = Scene::set();
    scene.figures("idle");
    let (memory, descriptors) = (scene.proxy.memory(), scene.proxy.descriptors());
    let mut pairs = Vec::new();
    for n in 0..sessions {
        let pair = scene.pair(n);
        scene.activate(n);
        pairs.push(pair);
    }
    scene.figures(&format!("{sessions} sessions"));
    for round in 0..3 {
        let block = vec![round; 50_000];
        for (requester, _) in &mut pairs {
            requester.write_all(&block).expect("written");
        }
        for (_, target) in &mut pairs {
            let mut got = vec![0; block.len()];
            target.read_exact(&mut got).expect("relayed");
            assert!(got == block, "octets changed");
        }
    }
    scene.figures(&format!("{sessions} sessions that moved octets"));
    let each = scene.proxy.memory().saturating_sub(memory) / sessions as u64;
    println!("{each} octets a session");
    assert!(each < 64 * 1024, "{each} octets a session");
    drop(pairs);
    wait_until("all descriptors are given back", LOGIN, || {
        // Pipes may be kept for the next sessions.
        scene.proxy.descriptors() < descriptors + 200
    });
    scene.figures("after all of them");
}

#[test]
fn ten_thousand_half_open_handshakes() {
    let attackers = if full() { 10_000 } else { 1_000 };
    let octets = if full() { 1024 * MIB } else { 128 * MIB };
    let mut scene = Scene::set();
    scene.rate(0, octets);
    let mut quiet: Vec<_> = (1..4).map(|n| scene.rate(n, octets)).collect();
    scene.figures("before");
    let (memory, address) = (scene.proxy.memory(), scene.address);
    let mut half_open = Vec::new();
    for n in 0..attackers {
        let mut socket = dial_from(source(1_000 + n / 100), address);
        // A greeting and no more; some are turned away.
        socket.write_all(&[5, 1, 0]).ok();
        half_open.push(socket);
    }
    scene.figures(&format!("{attackers} half-open handshakes"));
    let more = scene.proxy.memory().saturating_sub(memory);
    let mut attacked: Vec<_> = (4..7).map(|n| scene.rate(n, octets)).collect();
    scene.figures("after a transfer among them");
    quiet.sort_by(f64::total_cmp);
    attacked.sort_by(f64::total_cmp);
    println!(
        "{:.0} MB/s before, {:.0} MB/s meanwhile; {more} octets for the attack",
        quiet[1] / 1e6,
        attacked[1] / 1e6
    );
    assert!(
        more < 32 * MIB,
        "{more} octets for {attackers} half-open handshakes"
    );
    assert!(attacked[1] >= 0.7 * quiet[1]);
    drop(half_open);
}
