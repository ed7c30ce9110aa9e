//! The machine of a link with the last in line behind it.

use crate::{Config, Transfers};
use bytestreams_machine::{Ends, Instant, Own, Responder, Stack};
use bytestreams_stanza::{Identity, ns};

/// Names the software to other entities (XEP-0115).
const NODE: &str = "urn:x-bytestreams";

impl Transfers {
    /// Makes the machine of a link that is up at `now`, and the responder behind it: what the driver
    /// of a program drives that has no responder of its own. `ends` are those of the connection
    /// under the link: one without a server has none to ask for Proxies.
    pub fn stack(own: Own, mut config: Config, ends: Option<Ends>, now: Instant) -> Stack<Self> {
        #[cfg(feature = "socks5")]
        if ends.is_some_and(|ends| ends.direct) {
            config.socks5.discover = false;
        }
        #[cfg(not(feature = "socks5"))]
        let _ = (&mut config, ends);
        let machine = Self::new(own, config, now);
        let identity = Identity {
            category: "client".into(),
            kind: "pc".into(),
            name: Some("bytestreams".into()),
        };
        let mut features = machine.features();
        features.push(ns::CAPS);
        let responder = Responder::new(NODE, identity, &features);
        Stack::new(machine, responder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::Jid;

    #[test]
    fn the_responder_tells_the_machines_features_and_its_own() {
        let jid = Jid::new("romeo@montague.lit/orchard").expect("a JID");
        let stack = Transfers::stack(Own { jid }, Config::default(), None, Instant::ZERO);
        let told = stack.responder.features();
        let mut features = stack.machine.features();
        features.push(ns::CAPS);
        assert!(features.iter().all(|f| told.iter().any(|t| &**t == *f)));
    }
}
