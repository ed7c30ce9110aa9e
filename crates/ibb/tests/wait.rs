//! Errors of type `wait` on a block: the stream is suspended, then goes on (XEP-0047, 2.2).
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Event, Reason};
use bytestreams_machine::Machine;
use bytestreams_stanza::{Condition, ErrorType, Id, Stanza};
use hand::*;

fn wait(id: &Id) -> Stanza {
    error(id, ErrorType::Wait, Condition::ResourceConstraint)
}

/// A sender with four blocks in flight, and their ids.
fn four() -> (End, Vec<Id>, Bytes) {
    let mut end = initiator(config(|c| c.window = fixed(4)));
    let mut text = octets(4095 * 10);
    end.fill(&mut text, at(0));
    let ids = (0..4).map(|_| end.sent_iq().id).collect();
    (end, ids, text)
}

#[test]
fn a_refused_block_and_all_after_it_go_again_one_by_one() {
    let (mut end, ids, mut text) = four();
    end.gets(result(&ids[0]), at(10));
    assert_eq!(
        end.told(),
        [Event::Acknowledged { octets: 4095 }, Event::Writable]
    );
    end.gets(wait(&ids[1]), at(10));
    assert_eq!(end.write(&mut text, at(10)), Err(Blocked::Window));
    end.gets(wait(&ids[2]), at(10));
    end.sent_nothing();
    end.gets(wait(&ids[3]), at(10));
    end.sent_nothing();
    assert_eq!(end.next_timeout(), at(1010), "a pause first");
    let again = end.sent_iq();
    end.sent_nothing();
    assert!(!ids.contains(&again.id), "a new id");
    assert_eq!(brief(&again.clone().into()), "data 1 +4095", "the same seq");
    assert_eq!(end.write(&mut text, at(1010)), Err(Blocked::Window));
    end.gets(result(&again.id), at(1020));
    let next = end.sent_iq();
    end.sent_nothing();
    assert_eq!(brief(&next.clone().into()), "data 2 +4095");
    end.gets(result(&next.id), at(1030));
    let last = end.sent_iq();
    assert_eq!(brief(&last.clone().into()), "data 3 +4095");
    end.told();
    end.gets(result(&last.id), at(1040));
    assert_eq!(
        end.told(),
        [Event::Acknowledged { octets: 4 * 4095 }, Event::Writable]
    );
    assert_eq!(end.write(&mut text, at(1040)), Ok(4095));
    assert_eq!(brief(&end.sent()), "data 4 +4095");
    assert_eq!(end.write(&mut text, at(1040)), Err(Blocked::Window));
}

#[test]
fn blocks_before_the_refused_one_may_be_answered_later() {
    let (mut end, ids, _) = four();
    end.gets(wait(&ids[1]), at(10));
    end.gets(wait(&ids[3]), at(10));
    end.gets(wait(&ids[2]), at(10));
    end.gets(result(&ids[0]), at(20));
    assert_eq!(end.next_timeout(), at(1020));
    assert_eq!(said(&mut end), ["data 1 +4095"]);
}

#[test]
fn a_block_taken_behind_a_refused_one_closes() {
    let (mut end, ids, _) = four();
    end.gets(result(&ids[0]), at(10));
    end.gets(wait(&ids[1]), at(10));
    end.gets(result(&ids[2]), at(10));
    end.gets(wait(&ids[3]), at(10));
    assert_eq!(said(&mut end), ["close"]);
    assert!(matches!(
        end.told().last(),
        Some(Event::Failed(Reason::DataRefused { error, pipelined: true }))
            if error.kind == ErrorType::Wait
    ));
}

#[test]
fn another_error_behind_a_refused_block_closes() {
    // A peer that counted the block it refused.
    let (mut end, ids, _) = four();
    end.gets(wait(&ids[0]), at(10));
    let unexpected = error(&ids[1], ErrorType::Cancel, Condition::UnexpectedRequest);
    end.gets(unexpected, at(10));
    assert_eq!(said(&mut end), ["close"]);
}

#[test]
fn a_block_is_tried_five_times_more_with_growing_pauses() {
    let mut end = initiator(config(|_| {}));
    let mut now = at(0);
    end.write(&mut octets(10), now).expect("room");
    let mut pauses = Vec::new();
    loop {
        let block = end.sent_iq();
        end.gets(wait(&block.id), now);
        if end.session.is_closed() {
            break;
        }
        let due = end.next_timeout();
        pauses.push(due.since(now).as_secs());
        assert!(pauses.len() < 10, "for ever: {pauses:?}");
        now = due;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16]);
    assert_eq!(said(&mut end), ["close"]);
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::DataRefused { .. })]
    ));
}

#[test]
fn tries_are_counted_for_each_block() {
    let mut end = initiator(config(|_| {}));
    let mut now = at(0);
    let mut text = octets(4095 * 12);
    for _ in 0..12 {
        end.write(&mut text, now).expect("room");
        let block = end.sent_iq();
        end.gets(wait(&block.id), now);
        now = end.next_timeout();
        let again = end.sent_iq();
        end.gets(result(&again.id), now);
    }
    assert_eq!(
        end.told().last(),
        Some(&Event::Acknowledged { octets: 4095 * 12 })
    );
}

#[test]
fn what_was_not_sent_yet_is_held_back() {
    let mut end = initiator(config(|c| c.window = fixed(4)));
    let mut text = octets(4095 * 4);
    end.write(&mut text, at(0)).expect("room");
    let first = end.sent_iq();
    // The driver does not drain: its own buffer is full.
    end.session.write(&mut text, at(0)).expect("room");
    end.session.write(&mut text, at(0)).expect("room");
    let mut answer = wait(&first.id);
    answer.set_from(Some(juliet()));
    end.session
        .handle_input(bytestreams_machine::Input::Stanza(answer), at(1));
    end.drain();
    end.sent_nothing();
    for seq in 0..3 {
        if seq == 0 {
            end.next_timeout();
        }
        let block = end.sent_iq();
        assert_eq!(brief(&block.clone().into()), format!("data {seq} +4095"));
        end.sent_nothing();
        end.gets(result(&block.id), at(2000));
    }
}

#[test]
fn the_close_waits_for_what_goes_again() {
    let (mut end, ids, _) = four();
    end.finish(at(0));
    for id in &ids {
        end.gets(wait(id), at(10));
    }
    end.next_timeout();
    for _ in 0..4 {
        let block = end.sent_iq();
        assert_ne!(brief(&block.clone().into()), "close");
        end.gets(result(&block.id), at(1020));
    }
    assert_eq!(said(&mut end), ["close"]);
}
