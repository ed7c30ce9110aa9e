//! The servers, the peers and the delay proxy themselves, without our binary: what the other tests stand upon.

use std::path::Path;
use std::time::Duration;

use bytestreams_interop::exchange::relays;
use bytestreams_interop::files::{assert_identical, random_file};
use bytestreams_interop::peers::{Task, Way, qxmpp, slixmpp};
use bytestreams_interop::xml::Stanza;
use bytestreams_interop::{
    Activation, DelayProxy, EJABBERD, FakeProxy, Manner, PROSODY, Process, RawClient, Server, Setup,
};
use tempfile::TempDir;

const LOGIN: Duration = Duration::from_secs(30);
const TRANSFER: Duration = Duration::from_secs(60);

fn received(receiver: &mut Process, sender: &mut Process, sent: &Path) {
    sender.event("done", TRANSFER);
    let done = receiver.event("done", TRANSFER);
    let path = done["path"].as_str().expect("a path");
    assert_identical(sent, Path::new(path));
}

fn slixmpp_to_slixmpp(setup: Setup) {
    let server = setup.start();
    let dir = TempDir::new().expect("a temporary directory");
    let into = TempDir::new().expect("a temporary directory");
    let file = random_file(dir.path(), "file", 256 * 1024, 1);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(into.path()));
    let to = receiver.event("online", LOGIN)["jid"]
        .as_str()
        .expect("a JID")
        .to_owned();
    let proxy = DelayProxy::start(server.clients, Duration::ZERO);
    let plain = server.authority.is_none();
    let romeo = server.account("romeo");
    let romeo = if plain {
        romeo.through(proxy.address())
    } else {
        romeo
    };
    let mut sender = slixmpp(&romeo, Task::Send(&file, &to, 4096));
    received(&mut receiver, &mut sender, &file);
    if plain {
        let flow = proxy.flow().expect("blocks went by");
        assert_eq!(flow.octets, 256 * 1024);
        println!(
            "slixmpp to slixmpp through {setup}: {:.2} MB/s",
            flow.rate() / 1e6
        );
    }
}

#[test]
fn slixmpp_sends_to_slixmpp_through_prosody() {
    slixmpp_to_slixmpp(PROSODY);
}

#[test]
fn slixmpp_sends_to_slixmpp_through_prosody_with_tls() {
    slixmpp_to_slixmpp(PROSODY.tls());
}

#[test]
fn slixmpp_sends_to_slixmpp_through_ejabberd() {
    slixmpp_to_slixmpp(EJABBERD);
}

#[test]
fn slixmpp_sends_to_slixmpp_through_ejabberd_with_tls() {
    slixmpp_to_slixmpp(EJABBERD.tls());
}

#[test]
fn slixmpp_sends_by_socks5_to_slixmpp_through_prosodys_proxy() {
    let server = PROSODY.start();
    let dir = TempDir::new().expect("a temporary directory");
    let into = TempDir::new().expect("a temporary directory");
    let file = random_file(dir.path(), "file", 256 * 1024, 1);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(into.path()));
    let to = receiver.event("online", LOGIN)["jid"]
        .as_str()
        .expect("a JID")
        .to_owned();
    let mut sender = slixmpp(&server.account("romeo"), Task::SendSocks5(&file, &to));
    received(&mut receiver, &mut sender, &file);
}

fn qxmpp_to_qxmpp(setup: Setup, way: impl Fn(&Server) -> Way<'_>) {
    let server = setup.start();
    let way = way(&server);
    let dir = TempDir::new().expect("a temporary directory");
    let into = TempDir::new().expect("a temporary directory");
    let file = random_file(dir.path(), "file", 256 * 1024, 2);
    let mut receiver = qxmpp(&server.account("juliet"), Task::Receive(into.path()), way);
    let to = receiver.event("online", LOGIN)["jid"]
        .as_str()
        .expect("a JID")
        .to_owned();
    let mut sender = qxmpp(&server.account("romeo"), Task::Send(&file, &to, 4096), way);
    received(&mut receiver, &mut sender, &file);
    sender.exits(0, LOGIN);
    receiver.exits(0, LOGIN);
}

#[test]
fn qxmpp_sends_in_band_to_qxmpp_through_prosody() {
    qxmpp_to_qxmpp(PROSODY, |_| Way::InBand);
}

#[test]
fn qxmpp_sends_to_qxmpp_through_the_proxy_of_prosody() {
    qxmpp_to_qxmpp(PROSODY, |server| Way::Through(&server.proxy));
}

#[test]
fn qxmpp_sends_to_qxmpp_through_the_proxy_of_ejabberd() {
    qxmpp_to_qxmpp(EJABBERD, |server| Way::Through(&server.proxy));
}

#[test]
fn a_raw_client_exchanges_stanzas_through_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
        let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
        let id = romeo.post("get", &juliet.jid, "<ping xmlns='urn:xmpp:ping'/>");
        let ping = juliet.recv_where("the ping", |stanza| stanza.has("urn:xmpp:ping"));
        assert_eq!(ping.attr("from"), Some(romeo.jid.as_str()));
        juliet.result(&ping, "");
        assert!(romeo.answer(&id).is_iq("result"));
    }
}

#[test]
fn romeo_and_juliet_are_subscribed_to_each_other_on_prosody() {
    let server = PROSODY.start();
    let mut romeo = RawClient::login(&server.account("romeo"), "orchard");
    romeo.send("<presence/>");
    let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
    juliet.send("<presence/>");
    let is_from =
        |from: &str, stanza: &Stanza| stanza.has("<presence") && stanza.attr("from") == Some(from);
    let (one, other) = (romeo.jid.clone(), juliet.jid.clone());
    juliet.recv_where("romeo's presence", |stanza| is_from(&one, stanza));
    romeo.recv_where("juliet's presence", |stanza| is_from(&other, stanza));
}

#[test]
fn pings_of_slixmpp_go_on_until_it_is_killed() {
    let server = PROSODY.limited().start();
    let into = TempDir::new().expect("a temporary directory");
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(into.path()));
    let jid = receiver.event("online", LOGIN)["jid"]
        .as_str()
        .expect("a JID")
        .to_owned();
    let mut pinger = slixmpp(&server.account("mallory"), Task::Ping(&jid));
    for _ in 0..3 {
        let pong = pinger.event("pong", LOGIN);
        assert!(pong["seconds"].as_f64().expect("seconds") < 3.0);
    }
    assert!(!pinger.ended());
}

#[test]
fn the_proxies_of_both_servers_relay_what_is_activated() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        relays(&server, &server.proxy);
        assert!(server.cpu_seconds() > 0.0);
    }
}

#[test]
fn a_proxy_of_the_harness_relays_on_both_servers() {
    for setup in [PROSODY.proxyless(), EJABBERD.proxyless()] {
        let server = setup.start();
        let all = Manner::Relays {
            cut_after: u64::MAX,
        };
        let proxy = FakeProxy::join(&server, all, Activation::Granted);
        relays(&server, &proxy.jid);
        let items = RawClient::login(&server.account("mallory"), "dark").request(
            "get",
            &server.domain,
            "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        );
        assert!(items.has(&proxy.jid), "{}", items.0);
        assert!(!items.has(&server.proxy), "{}", items.0);
    }
}

#[test]
fn qxmpp_sends_direct_to_qxmpp() {
    qxmpp_to_qxmpp(PROSODY, |_| Way::Direct);
}
