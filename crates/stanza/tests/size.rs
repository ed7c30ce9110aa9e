//! How large the types are that travel: a queue holds many of them.

use bytestreams_stanza::{Data, Id, Iq, Jid, Payload, Sid, Stanza};
use core::mem::size_of;

#[test]
fn what_travels_stays_small() {
    // Bounds for 64-bit targets, with no slack: a change here is a decision.
    for (name, size, most) in [
        ("Id", size_of::<Id>(), 48),
        ("Jid", size_of::<Jid>(), 24),
        ("Option<Jid>", size_of::<Option<Jid>>(), 24),
        ("Sid", size_of::<Sid>(), 16),
        ("Data", size_of::<Data>(), 56),
        ("Payload", size_of::<Payload>(), 64),
        ("Iq", size_of::<Iq>(), 168),
        ("Stanza", size_of::<Stanza>(), 176),
    ] {
        assert!(size <= most, "{name}: {size}");
    }
}
