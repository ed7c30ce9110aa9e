//! The queue of what the driver is to carry out.

use alloc::collections::VecDeque;
use bytestreams_machine::{NetCommand, Output};
use bytestreams_stanza::Stanza;

/// Outputs in order.
#[derive(Clone, Debug)]
pub(crate) struct Outputs<E>(VecDeque<Output<E>>);

impl<E> Default for Outputs<E> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<E> Outputs<E> {
    pub(crate) fn stanza(&mut self, stanza: impl Into<Stanza>) {
        self.0.push_back(Output::Stanza(stanza.into()));
    }

    pub(crate) fn net(&mut self, command: NetCommand) {
        self.0.push_back(Output::Net(command));
    }

    pub(crate) fn event(&mut self, event: E) {
        self.0.push_back(Output::Event(event));
    }

    pub(crate) fn pop(&mut self) -> Option<Output<E>> {
        self.0.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
