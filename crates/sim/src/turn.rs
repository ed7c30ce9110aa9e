//! One end's turn: inputs, timeouts, outputs, the application.

use crate::app::{App, Context, Node, Side};
use crate::link::{Link, bounced};
use crate::net::{By, Heard, Moment, Net};
use crate::trace::{Trace, What};
use crate::{Bounds, Chooser};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytestreams_machine::{ConnId, Input, Instant, Machine, NetCommand, NetInput, Output};
use bytestreams_stanza::{Condition, Jid, Stanza};

/// What an end does next.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// The next stanza of another end arrives.
    Arrives(Side),
    /// The next stanza of the stranger arrives.
    ArrivesStrange,
    /// The machine's deadline has come.
    Timeout,
    /// The application acts.
    Act,
    /// The driver's buffer has room again.
    Drain,
    /// Something happens to a connection.
    Socket(ConnId),
    /// The driver tells something of a socket.
    Notice(NetInput),
}

/// Another end: which, its address, whether its link stands.
pub(crate) type Peer<'a> = (Side, &'a Jid, bool);

/// Everything but the end whose turn it is.
pub(crate) struct Around<'a> {
    pub(crate) side: Side,
    pub(crate) peers: &'a [Peer<'a>],
    pub(crate) link: &'a mut Link,
    pub(crate) net: &'a mut Net,
    pub(crate) trace: &'a mut Trace,
    pub(crate) now: Instant,
    pub(crate) bounds: Bounds,
    pub(crate) chooser: &'a mut dyn Chooser,
}

impl<'a> Around<'a> {
    /// Names the other ends.
    pub(crate) fn among<'b>(self, peers: &'b [Peer<'b>]) -> Around<'b>
    where
        'a: 'b,
    {
        // A struct update would keep the longer lifetime.
        Around {
            side: self.side,
            peers,
            link: self.link,
            net: self.net,
            trace: self.trace,
            now: self.now,
            bounds: self.bounds,
            chooser: self.chooser,
        }
    }

    pub(crate) fn take<A: App>(&mut self, turn: Turn, node: &mut Node<A>) -> Result<(), String> {
        match turn {
            Turn::Arrives(from) => self.arrives(node, from),
            Turn::ArrivesStrange => match self.link.strange_mut(self.side).pop(false) {
                Some(stanza) => self.input(node, stanza),
                None => Ok(()),
            },
            Turn::Socket(conn) => self.socket(node, conn),
            Turn::Notice(input) => self.net_input(node, input),
            Turn::Timeout => self.timeout(node),
            Turn::Act => self.settle(node),
            Turn::Drain => {
                node.stalled = None;
                self.settle(node)
            }
        }
    }

    fn arrives<A: App>(&mut self, node: &mut Node<A>, from: Side) -> Result<(), String> {
        let may_repeat = self.link.faults.repeat > 0;
        let Some(stanza) = self.link.lane_mut(self.side, from).pop(may_repeat) else {
            return Ok(());
        };
        if may_repeat && self.link.strikes(self.link.faults.repeat, self.chooser) {
            let known = self.link.lane_from(self.side, from).remembered();
            let n = 1 + self.chooser.choose(u32::try_from(known).unwrap_or(1)) as usize;
            let lane = self.link.lane_mut(self.side, from);
            lane.repeat(n, self.now);
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
        match rest {
            Some(Input::Stanza(Stanza::Iq(iq))) if iq.request().is_some() => {
                self.send(node, iq.error(Condition::ServiceUnavailable).into())?;
            }
            _ => {}
        }
        self.settle(node)
    }

    /// Hands over what comes in on a connection, to the machine or to the application.
    fn socket<A: App>(&mut self, node: &mut Node<A>, conn: ConnId) -> Result<(), String> {
        let mut moment = Moment {
            now: self.now,
            chooser: self.chooser,
            trace: self.trace,
        };
        match self.net.arrive(conn, &mut moment) {
            None => Ok(()),
            Some(Heard::Machine(input)) => self.net_input(node, input),
            Some(Heard::Octets(octets)) => {
                if !self.trace.is_muted() {
                    let what = What::Read(conn, octets.clone());
                    self.trace.push(self.now, self.side, what);
                }
                self.with_app(node, |app, machine, cx| {
                    app.octets(machine, conn, octets, cx);
                })?;
                self.settle(node)
            }
            Some(Heard::Reset) => {
                self.trace.push(self.now, self.side, What::Reset(conn));
                self.with_app(node, |app, machine, cx| app.reset(machine, conn, cx))?;
                self.settle(node)
            }
        }
    }

    /// Feeds the machine; a new connection that it doesn't take is closed, as by a driver.
    fn net_input<A: App>(&mut self, node: &mut Node<A>, input: NetInput) -> Result<(), String> {
        if !self.trace.is_muted() {
            let what = What::Net(input.clone());
            self.trace.push(self.now, self.side, what);
        }
        let rest = node.machine.handle_input(Input::Net(input), self.now);
        if let Some(Input::Net(NetInput::Accepted { conn, .. } | NetInput::Connected(_, conn))) =
            rest
        {
            self.net_command(NetCommand::Close(conn), By::Machine)?;
        }
        self.settle(node)
    }

    fn net_command(&mut self, command: NetCommand, by: By) -> Result<(), String> {
        if !self.trace.is_muted() {
            let what = What::Command(command.clone());
            self.trace.push(self.now, self.side, what);
        }
        let mut moment = Moment {
            now: self.now,
            chooser: self.chooser,
            trace: self.trace,
        };
        self.net.command(self.side, by, command, &mut moment)
    }

    fn timeout<A: App>(&mut self, node: &mut Node<A>) -> Result<(), String> {
        self.trace.push(self.now, self.side, What::Timeout);
        node.machine.handle_timeout(self.now);
        if let Some(due) = node.machine.poll_timeout().filter(|due| *due <= self.now) {
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
            self.with_app(node, |app, machine, cx| app.act(machine, cx))?;
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
                self.send(node, stanza)?;
                if self.link.strikes(self.link.faults.stall, self.chooser) {
                    let delay = self.link.delay(self.chooser);
                    node.stalled = Some(self.now + delay);
                }
            }
            Output::Net(command) => {
                self.net_command(command, By::Machine)?;
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
                self.with_app(node, |app, machine, cx| app.event(machine, event, cx))?;
            }
        }
        Ok(())
    }

    fn with_app<A: App>(
        &mut self,
        node: &mut Node<A>,
        f: impl FnOnce(&mut A, &mut A::Machine, &mut Context<'_>),
    ) -> Result<(), String> {
        let mut cx = Context {
            now: self.now,
            chooser: self.chooser,
            commands: Vec::new(),
        };
        f(&mut node.app, &mut node.machine, &mut cx);
        for command in cx.commands {
            self.net_command(command, By::App)?;
        }
        Ok(())
    }

    /// Hands a stanza over to the link.
    fn send<A: App>(&mut self, node: &mut Node<A>, mut stanza: Stanza) -> Result<(), String> {
        self.link.count();
        stanza.set_from(Some(node.jid.clone()));
        if !self.trace.is_muted() {
            let what = What::Sent(stanza.clone());
            self.trace.push(self.now, self.side, what);
        }
        if !node.online {
            return Ok(());
        }
        let faults = self.link.faults;
        if self.link.strikes(faults.disconnect, self.chooser) {
            return self.disconnect(node);
        }
        if let Some((to, _, true)) = stanza.to().and_then(|to| self.peer(to)) {
            if self.link.strikes(faults.drop, self.chooser) {
                self.trace.push(self.now, self.side, What::Dropped);
                return Ok(());
            }
            if !self.link.strikes(faults.bounce, self.chooser) {
                if self.link.stranger.is_some() && self.link.strikes(faults.forge, self.chooser) {
                    self.forge(&node.jid, &stanza);
                }
                let way = (self.side, to);
                self.link.push(way, stanza, self.now, self.chooser);
                return Ok(());
            }
        }
        self.bounce(&stanza, self.side);
        Ok(())
    }

    /// Which other end has this address.
    fn peer(&self, jid: &Jid) -> Option<Peer<'a>> {
        self.peers.iter().copied().find(|(_, peer, _)| *peer == jid)
    }

    /// The link of this end is gone: what is on its way to it goes back, what it sends is lost.
    fn disconnect<A: App>(&mut self, node: &mut Node<A>) -> Result<(), String> {
        self.trace.push(self.now, self.side, What::Disconnected);
        node.online = false;
        self.link.strange_mut(self.side).drain();
        for &(from, ..) in self.peers {
            for (_, stanza) in self.link.lane_mut(self.side, from).drain() {
                if let Some(error) = self.bounced(&stanza, from) {
                    let way = (self.side, from);
                    self.link.push(way, error, self.now, self.chooser);
                }
            }
        }
        self.with_app(node, |app, machine, cx| app.offline(machine, cx))
    }

    /// Sends a stanza back to the side that sent it, as a server does that cannot deliver it.
    fn bounce(&mut self, stanza: &Stanza, to: Side) {
        let from = stanza.to().and_then(|to| self.peer(to));
        let from = from.map_or_else(|| to.home(), |(side, ..)| side);
        if let Some(error) = self.bounced(stanza, to) {
            self.link.push((from, to), error, self.now, self.chooser);
        }
    }

    fn bounced(&mut self, stanza: &Stanza, to: Side) -> Option<Stanza> {
        let error = bounced(stanza, stanza.to(), self.chooser)?;
        self.trace.push(self.now, to, What::Bounced);
        Some(error)
    }

    fn forge(&mut self, own: &Jid, seen: &Stanza) {
        let Some(stranger) = &mut self.link.stranger else {
            return;
        };
        let Some((side, mut stanza)) = (stranger.forge)(seen, self.chooser) else {
            return;
        };
        let other = self.peers.iter().find(|(peer, ..)| *peer == side);
        let to = other.map_or(own, |(_, jid, _)| *jid);
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
