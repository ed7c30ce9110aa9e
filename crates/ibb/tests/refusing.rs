//! Streams whose receiver does not keep what came, and what is remembered of those that ended.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytestreams_ibb::{Event, Reason, Strays, refusal};
use bytestreams_stanza::{Carrier, Condition, ErrorType, Sid, StanzaError};
use hand::*;

/// A responder that holds a block which is not stored.
fn holding(carrier: Carrier) -> End {
    let mut end = responder(config(|_| {}));
    let block = match carrier {
        Carrier::Iq => data("1", 0, b"abc"),
        Carrier::Message => message(Some("1"), 0, b"abc"),
    };
    end.gets(block, at(0));
    end.told();
    end
}

fn not_kept() -> StanzaError {
    StanzaError {
        text: Some("it differs".into()),
        ..refusal::not_acceptable()
    }
}

#[test]
fn what_is_not_stored_when_the_stream_is_cancelled_is_not_acknowledged() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.store(at(0));
    end.gets(data("2", 1, b"def"), at(0));
    end.abort(at(1));
    assert_eq!(
        said(&mut end),
        ["result 1", "close", "item-not-found cancel 2"]
    );
}

#[test]
fn a_sender_hears_by_its_last_block_that_it_sent_in_vain() {
    let (mut a, mut b) = pair(config(|_| {}), config(|_| {}));
    a.fill(&mut octets(100), at(0));
    a.finish(at(0));
    exchange(&mut a, &mut b, at(1));
    b.session.refuse(not_kept(), at(2));
    b.drain();
    assert_eq!(
        b.out.iter().map(brief).collect::<Vec<_>>(),
        ["not-acceptable cancel aaaaaaaa-1", "close"]
    );
    assert_eq!(b.told().last(), Some(&Event::Failed(Reason::Aborted)));
    assert!(b.session.is_closed());
    exchange(&mut a, &mut b, at(3));
    let told = a.told();
    assert!(
        matches!(&told[..], [Event::Failed(Reason::DataRefused { error, .. })] if *error == not_kept()),
        "{told:?}"
    );
}

#[test]
fn a_sender_hears_by_its_close_that_it_sent_in_vain() {
    for early in [true, false] {
        let (mut a, mut b) = pair(config(|_| {}), config(|_| {}));
        a.fill(&mut octets(100), at(0));
        exchange(&mut a, &mut b, at(1));
        b.store(at(1));
        exchange(&mut a, &mut b, at(1));
        a.told();
        if early {
            b.session.refuse(not_kept(), at(2));
            b.drain();
            b.sent_nothing();
            assert!(!b.session.is_closed(), "the close is still to come");
        }
        a.finish(at(3));
        exchange(&mut a, &mut b, at(3));
        if !early {
            b.session.refuse(not_kept(), at(4));
            b.drain();
        }
        assert_eq!(b.told().last(), Some(&Event::Failed(Reason::Aborted)));
        exchange(&mut a, &mut b, at(5));
        assert_eq!(a.told(), [Event::Failed(Reason::NotTaken(not_kept()))]);
        assert!(a.session.is_closed());
    }
}

#[test]
fn a_sender_in_the_middle_hears_by_its_next_block_that_it_sends_in_vain() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        let with = config(|c| c.carrier = carrier);
        let (mut a, mut b) = pair(with, with);
        b.session.refuse(not_kept(), at(0));
        b.drain();
        a.fill(&mut octets(100), at(1));
        exchange(&mut a, &mut b, at(1));
        exchange(&mut a, &mut b, at(2));
        let told = a.told();
        assert!(
            matches!(&told[..], [.., Event::Failed(Reason::DataRefused { error, .. })] if *error == not_kept()),
            "{told:?}"
        );
        assert!(b.session.is_closed());
    }
}

#[test]
fn a_refusal_that_the_peer_gives_no_chance_to_tell_closes_after_10_s() {
    let mut end = holding(Carrier::Message);
    end.session.refuse(not_kept(), at(0));
    end.drain();
    assert_eq!(end.next_timeout(), at(10_000));
    assert_eq!(said(&mut end), ["close"]);
    assert_eq!(end.told(), [Event::Failed(Reason::Aborted)]);
}

#[test]
fn blocks_refused_behind_the_peers_close_were_closed_upon() {
    let mut end = initiator(config(|_| {}));
    end.fill(&mut octets(10), at(0));
    let block = end.sent_iq();
    end.gets(close("c"), at(1));
    end.gets(
        error(&block.id, ErrorType::Cancel, Condition::ItemNotFound),
        at(1),
    );
    assert_eq!(said(&mut end), ["result c"]);
    let told = end.told();
    assert!(
        matches!(
            told[..],
            [
                Event::PeerClosed,
                Event::Failed(Reason::PeerClosed {
                    unacknowledged: 10,
                    ..
                })
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn as_many_ended_streams_are_remembered_as_there_is_room_for() {
    for most in [0, 1, 2] {
        let mut strays = Strays::with_most(most);
        for i in 0..3 {
            let sid = Sid::new(&format!("s{i}")).expect("a sid");
            strays.remember(romeo(), sid, 0, at(0));
        }
        let remembered = (0..3).filter(|i| {
            let sid = Sid::new(&format!("s{i}")).expect("a sid");
            strays.remembers(&romeo(), &sid, at(0))
        });
        let last: Vec<_> = (3 - most..3).collect();
        assert_eq!(remembered.collect::<Vec<_>>(), last);
    }
}
