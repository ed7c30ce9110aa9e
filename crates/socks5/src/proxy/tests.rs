#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{Hand, JULIET, PROXY, ROMEO, hex, host, jid, octets, query, sid};
use alloc::vec::Vec;
use bytestreams_machine::Stack;
use bytestreams_stanza::{BytestreamsContent, DiscoInfo, Fault, Invalid, Iq, IqBody, Payload};
use core::time::Duration;
use std::format;
use std::string::String;

const FROM: &str = "192.0.2.1:1000";
const STRANGER: &str = "mercutio@verona.lit/street";

fn config() -> ProxyConfig {
    ProxyConfig {
        hosts: Vec::from([host(PROXY, "192.0.2.8:7777")]),
        allowed: Allowed::Domains(Vec::from(["montague.lit".into()])),
        ..ProxyConfig::default()
    }
}

fn with(change: impl FnOnce(&mut ProxyConfig)) -> Hand<Proxy> {
    let mut config = config();
    change(&mut config);
    Hand::new(Proxy::new(config))
}

fn proxy() -> Hand<Proxy> {
    with(|_| {})
}

fn addr(of: &str) -> DstAddr {
    DstAddr::new(&sid(of), &jid(ROMEO), &jid(JULIET))
}

fn asking(of: &str, behind: &[u8]) -> Vec<u8> {
    let head = octets(&format!("0501000501000328{}0000", hex(addr(of).as_bytes())));
    [&*head, behind].concat()
}

fn ask(hand: &mut Hand<Proxy>, of: &str) -> ConnId {
    let conn = hand.accept(FROM);
    hand.received(conn, &asking(of, b""));
    conn
}

fn activate(hand: &mut Hand<Proxy>, from: &str, id: &str, of: &str, target: &str) -> String {
    hand.said();
    let content = BytestreamsContent::Activate(jid(target));
    assert!(hand.iq(from, id, IqBody::Set(query(Some(of), content))));
    hand.said()
}

/// A session of which both are connected and that is active.
fn active() -> Hand<Proxy> {
    let mut hand = proxy();
    ask(&mut hand, "s1");
    ask(&mut hand, "s1");
    let said = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    assert!(said.contains("Activated"), "{said}");
    hand
}

/// Nothing is held of what there was.
fn assert_empty(hand: &Hand<Proxy>) {
    let proxy = &hand.machine;
    assert_eq!(hand.leaks(), 0);
    assert_eq!(proxy.handshakes.len() + proxy.waiting.len(), 0);
    assert!(proxy.due.is_empty() && proxy.pairs.is_empty() && proxy.active.is_empty());
    assert!(proxy.by_jid.is_empty() && proxy.early.is_empty());
    assert_eq!(
        format!("{:?}", proxy.sources),
        format!("{:?}", Sources::default())
    );
    assert_eq!(proxy.poll_timeout(), None);
}

#[test]
fn two_connections_are_activated_and_handed_over() {
    let mut hand = proxy();
    let first = hand.accept(FROM);
    hand.received(first, &asking("s1", b"from the first"));
    let second = ask(&mut hand, "s1");
    hand.received(second, b"from the second");
    assert_eq!(hand.machine.stats().waiting, 2);
    let said = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    let event = ProxyEvent::Activated {
        addr: addr("s1"),
        first,
        second,
        requester: jid(ROMEO),
        target: jid(JULIET),
    };
    assert_eq!(
        said,
        format!("detach 1; detach 2; {event:?}; result a1 {ROMEO}")
    );
    assert_eq!(hand.machine.early(first), b"from the first"[..]);
    assert_eq!(hand.machine.early(second), b"from the second"[..]);
    assert!(hand.machine.early(first).is_empty());
    let stats = hand.machine.stats();
    assert_eq!(
        (stats.accepted, stats.activated, stats.active, stats.waiting),
        (2, 1, 1, 0)
    );
    // They are not the machine's any more.
    assert!(!hand.closed(first) && !hand.received(second, b"x"));
    hand.machine.ended(addr("s1"));
    assert_eq!(hand.machine.stats().active, 0);
    hand.machine.ended(addr("s1"));
    assert_empty(&hand);
}

#[test]
fn what_nobody_takes_ends_with_the_session() {
    let mut hand = proxy();
    for _ in 0..2 {
        let conn = hand.accept(FROM);
        hand.received(conn, &asking("s1", b"early"));
    }
    activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    hand.machine.ended(addr("s1"));
    assert_empty(&hand);
}

#[test]
fn a_third_connection_is_refused() {
    let refusal = format!("0502000328{}0000", hex(addr("s1").as_bytes()));
    let third = format!("send 3 0500; send 3 {refusal}; close 3");
    let mut hand = proxy();
    ask(&mut hand, "s1");
    ask(&mut hand, "s1");
    hand.said();
    ask(&mut hand, "s1");
    assert_eq!(hand.said(), third);
    assert_eq!(hand.leaks(), 2);
    let mut hand = active();
    ask(&mut hand, "s1");
    assert_eq!(hand.said(), third);
    assert_eq!(hand.machine.stats().third_refused, 1);
    hand.machine.ended(addr("s1"));
    assert_empty(&hand);
    // The hash is free again.
    ask(&mut hand, "s1");
    assert_eq!(hand.leaks(), 1);
}

#[test]
fn a_connection_that_closes_frees_its_place() {
    for gone in 0..2 {
        let mut hand = proxy();
        let pair = [ask(&mut hand, "s1"), ask(&mut hand, "s1")];
        hand.said();
        hand.closed(pair[gone]);
        assert_eq!(hand.said(), format!("close {}", pair[gone].0));
        let refused = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
        assert_eq!(refused, format!("not-allowed cancel a1 {ROMEO}"));
        let next = ask(&mut hand, "s1");
        let said = activate(&mut hand, ROMEO, "a2", "s1", JULIET);
        let stays = pair[1 - gone];
        assert!(
            said.contains(&format!("first: {stays:?}, second: {next:?}")),
            "{said}"
        );
        hand.machine.ended(addr("s1"));
        assert_empty(&hand);
    }
    let mut hand = proxy();
    let only = ask(&mut hand, "s1");
    hand.closed(only);
    assert_empty(&hand);
}

#[test]
fn what_is_not_activated_lives_60_seconds() {
    let mut hand = proxy();
    ask(&mut hand, "s1");
    hand.wait(Duration::from_secs(59));
    ask(&mut hand, "s1");
    hand.said();
    // Both have the time of the later one.
    hand.wait(Duration::from_secs(59));
    assert_eq!(hand.said(), "");
    hand.wait(Duration::from_secs(1));
    assert_eq!(hand.said(), "close 1; close 2");
    assert_eq!(hand.machine.stats().expired, 2);
    let late = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    assert_eq!(late, format!("item-not-found cancel a1 {ROMEO}"));
    assert_empty(&hand);
}

#[test]
fn activations_have_the_errors_of_the_specification() {
    let refused = |said: &str, from: &str| assert_eq!(said, format!("{from}"), "{said}");
    let mut hand = proxy();
    let nothing = activate(&mut hand, ROMEO, "a", "s1", JULIET);
    refused(&nothing, &format!("item-not-found cancel a {ROMEO}"));
    ask(&mut hand, "s1");
    let one = activate(&mut hand, ROMEO, "a", "s1", JULIET);
    refused(&one, &format!("not-allowed cancel a {ROMEO}"));
    ask(&mut hand, "s1");
    // Of somebody else, the Target, another resource, for somebody else, another stream.
    let other = "romeo@montague.lit/other";
    for (from, of, target) in [
        (JULIET, "s1", ROMEO),
        (other, "s1", JULIET),
        (ROMEO, "s1", "juliet@montague.lit"),
        (ROMEO, "s2", JULIET),
    ] {
        let said = activate(&mut hand, from, "a", of, target);
        refused(&said, &format!("item-not-found cancel a {from}"));
    }
    let foreign = activate(&mut hand, STRANGER, "a", "s1", JULIET);
    refused(&foreign, &format!("forbidden auth a {STRANGER}"));
    hand.iq(
        ROMEO,
        "a",
        IqBody::Set(query(None, BytestreamsContent::Activate(jid(JULIET)))),
    );
    let no_sid = hand.said();
    refused(&no_sid, &format!("bad-request modify a {ROMEO}"));
    for (fault, error) in [
        (Fault::BadValue("activate"), "jid-malformed"),
        (Fault::BadValue("sid"), "bad-request"),
    ] {
        let invalid = Invalid {
            ns: ns::BYTESTREAMS.into(),
            name: "query".into(),
            sid: None,
            fault,
        };
        hand.iq(ROMEO, "a", IqBody::Set(Payload::Invalid(Box::new(invalid))));
        refused(&hand.said(), &format!("{error} modify a {ROMEO}"));
    }
    // All that did no harm.
    assert!(activate(&mut hand, ROMEO, "a1", "s1", JULIET).contains("Activated"));
    let stats = hand.machine.stats();
    assert_eq!((stats.activations_refused, stats.forbidden), (7, 1));
}

#[test]
fn a_second_activation_is_refused_and_a_repeated_one_answered_again() {
    let mut hand = active();
    let again = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    assert_eq!(again, format!("result a1 {ROMEO}"));
    let second = activate(&mut hand, ROMEO, "a2", "s1", JULIET);
    assert_eq!(second, format!("not-allowed cancel a2 {ROMEO}"));
    hand.machine.ended(addr("s1"));
    let over = activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    assert_eq!(over, format!("item-not-found cancel a1 {ROMEO}"));
}

#[test]
fn an_activation_in_another_spelling_is_understood() {
    let mut hand = proxy();
    ask(&mut hand, "s1");
    ask(&mut hand, "s1");
    let said = activate(&mut hand, ROMEO, "a1", "s1", "Juliet@Montague.LIT/balcony");
    assert!(said.contains("Activated"), "{said}");
}

#[test]
fn addresses_are_told_to_whom_they_may() {
    let ask = |hand: &mut Hand<Proxy>, from: &str, of: Option<&str>| {
        let content = BytestreamsContent::Hosts(Vec::new());
        hand.iq(from, "q", IqBody::Get(query(of, content)));
        hand.said()
    };
    let mut hand = proxy();
    assert_eq!(
        ask(&mut hand, ROMEO, None),
        format!("result q {ROMEO}: hosts of no sid {PROXY}=192.0.2.8:7777")
    );
    assert_eq!(
        ask(&mut hand, "Nurse@MONTAGUE.lit/x", Some("s9")),
        format!("result q Nurse@MONTAGUE.lit/x: hosts of s9 {PROXY}=192.0.2.8:7777")
    );
    for stranger in [STRANGER, "a@sub.montague.lit/r", "a@montague.lit.evil/r"] {
        assert_eq!(
            ask(&mut hand, stranger, None),
            format!("forbidden auth q {stranger}")
        );
    }
    let stats = hand.machine.stats();
    assert_eq!((stats.addresses_told, stats.forbidden), (2, 3));
    let mut open = with(|config| config.allowed = Allowed::Any);
    assert!(ask(&mut open, STRANGER, None).starts_with("result"));
    let mut none = with(|config| config.hosts.clear());
    assert_eq!(
        ask(&mut none, ROMEO, None),
        format!("not-allowed cancel q {ROMEO}")
    );
}

#[test]
fn every_other_request_in_its_namespace_is_answered() {
    let hosts = || BytestreamsContent::Hosts(Vec::from([host(ROMEO, "192.0.2.1:1")]));
    let used = || BytestreamsContent::Used(jid(ROMEO));
    let mut hand = proxy();
    for (body, error) in [
        (IqBody::Set(query(Some("s1"), hosts())), "not-acceptable"),
        (IqBody::Set(query(Some("s1"), used())), "bad-request"),
        (IqBody::Get(query(Some("s1"), used())), "bad-request"),
    ] {
        assert!(hand.iq(ROMEO, "x", body));
        assert_eq!(hand.said(), format!("{error} modify x {ROMEO}"));
    }
    // Answers and other namespaces are not its own.
    assert!(!hand.iq(ROMEO, "x", IqBody::Result(Some(query(None, used())))));
    assert!(!hand.iq(ROMEO, "x", IqBody::Get(Payload::Ping)));
}

#[test]
fn it_answers_as_whom_it_was_asked() {
    let mut proxy = Proxy::new(config());
    let content = BytestreamsContent::Hosts(Vec::new());
    let mut iq = Iq::get(Some(jid(PROXY)), "q".into(), query(None, content));
    iq.from = Some(jid(ROMEO));
    proxy.handle_input(Input::Stanza(iq.into()), Instant::ZERO);
    let Some(Output::Stanza(answer)) = proxy.poll_output() else {
        panic!("no answer");
    };
    assert_eq!(
        (answer.from(), answer.to()),
        (Some(&jid(PROXY)), Some(&jid(ROMEO)))
    );
}

#[test]
fn disco_finds_the_proxy_behind_it() {
    let responder = Proxy::responder("https://example.org", "Relay");
    let mut stack = Stack::new(Proxy::new(config()), responder);
    let mut iq = Iq::get(None, "q".into(), Payload::DiscoInfo(Box::default()));
    iq.from = Some(jid(ROMEO));
    assert_eq!(
        stack.handle_input(Input::Stanza(iq.into()), Instant::ZERO),
        None
    );
    let Some(Output::Stanza(Stanza::Iq(answer))) = stack.poll_output() else {
        panic!("no answer");
    };
    let IqBody::Result(Some(Payload::DiscoInfo(info))) = answer.body else {
        panic!("{answer:?}");
    };
    let DiscoInfo {
        identities,
        features,
        ..
    } = *info;
    assert_eq!(
        (&*identities[0].category, &*identities[0].kind),
        ("proxy", "bytestreams")
    );
    assert!(features.iter().any(|feature| &**feature == ns::BYTESTREAMS));
}

#[test]
fn sessions_are_bounded_in_all_and_of_one_jid() {
    let another = "nurse@montague.lit/kitchen";
    let both = |hand: &mut Hand<Proxy>, of: &str, requester: &str| {
        let addr = DstAddr::new(&sid(of), &jid(requester), &jid(JULIET));
        let input = octets(&format!("0501000501000328{}0000", hex(addr.as_bytes())));
        for _ in 0..2 {
            let conn = hand.accept(FROM);
            hand.received(conn, &input);
        }
        activate(hand, requester, of, of, JULIET)
    };
    let mut hand = with(|config| {
        config.sessions = 3;
        config.sessions_a_jid = 2;
    });
    assert!(both(&mut hand, "a", ROMEO).contains("Activated"));
    assert!(both(&mut hand, "b", "romeo@montague.lit/other").contains("Activated"));
    assert_eq!(
        both(&mut hand, "c", ROMEO),
        format!("resource-constraint wait c {ROMEO}")
    );
    assert!(both(&mut hand, "d", another).contains("Activated"));
    let full = "resource-constraint wait e nurse@montague.lit/kitchen";
    assert_eq!(both(&mut hand, "e", another), full);
    // What was refused can be activated once there is room.
    hand.machine.ended(addr("a"));
    assert!(activate(&mut hand, ROMEO, "c2", "c", JULIET).contains("Activated"));
}

#[test]
fn connections_are_bounded_in_all_and_of_one_source() {
    let mut hand = with(|config| {
        config.connections = 6;
        config.connections_a_source = 4;
    });
    for _ in 0..10 {
        hand.accept(FROM);
    }
    assert_eq!((hand.leaks(), hand.machine.stats().turned_away), (4, 6));
    for _ in 0..10 {
        hand.accept("192.0.2.2:1");
    }
    assert_eq!((hand.leaks(), hand.machine.stats().turned_away), (6, 14));
    hand.wait_millis(10_000);
    assert_eq!(hand.machine.stats().handshakes_expired, 6);
    assert_empty(&hand);
    // Active ones count until they have ended.
    ask(&mut hand, "s1");
    ask(&mut hand, "s1");
    activate(&mut hand, ROMEO, "a1", "s1", JULIET);
    ask(&mut hand, "s2");
    ask(&mut hand, "s2");
    hand.accept(FROM);
    assert_eq!(hand.machine.stats().turned_away, 15);
    hand.machine.ended(addr("s1"));
    hand.accept(FROM);
    hand.accept(FROM);
    assert_eq!(hand.machine.stats().turned_away, 15);
}

#[test]
fn half_open_handshakes_do_not_keep_others_out() {
    let mut hand = with(|config| config.handshakes = 100);
    for n in 0..10_000_u32 {
        let from = core::net::Ipv4Addr::from(0x0a00_0000 + n);
        hand.accept(&format!("{from}:1"));
    }
    assert_eq!((hand.leaks(), hand.machine.stats().handshaking), (100, 100));
    ask(&mut hand, "s1");
    ask(&mut hand, "s1");
    assert!(activate(&mut hand, ROMEO, "a1", "s1", JULIET).contains("Activated"));
    hand.wait_millis(10_000);
    hand.machine.ended(addr("s1"));
    assert_empty(&hand);
}

#[test]
fn whatever_is_no_handshake_leaves_nothing_behind() {
    for input in [
        "00",
        "0400",
        "0500",
        "050102",
        "05010004",
        "0501000503",
        "0501000501000127000001",
        "05010005010003ff",
        "050100050100032847",
    ] {
        let mut hand = proxy();
        let conn = hand.accept(FROM);
        hand.received(conn, &octets(input));
        assert_eq!(hand.machine.stats().handshakes_failed, 1, "{input}");
        assert_empty(&hand);
    }
    let mut hand = proxy();
    let conn = hand.accept(FROM);
    hand.received(conn, &[5]);
    hand.closed(conn);
    assert_empty(&hand);
    let mut hand = proxy();
    let conn = ask(&mut hand, "s1");
    hand.received(conn, &[0; 513]);
    assert_empty(&hand);
}

#[test]
fn answers_that_nobody_fetches_are_bounded() {
    let mut proxy = Proxy::new(config());
    for _ in 0..10_000 {
        let content = BytestreamsContent::Hosts(Vec::new());
        let mut iq = Iq::get(None, "q".into(), query(None, content));
        iq.from = Some(jid(ROMEO));
        assert!(
            proxy
                .handle_input(Input::Stanza(iq.into()), Instant::ZERO)
                .is_none()
        );
    }
    assert_eq!(proxy.out.len(), Proxy::MAX_OUTPUTS);
}

#[test]
fn a_retired_proxy_lets_active_sessions_go_on() {
    let mut hand = active();
    ask(&mut hand, "s2");
    hand.accept(FROM);
    hand.said();
    hand.machine.retire();
    hand.drain();
    assert_eq!(hand.leaks(), 0);
    assert_eq!(hand.machine.stats().active, 1);
    hand.said();
    hand.accept(FROM);
    assert_eq!(hand.said(), "close 5");
    let content = BytestreamsContent::Hosts(Vec::new());
    hand.iq(ROMEO, "q", IqBody::Get(query(None, content)));
    assert_eq!(hand.said(), format!("not-allowed cancel q {ROMEO}"));
    hand.machine.ended(addr("s1"));
    assert_empty(&hand);
}

/// Every order in which two connections come, ask, go and are activated, by octets as choices.
#[test]
fn no_order_of_things_leaks_or_pairs_wrongly() {
    const STEPS: usize = 6;
    let mut runs = 0;
    for run in 0..8_u32.pow(STEPS as u32) {
        let mut hand = with(|config| config.connections = 5);
        let mut conns = Vec::<ConnId>::new();
        let mut activations = 0;
        let mut choices = run;
        for _ in 0..STEPS {
            let choice = choices % 8;
            choices /= 8;
            match choice {
                0 => conns.push(hand.accept(FROM)),
                1 => {
                    if let Some(&conn) = conns.last() {
                        hand.received(conn, &asking("s1", b""));
                    }
                }
                2 => {
                    if let Some(&conn) = conns.first() {
                        hand.received(conn, &asking("s1", b""));
                    }
                }
                3 => {
                    if let Some(&conn) = conns.last() {
                        hand.closed(conn);
                    }
                }
                4 => {
                    if !conns.is_empty() {
                        let conn = conns.remove(0);
                        hand.closed(conn);
                    }
                }
                5 => {
                    let said = activate(&mut hand, ROMEO, "a", "s1", JULIET);
                    activations += said.matches("Activated").count();
                }
                6 => hand.wait_millis(20_000),
                _ => hand.machine.ended(addr("s1")),
            }
            assert_eq!(hand.detached.len(), 2 * activations);
        }
        hand.wait_millis(120_000);
        hand.machine.ended(addr("s1"));
        assert_empty(&hand);
        runs += activations;
    }
    assert!(runs > 100, "only {runs} activations");
}
