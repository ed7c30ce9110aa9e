//! Which proxies there are.

use crate::Requester;
use crate::host::{is_dialable, is_local};
use crate::output::Outputs;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Own, Requests};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, DiscoInfo, DiscoItem, Iq, IqBody, Jid, Mode, Payload, Stanza,
    StreamHost,
};
use core::time::Duration;

/// What [`ProxyDiscovery`] tells; comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// The StreamHosts of the proxies that answered; may be none, and are five at most. One of each
    /// proxy comes first: of those given, then of the server's, in its order.
    Found(Vec<StreamHost>),
}

/// Finds proxies and asks their addresses (XEP-0065, section 4).
///
/// An error, of whatever kind, and silence mean that there is no proxy. It takes 30 s at most; and
/// no more than 2 s from the first proxy on, so that one silent component does not hold up the
/// rest.
#[derive(Clone, Debug)]
pub struct ProxyDiscovery {
    own: Own,
    ids: Ids,
    requests: Requests<Question>,
    asked: Vec<Jid>,
    found: BTreeMap<usize, Vec<StreamHost>>,
    ends: Instant,
    over: bool,
    out: Outputs<DiscoveryEvent>,
}

/// What was asked; of which proxy, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    Items,
    Info(usize),
    Address(usize),
}

impl ProxyDiscovery {
    /// How long everything may take.
    pub const PATIENCE: Duration = Duration::from_secs(30);
    /// How long everything may take once there is a proxy.
    const LINGER: Duration = Duration::from_secs(2);
    /// Entities that are asked at most.
    const MAX_ENTITIES: usize = 32;
    /// StreamHosts that are told at most: no more are ever offered.
    const MAX_HOSTS: usize = Requester::MAX_HOSTS;

    /// Asks `given` proxies for their addresses; with `discover` also the server for its items,
    /// each of those what it is, and each that is a proxy for its address.
    ///
    /// `ids` must be new: [`Ids::new`] of some entropy.
    pub fn new(own: Own, given: &[Jid], discover: bool, ids: Ids, now: Instant) -> Self {
        let mut discovery = Self {
            own,
            ids,
            requests: Requests::default(),
            asked: Vec::new(),
            found: BTreeMap::new(),
            ends: now + Self::PATIENCE,
            over: false,
            out: Outputs::default(),
        };
        for jid in given {
            if let Some(index) = discovery.note(jid) {
                discovery.ask_address(index);
            }
        }
        if discover {
            let server = discovery.own.jid.to_domain();
            let items = Payload::DiscoItems(Box::default());
            discovery.ask(server, items, Question::Items);
        }
        discovery.check(now);
        discovery
    }

    /// Notes an entity that is to be asked, unless it is known or there are too many.
    fn note(&mut self, jid: &Jid) -> Option<usize> {
        if self.asked.len() >= Self::MAX_ENTITIES || self.asked.contains(jid) {
            return None;
        }
        self.asked.push(jid.clone());
        Some(self.asked.len() - 1)
    }

    fn ask(&mut self, to: Jid, payload: Payload, question: Question) {
        let id = self.ids.next_id();
        self.requests
            .insert(Some(to.clone()), id.clone(), self.ends, question);
        self.out.stanza(Iq::get(Some(to), id, payload));
    }

    fn ask_address(&mut self, index: usize) {
        let Some(jid) = self.asked.get(index).cloned() else {
            return;
        };
        let query = Bytestreams {
            sid: None,
            mode: Mode::Tcp,
            dstaddr: None,
            content: BytestreamsContent::Hosts(Vec::new()),
        };
        let payload = Payload::Bytestreams(Box::new(query));
        self.ask(jid, payload, Question::Address(index));
    }

    fn answered(&mut self, question: Question, body: IqBody, now: Instant) {
        let IqBody::Result(Some(payload)) = body else {
            return;
        };
        match (question, payload) {
            (Question::Items, Payload::DiscoItems(items)) => self.items(&items.items),
            (Question::Info(index), Payload::DiscoInfo(info)) if is_proxy(&info) => {
                self.ask_address(index);
            }
            (Question::Address(index), Payload::Bytestreams(query)) => {
                if let BytestreamsContent::Hosts(hosts) = query.content {
                    self.address(index, hosts, now);
                }
            }
            _ => {}
        }
    }

    /// The server's items; users and nodes among them are no proxies.
    fn items(&mut self, items: &[DiscoItem]) {
        for item in items {
            if item.node.is_some() || item.jid.local().is_some() {
                continue;
            }
            if let Some(index) = self.note(&item.jid) {
                let info = Payload::DiscoInfo(Box::default());
                self.ask(item.jid.clone(), info, Question::Info(index));
            }
        }
    }

    /// A proxy's address. Its JID is the one that it tells: one server's proxies have a resource
    /// there. Another one tells every address of its machine, in no order: those that are good for
    /// its own network alone come last.
    fn address(&mut self, index: usize, mut hosts: Vec<StreamHost>, now: Instant) {
        hosts.retain(|host| host.jid != self.own.jid && is_dialable(host));
        hosts.sort_by_key(is_local);
        hosts.truncate(Self::MAX_HOSTS);
        if !hosts.is_empty() {
            self.found.insert(index, hosts);
            self.ends = self.ends.min(now + Self::LINGER);
        }
    }

    /// Tells what was found, once nothing is left to wait for.
    fn check(&mut self, now: Instant) {
        if !self.over && (self.requests.is_empty() || self.ends <= now) {
            self.over = true;
            self.requests = Requests::default();
            let found = core::mem::take(&mut self.found);
            let of_rank = |rank: usize| found.values().filter_map(move |hosts| hosts.get(rank));
            let all = (0..Self::MAX_HOSTS).flat_map(of_rank).cloned();
            let all = all.take(Self::MAX_HOSTS).collect();
            self.out.event(DiscoveryEvent::Found(all));
        }
    }
}

impl Machine for ProxyDiscovery {
    type Event = DiscoveryEvent;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let Input::Stanza(Stanza::Iq(iq)) = input else {
            return Some(input);
        };
        match self.requests.answered(&self.own, &iq) {
            Some(question) => {
                self.answered(question, iq.body, now);
                self.check(now);
                None
            }
            None => Some(Input::Stanza(iq.into())),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.check(now);
    }

    fn poll_output(&mut self) -> Option<Output<DiscoveryEvent>> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!self.over).then_some(self.ends)
    }
}

fn is_proxy(info: &DiscoInfo) -> bool {
    info.identities
        .iter()
        .any(|identity| &*identity.category == "proxy" && &*identity.kind == "bytestreams")
}

#[cfg(test)]
mod tests;
