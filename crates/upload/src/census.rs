//! How many there are at once, in all and from one source.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what each source has at once.
#[derive(Clone, Debug)]
pub(crate) struct Census(Arc<Table>);

#[derive(Debug)]
struct Table {
    most: usize,
    most_a_source: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

/// One of those that are counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    census: Census,
    source: Option<IpAddr>,
}

impl Census {
    pub(crate) fn new(most: usize, most_a_source: usize) -> Self {
        Self(Arc::new(Table {
            most,
            most_a_source,
            counts: Mutex::default(),
        }))
    }

    /// Counts one more, unless there are as many as may be. Without a source it counts only in all.
    pub(crate) fn admit(&self, source: Option<IpAddr>) -> Option<Counted> {
        let source = source.map(network);
        let mut counts = self.lock();
        if counts.all >= self.0.most {
            return None;
        }
        if let Some(source) = source {
            let count = counts.by_source.entry(source).or_default();
            if *count >= self.0.most_a_source {
                return None;
            }
            *count += 1;
        }
        counts.all += 1;
        Some(Counted {
            census: self.clone(),
            source,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.census.lock();
        counts.all -= 1;
        if let Some(source) = self.source
            && let Some(count) = counts.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_source.remove(&source);
            }
        }
    }
}

/// What belongs to one source: an address of IPv4, or the /64 that one subscriber has of IPv6.
fn network(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_counted_apart_and_together() {
        let census = Census::new(3, 2);
        let addr = |text: &str| Some(text.parse().unwrap());
        let one = census.admit(addr("192.0.2.1"));
        let two = census.admit(addr("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some());
        assert!(census.admit(addr("192.0.2.1")).is_none());
        let three = census.admit(addr("2001:db8::1"));
        assert!(three.is_some());
        assert!(census.admit(None).is_none(), "three in all");
        drop(one);
        let four = census.admit(addr("2001:db8::2"));
        assert!(four.is_some());
        drop((two, four));
        assert!(census.admit(None).is_some());
        drop(three);
        assert!(census.lock().by_source.is_empty());
        assert_eq!(census.lock().all, 0);
    }
}
