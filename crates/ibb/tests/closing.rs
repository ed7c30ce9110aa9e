//! All the ways of closing (XEP-0047, 2.3).
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Event, Fault, Reason, Strays, refusal};
use bytestreams_machine::{Input, Machine, Output};
use bytestreams_stanza::{Condition, ErrorType};
use hand::*;
use std::time::Duration;

#[test]
fn a_close_leaves_once_everything_is_acknowledged() {
    let mut end = initiator(config(|c| c.window = fixed(4)));
    end.fill(&mut octets(9000), at(0));
    end.finish(at(0));
    assert_eq!(
        end.write(&mut octets(1), at(0)),
        Err(Blocked::Closed),
        "no more from us"
    );
    let blocks: Vec<_> = (0..3).map(|_| end.sent_iq().id).collect();
    end.gets(result(&blocks[0]), at(1));
    end.gets(result(&blocks[2]), at(1));
    end.sent_nothing();
    end.gets(result(&blocks[1]), at(1));
    let close = end.sent_iq();
    assert_eq!(brief(&close.clone().into()), "close");
    end.told();
    end.gets(result(&close.id), at(2));
    assert_eq!(end.told(), [Event::Closed]);
    assert!(end.session.is_closed());
    assert_eq!(end.session.poll_timeout(), None);
}

#[test]
fn any_answer_to_a_close_closes() {
    for condition in [Condition::ItemNotFound, Condition::BadRequest] {
        let mut end = initiator(config(|_| {}));
        end.finish(at(0));
        let close = end.sent_iq();
        end.gets(error(&close.id, ErrorType::Cancel, condition), at(1));
        assert_eq!(end.told(), [Event::Closed]);
    }
}

#[test]
fn a_close_that_is_never_answered_closes_after_30_s() {
    let mut end = initiator(config(|_| {}));
    end.finish(at(0));
    assert_eq!(end.next_timeout(), at(30_000));
    assert_eq!(end.told(), [Event::Closed]);
}

/// libpurple takes `<close/>` and says nothing: who has all its blocks acknowledged does not wait for long.
#[test]
fn a_close_that_is_never_answered_closes_soon_where_the_path_is_known() {
    for (round_trip, within) in [(0, 5_000), (100, 5_000), (1_000, 12_000), (20_000, 30_000)] {
        let mut end = initiator(config(|_| {}));
        end.fill(&mut octets(3), at(0));
        let block = end.sent_iq();
        end.finish(at(0));
        end.gets(result(&block.id), at(round_trip));
        assert_eq!(brief(&end.sent_iq().into()), "close");
        assert_eq!(end.next_timeout(), at(round_trip + within));
        assert_eq!(end.told().last(), Some(&Event::Closed));
    }
}

#[test]
fn the_peers_close_is_answered_when_the_application_confirms() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.gets(close("c"), at(0));
    assert_eq!(end.told(), [Event::Readable, Event::PeerClosed]);
    end.store(at(100));
    assert_eq!(said(&mut end), ["result 1"]);
    end.confirm(at(200));
    assert_eq!(said(&mut end), ["result c"]);
    assert_eq!(end.told(), [Event::Closed]);
}

#[test]
fn the_peers_close_is_answered_after_4_s_at_the_latest() {
    let mut end = responder(config(|_| {}));
    end.gets(close("c"), at(1000));
    assert_eq!(end.next_timeout(), at(5000));
    assert_eq!(said(&mut end), ["result c"]);
    assert_eq!(end.told(), [Event::PeerClosed, Event::Closed]);
}

#[test]
fn a_confirmation_may_come_before_the_close() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.store(at(0));
    end.confirm(at(0));
    end.out.clear();
    end.told();
    end.gets(close("c"), at(1));
    assert_eq!(said(&mut end), ["result c"]);
    assert_eq!(end.told(), [Event::PeerClosed, Event::Closed]);
}

#[test]
fn every_owed_answer_goes_before_the_answer_to_the_close() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.gets(data("2", 1, b"def"), at(0));
    end.gets(close("c"), at(0));
    end.confirm(at(0));
    assert_eq!(said(&mut end), ["result 1", "result 2", "result c"]);
    end.store(at(1));
    assert_eq!(end.received, b"abcdef", "it can still be read");
}

#[test]
fn a_close_waits_for_our_own_octets() {
    let mut end = responder(config(|c| c.window = fixed(2)));
    end.fill(&mut octets(5000), at(0));
    let blocks: Vec<_> = (0..2).map(|_| end.sent_iq().id).collect();
    end.gets(close("c"), at(0));
    end.confirm(at(0));
    end.gets(result(&blocks[0]), at(1));
    end.sent_nothing();
    end.gets(result(&blocks[1]), at(2));
    assert_eq!(said(&mut end), ["result c"]);
    assert_eq!(end.told().last(), Some(&Event::Closed));
}

#[test]
fn octets_can_still_be_written_after_the_peers_close() {
    let mut end = responder(config(|_| {}));
    end.gets(close("c"), at(0));
    end.write(&mut octets(10), at(0)).expect("half open");
    let block = end.sent_iq();
    end.confirm(at(0));
    end.gets(result(&block.id), at(1));
    assert_eq!(said(&mut end), ["result c"]);
    assert_eq!(
        end.told(),
        [
            Event::PeerClosed,
            Event::Acknowledged { octets: 10 },
            Event::Closed
        ]
    );
}

#[test]
fn octets_that_the_peer_did_not_acknowledge_before_its_close_fail_the_stream() {
    let mut end = responder(config(|c| c.window = fixed(2)));
    end.fill(&mut octets(5000), at(0));
    let block = end.sent_iq();
    end.out.clear();
    end.gets(close("c"), at(0));
    end.confirm(at(0));
    end.gets(result(&block.id), at(500));
    assert_eq!(end.next_timeout(), at(10_500));
    assert_eq!(said(&mut end), ["result c"]);
    let reason = Reason::PeerClosed {
        unacknowledged: 905,
        pipelined: true,
    };
    assert_eq!(reason.fault(), Fault::Peer);
    assert_eq!(end.told().last(), Some(&Event::Failed(reason)));
}

#[test]
fn an_error_to_our_octets_after_the_peers_close_answers_the_close_and_fails() {
    // slixmpp closes first and then answers the block with unexpected-request.
    let mut end = initiator(config(|c| c.window = fixed(2)));
    end.fill(&mut octets(5000), at(0));
    let block = end.sent_iq();
    end.out.clear();
    end.gets(close("c"), at(0));
    let refused = error(&block.id, ErrorType::Cancel, Condition::UnexpectedRequest);
    end.gets(refused, at(0));
    assert_eq!(said(&mut end), ["result c"], "and no close of ours");
    let told = end.told();
    let [Event::PeerClosed, Event::Failed(reason)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(reason.suspects_window());
}

#[test]
fn data_after_our_close_is_taken_until_its_answer() {
    let mut end = initiator(config(|_| {}));
    end.finish(at(0));
    let close = end.sent_iq();
    assert!(end.gets(data("1", 0, b"late"), at(20_000)));
    assert_eq!(
        end.session.poll_timeout(),
        Some(at(24_000)),
        "its acknowledgement"
    );
    end.store(at(20_000));
    assert_eq!(said(&mut end), ["result 1"]);
    assert_eq!(
        end.session.poll_timeout(),
        Some(at(50_000)),
        "the peer gets more time"
    );
    assert!(end.gets(data("2", 1, b"later"), at(21_000)));
    end.gets(result(&close.id), at(21_000));
    assert_eq!(said(&mut end), ["result 2"]);
    assert_eq!(
        end.told(),
        [Event::Readable, Event::Readable, Event::Closed]
    );
    end.store(at(22_000));
    assert_eq!(end.received, b"latelater");
    assert!(!end.gets(data("3", 2, b"too late"), at(22_000)));
}

#[test]
fn closes_that_cross_are_both_answered() {
    let (mut a, mut b) = pair(config(|_| {}), config(|_| {}));
    a.finish(at(0));
    b.finish(at(0));
    exchange(&mut a, &mut b, at(1));
    assert_eq!(a.told(), [Event::PeerClosed]);
    assert_eq!(b.told(), [Event::PeerClosed]);
    a.confirm(at(2));
    assert_eq!(a.told(), [Event::Closed]);
    exchange(&mut a, &mut b, at(3));
    assert_eq!(b.told(), [], "its own confirmation is still to come");
    b.confirm(at(4));
    assert_eq!(b.told(), [Event::Closed]);
    assert_eq!(said(&mut b).len(), 1, "it answered too");
}

#[test]
fn crossing_closes_end_within_4_s_without_confirmations() {
    let (mut a, mut b) = pair(config(|_| {}), config(|_| {}));
    a.finish(at(0));
    b.finish(at(0));
    exchange(&mut a, &mut b, at(1));
    assert_eq!(a.next_timeout(), at(4001));
    assert_eq!(b.next_timeout(), at(4001));
    assert_eq!(a.told(), [Event::PeerClosed, Event::Closed]);
    assert_eq!(b.told(), [Event::PeerClosed, Event::Closed]);
}

#[test]
fn a_second_close_is_answered_too() {
    let mut end = responder(config(|_| {}));
    end.gets(close("c"), at(0));
    end.gets(close("c"), at(0));
    end.sent_nothing();
    end.gets(close("again"), at(0));
    assert_eq!(said(&mut end), ["result again"]);
    end.confirm(at(1));
    assert_eq!(said(&mut end), ["result c"]);
}

#[test]
fn data_after_the_peers_close_is_item_not_found() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.store(at(0));
    end.gets(close("c"), at(0));
    end.out.clear();
    assert!(end.gets(data("2", 1, b"b"), at(1)));
    assert_eq!(said(&mut end), ["item-not-found cancel 2"]);
    assert!(end.gets(data("1", 0, b"a"), at(1)));
    assert_eq!(said(&mut end), ["result 1"], "a repetition is not late");
    assert_eq!(end.session.read(), None);
}

#[test]
fn an_abort_closes_at_once() {
    let mut end = initiator(config(|c| c.window = fixed(4)));
    let mut text = octets(50_000);
    end.session.write(&mut text, at(0)).expect("room");
    end.abort(at(0));
    assert_eq!(
        said(&mut end),
        ["close"],
        "and what was not sent stays here"
    );
    let told = end.told();
    assert_eq!(told, [Event::Failed(Reason::Aborted)]);
    assert!(end.session.is_closed());
    end.abort(at(1));
    end.finish(at(1));
    end.confirm(at(1));
    assert_eq!(end.write(&mut text, at(1)), Err(Blocked::Closed));
    assert_eq!(end.told(), [], "nothing after a terminal event");
    end.sent_nothing();
}

#[test]
fn an_abort_answers_what_the_peer_asked() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.gets(close("c"), at(0));
    end.abort(at(0));
    assert_eq!(said(&mut end), ["item-not-found cancel 1", "result c"]);
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut end = responder(config(|_| {}));
    assert_eq!(end.next_timeout(), at(60_000));
    let ping = end.sent_iq();
    assert_eq!(brief(&ping.clone().into()), "ping");
    end.gets(result(&ping.id), at(60_100));
    assert_eq!(end.next_timeout(), at(120_100));
    end.out.clear();
    assert_eq!(end.next_timeout(), at(150_100));
    assert_eq!(said(&mut end), ["close"]);
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::TimedOut { .. })]
    ));
}

#[test]
fn a_server_that_answers_for_a_silent_peer_is_believed_in_time() {
    let unavailable = |end: &mut End| {
        let now = end.next_timeout();
        let ping = end.sent_iq();
        let gone = error(&ping.id, ErrorType::Cancel, Condition::ServiceUnavailable);
        end.gets(gone, now);
    };
    let mut end = responder(config(|_| {}));
    for _ in 0..4 {
        unavailable(&mut end);
        assert_eq!(end.told(), [], "some clients know no pings");
    }
    unavailable(&mut end);
    assert_eq!(end.told().len(), 1);

    let mut end = responder(config(|_| {}));
    let now = end.next_timeout();
    let ping = end.sent_iq();
    end.gets(result(&ping.id), now);
    unavailable(&mut end);
    assert_eq!(end.told().len(), 1, "this one does");

    let mut end = responder(config(|_| {}));
    let now = end.next_timeout();
    let ping = end.sent_iq();
    let gone = error(&ping.id, ErrorType::Wait, Condition::RecipientUnavailable);
    end.gets(gone, now);
    assert_eq!(end.told().len(), 1);
}

fn stray(strays: &mut Strays, mut stanza: bytestreams_stanza::Stanza, millis: u64) -> String {
    stanza.set_from(Some(romeo()));
    assert_eq!(strays.handle_input(Input::Stanza(stanza), at(millis)), None);
    match strays.poll_output() {
        Some(Output::Stanza(answer)) => {
            assert_eq!(answer.to(), Some(&romeo()));
            brief(&answer)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_sid_is_item_not_found() {
    let mut strays = Strays::new();
    assert_eq!(
        stray(&mut strays, data("1", 0, b"x"), 0),
        "item-not-found cancel 1"
    );
    assert_eq!(stray(&mut strays, close("2"), 0), "item-not-found cancel 2");
    assert_eq!(
        stray(&mut strays, message(Some("3"), 0, b"x"), 0),
        "message item-not-found cancel"
    );
    let open: bytestreams_stanza::Stanza = open(4096).into();
    assert!(
        strays.handle_input(Input::Stanza(open), at(0)).is_some(),
        "an <open/> is a question of policy"
    );
}

#[test]
fn a_late_close_of_a_stream_that_ended_is_answered_with_a_result() {
    let mut strays = Strays::new();
    strays.remember(romeo(), sid(), 0, at(0));
    assert_eq!(stray(&mut strays, close("1"), 59_999), "result 1");
    assert_eq!(
        stray(&mut strays, close("2"), 60_000),
        "item-not-found cancel 2"
    );
    strays.remember(juliet(), sid(), 0, at(60_000));
    assert_eq!(
        stray(&mut strays, close("3"), 60_000),
        "item-not-found cancel 3",
        "of somebody else"
    );
}

/// Miranda sends by messages, goes on after errors, and takes the result of its close for the word
/// that the file is there.
#[test]
fn a_late_close_of_a_stream_that_failed_is_answered_with_an_error() {
    for refused in [false, true] {
        let mut end = responder(config(|_| {}));
        end.gets(message(Some("1"), 0, b"x"), at(0));
        if refused {
            end.session.refuse(refusal::not_acceptable(), at(0));
            end.gets(message(Some("2"), 1, b"x"), at(0));
        } else {
            end.abort(at(0));
        }
        assert!(end.session.is_closed());
        let mut strays = Strays::new();
        strays.remember_session(&end.session, 0, at(0));
        assert_eq!(
            stray(&mut strays, close("3"), 1),
            "item-not-found cancel 3",
            "refused: {refused}"
        );
        assert!(strays.remembers(&romeo(), &sid(), at(1)));
    }
}

#[test]
fn the_late_repetition_of_a_message_is_not_answered() {
    let mut end = responder(config(|_| {}));
    end.gets(message(Some("1"), 0, b"x"), at(0));
    end.abort(at(0));
    let mut strays = Strays::new();
    strays.remember_session(&end.session, 0, at(0));
    let mut late = message(Some("1"), 0, b"x");
    late.set_from(Some(romeo()));
    assert_eq!(strays.handle_input(Input::Stanza(late), at(1)), None);
    assert_eq!(strays.poll_output(), None);
    assert_eq!(
        stray(&mut strays, message(Some("2"), 1, b"x"), 1),
        "message item-not-found cancel",
        "this one was never taken"
    );
    assert_eq!(
        stray(&mut strays, data("1", 0, b"x"), 1),
        "item-not-found cancel 1",
        "a request is always answered"
    );
}

#[test]
fn no_more_than_256_ended_streams_are_remembered() {
    let mut strays = Strays::new();
    strays.remember(romeo(), sid(), 0, at(0));
    for i in 0..256 {
        let sid = bytestreams_stanza::Sid::new(&format!("s{i}")).expect("a sid");
        strays.remember(romeo(), sid, 0, at(0));
    }
    assert!(!strays.remembers(&romeo(), &sid(), at(0)));
    let first = bytestreams_stanza::Sid::new("s0").expect("a sid");
    assert!(strays.remembers(&romeo(), &first, at(0)));
}

#[test]
fn a_whole_stream_of_every_small_length_crosses() {
    for len in [0, 1, 2, 3, 4094, 4095, 4096, 8190, 8191, 100_000] {
        let (mut a, mut b) = pair(config(|c| c.window = fixed(3)), config(|_| {}));
        let mut text = octets(len);
        let mut finished = false;
        for _ in 0..1000 {
            a.fill(&mut text, at(0));
            if text.is_empty() && !finished {
                finished = true;
                a.finish(at(0));
            }
            exchange(&mut a, &mut b, at(0));
            b.store(at(0));
            if b.told().contains(&Event::PeerClosed) {
                b.confirm(at(0));
            }
        }
        assert_eq!(a.told().last(), Some(&Event::Closed), "{len} octets");
        assert!(b.session.is_closed());
        assert_eq!(Bytes::from(b.received), octets(len));
    }
}

#[test]
fn a_stream_that_rests_too_long_is_given_up_though_the_peer_answers_pings() {
    let mut end = responder(config(|c| c.idle_limit = Some(Duration::from_secs(100))));
    end.gets(data("1", 0, b"a"), at(10_000));
    end.store(at(10_000));
    end.out.clear();
    end.told();
    assert_eq!(end.next_timeout(), at(70_000));
    let ping = end.sent_iq();
    end.gets(result(&ping.id), at(70_100));
    assert_eq!(end.next_timeout(), at(110_000));
    assert_eq!(said(&mut end), ["close"]);
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::TimedOut { .. })]
    ));
}
