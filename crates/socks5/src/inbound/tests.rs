#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{Hand, JULIET, ROMEO, hex, jid, octets, sid};
use std::format;
use std::string::String;
use std::vec::Vec;

const FROM: &str = "192.0.2.1:1000";

fn addr(of: &str) -> DstAddr {
    DstAddr::new(&sid(of), &jid(ROMEO), &jid(JULIET))
}

fn request(of: &str) -> Vec<u8> {
    octets(&format!("0501000328{}0000", hex(addr(of).as_bytes())))
}

/// Greeting and request at once, and what stands behind them.
fn asking(of: &str, behind: &[u8]) -> Vec<u8> {
    [&[5, 1, 0], &*request(of), behind].concat()
}

fn accepted(of: &str) -> String {
    format!("0500000328{}0000", hex(addr(of).as_bytes()))
}

fn inbound(config: InboundConfig) -> Hand<Inbound> {
    let mut inbound = Inbound::new(config);
    inbound.expect(addr("s1"));
    Hand::new(inbound)
}

fn default() -> Hand<Inbound> {
    inbound(InboundConfig::default())
}

/// A connection that has arrived for a stream.
fn arrive(hand: &mut Hand<Inbound>, of: &str) -> ConnId {
    let conn = hand.accept(FROM);
    hand.received(conn, &asking(of, b""));
    conn
}

#[test]
fn a_connection_that_is_expected_arrives() {
    let mut hand = default();
    let conn = hand.accept(FROM);
    hand.received(conn, &[5, 1, 0]);
    assert_eq!(hand.said(), "send 1 0500");
    hand.received(conn, &request("s1"));
    assert_eq!(
        hand.said(),
        format!(
            "send 1 {}; Arrived {{ addr: {}, conn: ConnId(1), listen: ListenId(1) }}",
            accepted("s1"),
            addr("s1")
        )
    );
    assert_eq!(hand.machine.poll_timeout(), None);
}

#[test]
fn early_octets_go_with_the_connection() {
    let mut hand = default();
    let conn = hand.accept(FROM);
    hand.received(conn, &asking("s1", b"ab"));
    hand.received(conn, b"cd");
    assert_eq!(hand.machine.take(conn), b"abcd"[..]);
    // It is somebody else's now.
    assert!(!hand.received(conn, b"ef"));
    assert!(!hand.closed(conn));
    assert!(hand.machine.take(conn).is_empty());
}

#[test]
fn another_hash_is_refused_and_closed() {
    let mut hand = default();
    arrive(&mut hand, "s2");
    let refusal = accepted("s2").replacen("0500", "0502", 1);
    assert_eq!(
        hand.said(),
        format!("send 1 0500; send 1 {refusal}; close 1")
    );
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn what_is_no_handshake_is_closed() {
    for (input, said) in [
        ("474554", "send 1 05ff; close 1"),
        ("050102", "send 1 05ff; close 1"),
        (
            "05010005030003",
            "send 1 0500; send 1 05020003000000; close 1",
        ),
    ] {
        let mut hand = default();
        let conn = hand.accept(FROM);
        hand.received(conn, &octets(input));
        assert_eq!(hand.said(), said, "{input}");
        assert_eq!(hand.leaks(), 0);
    }
}

#[test]
fn nobody_is_let_in_while_nothing_is_expected() {
    let mut hand = Hand::new(Inbound::default());
    hand.accept(FROM);
    assert_eq!(hand.said(), "close 1");
}

#[test]
fn a_handshake_has_its_time() {
    let mut hand = default();
    let conn = hand.accept(FROM);
    hand.received(conn, &[5, 1]);
    hand.wait_millis(9_999);
    assert_eq!(hand.leaks(), 1);
    hand.wait_millis(1);
    assert_eq!(hand.said(), "close 1");
    assert!(!hand.received(conn, &[0]));
    assert_eq!(hand.machine.poll_timeout(), None);
}

#[test]
fn several_connections_wait_with_one_hash_up_to_a_bound() {
    let mut hand = default();
    for _ in 0..12 {
        arrive(&mut hand, "s1");
    }
    let said = hand.said();
    assert_eq!(said.matches("Arrived").count(), 8);
    assert_eq!(said.matches("close").count(), 4);
    // One is taken, the others are closed.
    hand.machine.take(ConnId(3));
    hand.machine.forget(addr("s1"));
    hand.drain();
    assert_eq!(
        hand.said(),
        "close 1; close 2; close 4; close 5; close 6; close 7; close 8"
    );
    assert_eq!(hand.leaks(), 1, "the one that was taken");
}

#[test]
fn one_that_goes_away_is_told() {
    let mut hand = default();
    let conn = arrive(&mut hand, "s1");
    hand.said();
    assert!(hand.closed(conn));
    assert_eq!(
        hand.said(),
        format!("close 1; Gone {{ addr: {}, conn: ConnId(1) }}", addr("s1"))
    );
    let conn = arrive(&mut hand, "s1");
    hand.received(conn, &[0; 513]);
    assert!(hand.said().contains("close 2; Gone"));
    let conn = hand.accept(FROM);
    assert!(hand.closed(conn));
    assert_eq!(hand.said(), "close 3");
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn half_open_handshakes_are_bounded_and_the_oldest_goes() {
    let config = InboundConfig {
        handshakes: 3,
        ..InboundConfig::default()
    };
    let mut hand = inbound(config);
    for host in 1..=10_000_u32 {
        let from = core::net::Ipv4Addr::from(0x0a00_0000 + host);
        hand.accept(&format!("{from}:1"));
    }
    assert_eq!(hand.leaks(), 3);
    hand.said();
    let conn = arrive(&mut hand, "s1");
    assert!(hand.said().contains("Arrived"));
    assert_eq!(conn, ConnId(10_001));
}

#[test]
fn one_source_does_not_take_all_the_room() {
    let mut hand = default();
    for _ in 0..40 {
        hand.accept("[2001:db8::1]:1");
        hand.accept("[2001:db8::2:1]:1");
    }
    assert_eq!(hand.leaks(), 16, "one network of 64 bits is one source");
    hand.accept("[2001:db8:0:1::1]:1");
    hand.accept("[::ffff:192.0.2.1]:1");
    assert_eq!(hand.leaks(), 18);
    hand.wait_millis(10_000);
    assert_eq!(hand.leaks(), 0);
    hand.accept("[2001:db8::1]:1");
    assert_eq!(hand.leaks(), 1);
}

#[test]
fn every_way_a_handshake_ends_makes_room_for_its_source() {
    let ends: [fn(&mut Hand<Inbound>, ConnId); 4] = [
        |hand, conn| {
            hand.closed(conn);
        },
        |hand, conn| {
            hand.received(conn, &[4]);
        },
        |hand, conn| {
            hand.received(conn, &asking("s2", b""));
        },
        |hand, conn| {
            hand.received(conn, &asking("s1", b""));
            hand.machine.forget(addr("s1"));
            hand.machine.expect(addr("s1"));
            hand.drain();
        },
    ];
    for end in ends {
        let mut hand = default();
        for _ in 0..100 {
            let conn = hand.accept(FROM);
            assert_eq!(hand.leaks(), 1);
            end(&mut hand, conn);
            assert_eq!(hand.leaks(), 0);
        }
    }
}

#[test]
fn closing_closes_everything() {
    let mut hand = default();
    arrive(&mut hand, "s1");
    hand.accept(FROM);
    hand.machine.close();
    hand.drain();
    assert_eq!(hand.leaks(), 0);
    hand.accept(FROM);
    assert_eq!(hand.leaks(), 0);
    assert_eq!(hand.machine.poll_timeout(), None);
}
