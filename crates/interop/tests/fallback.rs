//! SOCKS5 that does not come about: the transfer goes on in band by itself, soon, and says so.
//!
//! The time that counts runs from the sender's `accepted` to its first `<data/>` on the wire.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use bytestreams_interop::exchange::{number, online, text};
use bytestreams_interop::raw::{ibb_close, ibb_data, ibb_open};
use bytestreams_interop::socks::{dst_addr, hosts_query, si_offer, stream_host, try_connect, used};
use bytestreams_interop::xml::Stanza;
use bytestreams_interop::{
    Activation, Cli, DelayProxy, EJABBERD, FakeHost, FakeProxy, LOGIN, Manner, PROSODY, Process,
    RawClient, Scratch, Server, TRANSFER,
};

const SIZE: u64 = 100_001;
/// Where connections are refused at once.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The worst of all.
const AT_LAST: Duration = Duration::from_secs(12);
const ALL: Manner = Manner::Relays {
    cut_after: u64::MAX,
};

fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

/// Sends a file with options that bring no SOCKS5 about and demands that it arrives in band, begun within `bound`.
fn falls_back(server: &Server, options: &str, bound: Duration) {
    let scratch = Scratch::default();
    let file = scratch.file("letter", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once"));
    let wire = DelayProxy::start(server.clients, Duration::ZERO);
    let romeo = server.account("romeo").through(wire.address());
    let mut sender = Cli::send(&file, &to).account(&romeo).args(options).start();
    let accepted = sender.event("accepted", LOGIN);
    let began = Instant::now();
    assert_eq!(text(&accepted, "method"), "socks5");
    says_so(&mut sender);
    let done = sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    scratch.assert_arrived(&file);
    for event in [&done, &got] {
        assert_eq!(
            (text(event, "method"), text(event, "via")),
            ("ibb".into(), "ibb".into())
        );
        assert_eq!(number(event, "bytes"), SIZE);
    }
    let took = wire.flow().expect("blocks went by").first_data - began;
    println!("{options}: first block {took:.2?} after the acceptance");
    assert!(took <= bound, "{options}: {took:?} is more than {bound:?}");
}

fn says_so(sender: &mut Process) {
    let fell = sender.event("fell-back", TRANSFER);
    assert_eq!(
        (text(&fell, "from"), text(&fell, "to")),
        ("socks5".into(), "ibb".into())
    );
    assert_ne!(text(&fell, "reason"), "");
}

fn alone(host: SocketAddr) -> String {
    format!("--no-direct --no-proxy --streamhost {host}")
}

#[test]
fn no_host_is_reachable() {
    for setup in [PROSODY, EJABBERD] {
        falls_back(&setup.start(), &alone(closed_port()), AT_ONCE);
    }
}

#[test]
fn a_host_accepts_and_stays_silent() {
    let host = FakeHost::start(Manner::Silent);
    falls_back(&PROSODY.start(), &alone(host.address()), AT_LAST);
    assert_eq!(host.connections(), 1);
}

#[test]
fn a_host_hangs_up() {
    let host = FakeHost::start(Manner::HangsUp);
    falls_back(&PROSODY.start(), &alone(host.address()), AT_ONCE);
    assert_eq!(host.connections(), 1);
}

#[test]
fn a_host_does_not_know_the_hash() {
    let host = FakeHost::start(Manner::Refuses);
    falls_back(&PROSODY.start(), &alone(host.address()), AT_ONCE);
    assert_eq!(host.connections(), 1);
}

#[test]
fn a_host_that_nobody_of_ours_listens_at_is_used() {
    // It takes the hash, so the Target says it used it; but it is not the sender.
    let host = FakeHost::start(ALL);
    falls_back(&PROSODY.start(), &alone(host.address()), AT_LAST);
}

#[test]
fn five_silent_hosts_cost_no_more_than_one() {
    let hosts = [0; 5].map(|_| FakeHost::start(Manner::Silent));
    let options: String = hosts
        .iter()
        .map(|host| format!(" --streamhost {}", host.address()))
        .collect();
    let server = PROSODY.start();
    falls_back(
        &server,
        &format!("--no-direct --no-proxy{options}"),
        AT_LAST,
    );
}

fn by_proxy(manner: Manner, activation: Activation, bound: Duration) {
    for setup in [PROSODY.proxyless(), EJABBERD.proxyless()] {
        let server = setup.start();
        let proxy = FakeProxy::join(&server, manner, activation);
        falls_back(&server, "--no-direct", bound);
        assert!(proxy.host.connections() > 0, "the proxy was not tried");
    }
}

#[test]
fn a_proxy_refuses_the_activation() {
    by_proxy(ALL, Activation::Refused, AT_ONCE);
}

#[test]
fn a_proxy_dies_between_connection_and_activation() {
    by_proxy(ALL, Activation::Dies, AT_LAST);
}

#[test]
fn a_proxy_knows_no_hash() {
    by_proxy(Manner::Refuses, Activation::Refused, AT_ONCE);
}

#[test]
fn a_proxy_accepts_and_stays_silent() {
    let server = PROSODY.proxyless().start();
    let _proxy = FakeProxy::join(&server, Manner::Silent, Activation::Granted);
    falls_back(&server, "--no-direct", AT_LAST);
}

#[test]
fn a_dead_proxy_does_not_keep_a_direct_connection_from_working() {
    let server = PROSODY.proxyless().start();
    let _proxy = FakeProxy::join(&server, Manner::Silent, Activation::Refused);
    let scratch = Scratch::default();
    let file = scratch.file("letter", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once"));
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let mut sender = sender.args("--direct-listen 127.0.0.1:0").start();
    let done = sender.event("done", TRANSFER);
    assert_eq!(text(&done, "via"), "direct");
    receiver.event("done", TRANSFER);
    scratch.assert_arrived(&file);
}

/// A sender of ours towards a Target by hand, up to the StreamHosts.
struct Offer {
    juliet: RawClient,
    sender: Process,
    romeo: String,
    sid: String,
    query: Stanza,
    _scratch: Scratch,
    _server: Server,
}

impl Offer {
    fn made() -> Self {
        let server = PROSODY.start();
        let scratch = Scratch::default();
        let file = scratch.file("letter", 3_000);
        let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
        let mut sender = Cli::send(&file, &juliet.jid)
            .account(&server.account("romeo"))
            .args("--no-proxy --direct-listen 127.0.0.1:0")
            .start();
        let romeo = text(&sender.event("online", LOGIN), "jid");
        let offer = juliet.recv_where("an offer", |stanza| stanza.has("<si "));
        let sid = offer.child_attr("si", "id").expect("a sid").to_owned();
        juliet.result(&offer, &bytestreams_interop::socks::si_accept());
        let query = juliet.recv_where("StreamHosts", |stanza| {
            stanza.is_iq("set") && stanza.has("<streamhost ")
        });
        assert_eq!(query.child_attr("query", "sid"), Some(sid.as_str()));
        Self {
            juliet,
            sender,
            romeo,
            sid,
            query,
            _scratch: scratch,
            _server: server,
        }
    }

    /// Takes the file in band, under the same sid.
    fn goes_on_in_band(mut self) {
        says_so(&mut self.sender);
        let open = self
            .juliet
            .recv_where("an in-band stream", |stanza| stanza.has("<open "));
        assert_eq!(open.child_attr("open", "sid"), Some(self.sid.as_str()));
        self.juliet.result(&open, "");
        let juliet = &mut self.juliet;
        let close = loop {
            let block = juliet.recv_where("a block", |stanza| {
                stanza.has("<data ") || stanza.has("<close ")
            });
            if block.has("<close ") {
                break block;
            }
            juliet.result(&block, "");
        };
        self.juliet.result(&close, "");
        let done = self.sender.event("done", TRANSFER);
        assert_eq!(text(&done, "via"), "ibb");
    }
}

#[test]
fn a_target_with_the_wrong_hash_is_refused_and_says_it_reached_nobody() {
    let mut offer = Offer::made();
    let (_, address) = stream_host(&offer.query);
    let wrong = dst_addr("another", &offer.romeo, &offer.juliet.jid);
    let (_socket, reply) = try_connect(address, &wrong);
    assert_ne!(reply, 0, "a hash that nobody expects was taken");
    let query = offer.query.clone();
    offer.juliet.refuse(&query, "cancel", "item-not-found");
    offer.goes_on_in_band();
}

#[test]
fn a_target_lies_about_having_connected() {
    for host in ["the one offered", "stranger.example"] {
        let mut offer = Offer::made();
        let (jid, _) = stream_host(&offer.query);
        let host = if host == "stranger.example" {
            host
        } else {
            &jid
        };
        let query = offer.query.clone();
        offer.juliet.result(&query, &used(&offer.sid, host));
        offer.goes_on_in_band();
    }
}

#[test]
fn a_target_refuses() {
    let mut offer = Offer::made();
    let query = offer.query.clone();
    offer.juliet.refuse(&query, "modify", "not-acceptable");
    offer.goes_on_in_band();
}

/// Offers by SOCKS5 as romeo, names StreamHosts, and sends in band after the refusal; gives how long that took.
fn a_receiver_finds_nobody(hosts: &[SocketAddr]) -> Duration {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once"));
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    let accepted = romeo.request("set", &to, &si_offer("s1", "letter.txt", 3));
    assert!(
        accepted.has("<value>http://jabber.org/protocol/bytestreams</value>"),
        "{}",
        accepted.0
    );
    let jid = romeo.jid.clone();
    let hosts: Vec<_> = hosts.iter().map(|&host| (jid.as_str(), host)).collect();
    let began = Instant::now();
    let id = romeo.post("set", &to, &hosts_query("s1", &hosts));
    let answer = romeo.answer_within(&id, AT_LAST);
    let took = began.elapsed();
    assert!(
        answer.is_iq("error") && answer.has("<item-not-found"),
        "{}",
        answer.0
    );
    for payload in [
        ibb_open("s1", 4096),
        ibb_data("s1", 0, b"yes"),
        ibb_close("s1"),
    ] {
        let answer = romeo.request("set", &to, &payload);
        assert!(answer.is_iq("result"), "{payload}: {}", answer.0);
    }
    let done = receiver.event("done", TRANSFER);
    assert_eq!(text(&done, "via"), "ibb");
    receiver.exits(0, LOGIN);
    assert_eq!(
        std::fs::read(scratch.inbox().join("letter.txt")).expect("it arrived"),
        b"yes"
    );
    took
}

#[test]
fn a_receiver_that_is_refused_says_so_and_takes_the_file_in_band() {
    let took = a_receiver_finds_nobody(&[closed_port(), closed_port()]);
    assert!(took <= AT_ONCE, "{took:?}");
}

#[test]
fn a_receiver_waits_nine_seconds_for_silent_hosts() {
    let hosts = [0; 2].map(|_| FakeHost::start(Manner::Silent));
    let took = a_receiver_finds_nobody(&[hosts[0].address(), hosts[1].address()]);
    assert!(took <= Duration::from_secs(10), "{took:?}");
}
