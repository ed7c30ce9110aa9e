//! Clients of other families at the other end: gloox and libpurple.

use std::net::{SocketAddr, TcpListener};

use bytestreams_interop::exchange::{number, online, sent, text};
use bytestreams_interop::peers::{Task, Way, gloox, purple};
use bytestreams_interop::socks::{address_query, stream_host};
use bytestreams_interop::{
    Account, Cli, EJABBERD, LOGIN, PROSODY, Process, RawClient, Scratch, Server, TRANSFER,
};

const SIZE: u64 = 200_001;

const DIRECT: &str = "--method socks5 --no-proxy --direct-listen 127.0.0.1:0";
const PROXIED: &str = "--method socks5 --proxy-only";

type Peer = fn(&Account, Task<'_>, Way<'_>) -> Process;

/// The peer offers us a file by SI, one way only.
fn to_us(peer: Peer, server: &Server, way: Way<'_>, options: &str, via: &str) {
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once").args(options));
    let mut sender = peer(&server.account("romeo"), Task::Send(&file, &to, 4096), way);
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(
        (text(&got, "name"), text(&got, "via")),
        ("photo.jpg".into(), via.into())
    );
    assert_eq!(number(&got, "bytes"), SIZE);
    scratch.assert_arrived(&file);
}

/// We offer the peer a file by SI; it takes it that way.
fn from_us(peer: Peer, server: &Server, way: Way<'_>, options: &str, via: &str) {
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let mut receiver = peer(
        &server.account("juliet"),
        Task::Receive(scratch.inbox()),
        way,
    );
    let to = text(&receiver.event("online", LOGIN), "jid");
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let done = sent(sender.args(options));
    assert_eq!(text(&done, "via"), via);
    receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    scratch.assert_arrived(&file);
}

/// We offer the peer a file that it declines.
fn declined(peer: Peer) {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let task = Task::Receive(scratch.inbox());
    let mut receiver = peer(&server.account("juliet"), task, Way::Decline);
    let to = text(&receiver.event("online", LOGIN), "jid");
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let mut sender = sender.start();
    let failed = sender.event("failed", TRANSFER);
    let reason = text(&failed, "reason");
    assert!(reason.starts_with("the peer declined"), "{failed}");
    receiver.exits(0, LOGIN);
    scratch.assert_nothing_arrived();
}

/// Gives an address at which nobody listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Asks a proxy where it is, which gloox leaves to its user: `JID HOST PORT`.
fn whereabouts(server: &Server) -> String {
    let mut mallory = RawClient::login(&server.account("mallory"), "asking");
    let (jid, address) = stream_host(&mallory.request("get", &server.proxy, &address_query()));
    format!("{jid} {} {}", address.ip(), address.port())
}

#[test]
fn gloox_offers_us_a_file_in_band() {
    for setup in [PROSODY, EJABBERD] {
        to_us(gloox, &setup.start(), Way::InBand, "", "ibb");
    }
}

#[test]
fn we_offer_gloox_a_file_in_band() {
    for setup in [PROSODY, EJABBERD] {
        from_us(gloox, &setup.start(), Way::InBand, "", "ibb");
    }
}

#[test]
fn gloox_offers_us_a_file_by_socks5_direct() {
    for setup in [PROSODY, EJABBERD] {
        to_us(gloox, &setup.start(), Way::Direct, "", "direct");
    }
}

#[test]
fn we_offer_gloox_a_file_by_socks5_direct() {
    for setup in [PROSODY, EJABBERD] {
        from_us(gloox, &setup.start(), Way::Direct, DIRECT, "direct");
    }
}

#[test]
fn gloox_offers_us_a_file_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        let proxy = whereabouts(&server);
        to_us(gloox, &server, Way::Through(&proxy), "", "proxy");
    }
}

#[test]
fn we_offer_gloox_a_file_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        from_us(gloox, &setup.start(), Way::Direct, PROXIED, "proxy");
    }
}

#[test]
fn gloox_declines_a_file() {
    declined(gloox);
}

#[test]
fn purple_offers_us_a_file_in_band() {
    for setup in [PROSODY, EJABBERD] {
        to_us(purple, &setup.start(), Way::Any, "--method ibb", "ibb");
    }
}

#[test]
fn we_offer_purple_a_file_in_band() {
    for setup in [PROSODY, EJABBERD] {
        from_us(purple, &setup.start(), Way::Any, "--method ibb", "ibb");
    }
}

#[test]
fn purple_offers_us_a_file_by_socks5_direct() {
    for setup in [PROSODY, EJABBERD] {
        to_us(purple, &setup.start(), Way::Any, "", "direct");
    }
}

#[test]
fn we_offer_purple_a_file_by_socks5_direct() {
    for setup in [PROSODY, EJABBERD] {
        from_us(purple, &setup.start(), Way::Any, DIRECT, "direct");
    }
}

#[test]
fn purple_offers_us_a_file_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        to_us(purple, &setup.start(), Way::Any, "--proxy-only", "proxy");
    }
}

#[test]
fn we_offer_purple_a_file_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        from_us(purple, &setup.start(), Way::Any, PROXIED, "proxy");
    }
}

#[test]
fn purple_goes_on_in_band_when_we_reach_none_of_its_addresses() {
    let server = PROSODY.proxyless().start();
    to_us(purple, &server, Way::Any, "--proxy-only", "ibb");
}

#[test]
fn purple_takes_in_band_what_it_does_not_reach_by_socks5() {
    let server = PROSODY.start();
    let unreachable = format!("--no-proxy --no-direct --streamhost {}", closed_port());
    from_us(purple, &server, Way::Any, &unreachable, "ibb");
}

#[test]
fn purple_declines_a_file() {
    declined(purple);
}

/// gloox keeps it to itself that it reaches no address, and takes no stream in band that was not offered so: after 30 s
/// the file is offered again.
#[test]
fn gloox_takes_in_band_what_it_does_not_reach_by_socks5() {
    let server = PROSODY.start();
    let unreachable = format!("--no-proxy --no-direct --streamhost {}", closed_port());
    from_us(gloox, &server, Way::Direct, &unreachable, "ibb");
}
