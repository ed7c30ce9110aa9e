//! One end's turn: inputs, timeouts, outputs, the application.

use crate::app::{App, Context, Node, Side};
use crate::link::{Link, bounced};
use crate::trace::{Trace, What};
use crate::{Bounds, Chooser};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_stanza::{Condition, Jid, Stanza};

/// What an end does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// The next stanza of the peer arrives.
    Arrives,
    /// The next stanza of the stranger arrives.
    ArrivesStrange,
    /// The machine's deadline has come.
    Timeout,
    /// The application acts.
    Act,
    /// The driver's buffer has room again.
    Drain,
}

/// Everything but the end whose turn it is.
pub(crate) struct Around<'a> {
    pub(crate) side: Side,
    pub(crate) peer: &'a Jid,
    pub(crate) peer_online: bool,
    pub(crate) link: &'a mut Link,
    pub(crate) trace: &'a mut Trace,
    pub(crate) now: Instant,
    pub(crate) bounds: Bounds,
    pub(crate) chooser: &'a mut dyn Chooser,
}

impl Around<'_> {
    pub(crate) fn take<A: App>(&mut self, turn: Turn, node: &mut Node<A>) -> Result<(), String> {
        match turn {
            Turn::Arrives => self.arrives(node),
            Turn::ArrivesStrange => match self.link.strange_mut(self.side).pop(false) {
                Some(stanza) => self.input(node, stanza),
                None => Ok(()),
            },
            Turn::Timeout => self.timeout(node),
            Turn::Act => self.settle(node),
            Turn::Drain => {
                node.stalled = None;
                self.settle(node)
            }
        }
    }

    fn arrives<A: App>(&mut self, node: &mut Node<A>) -> Result<(), String> {
        let may_repeat = self.link.faults.repeat > 0;
        let Some(stanza) = self.link.lane_mut(self.side).pop(may_repeat) else {
            return Ok(());
        };
        if may_repeat && self.link.strikes(self.link.faults.repeat, self.chooser) {
            let known = self.link.lane(self.side).remembered();
            let n = 1 + self.chooser.choose(u32::try_from(known).unwrap_or(1)) as usize;
            self.link.lane_mut(self.side).repeat(n, self.now);
            self.trace.push(self.now, self.side, What::Repeated(n));
        }
        self.input(node, stanza)
    }

    fn input<A: App>(&mut self, node: &mut Node<A>, stanza: Stanza) -> Result<(), String> {
        if !self.trace.is_muted() {
            let what = What::Received(stanza.clone());
            self.trace.push(self.now, self.side, what);
        }
        let rest = node.machine.handle_input(Input::Stanza(stanza), self.now);
        if let Some(Input::Stanza(Stanza::Iq(iq))) = rest
            && iq.request().is_some()
        {
            self.send(node, iq.error(Condition::ServiceUnavailable).into());
        }
        self.settle(node)
    }

    fn timeout<A: App>(&mut self, node: &mut Node<A>) -> Result<(), String> {
        self.trace.push(self.now, self.side, What::Timeout);
        node.machine.handle_timeout(self.now);
        if let Some(due) = node.machine.poll_timeout()
            && due <= self.now
        {
            return Err(format!(
                "after handle_timeout({:?}) the next deadline is {due:?}",
                self.now
            ));
        }
        self.settle(node)
    }

    /// Drains the outputs and lets the application act until both are quiet.
    fn settle<A: App>(&mut self, node: &mut Node<A>) -> Result<(), String> {
        if self.link.strikes(self.link.faults.spurious, self.chooser) {
            let before = node.machine.poll_timeout();
            node.machine.handle_timeout(self.now);
            if before.is_some_and(|due| due > self.now) && node.machine.poll_timeout() != before {
                return Err("a call of handle_timeout before the deadline moved it".into());
            }
        }
        let mut outputs = 0;
        let mut acted = false;
        loop {
            let before = outputs;
            if node.stalled.is_some() {
                return Ok(());
            }
            while let Some(output) = node.machine.poll_output() {
                outputs += 1;
                if outputs > self.bounds.outputs {
                    return Err(format!("more than {} outputs", self.bounds.outputs));
                }
                self.carry_out(node, output)?;
                if node.stalled.is_some() {
                    return Ok(());
                }
            }
            if acted && outputs == before {
                break;
            }
            self.with_app(node, |app, machine, cx| app.act(machine, cx));
            acted = true;
        }
        let deadline = node.machine.poll_timeout();
        if deadline != node.machine.poll_timeout() {
            return Err("reading the deadline changes it".into());
        }
        Ok(())
    }

    fn carry_out<A: App>(
        &mut self,
        node: &mut Node<A>,
        output: Output<<A::Machine as Machine>::Event>,
    ) -> Result<(), String> {
        match output {
            Output::Stanza(stanza) => {
                self.send(node, stanza);
                if self.link.strikes(self.link.faults.stall, self.chooser) {
                    let delay = self.link.delay(self.chooser);
                    node.stalled = Some(self.now + delay);
                }
            }
            Output::Net(command) => {
                return Err(format!("there is no net here, but it wants {command:?}"));
            }
            Output::Event(event) => {
                if !self.trace.is_muted() {
                    let what = What::Event(format!("{event:?}"));
                    self.trace.push(self.now, self.side, what);
                }
                if let Some((session, last)) = A::session(&event) {
                    if node.ended.contains(&session) {
                        return Err(format!("{event:?} after the last event of its session"));
                    }
                    if last {
                        node.ended.push(session);
                    }
                }
                self.with_app(node, |app, machine, cx| app.event(machine, event, cx));
            }
        }
        Ok(())
    }

    fn with_app<A: App>(
        &mut self,
        node: &mut Node<A>,
        f: impl FnOnce(&mut A, &mut A::Machine, &mut Context<'_>),
    ) {
        let mut cx = Context {
            now: self.now,
            chooser: self.chooser,
            commands: Vec::new(),
        };
        f(&mut node.app, &mut node.machine, &mut cx);
    }

    /// Hands a stanza over to the link.
    fn send<A: App>(&mut self, node: &mut Node<A>, mut stanza: Stanza) {
        self.link.count();
        stanza.set_from(Some(node.jid.clone()));
        if !self.trace.is_muted() {
            let what = What::Sent(stanza.clone());
            self.trace.push(self.now, self.side, what);
        }
        if !node.online {
            return;
        }
        let faults = self.link.faults;
        if self.link.strikes(faults.disconnect, self.chooser) {
            return self.disconnect(node);
        }
        let other = self.side.other();
        let to_peer = stanza.to() == Some(self.peer);
        if to_peer && self.peer_online {
            if self.link.strikes(faults.drop, self.chooser) {
                self.trace.push(self.now, self.side, What::Dropped);
                return;
            }
            if !self.link.strikes(faults.bounce, self.chooser) {
                if self.link.stranger.is_some() && self.link.strikes(faults.forge, self.chooser) {
                    self.forge(&node.jid, &stanza);
                }
                self.link.push(other, stanza, self.now, self.chooser);
                return;
            }
        }
        self.bounce(&stanza, self.side);
    }

    /// The link of this end is gone: what is on its way to it goes back, what it sends is lost.
    fn disconnect<A: App>(&mut self, node: &mut Node<A>) {
        self.trace.push(self.now, self.side, What::Disconnected);
        node.online = false;
        self.link.strange_mut(self.side).drain();
        for (_, stanza) in self.link.lane_mut(self.side).drain() {
            self.bounce(&stanza, self.side.other());
        }
        self.with_app(node, |app, machine, cx| app.offline(machine, cx));
    }

    /// Sends a stanza back to the side that sent it, as a server does that cannot deliver it.
    fn bounce(&mut self, stanza: &Stanza, to: Side) {
        if let Some(error) = bounced(stanza, stanza.to(), self.chooser) {
            self.trace.push(self.now, to, What::Bounced);
            self.link.push(to, error, self.now, self.chooser);
        }
    }

    fn forge(&mut self, own: &Jid, seen: &Stanza) {
        let Some(stranger) = &mut self.link.stranger else {
            return;
        };
        let Some((side, mut stanza)) = (stranger.forge)(seen, self.chooser) else {
            return;
        };
        let to = if side == self.side { own } else { self.peer };
        stanza.set_from(Some(stranger.jid.clone()));
        match &mut stanza {
            Stanza::Iq(iq) => iq.to = Some(to.clone()),
            Stanza::Message(message) => message.to = Some(to.clone()),
            Stanza::Presence(presence) => presence.to = Some(to.clone()),
        }
        let delay = self.link.delay(self.chooser);
        self.link
            .strange_mut(side)
            .push(stanza, self.now, None, delay);
    }
}
