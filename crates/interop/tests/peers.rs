//! Other people's clients at the other end.

use std::path::Path;

use bytestreams_interop::exchange::{joined, number, online, sent, text};
use bytestreams_interop::files::assert_identical;
use bytestreams_interop::peers::{Task, Way, qxmpp, slixmpp};
use bytestreams_interop::{Cli, EJABBERD, LOGIN, PROSODY, Scratch, Server, Setup, TRANSFER};

const SIZE: u64 = 200_001;

fn slixmpp_to_us(setup: Setup, block_size: u16) {
    let server = setup.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once --allow-unannounced"));
    let mut sender = slixmpp(&server.account("romeo"), Task::Send(&file, &to, block_size));
    let sid = text(&sender.event("done", TRANSFER), "sid");
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(text(&got, "sid"), sid);
    assert_eq!(number(&got, "bytes"), SIZE);
    assert_identical(&file, Path::new(&text(&got, "path")));
    assert_identical(&file, &scratch.inbox().join(&sid));
}

fn us_to_slixmpp(setup: Setup, options: &str) {
    let server = setup.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(scratch.inbox()));
    let to = text(&receiver.event("online", LOGIN), "jid");
    sent(
        Cli::send(&file, &to)
            .account(&server.account("romeo"))
            .args("--no-si --method ibb")
            .args(options),
    );
    let got = receiver.event("done", TRANSFER);
    assert_identical(&file, Path::new(&text(&got, "path")));
    receiver.exits(0, LOGIN);
}

#[test]
fn slixmpp_opens_a_bare_stream_to_us_through_prosody() {
    slixmpp_to_us(PROSODY, 4096);
}

#[test]
fn slixmpp_opens_a_bare_stream_to_us_through_ejabberd_over_tls() {
    slixmpp_to_us(EJABBERD.tls(), 8192);
}

#[test]
fn we_open_a_bare_stream_to_slixmpp_through_prosody_over_tls() {
    us_to_slixmpp(PROSODY.tls(), "");
}

#[test]
fn we_open_a_bare_stream_to_slixmpp_through_ejabberd() {
    us_to_slixmpp(EJABBERD, "");
}

#[test]
fn slixmpp_refuses_a_block_size_and_takes_a_smaller_one() {
    us_to_slixmpp(PROSODY, "--block-size 65535");
}

#[test]
fn a_bare_stream_is_refused_where_it_was_not_allowed() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", 1_000);
    let (_receiver, to) = online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    let mut sender = slixmpp(&server.account("romeo"), Task::Send(&file, &to, 4096));
    let failed = sender.event("failed", TRANSFER);
    assert!(
        text(&failed, "reason").contains("not-acceptable"),
        "{failed}"
    );
    scratch.assert_nothing_arrived();
}

/// QXmpp offers by SI, one method only.
fn qxmpp_to_us(server: &Server, way: Way<'_>, options: &str, via: &str) {
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once").args(options));
    let mut sender = qxmpp(&server.account("romeo"), Task::Send(&file, &to, 4096), way);
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(
        (text(&got, "name"), text(&got, "via")),
        ("photo.jpg".into(), via.into())
    );
    scratch.assert_arrived(&file);
}

fn us_to_qxmpp(server: &Server, way: Way<'_>, options: &str, via: &str) {
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let mut receiver = qxmpp(
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

#[test]
fn qxmpp_offers_us_a_file_in_band() {
    qxmpp_to_us(&PROSODY.start(), Way::InBand, "", "ibb");
}

#[test]
fn we_offer_qxmpp_a_file_in_band() {
    us_to_qxmpp(&PROSODY.start(), Way::InBand, "--method ibb", "ibb");
}

#[test]
fn what_qxmpp_has_decides_between_in_band_and_socks5() {
    let server = PROSODY.start();
    us_to_qxmpp(&server, Way::InBand, "", "ibb");
    us_to_qxmpp(&server, Way::Direct, "--no-direct", "proxy");
}

/// QXmpp offers the addresses of this machine's interfaces, of which none is loopback.
#[test]
fn qxmpp_offers_us_a_file_by_socks5_direct() {
    let anywhere = "--allow-host 0.0.0.0/0 --allow-host ::/0";
    for setup in [PROSODY, EJABBERD] {
        qxmpp_to_us(&setup.start(), Way::Direct, anywhere, "direct");
    }
}

#[test]
fn we_offer_qxmpp_a_file_by_socks5_direct() {
    let direct = "--method socks5 --no-proxy --direct-listen 127.0.0.1:0";
    for setup in [PROSODY, EJABBERD] {
        us_to_qxmpp(&setup.start(), Way::Direct, direct, "direct");
    }
}

#[test]
fn qxmpp_offers_us_a_file_by_socks5_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        qxmpp_to_us(&server, Way::Through(&server.proxy), "", "proxy");
    }
}

#[test]
fn we_offer_qxmpp_a_file_by_socks5_through_the_proxies_of_both_servers() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        let proxied = "--method socks5 --proxy-only";
        us_to_qxmpp(&server, Way::Direct, proxied, "proxy");
    }
}

#[test]
fn qxmpp_meets_us_at_our_own_proxy() {
    let server = PROSODY.proxyless().start();
    let _proxy = joined(Cli::proxy(&server));
    qxmpp_to_us(&server, Way::Through(&server.component), "", "proxy");
    let proxied = "--method socks5 --proxy-only";
    us_to_qxmpp(&server, Way::Direct, proxied, "proxy");
}

/// slixmpp knows SOCKS5 through a proxy, and no SI.
fn slixmpp_to_us_by_socks5(server: &Server) {
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once --allow-unannounced"));
    let mut sender = slixmpp(&server.account("romeo"), Task::SendSocks5(&file, &to));
    let sid = text(&sender.event("done", TRANSFER), "sid");
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(
        (text(&got, "sid"), text(&got, "via")),
        (sid.clone(), "proxy".into())
    );
    assert_eq!(number(&got, "bytes"), SIZE);
    assert_identical(&file, &scratch.inbox().join(&sid));
}

#[test]
fn slixmpp_sends_a_bare_stream_by_socks5_through_prosodys_proxy() {
    slixmpp_to_us_by_socks5(&PROSODY.start());
}

#[test]
fn slixmpp_sends_a_bare_stream_by_socks5_through_our_proxy() {
    let server = PROSODY.proxyless().start();
    let _proxy = joined(Cli::proxy(&server));
    slixmpp_to_us_by_socks5(&server);
}

fn us_to_slixmpp_by_socks5(options: &str, via: &str) {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(scratch.inbox()));
    let to = text(&receiver.event("online", LOGIN), "jid");
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let done = sent(sender.args("--no-si --method socks5").args(options));
    assert_eq!(text(&done, "via"), via);
    let got = receiver.event("done", TRANSFER);
    assert_eq!(text(&got, "method"), "socks5");
    assert_identical(&file, Path::new(&text(&got, "path")));
    receiver.exits(0, LOGIN);
}

#[test]
fn we_send_slixmpp_a_bare_stream_by_socks5_through_prosodys_proxy() {
    us_to_slixmpp_by_socks5("--proxy-only", "proxy");
}

#[test]
fn we_send_slixmpp_a_bare_stream_by_socks5_direct() {
    us_to_slixmpp_by_socks5("--no-proxy --direct-listen 127.0.0.1:0", "direct");
}
