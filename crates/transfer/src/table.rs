//! All transfers of a link, found by id, by tag, or by peer and stream.

use crate::TransferId;
use crate::transfer::Transfer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytestreams_stanza::{Jid, Sid};
use core::cmp::Ordering;

/// The transfers of a link. An id holds the number of the place where its transfer is kept, its tag,
/// and a count that makes it unique; beside the transfers there is one list of their tags, in the
/// order of their streams.
#[derive(Debug, Default)]
pub(crate) struct Table {
    places: Vec<Option<Box<Transfer>>>,
    /// Tags, in the order of (sid, peer).
    streams: Vec<u16>,
    started: u64,
}

impl Table {
    /// Makes the id of a new transfer; at most [`u16::MAX`] are kept at a time.
    pub(crate) fn new_id(&mut self) -> TransferId {
        let free = self.places.iter().position(Option::is_none);
        let tag = free.unwrap_or(self.places.len());
        self.started += 1;
        TransferId(self.started << 16 | (tag as u64 & 0xffff))
    }

    /// Says whether an id was ever made here.
    #[cfg(feature = "socks5")]
    pub(crate) const fn has_started(&self, id: TransferId) -> bool {
        let count = id.0 >> 16;
        count > 0 && count <= self.started
    }

    /// Puts a transfer in its place, whose stream is none of the others'.
    pub(crate) fn insert(&mut self, transfer: Transfer) {
        let place = usize::from(tag(transfer.id));
        if let Err(at) = self.search(&transfer.peer, &transfer.sid) {
            self.streams.insert(at, tag(transfer.id));
        }
        while self.places.len() <= place {
            self.places.push(None);
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(Box::new(transfer));
        }
    }

    pub(crate) fn remove(&mut self, id: TransferId) -> Option<Box<Transfer>> {
        let transfer = self.get(id)?;
        if let Ok(at) = self.search(&transfer.peer, &transfer.sid) {
            self.streams.remove(at);
        }
        self.places.get_mut(usize::from(tag(id)))?.take()
    }

    /// Takes all out. Their ids are not made again.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Box<Transfer>> + use<> {
        self.streams.clear();
        let places = core::mem::take(&mut self.places);
        places.into_iter().flatten()
    }

    /// Gives a transfer another peer and stream.
    pub(crate) fn rename(&mut self, id: TransferId, peer: Jid, sid: Sid) {
        let Some(transfer) = self.get(id) else {
            return;
        };
        if let Ok(at) = self.search(&transfer.peer, &transfer.sid) {
            self.streams.remove(at);
        }
        if let Some(transfer) = self.get_mut(id) {
            transfer.peer = peer.clone();
            transfer.sid = sid.clone();
        }
        if let Err(at) = self.search(&peer, &sid) {
            self.streams.insert(at, tag(id));
        }
    }

    pub(crate) fn get(&self, id: TransferId) -> Option<&Transfer> {
        self.at(tag(id)).filter(|transfer| transfer.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: TransferId) -> Option<&mut Transfer> {
        let place = self.places.get_mut(usize::from(tag(id)))?;
        place.as_deref_mut().filter(|transfer| transfer.id == id)
    }

    /// The transfer of this tag now.
    pub(crate) fn by_tag(&self, tag: u16) -> Option<TransferId> {
        self.at(tag).map(|transfer| transfer.id)
    }

    /// The transfer of this stream with this peer: never of the stream alone, which its initiator
    /// chose.
    pub(crate) fn by_stream(&self, peer: &Jid, sid: &Sid) -> Option<TransferId> {
        let at = self.search(peer, sid).ok()?;
        self.streams.get(at).and_then(|tag| self.by_tag(*tag))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.places.iter().filter_map(Option::as_deref)
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    fn at(&self, tag: u16) -> Option<&Transfer> {
        self.places.get(usize::from(tag))?.as_deref()
    }

    fn search(&self, peer: &Jid, sid: &Sid) -> Result<usize, usize> {
        self.streams.binary_search_by(|tag| {
            self.at(*tag).map_or(Ordering::Less, |transfer| {
                let by_sid = transfer.sid.cmp(sid);
                by_sid.then_with(|| transfer.peer.cmp(peer))
            })
        })
    }
}

/// The place of a transfer, by which its requests are told.
pub(crate) const fn tag(id: TransferId) -> u16 {
    (id.0 & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Stage;
    use bytestreams_machine::Instant;

    fn put(table: &mut Table, peer: &str, sid: &str) -> TransferId {
        let id = table.new_id();
        let peer = Jid::new(peer).expect("a JID");
        let sid = Sid::new(sid).expect("a sid");
        table.insert(Transfer::new(id, peer, sid, Stage::Probing(Instant::ZERO)));
        id
    }

    fn find(table: &Table, peer: &str, sid: &str) -> Option<TransferId> {
        let peer = Jid::new(peer).expect("a JID");
        table.by_stream(&peer, &Sid::new(sid).expect("a sid"))
    }

    #[test]
    fn transfers_are_found_by_peer_and_stream_together() {
        let mut table = Table::default();
        let mut all = Vec::new();
        for sid in ["s", "a", "t", "aa"] {
            for peer in ["b@x/1", "a@x/1", "a@x/2"] {
                all.push((peer, sid, put(&mut table, peer, sid)));
            }
        }
        assert_eq!(table.len(), all.len());
        for (peer, sid, id) in &all {
            assert_eq!(find(&table, peer, sid), Some(*id));
            assert_eq!(table.by_tag(tag(*id)), Some(*id));
        }
        assert_eq!(find(&table, "A@X/1", "s"), find(&table, "a@x/1", "s"));
        assert_eq!(find(&table, "a@x/3", "s"), None);
        assert_eq!(find(&table, "a@x/1", "S"), None);
        for (n, (peer, sid, id)) in all.iter().enumerate() {
            assert!(table.remove(*id).is_some());
            assert!(table.remove(*id).is_none());
            assert_eq!(find(&table, peer, sid), None);
            for (peer, sid, id) in all.iter().skip(n + 1) {
                assert_eq!(find(&table, peer, sid), Some(*id));
            }
        }
    }

    #[test]
    fn a_place_is_used_again_and_an_id_is_not() {
        let mut table = Table::default();
        let first = put(&mut table, "a@x/1", "s");
        table.remove(first);
        let second = put(&mut table, "a@x/1", "s");
        assert_eq!(tag(first), tag(second));
        assert_ne!(first, second);
        assert!(table.get(first).is_none());
        assert!(table.get(second).is_some());
        assert_eq!(table.iter().count(), 1);
        assert_eq!(table.take_all().count(), 1);
        assert_eq!((table.len(), table.iter().count()), (0, 0));
        let third = put(&mut table, "a@x/1", "s");
        assert!(![first, second].contains(&third));
    }

    #[test]
    fn a_renamed_transfer_is_found_by_its_new_name_alone() {
        let mut table = Table::default();
        let id = put(&mut table, "a@x/1", "s");
        let other = put(&mut table, "b@x/1", "s");
        let peer = Jid::new("a@x/1").expect("a JID");
        table.rename(id, peer, Sid::new("z").expect("a sid"));
        assert_eq!(find(&table, "a@x/1", "s"), None);
        assert_eq!(find(&table, "a@x/1", "z"), Some(id));
        assert_eq!(find(&table, "b@x/1", "s"), Some(other));
        assert_eq!(table.len(), 2);
    }
}
