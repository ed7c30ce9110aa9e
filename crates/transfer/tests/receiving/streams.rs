//! Streams: opened, refused, closed, and those that nobody announced.

use crate::common::*;
use crate::support::*;
use bytestreams_stanza::{Condition, IqBody, Message, Payload, Range, Stanza, ns};
use bytestreams_transfer::{CommandError, Config, Event, Method, Reason, Side, Step};
use core::time::Duration;

#[test]
fn a_stream_that_nobody_announced_is_refused_unless_allowed() {
    let mut solo = Solo::new();
    let refusal = ask(&mut solo, PEER, "1", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    assert_eq!(solo.take_events(), []);

    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    assert_eq!(solo.take_stanzas(), [], "answered when decided on");
    let id = offered(&mut solo);
    solo.set(PEER, "1", open("s1", 4096));
    assert_eq!((solo.take_stanzas(), solo.take_events()), (vec![], vec![]));
    let refusal = ask(&mut solo, PEER, "2", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let now = solo.now;
    let transfers = solo.transfers();
    let part = Range {
        offset: Some(1),
        length: None,
    };
    assert_eq!(transfers.accept(id, part, now), Err(CommandError::BadRange));
    transfers
        .accept(id, Range::default(), now)
        .expect("accepted");
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), answer.body),
        ("1", IqBody::Result(None))
    );
    assert_eq!(
        solo.take_events(),
        [
            Event::Accepted {
                id,
                method: Method::Ibb,
                range: Range::default()
            },
            Event::Established {
                id,
                method: Method::Ibb,
                conn: None
            }
        ]
    );
}

#[test]
fn a_stream_that_nobody_announced_can_be_declined() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    let id = offered(&mut solo);
    solo.decline(id);
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
}

#[test]
fn a_peer_can_take_back_what_nobody_decided_on() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    offered(&mut solo);
    solo.set(PEER, "2", close("s1"));
    let stanzas = solo.take_stanzas();
    let [Stanza::Iq(first), Stanza::Iq(second)] = &stanzas[..] else {
        panic!("{stanzas:?}")
    };
    assert_eq!(
        (first.id.as_str(), condition(first)),
        ("1", Condition::NotAcceptable)
    );
    assert_eq!(
        (second.id.as_str(), &second.body),
        ("2", &IqBody::Result(None))
    );
    assert_eq!(failure(&mut solo), Reason::Cancelled { by: Side::Peer });
}

#[test]
fn two_opens_of_one_stream_are_one_too_many() {
    let (mut solo, id) = receiving(100);
    let refusal = ask(&mut solo, PEER, "o3", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let again = ask(&mut solo, PEER, "o2", open("s1", 4096));
    assert_eq!(again.body, IqBody::Result(None), "repeated, not another");
    solo.set(PEER, "d0", data("s1", 0, &octets(100)));
    assert_eq!(take(&mut solo, id), octets(100));
}

#[test]
fn an_open_that_is_not_as_it_should_be_is_refused() {
    let mut solo = Solo::open_to_strangers();
    let refusal = ask(&mut solo, PEER, "1", open("a b", 4096));
    assert_eq!(condition(&refusal), Condition::BadRequest);
    let refusal = ask(&mut solo, PEER, "2", open("s1", 0));
    assert_eq!(condition(&refusal), Condition::BadRequest);
}

#[test]
fn a_stream_with_larger_blocks_than_there_is_room_for_is_opened_with_smaller_ones() {
    let mut config = Config::default();
    config.bounds.block_size = 512;
    let mut solo = Solo::with(config);
    solo.set(PEER, "o1", offer_of("s1", file(512), &[ns::IBB]));
    let id = offered(&mut solo);
    solo.accept(id);
    solo.take_stanzas();
    let refusal = ask(&mut solo, PEER, "o2", open("s1", 1024));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    let taken = ask(&mut solo, PEER, "o3", open("s1", 512));
    assert_eq!(taken.body, IqBody::Result(None));
    solo.set(PEER, "d0", data("s1", 0, &octets(512)));
    assert_eq!(take(&mut solo, id), octets(512));
}

#[test]
fn a_late_close_is_confirmed_for_a_minute() {
    let (mut solo, id) = receiving(10);
    solo.set(PEER, "d0", data("s1", 0, &octets(10)));
    take(&mut solo, id);
    solo.set(PEER, "c", close("s1"));
    solo.complete(id);
    solo.take_stanzas();
    assert_eq!(solo.take_events().pop(), Some(Event::Done { id }));
    let answer = ask(&mut solo, PEER, "c2", close("s1"));
    assert_eq!(answer.body, IqBody::Result(None));
    solo.pass(Duration::from_secs(61));
    let answer = ask(&mut solo, PEER, "c3", close("s1"));
    assert_eq!(condition(&answer), Condition::ItemNotFound);
}

#[test]
fn a_sender_that_says_nothing_any_more_is_given_up_though_it_is_there() {
    let (mut solo, id) = receiving(100);
    solo.set(PEER, "d0", data("s1", 0, &octets(50)));
    take(&mut solo, id);
    solo.take_events();
    for _ in 0..20 {
        solo.pass(Duration::from_secs(20));
        for stanza in solo.take_stanzas() {
            if let Stanza::Iq(iq) = stanza {
                let from = iq.to.clone().unwrap_or_else(|| jid(ME));
                if iq.request().is_some() {
                    solo.give(from.as_str(), result(&iq.id));
                }
            }
        }
    }
    assert_eq!(failure(&mut solo), Reason::TimedOut { step: Step::Data });
}

#[test]
fn a_sender_that_forgets_to_close_has_sent_its_file() {
    for completed_early in [false, true] {
        let (mut solo, id) = receiving(100);
        solo.set(PEER, "d0", data("s1", 0, &octets(100)));
        assert_eq!(take(&mut solo, id), octets(100));
        solo.take_events();
        if completed_early {
            solo.complete(id);
        }
        solo.pass(Duration::from_secs(9));
        assert_eq!(solo.take_events(), []);
        solo.take_stanzas();
        solo.pass(Duration::from_secs(1));
        if !completed_early {
            assert_eq!(solo.take_event(), Event::Ended { id });
            solo.complete(id);
        }
        let close = solo.take_iq();
        assert!(matches!(close.request(), Some(Payload::Close(_))));
        solo.give(PEER, result(&close.id));
        assert_eq!(solo.take_event(), Event::Done { id });
        assert!(solo.transfers().is_idle());
    }
}

/// Some pages have one sid for all their streams.
#[test]
fn the_sid_of_a_stream_that_was_closed_as_it_should_be_may_be_had_again() {
    let mut solo = Solo::open_to_strangers();
    for turn in 0..3 {
        let open_id = format!("o{turn}");
        solo.set(PEER, &open_id, open("s1", 4096));
        let id = offered(&mut solo);
        solo.accept(id);
        assert_eq!(solo.take_iq().id.as_str(), open_id);
        solo.take_events();
        let block = octets(10 + turn);
        solo.set(PEER, &format!("d{turn}"), data("s1", 0, &block));
        assert_eq!(take(&mut solo, id), block);
        solo.set(PEER, &format!("c{turn}"), close("s1"));
        solo.take_events();
        solo.complete(id);
        solo.take_stanzas();
        assert_eq!(solo.take_event(), Event::Done { id });
        // Repeated after the peer resumed its connection.
        let repeated = ask(&mut solo, PEER, &open_id, open("s1", 4096));
        assert_eq!(condition(&repeated), Condition::NotAcceptable);
    }
}

/// The photo of a blog about XEP-0047: a bare `<open/>`, blocks by message between bare addresses,
/// a close.
#[test]
fn a_photo_comes_by_message_in_a_stream_that_nobody_announced() {
    let from = "he.zhiqiang@xmpp.hezhiqiang.info";
    let mut solo = Solo::open_to_strangers();
    solo.set(from, "iy2s986q", open("dv917fb4", 4096));
    let id = offered(&mut solo);
    solo.accept(id);
    assert_eq!(solo.take_iq().id.as_str(), "iy2s986q");
    let photo = octets(10_000);
    for (seq, block) in photo.chunks(4096).enumerate() {
        let message = Message {
            from: None,
            to: None,
            id: Some(format!("m{seq}").as_str().into()),
            payload: Some(data("dv917fb4", seq as u16, block)),
            error: None,
        };
        solo.give(from, message);
    }
    assert_eq!(take(&mut solo, id), photo);
    assert_eq!(solo.take_stanzas(), [], "messages are not acknowledged");
    solo.take_events();
    solo.set(from, "fr61g835", close("dv917fb4"));
    assert_eq!(solo.take_event(), Event::Ended { id });
    solo.complete(id);
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), answer.body),
        ("fr61g835", IqBody::Result(None))
    );
    assert_eq!(solo.take_event(), Event::Done { id });
    assert!(solo.transfers().is_idle());
}
