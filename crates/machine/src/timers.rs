//! A table of timers.

use crate::Instant;
use core::marker::PhantomData;

/// The timers of one machine, as an enum whose variants count from 0.
pub trait TimerKey: Copy + 'static {
    /// Every timer, in the order of its index.
    const ALL: &'static [Self];

    /// Where it stands in [`TimerKey::ALL`].
    fn index(self) -> usize;
}

/// At most one deadline for each of `N` timers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers<K, const N: usize> {
    due: [Option<Instant>; N],
    key: PhantomData<K>,
}

impl<K, const N: usize> Default for Timers<K, N> {
    fn default() -> Self {
        Self {
            due: [None; N],
            key: PhantomData,
        }
    }
}

impl<K: TimerKey, const N: usize> Timers<K, N> {
    /// Sets a timer, whatever it was before.
    pub fn set(&mut self, timer: K, at: Instant) {
        if let Some(slot) = self.due.get_mut(timer.index()) {
            *slot = Some(at);
        }
    }

    /// Stops a timer.
    pub fn stop(&mut self, timer: K) {
        if let Some(slot) = self.due.get_mut(timer.index()) {
            *slot = None;
        }
    }

    /// Says when a timer is due.
    pub fn get(&self, timer: K) -> Option<Instant> {
        self.due.get(timer.index()).copied().flatten()
    }

    /// Takes the earliest timer that is due at `now`, stopping it.
    pub fn expired(&mut self, now: Instant) -> Option<K> {
        let (_, timer) = K::ALL
            .iter()
            .filter_map(|&timer| self.get(timer).map(|due| (due, timer)))
            .filter(|(due, _)| *due <= now)
            .min_by_key(|(due, _)| *due)?;
        self.stop(timer);
        Some(timer)
    }

    /// Says when the next timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// Stops every timer.
    pub fn clear(&mut self) {
        self.due = [None; N];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Timer {
        Open,
        Close,
    }

    impl TimerKey for Timer {
        const ALL: &'static [Self] = &[Self::Open, Self::Close];

        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn the_earliest_due_timer_fires_first_and_once() {
        let mut timers = Timers::<Timer, 2>::default();
        timers.set(Timer::Open, Instant::from_micros(20));
        timers.set(Timer::Close, Instant::from_micros(10));
        assert_eq!(timers.next(), Some(Instant::from_micros(10)));
        assert_eq!(timers.expired(Instant::from_micros(9)), None);
        assert_eq!(timers.expired(Instant::from_micros(30)), Some(Timer::Close));
        assert_eq!(timers.expired(Instant::from_micros(30)), Some(Timer::Open));
        assert_eq!(timers.expired(Instant::from_micros(30)), None);
        assert_eq!(timers.next(), None);
    }
}
