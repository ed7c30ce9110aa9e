//! Connections until they are activated.

use super::{Pair, Proxy, Waiting};
use crate::DstAddr;
use crate::handshakes::{Asked, Progress, Source, append};
use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant, ListenId, NetCommand, NetInput};
use core::net::SocketAddr;

impl Proxy {
    pub(super) fn accepted(
        &mut self,
        conn: ConnId,
        listen: ListenId,
        from: SocketAddr,
        now: Instant,
    ) {
        let source = Source::from(from.ip());
        let all = self.handshakes.len() + self.waiting.len() + 2 * self.active.len();
        let most = self.config.connections_a_source;
        if self.retired || all >= self.config.connections || !self.sources.enter(source, most) {
            self.stats.turned_away += 1;
            self.out.net(NetCommand::Close(conn));
            return;
        }
        self.stats.accepted += 1;
        let handshakes = &mut self.handshakes;
        if let Some(evicted) = handshakes.begin(conn, listen, source, now, &mut self.out) {
            self.stats.handshakes_expired += 1;
            self.sources.leave(evicted);
        }
    }

    pub(super) fn received(
        &mut self,
        conn: ConnId,
        octets: Bytes,
        now: Instant,
    ) -> Option<NetInput> {
        if let Some(waiting) = self.waiting.get_mut(&conn) {
            if !append(&mut waiting.early, &octets) {
                self.drop_waiting(conn);
            }
            return None;
        }
        if let Some(early) = self.early.get_mut(&conn) {
            // On its way before the driver got to the `Detach`.
            append(early, &octets);
            return None;
        }
        match self.handshakes.received(conn, &octets, &mut self.out) {
            Progress::Unknown => return Some(NetInput::Received(conn, octets)),
            Progress::More => {}
            Progress::Failed(source) => {
                self.stats.handshakes_failed += 1;
                self.sources.leave(source);
            }
            Progress::Asked(asked) => self.asked(conn, asked, now),
        }
        None
    }

    pub(super) fn closed(&mut self, conn: ConnId) -> Option<NetInput> {
        if let Some(source) = self.handshakes.close(conn, &mut self.out) {
            self.stats.handshakes_failed += 1;
            self.sources.leave(source);
            None
        } else if self.early.contains_key(&conn) || self.drop_waiting(conn) {
            // Of the end of a connection that is activated whoever relays hears.
            None
        } else {
            Some(NetInput::Closed(conn))
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(source) = self.handshakes.expire(now, &mut self.out) {
            self.stats.handshakes_expired += 1;
            self.sources.leave(source);
        }
        while let Some(&(due, conn)) = self.due.first() {
            if due > now {
                break;
            }
            self.stats.expired += 1;
            if !self.drop_waiting(conn) {
                self.due.remove(&(due, conn));
            }
        }
    }

    /// A client asks for a hash: it is the first or the second with it, or one too many.
    fn asked(&mut self, conn: ConnId, asked: Asked, now: Instant) {
        let Asked {
            server,
            addr,
            source,
            early,
            ..
        } = asked;
        let first = match self.pairs.get_mut(&addr) {
            _ if self.active.contains_key(&addr) => return self.refuse(conn, &server, source),
            Some(Pair {
                second: Some(_), ..
            }) => return self.refuse(conn, &server, source),
            Some(pair) => {
                pair.second = Some(conn);
                Some(pair.first)
            }
            None => {
                let pair = Pair {
                    first: conn,
                    second: None,
                };
                self.pairs.insert(addr, pair);
                None
            }
        };
        self.out.net(NetCommand::Send(conn, server.accept()));
        let due = now + self.config.activation_time;
        let waiting = Waiting {
            addr,
            source,
            early,
            due,
        };
        self.due.insert((due, conn));
        self.waiting.insert(conn, waiting);
        // Both have the time that is left to the later one.
        let first = first.and_then(|first| Some((first, self.waiting.get_mut(&first)?)));
        if let Some((first, waiting)) = first {
            self.due.remove(&(waiting.due, first));
            waiting.due = due;
            self.due.insert((due, first));
        }
    }

    fn refuse(&mut self, conn: ConnId, server: &crate::Server, source: Source) {
        self.stats.third_refused += 1;
        self.sources.leave(source);
        self.out.net(NetCommand::Send(conn, server.refuse()));
        self.out.net(NetCommand::Close(conn));
    }

    /// Closes a connection that waits, if it is one; says whether. Another one may take its place.
    fn drop_waiting(&mut self, conn: ConnId) -> bool {
        let Some(waiting) = self.take_waiting(conn) else {
            return false;
        };
        self.sources.leave(waiting.source);
        self.out.net(NetCommand::Close(conn));
        self.unpair(waiting.addr, conn);
        true
    }

    /// Takes a connection out of those that wait, its pair apart.
    pub(super) fn take_waiting(&mut self, conn: ConnId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&conn)?;
        self.due.remove(&(waiting.due, conn));
        Some(waiting)
    }

    fn unpair(&mut self, addr: DstAddr, conn: ConnId) {
        let Some(pair) = self.pairs.get_mut(&addr) else {
            return;
        };
        match *pair {
            Pair {
                first,
                second: Some(second),
            } => {
                pair.first = if first == conn { second } else { first };
                pair.second = None;
            }
            Pair { second: None, .. } => {
                self.pairs.remove(&addr);
            }
        }
    }
}
