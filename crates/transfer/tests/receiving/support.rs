//! What a receiver is asked for.

use crate::common::*;
use bytestreams_stanza::{Iq, Payload, Stanza, ns};
use bytestreams_transfer::{Event, TransferId};

pub(crate) fn offered(solo: &mut Solo) -> TransferId {
    match solo.take_event() {
        Event::Offered { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

/// A file on offer, accepted, and opened with blocks of 4096.
pub(crate) fn receiving(size: u64) -> (Solo, TransferId) {
    let mut solo = Solo::new();
    solo.set(PEER, "o1", offer_of("s1", file(size), &[ns::IBB]));
    let id = offered(&mut solo);
    solo.accept(id);
    solo.set(PEER, "o2", open("s1", 4096));
    solo.take_stanzas();
    solo.take_events();
    (solo, id)
}

pub(crate) fn take(solo: &mut Solo, id: TransferId) -> Vec<u8> {
    let now = solo.now;
    let mut came = Vec::new();
    while let Some(block) = solo.transfers().read(id) {
        came.extend_from_slice(&block);
        solo.transfers().stored(id, block.len(), now);
    }
    solo.drain();
    came
}

/// Gives a set and takes the answer to it.
#[track_caller]
pub(crate) fn ask(solo: &mut Solo, from: &str, id: &str, payload: Payload) -> Iq {
    solo.take_stanzas();
    solo.set(from, id, payload);
    let stanzas = solo.take_stanzas();
    let answer = stanzas.iter().find_map(|stanza| match stanza {
        Stanza::Iq(iq) if iq.id.as_str() == id && iq.request().is_none() => Some(iq.clone()),
        _ => None,
    });
    answer.unwrap_or_else(|| panic!("no answer: {stanzas:?}"))
}
