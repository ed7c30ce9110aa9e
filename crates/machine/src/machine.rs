//! The trait, what goes in, what comes out, and the turn of the crank.

use crate::{Instant, NetCommand, NetInput};
use bytestreams_stanza::Stanza;
use core::ops::ControlFlow;

/// A protocol machine: no socket, no clock, no randomness, no task.
pub trait Machine {
    /// What it tells the application.
    type Event;

    /// Takes one input, or hands back what is not this machine's.
    ///
    /// Never fails: a peer's fault is answered on the wire, then reported as an event.
    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input>;

    /// Fires what is due at `now`, which may be nothing.
    ///
    /// Afterwards [`Machine::poll_timeout`] answers later than `now`, or `None`.
    fn handle_timeout(&mut self, now: Instant);

    /// Yields the next thing to carry out, in order across stanzas, network commands and events.
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;

    /// Says when [`Machine::handle_timeout`] is next due. A pure read.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// What a driver feeds a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A stanza came in; its `from` was stamped by the link.
    Stanza(Stanza),
    /// Something happened to a socket.
    Net(NetInput),
}

/// What a machine asks of its driver. Exhaustive on purpose: a driver that forgets a kind must
/// not compile.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<E> {
    /// Send this stanza.
    Stanza(Stanza),
    /// Do this with a socket.
    Net(NetCommand),
    /// Tell the application.
    Event(E),
}

impl<E> Output<E> {
    /// Turns the event into another.
    pub fn map_event<F>(self, f: impl FnOnce(E) -> F) -> Output<F> {
        match self {
            Self::Stanza(stanza) => Output::Stanza(stanza),
            Self::Net(command) => Output::Net(command),
            Self::Event(event) => Output::Event(f(event)),
        }
    }
}

/// Turns the crank once: fires the timeout if it is due, drains the outputs into `carry_out` until
/// it breaks or nothing is left, and answers the next deadline.
///
/// A driver breaks while its own write buffer holds 64 KiB: that is the backpressure of the link.
pub fn turn<M: Machine + ?Sized>(
    machine: &mut M,
    now: Instant,
    mut carry_out: impl FnMut(Output<M::Event>) -> ControlFlow<()>,
) -> Option<Instant> {
    if machine.poll_timeout().is_some_and(|due| due <= now) {
        machine.handle_timeout(now);
    }
    while let Some(output) = machine.poll_output() {
        if carry_out(output).is_break() {
            break;
        }
    }
    machine.poll_timeout()
}
