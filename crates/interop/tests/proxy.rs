//! Our proxy joined to a server: bad handshakes, activations that must not be, its bounds, its end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytestreams_interop::exchange::{accepts, joined, refuses, refuses_somehow, relays, text};
use bytestreams_interop::malice::bad_handshakes_are_refused;
use bytestreams_interop::process::wait_until;
use bytestreams_interop::socks::{
    BYTESTREAMS, GREETING, activate, address_query, connect, connect_request, dial, dst_addr,
    hosts_query, read_to_end, stream_host, try_connect,
};
use bytestreams_interop::xml::Stanza;
use bytestreams_interop::{
    Cli, DelayProxy, EJABBERD, LOGIN, PROSODY, Process, RawClient, Server, Setup, TRANSFER,
};

/// Our proxy, joined to a server, with three users.
struct Scene {
    romeo: RawClient,
    juliet: RawClient,
    mallory: RawClient,
    jid: String,
    address: SocketAddr,
    proxy: Process,
    server: Server,
}

impl Scene {
    fn set(setup: Setup, options: &str) -> Self {
        let server = setup.proxyless().start();
        let proxy = joined(Cli::proxy(&server).args(options));
        let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
        let answer = romeo.request("get", &server.component, &address_query());
        let (jid, address) = stream_host(&answer);
        assert_eq!(jid, server.component);
        Self {
            romeo,
            juliet: RawClient::login(&server.account("juliet"), "balcony"),
            mallory: RawClient::login(&server.account("mallory"), "dark"),
            jid,
            address,
            proxy,
            server,
        }
    }

    fn hash(&self, sid: &str) -> String {
        dst_addr(sid, &self.romeo.jid, &self.juliet.jid)
    }

    fn activation(&mut self, sid: &str) -> Stanza {
        let payload = activate(sid, &self.juliet.jid);
        self.romeo.request("set", &self.jid, &payload)
    }

    /// Shows that the proxy is as well as ever.
    fn unharmed(mut self) {
        relays(&self.server, &self.jid);
        assert!(!self.proxy.ended(), "{}", self.proxy.log());
        self.proxy.interrupt();
        self.proxy.exits(0, LOGIN);
    }
}

/// Demands that what one writes is what the other reads, both ways.
fn talk(one: &TcpStream, other: &TcpStream) {
    for (mut from, mut to) in [(one, other), (other, one)] {
        from.write_all(b"speak low").expect("written");
        let mut heard = [0; 9];
        to.read_exact(&mut heard).expect("relayed");
        assert_eq!(&heard, b"speak low");
    }
}

#[test]
fn bad_handshakes_are_refused_by_our_proxy() {
    for setup in [PROSODY, EJABBERD] {
        let scene = Scene::set(setup, "");
        bad_handshakes_are_refused(scene.address);
        scene.unharmed();
    }
}

#[test]
fn a_handshake_may_be_cut_anywhere_or_come_at_once() {
    let mut scene = Scene::set(PROSODY, "");
    let hash = scene.hash("s1");
    let request = connect_request(hash.as_bytes());
    let all: Vec<u8> = [&GREETING[..], &request].concat();
    let mut at_once = dial(scene.address);
    at_once.write_all(&all).expect("written");
    let mut reply = [0; 49];
    at_once.read_exact(&mut reply).expect("both replies");
    assert_eq!(reply[..4], [5, 0, 5, 0]);
    assert_eq!(&reply[7..47], hash.as_bytes());
    let mut cut = dial(scene.address);
    for octet in &all {
        cut.write_all(&[*octet]).expect("written");
    }
    cut.read_exact(&mut reply).expect("both replies");
    assert_eq!(reply[..4], [5, 0, 5, 0]);
    accepts(&scene.activation("s1"));
    talk(&at_once, &cut);
    drop((at_once, cut));
    scene.unharmed();
}

#[test]
fn no_method_of_255_and_255_methods_with_the_right_one() {
    let scene = Scene::set(PROSODY, "");
    let mut socket = dial(scene.address);
    let greeting: Vec<u8> = [5, 255].into_iter().chain((0..=254).rev()).collect();
    socket.write_all(&greeting).expect("written");
    let mut method = [0; 2];
    socket.read_exact(&mut method).expect("a method");
    assert_eq!(method, [5, 0]);
    scene.unharmed();
}

#[test]
fn activation_is_for_the_requester_when_both_are_connected_and_once() {
    for setup in [PROSODY, EJABBERD] {
        let mut scene = Scene::set(setup, "");
        let hash = scene.hash("s1");
        let (jid, juliet) = (scene.jid.clone(), scene.juliet.jid.clone());
        let payload = activate("s1", &juliet);
        refuses(&scene.activation("s1"), "item-not-found");
        let target = connect(scene.address, &hash);
        refuses(&scene.activation("s1"), "not-allowed");
        let requester = connect(scene.address, &hash);
        // Before activation nothing goes through.
        (&requester).write_all(b"early").expect("written");
        refuses_somehow(
            &scene.mallory.request("set", &jid, &payload),
            &["item-not-found", "not-authorized", "forbidden"],
        );
        refuses_somehow(
            &scene
                .juliet
                .request("set", &jid, &activate("s1", &scene.romeo.jid)),
            &["item-not-found", "not-authorized", "forbidden"],
        );
        let (_third, reply) = try_connect(scene.address, &hash);
        assert_ne!(reply, 0, "a third connection was taken");
        target.set_nonblocking(true).expect("TCP");
        let unread = (&target).read(&mut [0; 9]).map_err(|error| error.kind());
        assert_eq!(unread, Err(std::io::ErrorKind::WouldBlock));
        target.set_nonblocking(false).expect("TCP");
        accepts(&scene.activation("s1"));
        let mut early = [0; 5];
        (&target).read_exact(&mut early).expect("relayed");
        assert_eq!(&early, b"early");
        let twice = scene.activation("s1");
        assert!(twice.is_iq("error"), "{}", twice.0);
        talk(&target, &requester);
        requester.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(read_to_end(&target), b"");
        drop((target, requester));
        scene.unharmed();
    }
}

#[test]
fn malformed_requests_get_the_errors_of_the_specification() {
    let mut scene = Scene::set(PROSODY, "");
    let jid = scene.jid.clone();
    let target = scene.juliet.jid.clone();
    let bad = [
        format!("<query xmlns='{BYTESTREAMS}'><activate>{target}</activate></query>"),
        format!("<query xmlns='{BYTESTREAMS}' sid='s1'/>"),
        format!("<query xmlns='{BYTESTREAMS}' sid='s1'><activate/></query>"),
        hosts_query("s1", &[(&target, scene.address)]),
        activate(&"s".repeat(10_000), &target),
        activate("s1", &"t".repeat(10_000)),
        activate("s1", "@@@//"),
    ];
    for payload in &bad {
        let answer = scene.romeo.request("set", &jid, payload);
        assert!(answer.is_iq("error"), "{payload}: {}", answer.0);
        assert!(!answer.has("internal-server-error"), "{}", answer.0);
    }
    for payload in [
        "<query xmlns='jabber:iq:version'/>",
        "<nonsense xmlns='urn:example'/>",
    ] {
        let answer = scene.romeo.request("get", &jid, payload);
        refuses(&answer, "service-unavailable");
    }
    accepts(
        &scene
            .romeo
            .request("get", &jid, "<ping xmlns='urn:xmpp:ping'/>"),
    );
    let info = scene.romeo.request(
        "get",
        &jid,
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    );
    assert!(
        info.has(BYTESTREAMS) && info.child_attr("identity", "category") == Some("proxy"),
        "{}",
        info.0
    );
    scene.unharmed();
}

#[test]
fn users_of_other_domains_are_forbidden() {
    let server = PROSODY.proxyless().start();
    let _proxy = joined(Cli::proxy(&server).args("--allow elsewhere.local"));
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    let juliet = RawClient::login(&server.account("juliet"), "balcony");
    let jid = server.component.clone();
    refuses(&romeo.request("get", &jid, &address_query()), "forbidden");
    refuses(
        &romeo.request("set", &jid, &activate("s1", &juliet.jid)),
        "forbidden",
    );
}

#[test]
fn sessions_in_all_are_bounded() {
    let mut scene = Scene::set(PROSODY, "--max-sessions 1");
    let pair = |scene: &Scene, sid: &str| {
        let hash = scene.hash(sid);
        [0; 2].map(|_| connect(scene.address, &hash))
    };
    let [one, other] = pair(&scene, "s1");
    accepts(&scene.activation("s1"));
    let second = pair(&scene, "s2");
    let full = scene.activation("s2");
    assert!(full.is_iq("error"), "{}", full.0);
    talk(&one, &other);
    drop((one, other));
    // The first ends in its own time.
    wait_until("room again", LOGIN, || {
        scene.activation("s2").is_iq("result")
    });
    drop(second);
    assert!(!scene.proxy.ended(), "{}", scene.proxy.log());
}

#[test]
fn a_proxy_that_is_stopped_lets_what_goes_on_end() {
    let mut scene = Scene::set(PROSODY, "");
    let hash = scene.hash("s1");
    let [one, other] = [0; 2].map(|_| connect(scene.address, &hash));
    accepts(&scene.activation("s1"));
    talk(&one, &other);
    scene.proxy.interrupt();
    let (jid, query) = (scene.jid.clone(), address_query());
    wait_until("it offers itself no more", LOGIN, || {
        scene.romeo.request("get", &jid, &query).is_iq("error")
    });
    talk(&one, &other);
    one.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(read_to_end(&other), b"");
    drop((one, other));
    scene.proxy.exits(0, LOGIN);
}

#[test]
fn a_proxy_that_loses_its_server_joins_again_and_keeps_its_sessions() {
    for setup in [PROSODY.proxyless(), EJABBERD.proxyless()] {
        let mut server = setup.start();
        let wire = DelayProxy::start(server.components, Duration::ZERO);
        server.components = wire.address();
        let mut proxy = joined(Cli::proxy(&server));
        let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
        let juliet = RawClient::login(&server.account("juliet"), "balcony");
        let answer = romeo.request("get", &server.component, &address_query());
        let (jid, address) = stream_host(&answer);
        let hash = dst_addr("s1", &romeo.jid, &juliet.jid);
        let [one, other] = [0; 2].map(|_| connect(address, &hash));
        accepts(&romeo.request("set", &jid, &activate("s1", &juliet.jid)));
        talk(&one, &other);
        wire.cut();
        proxy.event("online", LOGIN);
        talk(&one, &other);
        relays(&server, &jid);
    }
}

#[test]
fn a_wrong_secret_and_a_wrong_component_do_not_join() {
    let server = PROSODY.proxyless().start();
    let wrong = Cli::proxy(&server).env("BYTESTREAMS_SECRET", "guess");
    wrong.start().exits(4, LOGIN);
    let no_secret = Cli::proxy(&server).env("BYTESTREAMS_SECRET", "");
    let code = no_secret.start().exit(TRANSFER);
    assert!(code == 2 || code == 4, "{code}");
}

#[test]
fn a_proxy_says_where_it_listens() {
    let server = PROSODY.proxyless().start();
    let mut proxy = Cli::proxy(&server).start();
    let addr = text(&proxy.event("listening", LOGIN), "addr");
    let jid = text(&proxy.event("online", LOGIN), "jid");
    assert_eq!(jid, server.component);
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    let answer = romeo.request("get", &jid, &address_query());
    assert_eq!(stream_host(&answer).1.to_string(), addr);
}
