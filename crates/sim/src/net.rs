//! The TCP net between the ends: listeners, connections, and what can go wrong on it.

mod commands;
mod conn;
mod speaker;

pub(crate) use commands::By;
pub(crate) use conn::Heard;
pub use speaker::{Answer, Hears, Say, Speak, babble, silent};

use crate::{Chooser, Side, Trace};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use bytestreams_machine::{ConnId, ConnectError, Instant, ListenId, NetInput, Token};
use conn::End;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

/// How often something goes wrong on the net, and how often at most; a frequency is once in so
/// many occasions (0: never).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetFaults {
    /// An attempt to connect is refused, though somebody listens.
    pub refuse: u32,
    /// An attempt to connect gets no answer: at last it is told as timed out, or never.
    pub lose: u32,
    /// A driver that is to listen cannot, and says nothing.
    pub deaf: u32,
    /// A connection is reset, when something is about to arrive on it.
    pub reset: u32,
    /// From now on nothing arrives on a connection, either way.
    pub silence: u32,
    /// A party without a machine connects to a listener: [`Net::intruder`].
    pub intrude: u32,
    /// All these faults together, at most.
    pub budget: u32,
    /// A read yields only the beginning of what is there.
    pub cut: u32,
    /// Such reads, at most.
    pub cuts: u32,
}

impl NetFaults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        refuse: 0,
        lose: 0,
        deaf: 0,
        reset: 0,
        silence: 0,
        intrude: 0,
        budget: 0,
        cut: 0,
        cuts: 0,
    };

    /// What every net does: reads are cut anywhere, strangers connect.
    pub const HARMLESS: Self = Self {
        intrude: 6,
        budget: 4,
        cut: 3,
        cuts: u32::MAX,
        ..Self::NONE
    };

    /// All of them, a few times a run.
    pub const SOME: Self = Self {
        refuse: 6,
        lose: 6,
        deaf: 8,
        reset: 12,
        silence: 16,
        ..Self::HARMLESS
    };
}

/// What an address does where no end of the world listens.
pub enum Place {
    /// Attempts fail at once.
    Fails(ConnectError),
    /// Attempts are never answered.
    Silent,
    /// A party without a machine takes connections.
    Speaks(Answer),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(error) => f.debug_tuple("Fails").field(error).finish(),
            Self::Silent => f.write_str("Silent"),
            Self::Speaks(_) => f.write_str("Speaks"),
        }
    }
}

/// Something that will happen on the net.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// An end is told something of a socket.
    Notice(Side, NetInput),
    /// An attempt to connect arrives.
    Attempt(Side, Token, SocketAddr),
}

/// What comes next on the net.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NetStep {
    /// The one of this number in [`Net::due`].
    Due(usize),
    /// At this end of a connection.
    Conn(ConnId),
}

/// The moment at which something happens on the net.
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    pub(crate) chooser: &'a mut dyn Chooser,
    pub(crate) trace: &'a mut Trace,
}

/// Listeners and connections of all ends.
///
/// It keeps the contract of a driver: an end gets at most [`bytestreams_machine::HANDSHAKE_OCTETS`]
/// on a connection before it detaches it, then its application gets the rest, in order; octets that
/// were written together may arrive in pieces, and those written apart in one. An end that breaks
/// its part breaks a law of the world: it writes, shuts down and closes only what is its own and
/// open, and closes each connection exactly once, whether it heard of its end or not.
pub struct Net {
    /// What is written takes one of these to the other end, and so do the answers to
    /// [`bytestreams_machine::NetCommand::Listen`] and
    /// [`bytestreams_machine::NetCommand::Connect`].
    pub delays: Vec<Duration>,
    /// What goes wrong.
    pub faults: NetFaults,
    /// How many addresses each listener has: an IPv4 one, then an IPv6 one.
    pub addresses: usize,
    /// After what time an attempt without an answer is told as timed out; never if absent.
    pub patience: Option<Duration>,
    /// Who connects to a listener where [`NetFaults::intrude`] strikes.
    pub intruder: Option<Answer>,
    names: BTreeMap<String, IpAddr>,
    places: BTreeMap<SocketAddr, Place>,
    listeners: BTreeMap<SocketAddr, (Side, ListenId)>,
    attempts: BTreeSet<(Side, Token)>,
    due: Vec<(Instant, Due)>,
    ends: BTreeMap<ConnId, End>,
    conns: u64,
    /// Ports given out: of the listeners of each end, and of who connects.
    ports: [u16; 4],
}

impl Default for Net {
    fn default() -> Self {
        Self {
            delays: vec![
                Duration::ZERO,
                Duration::from_millis(1),
                Duration::from_millis(300),
            ],
            faults: NetFaults::HARMLESS,
            addresses: 1,
            patience: Some(Duration::from_secs(21)),
            intruder: None,
            names: BTreeMap::new(),
            places: BTreeMap::new(),
            listeners: BTreeMap::new(),
            attempts: BTreeSet::new(),
            due: Vec::new(),
            ends: BTreeMap::new(),
            conns: 0,
            ports: [0; 4],
        }
    }
}

impl Net {
    /// The addresses of an end; listeners stand at the first [`Net::addresses`] of them.
    pub const fn addresses_of(side: Side) -> [IpAddr; 2] {
        let host = side as u8 + 1;
        [
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host as u16)),
        ]
    }

    /// The port of the first listener of an end; the next ones follow.
    pub const fn port_of(side: Side) -> u16 {
        40_000 + 1_000 * side as u16
    }

    /// Gives an address a name; a name without one is not found.
    pub fn name(&mut self, name: &str, address: IpAddr) {
        self.names.insert(name.to_owned(), address);
    }

    /// Says what an address does; one of which nothing was said refuses.
    pub fn place(&mut self, at: SocketAddr, place: Place) {
        self.places.insert(at, place);
    }

    /// The listeners of an end.
    pub fn listeners(&self, side: Side) -> impl Iterator<Item = (ListenId, SocketAddr)> {
        let all = self.listeners.iter();
        all.filter(move |(_, (owner, _))| *owner == side)
            .map(|(at, (_, listen))| (*listen, *at))
    }

    /// The connections of an end that it has not closed.
    pub fn open(&self, side: Side) -> impl Iterator<Item = ConnId> {
        let all = self.ends.iter();
        all.filter(move |(_, end)| end.side() == Some(side))
            .map(|(conn, _)| *conn)
    }

    /// Says whether no end has a connection and none will be told anything.
    pub fn is_over(&self) -> bool {
        self.due.is_empty() && self.ends.values().all(|end| end.side().is_none())
    }

    /// Everything that will happen, with its time, in a fixed order.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (Instant, NetStep)> {
        let due = self.due.iter().enumerate();
        let due = due.map(|(nth, (at, _))| (*at, NetStep::Due(nth)));
        let conns = self
            .ends
            .iter()
            .filter_map(|(conn, end)| end.ready().map(|at| (at, NetStep::Conn(*conn))));
        due.chain(conns)
    }

    /// Takes one of the things to come off the list.
    pub(crate) fn take(&mut self, nth: usize) -> Option<Due> {
        (nth < self.due.len()).then(|| self.due.remove(nth).1)
    }

    /// At which end of the world this end of a connection is, if at any.
    pub(crate) fn side(&self, conn: ConnId) -> Option<Side> {
        self.ends.get(&conn)?.side()
    }

    /// Draws how long the next thing takes.
    fn delay(&self, chooser: &mut dyn Chooser) -> Duration {
        let n = u32::try_from(self.delays.len()).unwrap_or(u32::MAX);
        let picked = chooser.choose(n) as usize;
        self.delays.get(picked).copied().unwrap_or_default()
    }

    /// Says whether a fault of this frequency happens now, and pays for it.
    fn strikes(&mut self, one_in: u32, chooser: &mut dyn Chooser) -> bool {
        if self.faults.budget == 0 || !chooser.rarely(one_in) {
            return false;
        }
        self.faults.budget -= u32::from(self.faults.budget != u32::MAX);
        true
    }

    const fn conn(&mut self) -> ConnId {
        self.conns += 1;
        ConnId(self.conns)
    }

    /// The next port for a listener of this end, or for who connects.
    const fn port(&mut self, side: Option<Side>) -> u16 {
        let (nth, base) = match side {
            Some(side) => (side as usize, Self::port_of(side)),
            None => (3, 50_000),
        };
        let port = base + self.ports[nth] % 1_000;
        self.ports[nth] = self.ports[nth].wrapping_add(1);
        port
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("faults", &self.faults)
            .field("listeners", &self.listeners)
            .field("ends", &self.ends)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}
