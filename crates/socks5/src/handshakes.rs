//! Server handshakes in progress.

use crate::output::Outputs;
use crate::{DstAddr, Server, ServerStep};
use alloc::collections::{BTreeMap, BTreeSet};
use bytes::Bytes;
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, Instant, ListenId, NetCommand};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// Connections whose handshake is in progress: so many at most, each for so long at most.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    max: usize,
    time: Duration,
    shaking: BTreeMap<ConnId, Shaking>,
    due: BTreeSet<(Instant, ConnId)>,
}

#[derive(Clone, Debug)]
struct Shaking {
    server: Server,
    listen: ListenId,
    source: Source,
    due: Instant,
}

/// What a handshake has come to.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// The connection is none of these.
    Unknown,
    More,
    /// To be answered with [`Server::accept`], or [`Server::refuse`] and a close.
    Asked(Asked),
    /// Refused and closed.
    Failed(Source),
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) server: Server,
    pub(crate) addr: DstAddr,
    pub(crate) listen: ListenId,
    pub(crate) source: Source,
    pub(crate) early: Bytes,
}

impl Handshakes {
    pub(crate) fn new(max: usize, time: Duration) -> Self {
        Self {
            max,
            time,
            shaking: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Begins a handshake. Where there are too many, the oldest is closed; answers its source.
    pub(crate) fn begin<E>(
        &mut self,
        conn: ConnId,
        listen: ListenId,
        source: Source,
        now: Instant,
        out: &mut Outputs<E>,
    ) -> Option<Source> {
        let evicted = if self.shaking.len() >= self.max.max(1) {
            let oldest = self.due.first().map(|(_, oldest)| *oldest);
            oldest.and_then(|oldest| self.close(oldest, out))
        } else {
            None
        };
        let due = now + self.time;
        self.due.insert((due, conn));
        let server = Server::new();
        let shaking = Shaking {
            server,
            listen,
            source,
            due,
        };
        self.shaking.insert(conn, shaking);
        evicted
    }

    /// Takes what came in on a connection.
    pub(crate) fn received<E>(
        &mut self,
        conn: ConnId,
        octets: &Bytes,
        out: &mut Outputs<E>,
    ) -> Progress {
        let Some(shaking) = self.shaking.get_mut(&conn) else {
            return Progress::Unknown;
        };
        let mut rest = &octets[..];
        loop {
            match shaking.server.handle(&mut rest) {
                ServerStep::More => return Progress::More,
                ServerStep::Send(octets) => out.net(NetCommand::Send(conn, octets)),
                ServerStep::Requested(addr) => {
                    let early = Bytes::copy_from_slice(rest);
                    let Some(Shaking {
                        server,
                        listen,
                        source,
                        ..
                    }) = self.remove(conn)
                    else {
                        return Progress::Unknown;
                    };
                    return Progress::Asked(Asked {
                        server,
                        addr,
                        listen,
                        source,
                        early,
                    });
                }
                ServerStep::Failed { reply, .. } => {
                    out.net(NetCommand::Send(conn, reply));
                    let source = self.close(conn, out);
                    return source.map_or(Progress::Unknown, Progress::Failed);
                }
            }
        }
    }

    /// Closes a connection, if it is one of these; answers its source.
    pub(crate) fn close<E>(&mut self, conn: ConnId, out: &mut Outputs<E>) -> Option<Source> {
        let shaking = self.remove(conn)?;
        out.net(NetCommand::Close(conn));
        Some(shaking.source)
    }

    /// Closes one that took too long; answers its source.
    pub(crate) fn expire<E>(&mut self, now: Instant, out: &mut Outputs<E>) -> Option<Source> {
        let (due, conn) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.close(conn, out)
    }

    /// Closes all.
    pub(crate) fn clear<E>(&mut self, out: &mut Outputs<E>) {
        self.due.clear();
        for conn in core::mem::take(&mut self.shaking).into_keys() {
            out.net(NetCommand::Close(conn));
        }
    }

    /// Says when [`Handshakes::expire`] is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(crate) fn len(&self) -> usize {
        self.shaking.len()
    }

    fn remove(&mut self, conn: ConnId) -> Option<Shaking> {
        let shaking = self.shaking.remove(&conn)?;
        self.due.remove(&(shaking.due, conn));
        Some(shaking)
    }
}

/// Where a connection comes from, as far as bounds go: an IPv4 address, or a network of 64 bits,
/// which is what one host has of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(addr: IpAddr) -> Self {
        Self(match addr.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }
}

/// How many connections each source has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(BTreeMap<Source, usize>);

impl Sources {
    /// Counts one more, unless there are `max` already.
    pub(crate) fn enter(&mut self, source: Source, max: usize) -> bool {
        let count = self.0.get(&source).copied().unwrap_or_default();
        if count >= max {
            return false;
        }
        self.0.insert(source, count + 1);
        true
    }

    pub(crate) fn leave(&mut self, source: Source) {
        if let Some(count) = self.0.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Appends to what came early. False when it is more than a driver reads of an undetached
/// connection.
pub(crate) fn append(early: &mut Bytes, octets: &Bytes) -> bool {
    if early.len() + octets.len() > HANDSHAKE_OCTETS {
        return false;
    }
    *early = [&early[..], octets].concat().into();
    true
}
