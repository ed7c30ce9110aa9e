#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{Hand, JULIET, PROXY, ROMEO, hex, host, jid, octets, query, sid};
use bytestreams_machine::{ConnId, ConnectError, NetInput};
use bytestreams_stanza::Condition;
use std::format;
use std::string::String;
use std::vec::Vec;

mod memory;

const STRANGER: &str = "mercutio@verona.lit/street";
const MET: &str = "0500";
const REPLY: &str = "05000001000000000000";

fn own() -> Own {
    Own { jid: jid(JULIET) }
}

fn offer(from: &str, id: &str, hosts: &[StreamHost]) -> Iq {
    let hosts = BytestreamsContent::Hosts(hosts.to_vec());
    let mut iq = Iq::set(Some(jid(JULIET)), id.into(), query(Some("s1"), hosts));
    iq.from = Some(jid(from));
    iq
}

fn target_with(iq: &Iq, memory: &FailedHosts, now: Instant) -> Hand<Target> {
    let target = Target::new(iq, own(), Token(0), memory, now).expect("an offer");
    Hand::new(target)
}

/// Offered by `from`: hosts of the Requester, unless the address begins with a `p`.
fn target(from: &str, addresses: &[&str]) -> Hand<Target> {
    let hosts: Vec<_> = addresses
        .iter()
        .map(|&at| host(if at.starts_with('p') { PROXY } else { from }, at))
        .collect();
    target_with(
        &offer(from, "q1", &hosts),
        &FailedHosts::default(),
        Instant::ZERO,
    )
}

/// The whole handshake, on a connection that was just made.
fn shake(hand: &mut Hand<Target>, conn: ConnId) {
    assert!(hand.received(conn, &octets(MET)));
    assert!(hand.received(conn, &octets(REPLY)));
}

fn request() -> String {
    let addr = DstAddr::new(&sid("s1"), &jid(ROMEO), &jid(JULIET));
    format!("0501000328{}0000", hex(addr.as_bytes()))
}

#[test]
fn the_first_handshake_that_succeeds_wins() {
    let mut hand = target(ROMEO, &["192.0.2.1:1", "192.0.2.2:2", "proxy:3"]);
    assert_eq!(hand.said(), "connect 0 192.0.2.1:1");
    hand.wait_millis(249);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert_eq!(hand.said(), "connect 1 192.0.2.2:2");
    let first = hand.connected(0);
    assert_eq!(hand.said(), "send 1 050100");
    let second = hand.connected(1);
    hand.said();
    hand.received(second, &octets(MET));
    assert_eq!(hand.said(), format!("send 2 {}", request()));
    hand.received(second, &octets(REPLY));
    assert_eq!(
        hand.said(),
        format!(
            "close {}; result q1 {ROMEO}: used of s1 {ROMEO}; detach {}; Established {{ conn: ConnId(2), via: Direct }}",
            first.0, second.0
        )
    );
    assert!(hand.machine.is_finished());
    assert_eq!(hand.machine.poll_timeout(), None);
    assert_eq!((hand.leaks(), hand.detached.len()), (0, 1));
}

/// libpurple cancels the whole file where a handshake with it is broken off, so a quicker proxy must
/// not win against one that goes on; and Miranda where another connection to it is.
#[test]
fn the_next_one_waits_for_a_handshake_with_the_requester_itself() {
    waits_for_the_requester("proxy:3");
    waits_for_the_requester("192.0.2.2:3");
}

fn waits_for_the_requester(next: &str) {
    let addresses = ["192.0.2.1:1", next];
    let mut hand = target(ROMEO, &addresses);
    let conn = hand.connected(0);
    hand.said();
    hand.wait_millis(500);
    hand.received(conn, &octets(MET));
    hand.wait_millis(499);
    assert_eq!(hand.said(), format!("send 1 {}", request()));
    hand.received(conn, &octets(REPLY));
    assert!(hand.said().contains("Established"));

    let mut hand = target(ROMEO, &addresses);
    hand.wait_millis(200);
    hand.connected(0);
    hand.said();
    hand.wait_millis(999);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert_eq!(hand.said(), format!("connect 1 {next}"));

    let mut hand = target(ROMEO, &addresses);
    let conn = hand.connected(0);
    hand.wait_millis(500);
    hand.said();
    hand.closed(conn);
    assert!(hand.said().ends_with(&format!("connect 1 {next}")));
}

#[test]
fn a_connection_that_comes_late_is_closed() {
    let mut hand = target(ROMEO, &["192.0.2.1:1", "proxy:3"]);
    hand.wait_millis(250);
    let conn = hand.connected(1);
    hand.said();
    shake(&mut hand, conn);
    assert!(
        hand.said()
            .contains(&format!("used of s1 {PROXY}; detach 1"))
    );
    assert!(!hand.machine.is_finished());
    hand.connected(0);
    assert_eq!(hand.said(), "close 2");
    assert!(hand.machine.is_finished());
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn what_came_behind_the_reply_is_early() {
    let mut hand = target(ROMEO, &["192.0.2.1:1"]);
    let conn = hand.connected(0);
    hand.received(conn, &octets(MET));
    hand.received(conn, &octets(&format!("{REPLY}aabbcc")));
    assert_eq!(hand.machine.early(), [0xaa, 0xbb, 0xcc][..]);
    assert!(hand.machine.early().is_empty());
}

#[test]
fn refusals_at_once_are_answered_within_a_second() {
    let mut hand = target(ROMEO, &["192.0.2.1:1", "10.0.0.2:2", "proxy:3"]);
    for token in 0..3 {
        hand.failed(token, ConnectError::Refused);
    }
    assert_eq!(hand.now, Instant::ZERO);
    hand.said();
    hand.wait_millis(499);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert_eq!(
        hand.said(),
        format!("item-not-found cancel q1 {ROMEO}; Failed(Unreachable)")
    );
    assert!(hand.machine.is_finished());
}

#[test]
fn whatever_fails_the_next_one_is_tried_at_once() {
    let failures: [fn(&mut Hand<Target>); 6] = [
        |hand| hand.failed(0, ConnectError::Dns),
        |hand| hand.failed(0, ConnectError::Forbidden),
        |hand| {
            // close instead of a reply
            let conn = hand.connected(0);
            hand.closed(conn);
        },
        |hand| {
            let conn = hand.connected(0);
            hand.received(conn, &octets("05ff"));
        },
        |hand| {
            let conn = hand.connected(0);
            hand.received(conn, &octets(MET));
            hand.received(conn, &octets("0502"));
        },
        |hand| {
            let conn = hand.connected(0);
            hand.received(conn, b"SSH-2.0");
        },
    ];
    for fail in failures {
        let mut hand = target(ROMEO, &["192.0.2.1:1", "192.0.2.2:2"]);
        fail(&mut hand);
        assert!(hand.said().ends_with("connect 1 192.0.2.2:2"));
        assert_eq!(hand.leaks(), 1, "the second attempt");
        let conn = hand.connected(1);
        shake(&mut hand, conn);
        assert_eq!((hand.leaks(), hand.detached.len()), (0, 1));
    }
}

#[test]
fn it_gives_up_after_nine_seconds_when_nobody_answers() {
    let mut hand = target(ROMEO, &["192.0.2.1:1", "192.0.2.2:2"]);
    hand.wait_millis(8_999);
    assert!(!hand.said().contains("Failed"));
    hand.wait_millis(1);
    assert!(hand.said().ends_with("Failed(Unreachable)"));
    hand.failed(0, ConnectError::TimedOut);
    hand.connected(1);
    assert_eq!(hand.said(), "close 1");
    assert!(hand.machine.is_finished());
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn silence_after_connecting_ends_sooner() {
    let mut hand = target(ROMEO, &["192.0.2.1:1"]);
    hand.connected(0);
    hand.said();
    hand.wait_millis(4_999);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert_eq!(
        hand.said(),
        format!("close 1; item-not-found cancel q1 {ROMEO}; Failed(Unreachable)")
    );
}

/// What a stranger can see: when attempts at its own host start, when it is answered, and how.
fn seen_by_a_stranger(becomes: impl Fn(&mut Hand<Target>)) -> Vec<(Instant, String)> {
    let mut hand = target(STRANGER, &["10.0.0.1:22", "intranet:80", "192.0.2.66:1"]);
    let mut seen = Vec::new();
    becomes(&mut hand);
    for _ in 0..1200 {
        let said = hand.said();
        let of_ours = |said: &&str| said.contains("192.0.2.66") || said.contains(STRANGER);
        for said in said.split("; ").filter(of_ours) {
            seen.push((hand.now, said.into()));
        }
        hand.wait_millis(10);
        if hand.now == Instant::ZERO + Duration::from_millis(260) {
            becomes(&mut hand);
        }
        if hand.now == Instant::ZERO + Duration::from_millis(700) {
            // Its own host answers, and refuses.
            let conn = hand.connected(2);
            hand.received(conn, &octets("05ff"));
        }
    }
    seen
}

#[test]
fn a_stranger_learns_nothing_about_our_network() {
    let silent = seen_by_a_stranger(|_| {});
    assert_eq!(silent.len(), 2, "{silent:?}");
    assert_eq!(silent[0].0, Instant::from_micros(500_000));
    assert_eq!(silent[1].0, Instant::from_micros(9_000_000));
    let at_once = |hand: &mut Hand<Target>| if hand.now == Instant::ZERO { 0 } else { 1 };
    let worlds: [fn(&mut Hand<Target>, u64); 6] = [
        |hand, token| hand.failed(token, ConnectError::Forbidden),
        |hand, token| hand.failed(token, ConnectError::Refused),
        |hand, token| hand.failed(token, ConnectError::Dns),
        |hand, token| {
            let conn = hand.connected(token);
            hand.received(conn, b"SSH-2.0");
        },
        |hand, token| {
            let conn = hand.connected(token);
            hand.closed(conn);
        },
        |hand, token| {
            hand.connected(token);
        },
    ];
    for world in worlds {
        let seen = seen_by_a_stranger(|hand| {
            let token = at_once(hand);
            world(hand, token);
        });
        assert_eq!(seen, silent);
    }
}

#[test]
fn a_stranger_with_public_addresses_is_answered_soon() {
    let mut hand = target(STRANGER, &["198.51.100.1:1", "2001:db8::1:2"]);
    hand.failed(0, ConnectError::Refused);
    hand.failed(1, ConnectError::Refused);
    hand.wait_millis(500);
    assert!(hand.said().ends_with("Failed(Unreachable)"));
    // Nor can it add others later.
    let mut hand = target(STRANGER, &["198.51.100.1:1"]);
    let inside = [host(STRANGER, "10.0.0.1:22")];
    assert!(hand.give(Input::Stanza(offer(STRANGER, "q2", &inside).into())));
    hand.wait_millis(1000);
    assert_eq!(hand.said(), "connect 0 198.51.100.1:1");
}

#[test]
fn at_most_five_hosts_are_dialled_and_none_that_cannot_be() {
    let addresses = [
        "fe80::1%eth0:1",
        "fe80::1:1",
        "0.0.0.0:1",
        "192.0.2.1:1",
        "192.0.2.1:1",
        "192.0.2.2:1",
        "name:1",
        "2001:db8::1:1",
        "192.0.2.5:1",
        "192.0.2.6:1",
    ];
    let mut hand = target(ROMEO, &addresses);
    hand.wait_millis(8_000);
    assert_eq!(
        hand.said(),
        "connect 0 192.0.2.1:1; connect 1 192.0.2.2:1; connect 2 name:1; connect 3 2001:db8::1:1; connect 4 192.0.2.5:1"
    );
    let mut hand = target(ROMEO, &addresses[..3]);
    hand.wait_millis(500);
    assert!(hand.said().ends_with("Failed(Unreachable)"));
}

/// Smack names every address of its machine, the proxies of its server behind them.
#[test]
fn however_many_addresses_a_requester_has_its_proxies_are_tried() {
    let addresses = [
        "192.0.2.1:1",
        "192.0.2.2:1",
        "192.0.2.3:1",
        "192.0.2.4:1",
        "192.0.2.5:1",
        "192.0.2.6:1",
        "proxy:1",
        "proxy:2",
        "proxy:3",
    ];
    let mut hand = target(ROMEO, &addresses);
    hand.wait_millis(8_000);
    assert_eq!(
        hand.said(),
        "connect 0 192.0.2.1:1; connect 1 192.0.2.2:1; connect 2 192.0.2.3:1; connect 3 proxy:1; connect 4 proxy:2"
    );
    let mut hand = target(ROMEO, &addresses[1..7]);
    hand.wait_millis(8_000);
    assert_eq!(
        hand.said(),
        "connect 0 192.0.2.2:1; connect 1 192.0.2.3:1; connect 2 192.0.2.4:1; connect 3 192.0.2.5:1; connect 4 proxy:1"
    );
}

#[test]
fn one_proxy_sees_one_handshake_at_a_time() {
    let mut hand = target(ROMEO, &["proxy:1", "proxy6:1"]);
    hand.wait_millis(250);
    let first = hand.connected(0);
    hand.said();
    let second = hand.connected(1);
    assert_eq!(hand.said(), "", "parked");
    hand.received(first, &octets(MET));
    hand.received(first, &octets("0501"));
    assert!(hand.said().ends_with("close 1; send 2 050100"));
    shake(&mut hand, second);
    assert!(
        hand.said()
            .ends_with("via: Proxy(\"proxy.montague.lit\") }")
    );
    // The parked one is closed where the first succeeds, and where it goes away by itself.
    let mut hand = target(ROMEO, &["proxy:1", "proxy6:1", "proxy7:1"]);
    hand.wait_millis(500);
    let first = hand.connected(0);
    let second = hand.connected(1);
    hand.connected(2);
    hand.closed(second);
    shake(&mut hand, first);
    assert_eq!((hand.leaks(), hand.detached.len()), (0, 1));
}

#[test]
fn the_hash_is_the_offers_in_a_room() {
    let told = "416781edf1ae50bad01cb8509ba35b43952bc345";
    let mut iq = offer(ROMEO, "q1", &[host(PROXY, "192.0.2.1:1")]);
    if let IqBody::Set(Payload::Bytestreams(query)) = &mut iq.body {
        query.dstaddr = Some(told.into());
    }
    let mut hand = target_with(&iq, &FailedHosts::default(), Instant::ZERO);
    let conn = hand.connected(0);
    hand.received(conn, &octets(MET));
    assert!(
        hand.said()
            .ends_with(&format!("0501000328{}0000", hex(told.as_bytes())))
    );
}

#[test]
fn the_hash_is_over_whom_the_offer_calls() {
    let addr = |to: &str| {
        let mut iq = offer(ROMEO, "q1", &[host(PROXY, "192.0.2.1:1")]);
        iq.to = Some(jid(to));
        let mut hand = target_with(&iq, &FailedHosts::default(), Instant::ZERO);
        let conn = hand.connected(0);
        hand.received(conn, &octets(MET));
        hand.said()
    };
    let of = |to: &str| {
        let addr = DstAddr::new(&sid("s1"), &jid(ROMEO), &jid(to));
        hex(addr.as_bytes())
    };
    // Our own JID in another spelling is our own JID; another address of a component is another.
    assert!(addr("Juliet@Montague.lit/balcony").contains(&of(JULIET)));
    assert!(addr("nurse@montague.lit").contains(&of("nurse@montague.lit")));
}

#[test]
fn in_a_room_the_requesters_own_host_is_no_proxy() {
    let room = "room@conference.montague.lit/Rter";
    let hosts = [host("romeo@example.com/real", "192.0.2.1:1")];
    let iq = offer(room, "q1", &hosts);
    let mut hand = target_with(&iq, &FailedHosts::default(), Instant::ZERO);
    let conn = hand.connected(0);
    shake(&mut hand, conn);
    assert!(hand.said().ends_with("via: Direct }"));
}

#[test]
fn every_repeated_offer_is_answered_and_its_new_hosts_are_tried() {
    let mut hand = target(ROMEO, &["192.0.2.1:1"]);
    let hosts = [host(ROMEO, "192.0.2.1:1"), host(PROXY, "192.0.2.9:9")];
    assert!(hand.give(Input::Stanza(offer(ROMEO, "q2", &hosts).into())));
    // Repeated by a link that was resumed.
    assert!(hand.give(Input::Stanza(offer(ROMEO, "q2", &hosts).into())));
    // Somebody else's stream with the same sid.
    assert!(!hand.give(Input::Stanza(offer(STRANGER, "q2", &hosts).into())));
    hand.failed(0, ConnectError::Refused);
    hand.said();
    let conn = hand.connected(1);
    shake(&mut hand, conn);
    let said = hand.said();
    let used = |id: &str| format!("result {id} {ROMEO}: used of s1 {PROXY}");
    assert!(
        said.contains(&format!("{}; {}; detach", used("q1"), used("q2"))),
        "{said}"
    );
    assert!(hand.give(Input::Stanza(offer(ROMEO, "q3", &hosts).into())));
    assert_eq!(hand.said(), used("q3"));
}

#[test]
fn repeated_offers_are_bounded() {
    let mut hand = target(ROMEO, &["192.0.2.1:1"]);
    hand.said();
    for n in 0..100 {
        let more = [host(ROMEO, &format!("192.0.2.{n}:1"))];
        hand.give(Input::Stanza(offer(ROMEO, &format!("r{n}"), &more).into()));
    }
    hand.wait_millis(8_000);
    let said = hand.said();
    assert_eq!(said.matches("connect").count(), 4);
    assert_eq!(said.matches("not-acceptable modify").count(), 93);
    hand.wait_millis(1_000);
    assert_eq!(hand.said().matches("item-not-found").count(), 8);
}

#[test]
fn cancelling_closes_and_refuses() {
    let mut hand = target(ROMEO, &["192.0.2.1:1", "192.0.2.2:2"]);
    hand.wait_millis(250);
    hand.connected(0);
    hand.said();
    let now = hand.now;
    hand.machine.cancel(now);
    hand.drain();
    assert_eq!(
        hand.said(),
        format!("close 1; not-acceptable modify q1 {ROMEO}; Failed(Cancelled)")
    );
    hand.machine.cancel(now);
    hand.drain();
    assert_eq!(hand.said(), "");
    hand.connected(1);
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn offers_that_cannot_be_taken_have_their_errors() {
    let error = |change: fn(&mut Bytestreams)| {
        let mut iq = offer(ROMEO, "q1", &[host(ROMEO, "192.0.2.1:1")]);
        if let IqBody::Set(Payload::Bytestreams(query)) = &mut iq.body {
            change(query);
        }
        let target = Target::new(&iq, own(), Token(0), &FailedHosts::default(), Instant::ZERO);
        target.expect_err("a refusal").condition
    };
    assert_eq!(error(|q| q.sid = None), Condition::BadRequest);
    assert_eq!(error(|q| q.mode = Mode::Udp), Condition::NotAcceptable);
    assert_eq!(
        error(|q| q.dstaddr = Some("x".into())),
        Condition::BadRequest
    );
    let none = |q: &mut Bytestreams| q.content = BytestreamsContent::Hosts(Vec::new());
    assert_eq!(error(none), Condition::ItemNotFound);
    let used = |q: &mut Bytestreams| q.content = BytestreamsContent::Used(jid(ROMEO));
    assert_eq!(error(used), Condition::BadRequest);
    let mut iq = offer(ROMEO, "q1", &[]);
    iq.body = IqBody::Get(Payload::Ping);
    let target = Target::new(&iq, own(), Token(0), &FailedHosts::default(), Instant::ZERO);
    assert_eq!(
        target.expect_err("no offer").condition,
        Condition::BadRequest
    );
}

#[test]
fn what_is_not_its_own_is_handed_back() {
    let mut hand = target(ROMEO, &["192.0.2.1:1"]);
    let conn = ConnId(99);
    for net in [
        NetInput::Connected(Token(1), conn),
        NetInput::Failed(Token(7), ConnectError::Refused),
        NetInput::Closed(conn),
        NetInput::Received(conn, Bytes::from_static(b"x")),
    ] {
        assert!(!hand.give(Input::Net(net.clone())), "{net:?}");
    }
}
