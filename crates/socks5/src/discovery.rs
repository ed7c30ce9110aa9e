//! Which proxies there are.

use crate::output::Outputs;
use alloc::vec::Vec;
use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Own};
use bytestreams_stanza::{Jid, StreamHost};

/// What [`ProxyDiscovery`] tells; comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// The StreamHosts of the proxies that answered; may be none. Those given come first.
    Found(Vec<StreamHost>),
}

/// Finds proxies and asks their addresses (XEP-0065, section 4).
#[derive(Clone, Debug)]
pub struct ProxyDiscovery {
    out: Outputs<DiscoveryEvent>,
}

impl ProxyDiscovery {
    /// Asks `given` proxies for their addresses; with `discover` also the server for its items,
    /// each of those what it is, and each that is a proxy for its address.
    ///
    /// `ids` must be new: [`Ids::new`] of some entropy.
    pub fn new(own: Own, given: &[Jid], discover: bool, ids: Ids, _now: Instant) -> Self {
        let _ = (own, given, discover, ids);
        Self {
            out: Outputs::default(),
        }
    }
}

impl Machine for ProxyDiscovery {
    type Event = DiscoveryEvent;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<DiscoveryEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
