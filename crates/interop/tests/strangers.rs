//! Who connects to the StreamHost of a sender, and who wants a receiver to dial: nobody gets further than an offer allows.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use bytestreams_interop::exchange::{accepts, online, refuses, refuses_somehow};
use bytestreams_interop::malice::bad_handshakes_are_refused;
use bytestreams_interop::raw::si_offer as ibb_offer;
use bytestreams_interop::socks::{hosts_query, si_accept, si_offer, stream_host, try_connect};
use bytestreams_interop::{Cli, PROSODY, Process, RawClient, Scratch, Server};

/// A sender of ours that told a client by hand where it listens.
fn stream_host_of_a_sender(server: &Server, scratch: &Scratch) -> (RawClient, Process, SocketAddr) {
    let file = scratch.file("letter", 1_000);
    let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
    let sender = Cli::send(&file, &juliet.jid).account(&server.account("romeo"));
    let sender = sender
        .args("--method socks5 --no-proxy --direct-listen 127.0.0.1:0")
        .start();
    let offer = juliet.recv_where("an offer", |stanza| stanza.has("<si "));
    juliet.result(&offer, &si_accept());
    let query = juliet.recv_where("StreamHosts", |stanza| stanza.has("<streamhost "));
    let (_, address) = stream_host(&query);
    (juliet, sender, address)
}

#[test]
fn bad_handshakes_are_refused_by_the_stream_host_of_a_sender() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let (_juliet, mut sender, address) = stream_host_of_a_sender(&server, &scratch);
    bad_handshakes_are_refused(address);
    let (_socket, reply) = try_connect(address, &"0".repeat(40));
    assert_ne!(reply, 0, "a hash that nobody expects");
    assert!(!sender.ended(), "{}", sender.log());
}

/// Listens where nobody may come.
fn trap() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("TCP");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

#[track_caller]
fn nobody_came(trap: &TcpListener) {
    let error = trap.accept().map(|_| ()).expect_err("somebody dialled");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_strangers_query_makes_nobody_dial() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let (listener, port) = trap();
    let receiver = Cli::new("receive").arg("--dir").arg(scratch.inbox());
    let receiver = receiver
        .args("--accept romeo@prosody.local --allow-unannounced")
        .account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver);
    let mut mallory = RawClient::login(&server.account("mallory"), "dark");
    let own = mallory.jid.clone();
    let query = hosts_query("s1", &[(&own, (Ipv4Addr::LOCALHOST, port).into())]);
    refuses_somehow(
        &mallory.request("set", &to, &query),
        &["not-acceptable", "forbidden"],
    );
    nobody_came(&listener);
    // An offer that is declined, and one whose method was another, give no leave either.
    let offer = si_offer("s2", "letter.txt", 3);
    refuses(&mallory.request("set", &to, &offer), "forbidden");
    let query = query.replace("s1", "s2");
    refuses_somehow(
        &mallory.request("set", &to, &query),
        &["not-acceptable", "forbidden"],
    );
    nobody_came(&listener);
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    accepts(&romeo.request("set", &to, &ibb_offer("s3", "letter.txt", "3")));
    let own = romeo.jid.clone();
    let query = hosts_query("s3", &[(&own, (Ipv4Addr::LOCALHOST, port).into())]);
    let answer = romeo.request("set", &to, &query);
    assert!(answer.is_iq("error"), "{}", answer.0);
    nobody_came(&listener);
    // Someone else's sid is not theirs to use.
    accepts(&romeo.request("set", &to, &si_offer("s4", "letter.txt", 3)));
    let query = query.replace("s3", "s4");
    refuses_somehow(
        &mallory.request("set", &to, &query),
        &["not-acceptable", "item-not-found", "forbidden"],
    );
    nobody_came(&listener);
    assert!(!receiver.ended(), "{}", receiver.log());
}

#[test]
fn an_accepted_peer_cannot_make_us_dial_where_no_stream_host_can_be() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let (listener, port) = trap();
    let (mut receiver, to) =
        online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    let own = romeo.jid.clone();
    // Linux takes the unspecified address for loopback, where the trap listens.
    let hosts = [
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "169.254.1.1",
    ];
    for (n, host) in hosts.into_iter().enumerate() {
        let sid = format!("s{n}");
        accepts(&romeo.request("set", &to, &si_offer(&sid, "letter.txt", 3)));
        let query = hosts_query(&sid, &[(&own, (Ipv4Addr::LOCALHOST, port).into())]);
        let query = query.replace("127.0.0.1", host);
        refuses(&romeo.request("set", &to, &query), "item-not-found");
        nobody_came(&listener);
    }
    assert!(!receiver.ended(), "{}", receiver.log());
}

#[test]
fn udp_is_refused() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let (listener, port) = trap();
    let (_receiver, to) = online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    accepts(&romeo.request("set", &to, &si_offer("s1", "letter.txt", 3)));
    let own = romeo.jid.clone();
    let query = hosts_query("s1", &[(&own, (Ipv4Addr::LOCALHOST, port).into())]);
    let udp = query.replace("sid=", "mode='udp' sid=");
    refuses(&romeo.request("set", &to, &udp), "not-acceptable");
    nobody_came(&listener);
}
