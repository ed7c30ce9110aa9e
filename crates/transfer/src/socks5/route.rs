//! Where things go: sockets' news, answers, deadlines, and what the machines within put out.

use super::sockets::Owner;
use super::{Phase, of_token};
use crate::transfer::Transfer;
use crate::{Event, TransferId, Transfers};
use bytestreams_machine::{
    ConnId, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output, Token,
};
use bytestreams_socks5::InboundEvent;
use bytestreams_stanza::Stanza;

impl Transfers {
    /// Takes what happened to a socket, or hands it back.
    pub(crate) fn net_input(&mut self, input: NetInput, now: Instant) -> Option<NetInput> {
        self.now = now;
        match input {
            NetInput::Listening(listen, addr) => {
                if !self.socks5.hosts.listening(listen, addr) {
                    return Some(input);
                }
                self.resume_preparing(now);
            }
            NetInput::Accepted { listen, conn, .. } => return self.came(listen, conn, input, now),
            NetInput::Connected(token, _) | NetInput::Failed(token, _) => {
                return self.attempted(token, input, now);
            }
            NetInput::Received(conn, _) | NetInput::Closed(conn) => {
                return self.happened(conn, input, now);
            }
        }
        None
    }

    fn came(
        &mut self,
        listen: ListenId,
        conn: ConnId,
        input: NetInput,
        now: Instant,
    ) -> Option<NetInput> {
        let Some(wanted) = self.socks5.hosts.takes(listen) else {
            return Some(input);
        };
        self.socks5.sockets.insert(conn, Owner::Inbound);
        if !wanted {
            // It was on its way when we stopped listening.
            self.close(conn);
            return None;
        }
        if self
            .socks5
            .inbound
            .handle_input(Input::Net(input), now)
            .is_some()
        {
            self.close(conn);
        }
        self.drain_inbound(now);
        None
    }

    fn attempted(&mut self, token: Token, input: NetInput, now: Instant) -> Option<NetInput> {
        let id = of_token(token);
        if !self.live.has_started(id) {
            return Some(input);
        }
        if let NetInput::Connected(_, conn) = &input {
            self.socks5.sockets.insert(*conn, Owner::Transfer(id));
        }
        let input = Input::Net(input);
        let rest = match self.live.get_mut(id).and_then(Transfer::phase_mut) {
            Some(phase) => phase.handle_input(input, now),
            None => Some(input),
        };
        if let Some(Input::Net(NetInput::Connected(_, conn))) = rest {
            // Nobody wants it any more.
            self.close(conn);
        }
        self.drain_socks5(id, now);
        None
    }

    fn happened(&mut self, conn: ConnId, input: NetInput, now: Instant) -> Option<NetInput> {
        match self.socks5.sockets.owner(conn) {
            None => return Some(input),
            Some(Owner::Inbound) => {
                let _ = self.socks5.inbound.handle_input(Input::Net(input), now);
                self.drain_inbound(now);
            }
            Some(Owner::Transfer(id)) => {
                if let Some(phase) = self.live.get_mut(id).and_then(Transfer::phase_mut) {
                    match phase.handle_input(Input::Net(input), now) {
                        Some(Input::Net(NetInput::Received(_, octets))) => {
                            self.began(id, conn, octets, now);
                        }
                        Some(Input::Net(NetInput::Closed(_))) => self.socket_closed(id, conn, now),
                        Some(Input::Net(_) | Input::Stanza(_)) | None => {}
                    }
                }
                self.drain_socks5(id, now);
            }
        }
        None
    }

    /// Gives a stanza to a negotiation; answers it if it was another's.
    pub(crate) fn feed_socks5(
        &mut self,
        id: TransferId,
        stanza: Stanza,
        now: Instant,
    ) -> Option<Stanza> {
        let Some(phase) = self.live.get_mut(id).and_then(Transfer::phase_mut) else {
            return Some(stanza);
        };
        let rest = phase.handle_input(Input::Stanza(stanza), now);
        self.drain_socks5(id, now);
        match rest {
            Some(Input::Stanza(stanza)) => Some(stanza),
            Some(Input::Net(_)) | None => None,
        }
    }

    /// Puts out what a negotiation has to say, at once: what comes next may be for the stage that
    /// it leads to.
    pub(super) fn drain_socks5(&mut self, id: TransferId, now: Instant) {
        while let Some(phase) = self.live.get_mut(id).and_then(Transfer::phase_mut) {
            match phase.poll_output() {
                Some(Output::Stanza(stanza)) => self.send(stanza),
                Some(Output::Net(command)) => self.command(command),
                Some(Output::Event(event)) => self.socks5_event(id, event, now),
                None => break,
            }
        }
        self.touch(id, now);
    }

    /// Gives a stanza to the search for Proxies; answers it if it was another's.
    pub(crate) fn found_proxies(&mut self, stanza: Stanza, now: Instant) -> Option<Stanza> {
        let rest = self.socks5.hosts.handle_stanza(stanza, now);
        self.drain_hosts(now);
        rest
    }

    /// Fires what is due of what all bytestreams share.
    pub(crate) fn shared_timeout(&mut self, now: Instant) {
        self.socks5.hosts.handle_timeout(now);
        self.drain_hosts(now);
        self.socks5.inbound.handle_timeout(now);
        self.drain_inbound(now);
    }

    pub(super) fn drain_hosts(&mut self, now: Instant) {
        let looked = self.socks5.hosts.is_looking();
        while let Some(stanza) = self.socks5.hosts.poll_stanza(now) {
            self.send(stanza);
        }
        if looked && !self.socks5.hosts.is_looking() {
            self.resume_preparing(now);
        }
    }

    pub(super) fn drain_inbound(&mut self, now: Instant) {
        while let Some(output) = self.socks5.inbound.poll_output() {
            match output {
                Output::Net(command) => self.command(command),
                Output::Event(InboundEvent::Arrived { addr, conn, .. }) => {
                    let id = self.socks5.expected.get(&addr).copied();
                    if let Some((requester, id)) = id.and_then(|id| self.requester(id)) {
                        requester.arrived(conn);
                        self.drain_socks5(id, now);
                    }
                }
                Output::Event(InboundEvent::Gone { addr, conn }) => {
                    let id = self.socks5.expected.get(&addr).copied();
                    if let Some((requester, id)) = id.and_then(|id| self.requester(id)) {
                        requester.gone(conn);
                        self.drain_socks5(id, now);
                    }
                }
                Output::Event(_) | Output::Stanza(_) => {}
            }
        }
    }

    /// Puts a command out, if it may go: a connection is closed once, and let go when its transfer
    /// is [established](Transfers::moving).
    pub(super) fn command(&mut self, command: NetCommand) {
        let goes = match command {
            NetCommand::Close(conn) => self.socks5.sockets.close(conn),
            NetCommand::Detach(_) => false,
            NetCommand::Listen(_)
            | NetCommand::Unlisten(_)
            | NetCommand::Connect(..)
            | NetCommand::Send(..)
            | NetCommand::ShutdownWrite(_) => true,
        };
        if goes {
            self.queue.push_back(Output::Net(command));
        }
    }

    /// Closes a connection that is nobody's.
    fn close(&mut self, conn: ConnId) {
        self.command(NetCommand::Close(conn));
    }

    /// Gives up whatever a transfer has of a bytestream: it is over, or goes another way. The peer
    /// is told where there is a way to.
    pub(crate) fn abandon(&mut self, id: TransferId, mut phase: Phase, now: Instant) {
        phase.cancel(now);
        while let Some(output) = phase.poll_output() {
            match output {
                Output::Stanza(stanza) => self.send(stanza),
                Output::Net(command) => self.command(command),
                Output::Event(_) => {}
            }
        }
        self.close_all_but(id, None);
        self.expect_no_more(id, &phase, now);
    }

    /// Closes what a transfer has open.
    pub(super) fn close_all_but(&mut self, id: TransferId, kept: Option<ConnId>) {
        let owner = Owner::Transfer(id);
        for conn in self.socks5.sockets.close_all_but(owner, kept) {
            let close = NetCommand::Close(conn);
            self.queue.push_back(Output::Net(close));
        }
    }

    /// Closes everything, since the link is gone.
    pub(crate) fn close_everything(&mut self) {
        self.socks5.inbound.close();
        while self.socks5.inbound.poll_output().is_some() {}
        self.socks5.expected.clear();
        for conn in self.socks5.sockets.close_all() {
            let close = NetCommand::Close(conn);
            self.queue.push_back(Output::Net(close));
        }
        if let Some(listen) = self.socks5.hosts.dismiss() {
            self.queue
                .push_back(Output::Net(NetCommand::Unlisten(listen)));
        }
    }

    /// Says what is left when the link is gone.
    pub(crate) fn outlives_link(output: &Output<Event>) -> bool {
        !matches!(output, Output::Stanza(_))
    }
}
