//! Who is to be woken when.

use crate::TransferId;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use bytestreams_machine::Instant;
use core::cmp::Reverse;

/// The deadlines of many transfers.
///
/// A deadline that moves back, which is what happens with every block, costs nothing: the old entry
/// stays and is found to be early when it comes up. So [`Agenda::next`] may be earlier than the
/// earliest deadline, never later.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<(Instant, TransferId)>>,
}

/// What the agenda has for one transfer; kept by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Booked(Instant);

impl Booked {
    /// Nothing.
    pub(crate) const NONE: Self = Self(Instant::from_micros(u64::MAX));

    /// Whether this is the entry that was taken, and not one that was overtaken.
    pub(crate) fn is(self, due: Instant) -> bool {
        self.0 == due
    }
}

impl Agenda {
    /// Sees to it that the transfer comes up at `due` or before.
    pub(crate) fn book(&mut self, id: TransferId, booked: &mut Booked, due: Option<Instant>) {
        let Some(due) = due else { return };
        if due < booked.0 {
            *booked = Booked(due);
            self.heap.push(Reverse((due, id)));
        }
    }

    /// Takes the next that comes up until `now`. Unless it [is](Booked::is) what the transfer has
    /// booked, the entry was overtaken.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(Instant, TransferId)> {
        let &Reverse((due, id)) = self.heap.peek()?;
        if due > now {
            return None;
        }
        self.heap.pop();
        Some((due, id))
    }

    /// Says when the next comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Drops what was overtaken, when it has become much. `live` names each transfer once.
    pub(crate) fn tidy(&mut self, live: impl Iterator<Item = (TransferId, Booked)>) {
        if self.heap.len() < 1024 {
            return;
        }
        let live: Vec<_> = live
            .filter(|(_, booked)| *booked != Booked::NONE)
            .map(|(id, booked)| Reverse((booked.0, id)))
            .collect();
        if self.heap.len() > 4 * live.len() {
            self.heap = live.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Instant = Instant::from_micros;

    #[test]
    fn an_earlier_deadline_is_booked_and_a_later_one_is_not() {
        let mut agenda = Agenda::default();
        let mut booked = Booked::NONE;
        let id = TransferId(1);
        agenda.book(id, &mut booked, None);
        assert_eq!(agenda.next(), None);
        agenda.book(id, &mut booked, Some(AT(20)));
        agenda.book(id, &mut booked, Some(AT(30)));
        assert_eq!((agenda.heap.len(), booked), (1, Booked(AT(20))));
        agenda.book(id, &mut booked, Some(AT(10)));
        assert_eq!((agenda.next(), booked), (Some(AT(10)), Booked(AT(10))));
        assert_eq!(agenda.take(AT(9)), None);
        assert_eq!(agenda.take(AT(25)), Some((AT(10), id)));
        assert_eq!(agenda.take(AT(25)), Some((AT(20), id)), "overtaken");
        assert_eq!(agenda.take(AT(25)), None);
    }

    #[test]
    fn what_was_overtaken_does_not_pile_up() {
        let mut agenda = Agenda::default();
        let mut booked = Booked::NONE;
        let id = TransferId(1);
        for due in (0..100_000).rev() {
            agenda.book(id, &mut booked, Some(AT(due)));
            agenda.tidy([(id, booked)].into_iter());
        }
        assert!(agenda.heap.len() <= 1024);
        assert_eq!(agenda.next(), Some(AT(0)));
    }
}
