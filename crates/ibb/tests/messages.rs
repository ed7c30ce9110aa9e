//! Blocks carried by messages (XEP-0047, section 4), with pings in the place of acknowledgements.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytestreams_ibb::{Blocked, Config, Event, Reason};
use bytestreams_machine::Machine;
use bytestreams_stanza::{Carrier, Condition, ErrorType, Id, Message, Stanza, StanzaError};
use hand::*;

fn by_message(blocks: u16) -> Config {
    config(|c| {
        c.carrier = Carrier::Message;
        c.window = fixed(blocks);
    })
}

fn bounce(id: &Id, kind: ErrorType, condition: Condition) -> Stanza {
    Message {
        from: None,
        to: None,
        id: Some(id.clone()),
        payload: None,
        error: Some(Box::new(StanzaError::new(kind, condition))),
    }
    .into()
}

fn id_of(stanza: &Stanza) -> Id {
    match stanza {
        Stanza::Iq(iq) => iq.id.clone(),
        Stanza::Message(message) => message.id.clone().expect("an id"),
        Stanza::Presence(_) => panic!("presence"),
    }
}

#[test]
fn a_ping_follows_every_16_blocks() {
    let mut end = initiator(by_message(100));
    let mut text = octets(4095 * 40);
    end.fill(&mut text, at(0));
    let said = said(&mut end);
    let pings: Vec<_> = (0..said.len()).filter(|&i| said[i] == "ping").collect();
    assert_eq!(pings, [16, 33]);
    assert_eq!(said[0], "message data 0 +4095");
    assert_eq!(said[34], "message data 32 +4095");
}

#[test]
fn a_ping_follows_half_a_window() {
    let mut end = initiator(by_message(8));
    end.fill(&mut octets(4095 * 40), at(0));
    let said = said(&mut end);
    let pings: Vec<_> = (0..said.len()).filter(|&i| said[i] == "ping").collect();
    assert_eq!(pings, [4, 9]);
    assert_eq!(said.len(), 10);
}

#[test]
fn a_ping_acknowledges_all_before_it_whatever_its_answer() {
    for known in [true, false] {
        let mut end = initiator(by_message(8));
        let mut text = octets(4095 * 40);
        end.fill(&mut text, at(0));
        let out: Vec<_> = end.out.drain(..).collect();
        assert_eq!(brief(&out[4]), "ping");
        assert_eq!(out[4].to(), Some(&juliet()), "to the same full JID");
        let id = id_of(&out[4]);
        assert!(end.gets(
            if known {
                result(&id)
            } else {
                error(&id, ErrorType::Cancel, Condition::ServiceUnavailable)
            },
            at(10)
        ));
        assert_eq!(
            end.told(),
            [Event::Acknowledged { octets: 4 * 4095 }, Event::Writable]
        );
        end.fill(&mut text, at(10));
        assert_eq!(said(&mut end).len(), 5, "four more and their ping");
    }
}

#[test]
fn the_close_waits_for_the_last_ping() {
    let mut end = initiator(by_message(100));
    end.fill(&mut octets(4095 * 3), at(0));
    assert_eq!(said(&mut end).len(), 3);
    end.finish(at(0));
    let ping = end.sent();
    assert_eq!(brief(&ping), "ping");
    end.gets(result(&id_of(&ping)), at(10));
    assert_eq!(said(&mut end), ["close"]);
}

#[test]
fn the_last_blocks_are_pinged_when_nothing_follows_them() {
    let mut end = initiator(by_message(100));
    end.fill(&mut octets(4095 * 3), at(0));
    end.out.clear();
    assert_eq!(end.next_timeout(), at(1000));
    let ping = end.sent();
    end.gets(result(&id_of(&ping)), at(1010));
    assert_eq!(end.told(), [Event::Acknowledged { octets: 12_285 }]);
    assert_eq!(end.session.poll_timeout(), Some(at(61_010)), "the silence");
}

#[test]
fn a_block_at_a_window_of_1_is_pinged_at_once() {
    let mut end = initiator(by_message(1));
    let mut text = octets(9000);
    end.fill(&mut text, at(0));
    let out: Vec<_> = end.out.drain(..).collect();
    assert_eq!(out.len(), 2);
    assert_eq!(end.write(&mut text, at(0)), Err(Blocked::Window));
    end.gets(result(&id_of(&out[1])), at(1));
    assert_eq!(end.write(&mut text, at(1)), Ok(4095));
}

#[test]
fn a_message_that_comes_back_closes() {
    let mut end = initiator(by_message(8));
    end.fill(&mut octets(4095 * 2), at(0));
    let block = end.out.pop_front().expect("a block");
    end.out.clear();
    let lost = bounce(
        &id_of(&block),
        ErrorType::Cancel,
        Condition::ServiceUnavailable,
    );
    assert!(end.gets(lost, at(1)));
    assert_eq!(said(&mut end), ["close"]);
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::DataRefused { .. })]
    ));
}

#[test]
fn messages_that_come_back_with_wait_go_again() {
    let mut end = initiator(by_message(8));
    end.fill(&mut octets(4095 * 3), at(0));
    let blocks: Vec<_> = end.out.drain(..).collect();
    let gone = |stanza| {
        bounce(
            &id_of(stanza),
            ErrorType::Wait,
            Condition::RecipientUnavailable,
        )
    };
    end.gets(gone(&blocks[1]), at(1));
    let ping = end.sent();
    assert_eq!(brief(&ping), "ping", "to learn what became of the others");
    end.gets(gone(&blocks[2]), at(1));
    end.sent_nothing();
    let answer = error(
        &id_of(&ping),
        ErrorType::Wait,
        Condition::RecipientUnavailable,
    );
    end.gets(answer, at(2));
    assert_eq!(end.told(), [], "the ping did not get there either");
    assert_eq!(end.next_timeout(), at(1002));
    let ping = end.sent();
    end.gets(result(&id_of(&ping)), at(1010));
    assert_eq!(end.told(), [Event::Acknowledged { octets: 4095 }]);
    assert_eq!(end.next_timeout(), at(2010));
    assert_eq!(said(&mut end), ["message data 1 +4095", "ping"]);
}

#[test]
fn a_message_that_comes_back_after_its_ping_was_answered_fails_the_stream() {
    let mut end = initiator(by_message(8));
    end.fill(&mut octets(10), at(0));
    end.finish(at(0));
    let block = end.out.pop_front().expect("a block");
    let ping = end.sent();
    let gone = error(
        &id_of(&ping),
        ErrorType::Cancel,
        Condition::ServiceUnavailable,
    );
    end.gets(gone, at(1));
    assert_eq!(said(&mut end), ["close"]);
    end.told();
    let lost = bounce(
        &id_of(&block),
        ErrorType::Cancel,
        Condition::ServiceUnavailable,
    );
    assert!(end.gets(lost, at(2)));
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::DataRefused { .. })]
    ));
    let other = bounce(&"chat".into(), ErrorType::Cancel, Condition::Gone);
    assert!(!end.gets(other, at(2)));
}

#[test]
fn a_result_to_a_message_is_nobodys() {
    let mut end = initiator(by_message(8));
    end.fill(&mut octets(10), at(0));
    let block = end.sent();
    assert!(!end.gets(result(&id_of(&block)), at(1)));
}

#[test]
fn blocks_by_message_are_received_without_answers() {
    let mut end = responder(by_message(1));
    assert!(end.gets(message(Some("1"), 0, b"abc"), at(0)));
    assert!(end.gets(message(None, 1, b"def"), at(0)));
    end.store(at(0));
    end.sent_nothing();
    assert_eq!(end.received, b"abcdef");
    assert!(end.gets(message(Some("1"), 0, b"abc"), at(0)), "repeated");
    end.sent_nothing();
    assert_eq!(end.session.read(), None);
    assert!(end.gets(message(Some("3"), 5, b"abc"), at(0)));
    assert_eq!(
        said(&mut end),
        ["message unexpected-request cancel", "close"]
    );
}

#[test]
fn blocks_are_taken_by_either_carrier_whatever_was_asked_for() {
    let mut end = responder(by_message(1));
    assert!(end.gets(data("1", 0, b"abc"), at(0)));
    assert!(end.gets(message(None, 1, b"def"), at(0)));
    assert!(end.gets(data("3", 2, b"ghi"), at(0)));
    end.store(at(0));
    assert_eq!(said(&mut end), ["result 1", "result 3"]);
    assert_eq!(end.received, b"abcdefghi");
}

#[test]
fn a_file_crosses_by_message() {
    for window in [1, 3, 64] {
        let (mut a, mut b) = pair(by_message(window), by_message(window));
        let mut text = octets(300_000);
        let mut now = 0;
        while b.received.len() < 300_000 {
            a.fill(&mut text, at(now));
            if text.is_empty() {
                a.finish(at(now));
            }
            now += 1;
            // Juliet's responder answers the pings.
            for stanza in a.out.drain(..).collect::<Vec<_>>() {
                if brief(&stanza) == "ping" {
                    b.out.push_back(result(&id_of(&stanza)));
                } else {
                    b.gets(stanza, at(now));
                }
            }
            b.store(at(now));
            exchange(&mut a, &mut b, at(now));
            assert!(now < 1000, "no progress");
        }
        assert_eq!(b.received, octets(300_000));
    }
}

#[test]
fn a_full_window_ends_with_a_ping() {
    for window in 1..40 {
        let mut end = initiator(by_message(window));
        end.fill(&mut octets(4095 * 41), at(0));
        let said = said(&mut end);
        assert_eq!(said.last().map(String::as_str), Some("ping"), "{window}");
    }
}
