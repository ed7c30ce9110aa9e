//! What peers can do (XEP-0030), as far as it matters here.

use alloc::vec::Vec;
use bytestreams_stanza::{DiscoInfo, Jid, ns};

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was asked.
    Asked,
    /// It answered, or did not.
    Answered {
        /// Whether it says that it handles the blocks of an in-band stream in the order of their
        /// arrival (the feature `urn:x-bytestreams:ibb-pipeline:1`).
        pipeline: bool,
    },
}

/// The peers asked while the link lasts, the oldest forgotten when they become too many.
#[derive(Debug)]
pub(crate) struct Peers {
    /// In the order of their asking. They are looked through once a stream at most.
    known: Vec<(Jid, Known)>,
    most: usize,
}

impl Peers {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            known: Vec::new(),
            most,
        }
    }

    pub(crate) fn known(&self, peer: &Jid) -> Option<Known> {
        let (_, known) = self.known.iter().find(|(known, _)| known == peer)?;
        Some(*known)
    }

    fn known_mut(&mut self, peer: &Jid) -> Option<&mut Known> {
        let found = self.known.iter_mut().find(|(known, _)| known == peer);
        found.map(|(_, known)| known)
    }

    /// Notes that the peer is being asked.
    pub(crate) fn asked(&mut self, peer: Jid) {
        if let Some(known) = self.known_mut(&peer) {
            *known = Known::Asked;
            return;
        }
        if self.known.len() >= self.most && !self.known.is_empty() {
            self.known.remove(0);
        }
        self.known.push((peer, Known::Asked));
    }

    /// Notes what the peer answered: nothing where it refused or stayed silent.
    pub(crate) fn answered(&mut self, peer: &Jid, info: Option<&DiscoInfo>) {
        if let Some(known) = self.known_mut(peer) {
            let pipeline =
                info.is_some_and(|info| info.features.iter().any(|f| &**f == ns::IBB_PIPELINE));
            *known = Known::Answered { pipeline };
        }
    }

    /// Forgets a peer: another one may come by the same address.
    pub(crate) fn forget(&mut self, peer: &Jid) {
        self.known.retain(|(known, _)| known != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::new(text).expect("a JID")
    }

    #[test]
    fn a_peer_pipelines_only_if_it_says_so() {
        let mut peers = Peers::new(4);
        let peer = jid("a@b/c");
        assert_eq!(peers.known(&peer), None);
        peers.asked(peer.clone());
        assert_eq!(peers.known(&jid("A@b/c")), Some(Known::Asked));
        peers.answered(&peer, None);
        assert_eq!(
            peers.known(&peer),
            Some(Known::Answered { pipeline: false })
        );
        let info = DiscoInfo {
            features: Vec::from([ns::IBB.into(), ns::IBB_PIPELINE.into()]),
            ..DiscoInfo::default()
        };
        peers.answered(&peer, Some(&info));
        assert_eq!(peers.known(&peer), Some(Known::Answered { pipeline: true }));
        peers.forget(&peer);
        assert_eq!(peers.known(&peer), None);
        assert!(peers.known.is_empty());
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let mut peers = Peers::new(2);
        let [a, b, c] = ["a@x/1", "b@x/1", "c@x/1"].map(jid);
        for peer in [&a, &b, &a, &c] {
            peers.asked(peer.clone());
        }
        assert_eq!(peers.known(&a), None);
        assert_eq!(peers.known(&b), Some(Known::Asked));
        assert_eq!(peers.known(&c), Some(Known::Asked));
        assert_eq!(peers.known.len(), 2);
    }
}
