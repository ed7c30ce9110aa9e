//! The stanza link between the ends, and what can go wrong on it.

use crate::{Chooser, Lane, Side};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Condition, Iq, IqBody, Jid, Message, Stanza, StanzaError};
use core::fmt;
use core::time::Duration;

/// How often something goes wrong: once in so many stanzas (0: never), and how often at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A stanza is lost without a word.
    pub drop: u32,
    /// A stanza comes back as an error, if it is of a kind that does.
    pub bounce: u32,
    /// A resumption delivers some of the last stanzas once more.
    pub repeat: u32,
    /// The sender's link is gone for good.
    pub disconnect: u32,
    /// The stranger, if there is one, sends something.
    pub forge: u32,
    /// The sender's driver stops draining for one delay.
    pub stall: u32,
    /// A machine's `handle_timeout` is called before it is due.
    pub spurious: u32,
    /// All faults together, at most.
    pub budget: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        drop: 0,
        bounce: 0,
        repeat: 0,
        disconnect: 0,
        forge: 0,
        stall: 0,
        spurious: 0,
        budget: 0,
    };

    /// Order and delivery hold, as on a healthy server: strangers, slow drivers and early calls
    /// only.
    pub const HARMLESS: Self = Self {
        forge: 20,
        stall: 30,
        spurious: 20,
        budget: u32::MAX,
        ..Self::NONE
    };

    /// All of them, a few times a run.
    pub const SOME: Self = Self {
        drop: 100,
        bounce: 100,
        repeat: 40,
        disconnect: 300,
        budget: 4,
        ..Self::HARMLESS
    };
}

/// What a third party makes of a stanza that it saw pass: a stanza of its own and whom it is for.
pub type Forge = Box<dyn FnMut(&Stanza, &mut dyn Chooser) -> Option<(Side, Stanza)>>;

/// A third party on the same server: it sees everything and may send anything, but not under
/// another address than its own.
pub struct Stranger {
    /// Its address, which the link stamps.
    pub jid: Jid,
    /// What it sends.
    pub forge: Forge,
}

impl Stranger {
    /// Repeats what it sees, payload, id and all, to either end.
    pub fn parrot(jid: Jid) -> Self {
        Self {
            jid,
            forge: Box::new(|seen, chooser| {
                let side = match chooser.choose(2) {
                    0 => Side::Left,
                    _ => Side::Right,
                };
                Some((side, seen.clone()))
            }),
        }
    }
}

impl fmt::Debug for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stranger")
            .field("jid", &self.jid)
            .finish_non_exhaustive()
    }
}

/// The ways to one end.
#[derive(Debug, Default)]
struct Ways {
    /// From each end, in the order of [`Side::ALL`].
    from: [Lane; 3],
    strange: Lane,
}

/// The way between the ends: order between two addresses is kept, `from` is stamped.
#[derive(Debug)]
pub struct Link {
    /// A stanza takes one of these from the sender to the receiver.
    pub delays: Vec<Duration>,
    /// Bits a second each way; infinite if absent.
    pub bandwidth: Option<u64>,
    /// What goes wrong.
    pub faults: Faults,
    /// A third party.
    pub stranger: Option<Stranger>,
    ways: [Ways; 3],
    sent: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delays: vec![
                Duration::ZERO,
                Duration::from_millis(1),
                Duration::from_millis(200),
            ],
            bandwidth: None,
            faults: Faults::HARMLESS,
            stranger: None,
            ways: Default::default(),
            sent: 0,
        }
    }
}

impl Link {
    /// The stanzas on their way to a side from the other; to the third from the left.
    pub const fn lane(&self, to: Side) -> &Lane {
        self.lane_from(to, to.home())
    }

    /// The stanzas on their way to one side from another.
    pub const fn lane_from(&self, to: Side, from: Side) -> &Lane {
        &self.ways[to as usize].from[from as usize]
    }

    /// Stanzas that the ends handed over.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) const fn lane_mut(&mut self, to: Side, from: Side) -> &mut Lane {
        &mut self.ways[to as usize].from[from as usize]
    }

    pub(crate) const fn strange(&self, to: Side) -> &Lane {
        &self.ways[to as usize].strange
    }

    pub(crate) const fn strange_mut(&mut self, to: Side) -> &mut Lane {
        &mut self.ways[to as usize].strange
    }

    /// Says whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.ways
            .iter()
            .all(|ways| ways.strange.is_empty() && ways.from.iter().all(Lane::is_empty))
    }

    /// Draws how long the next stanza takes.
    pub fn delay(&self, chooser: &mut dyn Chooser) -> Duration {
        let n = u32::try_from(self.delays.len()).unwrap_or(u32::MAX);
        let picked = chooser.choose(n) as usize;
        self.delays.get(picked).copied().unwrap_or_default()
    }

    pub(crate) fn push(
        &mut self,
        (from, to): (Side, Side),
        stanza: Stanza,
        now: Instant,
        chooser: &mut dyn Chooser,
    ) {
        let delay = self.delay(chooser);
        let bandwidth = self.bandwidth;
        self.lane_mut(to, from).push(stanza, now, bandwidth, delay);
    }

    pub(crate) const fn count(&mut self) {
        self.sent += 1;
    }

    /// Says whether a fault of this frequency happens now, and pays for it.
    pub(crate) fn strikes(&mut self, one_in: u32, chooser: &mut dyn Chooser) -> bool {
        if self.faults.budget == 0 || !chooser.rarely(one_in) {
            return false;
        }
        self.faults.budget -= u32::from(self.faults.budget != u32::MAX);
        true
    }
}

/// The errors that servers answer with.
const BOUNCES: [Condition; 4] = [
    Condition::ServiceUnavailable,
    Condition::RecipientUnavailable,
    Condition::RemoteServerTimeout,
    Condition::ResourceConstraint,
];

/// The error that a server sends back for a stanza; none for answers, errors and presence.
pub(crate) fn bounced(
    stanza: &Stanza,
    recipient: Option<&Jid>,
    chooser: &mut dyn Chooser,
) -> Option<Stanza> {
    let condition = |chooser: &mut dyn Chooser| {
        let picked = chooser.choose(BOUNCES.len() as u32) as usize;
        BOUNCES
            .get(picked)
            .copied()
            .unwrap_or(Condition::ServiceUnavailable)
    };
    match stanza {
        Stanza::Iq(iq) => {
            iq.request()?;
            let error = StanzaError::from(condition(chooser));
            let mut answer = Iq::answer(
                iq.from.clone(),
                iq.id.clone(),
                IqBody::Error(Box::new(error)),
            );
            answer.from = recipient.cloned();
            Some(answer.into())
        }
        Stanza::Message(message) => {
            if message.error.is_some() {
                return None;
            }
            Some(
                Message {
                    from: recipient.cloned(),
                    to: message.from.clone(),
                    id: message.id.clone(),
                    payload: message.payload.clone(),
                    error: Some(Box::new(condition(chooser).into())),
                }
                .into(),
            )
        }
        Stanza::Presence(_) => None,
    }
}
