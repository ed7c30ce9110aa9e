//! The Requester's side: StreamHosts before the offer, the offer of them after consent.

use super::sockets::Owner;
use super::{Phase, token};
use crate::transfer::{Stage, request_ids, socks5_ids, tail};
use crate::{Reason, TransferId, Transfers};
use alloc::boxed::Box;
use bytestreams_machine::{Ids, Instant, NetCommand};
use bytestreams_socks5::{ProxyDiscovery, Requester};

impl Transfers {
    /// Sees to StreamHosts before an offer is made: when the peer accepts, it may wait no more than
    /// 5 s for them. Says whether the offer has to wait; it comes up again then.
    pub(crate) fn prepare(&mut self, id: TransferId, now: Instant) -> bool {
        let Some((direct, proxied)) = self.ways(id) else {
            return false;
        };
        let config = &self.config.socks5;
        let listens = direct && config.listen;
        if proxied && self.socks5.hosts.lacks_proxies(config, now) {
            let Ok(transfer) = self.get(id) else {
                return false;
            };
            let ids = Ids::new(&alloc::format!("P{}", tail(&transfer.sid, 7)));
            let own = self.own.clone();
            let given = &config.proxies;
            let discover = config.discover && given.is_empty();
            let discovery = ProxyDiscovery::new(own, given, discover, ids, now);
            self.socks5.hosts.look_for_proxies(discovery, now);
            self.drain_hosts(now);
        }
        if let (Ok(transfer), true) = (self.get_mut(id), listens) {
            if !core::mem::replace(&mut transfer.listens, true) {
                if let Some(listen) = self.socks5.hosts.enlist(now) {
                    self.command(NetCommand::Listen(listen));
                }
            }
        }
        let until = self.socks5.hosts.wait(listens, proxied, now);
        if let (Ok(transfer), Some(until)) = (self.get_mut(id), until) {
            transfer.stage = Stage::Preparing(until);
        }
        until.is_some()
    }

    /// Goes on with an offer that waited.
    pub(crate) fn prepared(&mut self, id: TransferId, now: Instant) {
        if self.prepare(id, now) {
            return self.touch(id, now);
        }
        let Ok(transfer) = self.get(id) else { return };
        let mut ids = request_ids(id, &transfer.sid);
        // The first was for the question of what the peer can do.
        let _ = ids.next_id();
        self.propose(id, &mut ids, now);
    }

    /// Goes on with the offers that need not wait any longer.
    pub(super) fn resume_preparing(&mut self, now: Instant) {
        let live = self.live.iter();
        let waiting = live.filter(|transfer| matches!(transfer.stage, Stage::Preparing(_)));
        let waiting: alloc::vec::Vec<TransferId> = waiting.map(|transfer| transfer.id).collect();
        for id in waiting {
            self.prepared(id, now);
        }
    }

    /// The ways that a transfer of ours may go: directly, and through a Proxy.
    fn ways(&self, id: TransferId) -> Option<(bool, bool)> {
        let started = self.get(id).ok()?.started.as_ref()?;
        let (ours, link) = (started.choices.ways, self.config.socks5.ways);
        started.choices.socks5.then_some((
            ours.direct() && link.direct(),
            ours.proxied() && link.proxied(),
        ))
    }

    /// Says whether there is, or may be in time, a StreamHost to offer.
    pub(crate) fn is_socks5_of_use(&self, id: TransferId) -> bool {
        let Some((direct, proxied)) = self.ways(id) else {
            return false;
        };
        let hosts = &self.socks5.hosts;
        let all = hosts.all(&self.config.socks5, &self.own.jid, direct, proxied);
        !all.is_empty() || (proxied && hosts.is_looking())
    }

    /// Why nothing is offered where there is no StreamHost.
    pub(crate) const fn no_stream_host() -> Reason {
        Reason::Socks5(bytestreams_socks5::Reason::NoStreamHosts)
    }

    /// Offers StreamHosts to a peer that consented.
    pub(crate) fn request_socks5(&mut self, id: TransferId, now: Instant) {
        let (Some((direct, proxied)), Ok(transfer)) = (self.ways(id), self.get(id)) else {
            return;
        };
        let hosts = &self.socks5.hosts;
        let hosts = hosts.all(&self.config.socks5, &self.own.jid, direct, proxied);
        if hosts.is_empty() {
            return self.fall_back(id, Self::no_stream_host(), now);
        }
        let (peer, sid) = (transfer.peer.clone(), transfer.sid.clone());
        let mut ids = socks5_ids(id, &sid);
        let own = self.own.clone();
        let started = transfer.started.as_ref();
        let dstaddr = started.is_some_and(|started| started.choices.dstaddr);
        let mut requester = Requester::new(own, peer, sid, hosts, &mut ids, token(id, 0), now);
        if dstaddr {
            requester.tell_dstaddr();
        }
        for addr in requester.addrs() {
            self.socks5.expected.insert(*addr, id);
            self.socks5.inbound.expect(*addr);
        }
        if let Ok(transfer) = self.get_mut(id) {
            transfer.stage = Stage::Socks5(Box::new(Phase::Requesting(Box::new(requester))));
        }
        self.drain_socks5(id, now);
    }

    /// The Requester of a transfer.
    pub(super) fn requester(&mut self, id: TransferId) -> Option<(&mut Requester, TransferId)> {
        match self.live.get_mut(id)?.phase_mut()? {
            Phase::Requesting(requester) => Some((requester, id)),
            Phase::Trying(_) | Phase::Quiet(_) | Phase::Moving(_) | Phase::Ending(_) => None,
        }
    }

    /// Takes no more connections for a transfer: it has one, or goes another way.
    pub(super) fn expect_no_more(&mut self, id: TransferId, phase: &Phase, now: Instant) {
        if let Phase::Requesting(requester) = phase {
            for addr in requester.addrs() {
                self.socks5.inbound.forget(*addr);
                self.socks5.expected.remove(addr);
            }
        }
        self.drain_inbound(now);
        self.listen_no_more(id, now);
    }

    /// Listens for a transfer no longer.
    pub(crate) fn listen_no_more(&mut self, id: TransferId, now: Instant) {
        let Some(transfer) = self.live.get_mut(id) else {
            return;
        };
        if !core::mem::take(&mut transfer.listens) {
            return;
        }
        if let Some(listen) = self.socks5.hosts.discharge() {
            self.socks5.inbound.close();
            self.drain_inbound(now);
            for conn in self.socks5.sockets.close_all_but(Owner::Inbound, None) {
                self.queue
                    .push_back(bytestreams_machine::Output::Net(NetCommand::Close(conn)));
            }
            self.command(NetCommand::Unlisten(listen));
        }
    }
}
