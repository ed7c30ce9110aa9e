//! SOCKS5 bytestreams between two of ours: direct, and through the proxies of Prosody, of ejabberd and of our own.

use bytestreams_interop::exchange::{joined, listening, number, online, relays, sent, text};
use bytestreams_interop::files::{assert_identical, visible};
use bytestreams_interop::socks::{BYTESTREAMS, si_accept};
use bytestreams_interop::{
    Account, Cli, EJABBERD, LOGIN, PROSODY, Process, RawClient, Scratch, Server, TRANSFER, full,
};
use serde_json::Value;

const MIB: u64 = 1 << 20;
/// Direct and nothing else, without an address that is not loopback.
const DIRECT: &str = "--method socks5 --no-proxy --direct-listen 127.0.0.1:0";
/// Through a proxy and nothing else.
const PROXIED: &str = "--method socks5 --proxy-only";

fn size() -> u64 {
    if full() { 1 << 30 } else { 30 * MIB }
}

/// Demands that a transfer ended by SOCKS5, that way, at the first go.
#[track_caller]
fn went(process: &mut Process, done: &Value, bytes: u64, via: &str) {
    assert_eq!(
        (text(done, "method"), text(done, "via")),
        ("socks5".into(), via.into()),
        "{done}"
    );
    assert_eq!(number(done, "bytes"), bytes, "{done}");
    let fell = |event: &&Value| event["event"] == "fell-back";
    assert_eq!(process.events().iter().find(fell), None);
}

/// Sends a file from one account to the other.
fn crosses(server: &Server, from: &str, to: &str, bytes: u64, options: &str, via: &str) {
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", bytes);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account(to));
    let (mut receiver, jid) = online(receiver.args("--once"));
    let sender = Cli::send(&file, &jid).account(&server.account(from));
    let mut sender = sender.args(options).start();
    let done = sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    scratch.assert_arrived(&file);
    went(&mut sender, &done, bytes, via);
    went(&mut receiver, &got, bytes, via);
    assert_eq!(text(&done, "sid"), text(&got, "sid"));
}

fn either_way(server: &Server, options: &str, via: &str) {
    for (from, to) in [("romeo", "juliet"), ("juliet", "romeo")] {
        crosses(server, from, to, size(), options, via);
    }
}

#[test]
fn a_film_goes_direct_beside_prosody() {
    either_way(&PROSODY.tls().start(), DIRECT, "direct");
}

#[test]
fn a_film_goes_direct_beside_ejabberd() {
    either_way(&EJABBERD.start(), DIRECT, "direct");
}

#[test]
fn a_film_goes_through_prosodys_proxy() {
    either_way(&PROSODY.start(), PROXIED, "proxy");
}

#[test]
fn a_film_goes_through_ejabberds_proxy() {
    either_way(&EJABBERD.start(), PROXIED, "proxy");
}

#[test]
fn a_film_goes_through_our_proxy_joined_to_prosody() {
    let server = PROSODY.proxyless().start();
    let _proxy = joined(Cli::proxy(&server));
    either_way(&server, PROXIED, "proxy");
    relays(&server, &server.component);
}

#[test]
fn a_film_goes_through_our_proxy_joined_to_ejabberd() {
    let server = EJABBERD.proxyless().start();
    let _proxy = joined(Cli::proxy(&server));
    either_way(&server, PROXIED, "proxy");
    relays(&server, &server.component);
}

#[test]
fn a_film_goes_direct_without_a_server() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", size());
        let (mut receiver, to) = listening(Cli::receive(scratch.inbox()).args("--once"));
        let options = format!("--method socks5 --direct-listen {listen}");
        let done = sent(Cli::send(&file, &to).args(&options));
        let got = receiver.event("done", TRANSFER);
        receiver.exits(0, LOGIN);
        scratch.assert_arrived(&file);
        went(&mut receiver, &done, size(), "direct");
        went(&mut receiver, &got, size(), "direct");
    }
}

/// Prosody's proxy keeps the last octets until it sees the sender's shutdown.
#[test]
fn files_of_any_size_end_by_themselves_through_prosodys_proxy() {
    let server = PROSODY.start();
    for bytes in [0, 1, 4_095, 4_096, 4_097, 100_001] {
        crosses(&server, "romeo", "juliet", bytes, PROXIED, "proxy");
    }
}

#[test]
fn files_of_any_size_go_direct() {
    let server = PROSODY.start();
    for bytes in [0, 1, 4_097] {
        crosses(&server, "romeo", "juliet", bytes, DIRECT, "direct");
    }
}

#[test]
fn direct_is_preferred_to_a_proxy() {
    let server = PROSODY.start();
    let both = "--direct-listen 127.0.0.1:0";
    crosses(&server, "romeo", "juliet", 5 * MIB, both, "direct");
    crosses(&server, "romeo", "juliet", 5 * MIB, "--no-direct", "proxy");
}

/// Nothing is said of how: the addresses of this machine and the server's proxy are offered.
#[test]
fn without_a_flag_a_film_goes_by_socks5() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", 5 * MIB);
        let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
        let (mut receiver, to) = online(receiver.args("--once"));
        let done = sent(Cli::send(&file, &to).account(&server.account("romeo")));
        let got = receiver.event("done", TRANSFER);
        println!("{setup}: via {}", text(&done, "via"));
        assert_eq!(text(&done, "method"), "socks5");
        assert_eq!(text(&done, "via"), text(&got, "via"));
        scratch.assert_arrived(&file);
    }
}

#[test]
fn resources_that_need_escaping_are_hashed_as_they_are_meant() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        let as_resource = |user: &str, resource: &str| Account {
            jid: format!("{}/{resource}", server.account(user).jid),
            ..server.account(user)
        };
        let romeo = as_resource("romeo", "o'rchard <&> \"ö\"");
        let juliet = as_resource("juliet", "балкон & '𝄞'");
        for options in [DIRECT, PROXIED] {
            let scratch = Scratch::default();
            let file = scratch.file("letter", 10_000);
            let receiver = Cli::receive(scratch.inbox()).account(&juliet);
            let (mut receiver, to) = online(receiver.args("--once"));
            let done = sent(Cli::send(&file, &to).account(&romeo).args(options));
            assert_eq!(text(&done, "method"), "socks5");
            receiver.event("done", TRANSFER);
            scratch.assert_arrived(&file);
        }
    }
}

/// Both sides and the proxy hash the JIDs, which the server prepares on the way.
#[test]
fn a_jid_in_capitals_meets_whom_it_means() {
    for setup in [PROSODY, EJABBERD] {
        let server = setup.start();
        for options in [DIRECT, PROXIED] {
            let scratch = Scratch::default();
            let file = scratch.file("letter", 10_000);
            let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
            let (mut receiver, to) = online(receiver.args("--once"));
            let (bare, resource) = to.split_once('/').expect("a full JID");
            let shouted = format!("{}/{resource}", bare.to_uppercase());
            let sender = Cli::send(&file, &shouted).account(&server.account("romeo"));
            let done = sent(sender.args(options));
            assert_eq!(text(&done, "method"), "socks5");
            receiver.event("done", TRANSFER);
            scratch.assert_arrived(&file);
        }
    }
}

#[test]
fn a_given_proxy_needs_no_discovery() {
    let server = EJABBERD.start();
    let given = format!("--method socks5 --no-direct --proxy {}", server.proxy);
    crosses(&server, "romeo", "juliet", MIB, &given, "proxy");
}

/// Three files each way at once, over one receiving link for each account.
#[test]
fn six_films_cross_at_once_both_ways_direct_and_proxied() {
    let server = PROSODY.proxyless().start();
    let _proxy = joined(Cli::proxy(&server));
    let users = ["romeo", "juliet"];
    let scratches = [Scratch::default(), Scratch::default()];
    let mut receivers: Vec<_> = users
        .iter()
        .zip(&scratches)
        .map(|(user, scratch)| online(Cli::receive(scratch.inbox()).account(&server.account(user))))
        .collect();
    let mut sends = Vec::new();
    for (to, from) in [(0, 1), (1, 0)] {
        for (n, options) in [DIRECT, PROXIED, PROXIED].into_iter().enumerate() {
            let file = scratches[to].file(&format!("{}-{n}", users[from]), 3 * MIB + n as u64);
            let sender = Cli::send(&file, &receivers[to].1).account(&server.account(users[from]));
            sends.push((to, file, sender.args(options).start()));
        }
    }
    for (_, _, sender) in &mut sends {
        sender.event("done", TRANSFER);
        sender.exits(0, LOGIN);
    }
    for ((receiver, _), scratch) in receivers.iter_mut().zip(&scratches) {
        for _ in 0..3 {
            let done = receiver.event("done", TRANSFER);
            assert_eq!(text(&done, "method"), "socks5");
        }
        assert_eq!(visible(scratch.inbox()).len(), 3);
    }
    for (to, file, _) in &sends {
        let name = file.file_name().expect("a file");
        assert_identical(file, &scratches[*to].inbox().join(name));
    }
}

/// Lets a sender offer a file to a client by hand, which chooses SOCKS5, and gives the query with the StreamHosts.
fn hosts_offered(server: &Server, options: &str) -> String {
    let scratch = Scratch::default();
    let file = scratch.file("letter", 1_000);
    let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
    let sender = Cli::send(&file, &juliet.jid).account(&server.account("romeo"));
    let _sender = sender.args(options).start();
    let offer = juliet.recv_where("an offer", |stanza| stanza.has("<si "));
    assert!(offer.has(BYTESTREAMS), "{}", offer.0);
    juliet.result(&offer, &si_accept());
    let query = juliet.recv_where("StreamHosts", |stanza| {
        stanza.is_iq("set") && stanza.has("<streamhost ")
    });
    query.0
}

#[test]
fn proxy_only_keeps_our_addresses_to_ourselves() {
    let server = PROSODY.start();
    let query = hosts_offered(&server, "--proxy-only");
    assert_eq!(query.matches("<streamhost ").count(), 1, "{query}");
    assert!(query.contains(&server.proxy), "{query}");
}

#[test]
fn at_most_five_hosts_are_offered_the_proxy_among_them() {
    let server = PROSODY.start();
    let hosts: String = (1..=8)
        .map(|n| format!(" --streamhost 127.0.0.1:{n}"))
        .collect();
    let query = hosts_offered(&server, &hosts);
    assert_eq!(query.matches("<streamhost ").count(), 5, "{query}");
    assert!(query.contains(&server.proxy), "{query}");
}
