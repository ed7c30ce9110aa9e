//! Whose sockets are whose.

use crate::TransferId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytestreams_machine::ConnId;

/// Who takes what happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It came to our StreamHosts, and no transfer has it yet.
    Inbound,
    /// A transfer.
    Transfer(TransferId),
}

/// Every connection that the driver told of and that was not closed: each leaves once, by a
/// `Close`, whatever the machines within forget or repeat.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<ConnId, Owner>,
}

impl Sockets {
    pub(super) fn insert(&mut self, conn: ConnId, owner: Owner) {
        self.open.insert(conn, owner);
    }

    pub(super) fn owner(&self, conn: ConnId) -> Option<Owner> {
        self.open.get(&conn).copied()
    }

    /// Takes a connection out that is to be closed; says whether it was there.
    pub(super) fn close(&mut self, conn: ConnId) -> bool {
        self.open.remove(&conn).is_some()
    }

    /// Takes out all connections of an owner but one.
    pub(super) fn close_all_but(&mut self, owner: Owner, kept: Option<ConnId>) -> Vec<ConnId> {
        let of_owner = self.open.iter().filter(|(_, whose)| **whose == owner);
        let closed = of_owner.map(|(conn, _)| *conn);
        let closed: Vec<ConnId> = closed.filter(|conn| Some(*conn) != kept).collect();
        for conn in &closed {
            self.open.remove(conn);
        }
        closed
    }

    /// Takes all out.
    pub(super) fn close_all(&mut self) -> Vec<ConnId> {
        core::mem::take(&mut self.open).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_closed_once() {
        let mut sockets = Sockets::default();
        let owner = Owner::Transfer(TransferId(1));
        sockets.insert(ConnId(1), owner);
        assert_eq!(sockets.owner(ConnId(1)), Some(owner));
        assert!(sockets.close(ConnId(1)));
        assert!(!sockets.close(ConnId(1)));
        assert_eq!(sockets.owner(ConnId(1)), None);
    }

    #[test]
    fn what_an_owner_leaves_behind_is_closed_and_nothing_else() {
        let mut sockets = Sockets::default();
        let owner = Owner::Transfer(TransferId(1));
        sockets.insert(ConnId(1), owner);
        sockets.insert(ConnId(2), Owner::Inbound);
        sockets.insert(ConnId(3), owner);
        assert_eq!(sockets.close_all_but(owner, Some(ConnId(3))), [ConnId(1)]);
        assert_eq!(sockets.close_all_but(owner, None), [ConnId(3)]);
        assert_eq!(sockets.close_all(), [ConnId(2)]);
        assert_eq!(sockets.close_all(), []);
    }
}
