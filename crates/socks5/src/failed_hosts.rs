//! StreamHosts that were not to be reached.

use crate::Target;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use bytestreams_machine::Instant;
use bytestreams_stanza::StreamHost;

/// Remembers which StreamHosts could not be reached, so that the next Target does not wait for
/// them; one a link.
#[derive(Clone, Debug, Default)]
pub struct FailedHosts {
    hosts: BTreeMap<(Arc<str>, u16), (u8, Instant)>,
}

impl FailedHosts {
    /// Takes in what a Target found out; to be told once it is over.
    pub fn learn(&mut self, _target: &Target, _now: Instant) {}

    /// Says whether a StreamHost is not worth an attempt.
    pub fn avoids(&self, host: &StreamHost, _now: Instant) -> bool {
        self.hosts.contains_key(&(host.host.clone(), host.port))
    }
}
