//! A machine with the last in line behind it.

use crate::{Input, Instant, Machine, Output, Responder};

/// A machine and the [`Responder`] that answers what the machine hands back: what a driver drives.
#[derive(Clone, Debug)]
pub struct Stack<M> {
    /// The first in line.
    pub machine: M,
    /// The last in line.
    pub responder: Responder,
}

impl<M> Stack<M> {
    /// Puts the responder behind the machine.
    pub fn new(machine: M, responder: Responder) -> Self {
        Self { machine, responder }
    }
}

impl<M: Machine> Machine for Stack<M> {
    type Event = M::Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let rest = self.machine.handle_input(input, now)?;
        self.responder.handle_input(rest, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output<M::Event>> {
        let answer = self
            .responder
            .poll_output()
            .map(|o| o.map_event(|never| match never {}));
        answer.or_else(|| self.machine.poll_output())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}
