//! StreamHosts that were not to be reached.

use crate::Target;
use crate::dial::Finding;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use bytestreams_machine::Instant;
use bytestreams_stanza::StreamHost;
use core::time::Duration;

/// Remembers which StreamHosts could not be reached, so that the next Target does not wait for
/// them; one a link.
///
/// A StreamHost that failed twice is avoided for 10 minutes after the second time. Only what says
/// something about the StreamHost counts: that it refused to be dialled, or was silent. That it
/// refused a handshake does not, nor that its address is forbidden, so a peer cannot spoil a proxy
/// for others.
#[derive(Clone, Debug, Default)]
pub struct FailedHosts {
    hosts: BTreeMap<(Arc<str>, u16), Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u8,
    last: Instant,
}

impl FailedHosts {
    /// StreamHosts that are remembered; another one takes the place of the oldest.
    pub const MAX: usize = 64;
    /// How long a failure is remembered.
    pub const MEMORY: Duration = Duration::from_secs(600);
    /// How many failures there must be.
    const ENOUGH: u8 = 2;

    /// Takes in what a Target found out; to be told once it is over.
    pub fn learn(&mut self, target: &Target, now: Instant) {
        for (host, finding) in target.findings() {
            let key = (host.host.clone(), host.port);
            match finding {
                Finding::Good => {
                    self.hosts.remove(&key);
                }
                Finding::Dead => self.failed(key, now),
            }
        }
    }

    /// Says whether a StreamHost is not worth an attempt.
    pub fn avoids(&self, host: &StreamHost, now: Instant) -> bool {
        // A tuple with a shared text can only be looked up by such a tuple.
        let key = (host.host.clone(), host.port);
        self.hosts.get(&key).is_some_and(|record| {
            record.failures >= Self::ENOUGH && now.since(record.last) < Self::MEMORY
        })
    }

    fn failed(&mut self, key: (Arc<str>, u16), now: Instant) {
        self.hosts
            .retain(|_, record| now.since(record.last) < Self::MEMORY);
        if self.hosts.len() >= Self::MAX && !self.hosts.contains_key(&key) {
            let oldest = self.hosts.iter().min_by_key(|(_, record)| record.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.hosts.remove(&oldest);
            }
        }
        let record = self.hosts.entry(key).or_insert(Record {
            failures: 0,
            last: now,
        });
        record.failures = record.failures.saturating_add(1);
        record.last = now;
    }
}
