//! What strangers can make a machine remember and say.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_machine::{Input, Machine};
use bytestreams_stanza::{Condition, Iq, IqBody, Range, Stanza, ns};
use bytestreams_transfer::{Config, Event, Options, Reason};
use common::*;

/// Closes a stream that is over, and gives the answer.
#[track_caller]
fn close_late(solo: &mut Solo, id: &str, sid: &str) -> IqBody {
    solo.take_stanzas();
    solo.set(PEER, id, close(sid));
    match &solo.take_stanzas()[..] {
        [Stanza::Iq(iq)] if iq.id.as_str() == id => iq.body.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_many_ended_streams_are_remembered_as_the_bounds_say() {
    let mut config = Config::default();
    config.bounds.ended = 1;
    let mut solo = Solo::with(config);
    for sid in ["s1", "s2"] {
        solo.set(PEER, sid, offer_of(sid, file(0), &[ns::IBB]));
        let Event::Offered { id, .. } = solo.take_event() else {
            panic!("no offer")
        };
        let now = solo.now;
        let transfers = solo.transfers();
        transfers
            .accept(id, Range::default(), now)
            .expect("accepted");
        transfers.cancel(id, now).expect("cancelled");
        solo.take_events();
    }
    let forgotten = close_late(&mut solo, "c1", "s1");
    assert!(
        matches!(&forgotten, IqBody::Error(e) if e.condition == Condition::ItemNotFound),
        "{forgotten:?}"
    );
    assert_eq!(close_late(&mut solo, "c2", "s2"), IqBody::Result(None));
}

#[test]
fn strangers_are_not_answered_beyond_the_outputs_that_may_wait() {
    let mut config = Config::default();
    config.bounds.outputs = 3;
    let mut solo = Solo::with(config);
    for n in 0..5 {
        let mut iq = Iq::set(Some(jid(ME)), n.to_string().as_str().into(), close("s1"));
        iq.from = Some(jid(PEER));
        assert_eq!(solo.transfers().wants_input(), n < 3);
        let now = solo.now;
        let taken = solo.stack.handle_input(Input::Stanza(iq.into()), now);
        assert_eq!(taken, None);
    }
    assert_eq!(solo.take_stanzas().len(), 3);
    assert!(solo.transfers().wants_input());
}

#[test]
fn too_many_transfers_are_refused_here() {
    let mut config = Config::default();
    config.bounds.transfers = 2;
    let mut solo = Solo::with(config);
    for n in 0..3 {
        let now = solo.now;
        solo.transfers()
            .offer(jid(PEER), file(1), Options::default(), entropy(n), now);
    }
    assert_eq!(failure(&mut solo), Reason::TooMany);
}
