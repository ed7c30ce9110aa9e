//! Which StreamHosts there are to offer: our own, and Proxies.

use crate::config::Socks5;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytestreams_machine::{Input, Instant, ListenId, Machine, Output};
use bytestreams_socks5::{DiscoveryEvent, ProxyDiscovery};
use bytestreams_stanza::{Jid, Stanza, StreamHost};
use core::net::SocketAddr;
use core::time::Duration;

/// How long an offer waits for the first address of the listening socket, once a link: a driver
/// that cannot listen answers nothing.
const LISTENING: Duration = Duration::from_millis(500);

/// How long an offer waits for what is known of Proxies. What is not known by then may still be
/// when the peer answers.
const DISCOVERY: Duration = Duration::from_secs(3);

/// How long Proxies that were found are taken for granted, and how long none.
const PROXIES_LAST: Duration = Duration::from_secs(3600);
const NONE_LASTS: Duration = Duration::from_secs(60);

/// Addresses kept of a listening socket.
const MOST_ADDRESSES: usize = 16;

/// The StreamHosts of a link.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    listener: Option<Listener>,
    /// How many transfers may have a connection come to us.
    users: usize,
    /// Listening sockets asked for so far.
    asked: u64,
    /// The driver was asked, and had no address in time.
    mute: bool,
    /// The Proxies found last, and how long they are taken for granted.
    proxies: Vec<StreamHost>,
    fresh_until: Option<Instant>,
    /// The search for Proxies, and since when.
    search: Option<(Box<ProxyDiscovery>, Instant)>,
}

#[derive(Debug)]
struct Listener {
    id: ListenId,
    since: Instant,
    addrs: Vec<SocketAddr>,
}

impl Hosts {
    /// Notes that one more transfer may have a connection come to us; answers what to listen on if
    /// nobody does yet.
    pub(super) fn enlist(&mut self, now: Instant) -> Option<ListenId> {
        self.users += 1;
        if self.listener.is_some() {
            return None;
        }
        let id = ListenId(self.asked);
        self.asked += 1;
        self.listener = Some(Listener {
            id,
            since: now,
            addrs: Vec::new(),
        });
        Some(id)
    }

    /// Notes that a transfer no longer waits for connections; answers what nobody needs any more.
    pub(super) fn discharge(&mut self) -> Option<ListenId> {
        self.users = self.users.saturating_sub(1);
        if self.users > 0 {
            return None;
        }
        self.listener.take().map(|listener| listener.id)
    }

    /// Stops listening whoever may need it.
    pub(super) fn dismiss(&mut self) -> Option<ListenId> {
        self.users = 0;
        self.search = None;
        self.listener.take().map(|listener| listener.id)
    }

    /// Takes an address of a listening socket; says whether the socket was ever asked for.
    pub(super) fn listening(&mut self, id: ListenId, addr: SocketAddr) -> bool {
        if let Some(listener) = self.listener.as_mut().filter(|l| l.id == id) {
            self.mute = false;
            if listener.addrs.len() < MOST_ADDRESSES && !listener.addrs.contains(&addr) {
                listener.addrs.push(addr);
            }
        }
        id.0 < self.asked
    }

    /// Says whether connections to this socket are wanted, where it is one of those asked for.
    pub(super) fn takes(&self, id: ListenId) -> Option<bool> {
        let wanted = self.listener.as_ref().is_some_and(|l| l.id == id);
        (id.0 < self.asked).then_some(wanted)
    }

    /// Says whether Proxies are to be looked for.
    pub(super) fn lacks_proxies(&self, config: &Socks5, now: Instant) -> bool {
        let any = config.discover || !config.proxies.is_empty();
        any && self.search.is_none() && self.fresh_until.is_none_or(|until| until <= now)
    }

    /// Notes that Proxies are being looked for.
    pub(super) fn look_for_proxies(&mut self, discovery: ProxyDiscovery, now: Instant) {
        self.search = Some((Box::new(discovery), now));
    }

    /// Gives a stanza to the search for Proxies; answers it if it was another's.
    pub(super) fn handle_stanza(&mut self, stanza: Stanza, now: Instant) -> Option<Stanza> {
        let Some((discovery, _)) = &mut self.search else {
            return Some(stanza);
        };
        match discovery.handle_input(Input::Stanza(stanza), now) {
            Some(Input::Stanza(stanza)) => Some(stanza),
            Some(Input::Net(_)) | None => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some((discovery, _)) = &mut self.search {
            discovery.handle_timeout(now);
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let (discovery, _) = self.search.as_ref()?;
        discovery.poll_timeout()
    }

    /// Takes the next question to be asked; notes what was found.
    pub(super) fn poll_stanza(&mut self, now: Instant) -> Option<Stanza> {
        let (discovery, _) = self.search.as_mut()?;
        while let Some(output) = discovery.poll_output() {
            match output {
                Output::Stanza(stanza) => return Some(stanza),
                Output::Event(DiscoveryEvent::Found(hosts)) => {
                    let lasts = if hosts.is_empty() {
                        NONE_LASTS
                    } else {
                        PROXIES_LAST
                    };
                    self.proxies = hosts;
                    self.fresh_until = Some(now + lasts);
                    self.search = None;
                    return None;
                }
                Output::Event(_) | Output::Net(_) => {}
            }
        }
        None
    }

    /// Says until when an offer had better wait for StreamHosts; nothing when it need not.
    pub(super) fn wait(&mut self, listens: bool, proxied: bool, now: Instant) -> Option<Instant> {
        let mut until = None;
        if let Some(listener) = self.listener.as_ref().filter(|_| listens && !self.mute) {
            if listener.addrs.is_empty() {
                let due = listener.since + LISTENING;
                self.mute = due <= now;
                until = Some(due);
            }
        }
        if let Some((_, since)) = self.search.as_ref().filter(|_| proxied) {
            // What was found before will do.
            if self.proxies.is_empty() {
                until = until.max(Some(*since + DISCOVERY));
            }
        }
        until.filter(|until| *until > now)
    }

    /// Says whether Proxies may still be found.
    pub(super) fn is_looking(&self) -> bool {
        self.search.is_some()
    }

    /// The StreamHosts to offer: our own, where `direct`, then the Proxies, where `proxied`.
    pub(super) fn all(
        &self,
        config: &Socks5,
        own: &Jid,
        direct: bool,
        proxied: bool,
    ) -> Vec<StreamHost> {
        let mut all: Vec<StreamHost> = Vec::new();
        let mut add = |jid: &Jid, host: Arc<str>, port| {
            let known = |h: &StreamHost| h.jid == *jid && h.host == host && h.port == port;
            if !all.iter().any(known) {
                let jid = jid.clone();
                all.push(StreamHost { jid, host, port });
            }
        };
        if direct {
            for (host, port) in &config.advertised {
                add(own, host.clone(), *port);
            }
            for addr in self.listener.iter().flat_map(|listener| &listener.addrs) {
                add(own, addr.ip().to_string().into(), addr.port());
            }
        }
        for host in self.proxies.iter().filter(|_| proxied) {
            add(&host.jid, host.host.clone(), host.port);
        }
        all
    }
}
