//! The application of a machine: the test's script.

use crate::Chooser;
use crate::turn::Peer;
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Input, Instant, Machine, NetCommand, Output};
use bytestreams_stanza::Jid;
use core::convert::Infallible;
use core::fmt::Debug;

/// One of the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
    /// A third, in a world that has one: a proxy, say.
    Third,
}

impl Side {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Left, Self::Right, Self::Third];

    /// The end whose stanzas come to this one in a world of two; the first for the third.
    pub(crate) const fn home(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right | Self::Third => Self::Left,
        }
    }
}

/// What an application does with its machine. It has the world's time and choices, and no others.
pub trait App {
    /// What it drives.
    type Machine: Machine<Event: Debug>;

    /// Takes an event.
    fn event(
        &mut self,
        machine: &mut Self::Machine,
        event: <Self::Machine as Machine>::Event,
        cx: &mut Context<'_>,
    );

    /// Writes, reads, commands. Called at the start, whenever the machine's outputs were drained,
    /// and at [`App::wake`]; again and again until it brings forth no more outputs.
    fn act(&mut self, machine: &mut Self::Machine, cx: &mut Context<'_>);

    /// Says when to call [`App::act`] even if nothing happens.
    fn wake(&self) -> Option<Instant> {
        None
    }

    /// Says whether this end has come to its end, well or not.
    fn is_done(&self) -> bool;

    /// The link of this end is gone for good.
    fn offline(&mut self, _machine: &mut Self::Machine, _cx: &mut Context<'_>) {}

    /// Octets came in on a connection that was detached; empty ones mean that the other end has
    /// shut its half down.
    fn octets(
        &mut self,
        _machine: &mut Self::Machine,
        _conn: ConnId,
        _octets: Bytes,
        _cx: &mut Context<'_>,
    ) {
    }

    /// A connection that was detached was reset.
    fn reset(&mut self, machine: &mut Self::Machine, conn: ConnId, cx: &mut Context<'_>) {
        self.octets(machine, conn, Bytes::new(), cx);
    }

    /// Says of which session an event tells, and whether it is that session's last. Nothing may
    /// follow a last one.
    fn session(_event: &<Self::Machine as Machine>::Event) -> Option<(u64, bool)> {
        None
    }
}

/// What a world lends to an application.
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// Where decisions come from.
    pub chooser: &'a mut dyn Chooser,
    pub(crate) commands: Vec<NetCommand>,
}

impl Context<'_> {
    /// Does something with a socket that is the application's: writes to a detached connection,
    /// shuts it down, closes it.
    pub fn net(&mut self, command: NetCommand) {
        self.commands.push(command);
    }
}

impl Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Nobody: the third end of a world that has two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absent;

impl Machine for Absent {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        Some(input)
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl App for Absent {
    type Machine = Self;

    fn event(&mut self, _machine: &mut Self, event: Infallible, _cx: &mut Context<'_>) {
        match event {}
    }

    fn act(&mut self, _machine: &mut Self, _cx: &mut Context<'_>) {}

    fn is_done(&self) -> bool {
        true
    }
}

/// One end: a machine, its application, its address.
pub struct Node<A: App> {
    /// The full JID that the link stamps.
    pub jid: Jid,
    /// The machine.
    pub machine: A::Machine,
    /// Its application.
    pub app: A,
    pub(crate) online: bool,
    pub(crate) ended: Vec<u64>,
    /// Until when the driver does not drain the outputs: its write buffer is full.
    pub(crate) stalled: Option<Instant>,
}

impl<A: App> Node<A> {
    pub(crate) fn new((jid, machine, app): (Jid, A::Machine, A)) -> Self {
        Self {
            jid,
            machine,
            app,
            online: true,
            ended: Vec::new(),
            stalled: None,
        }
    }

    /// When the application wants to act; not while the driver does not drain.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.app.wake().filter(|_| self.stalled.is_none())
    }

    /// As the others see it.
    pub(crate) const fn peer(&self, side: Side) -> Peer<'_> {
        (side, &self.jid, self.online)
    }

    /// Says whether it has come to its end and its driver holds nothing back.
    pub(crate) fn is_over(&self) -> bool {
        self.app.is_done() && self.stalled.is_none()
    }

    /// Says whether its link still stands.
    pub const fn is_online(&self) -> bool {
        self.online
    }
}

impl<A: App> Debug for Node<A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node")
            .field("jid", &self.jid)
            .field("online", &self.online)
            .finish_non_exhaustive()
    }
}
