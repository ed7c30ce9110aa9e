//! What the ends do with their streams.

use crate::host::{Host, LISTEN, Told};
use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant, NetCommand};
use bytestreams_sim::{App, Context};
use bytestreams_socks5::{Reason, Via};
use bytestreams_stanza::{Jid, Sid, StreamHost};
use core::time::Duration;

/// How long an application looks at a connection on which nothing happens.
const PATIENCE: Duration = Duration::from_secs(100);

/// What a Requester offers, and when.
pub(crate) struct Offer {
    pub(crate) peer: Jid,
    pub(crate) sid: Sid,
    pub(crate) listens: bool,
    pub(crate) hosts: Vec<StreamHost>,
    pub(crate) at: Instant,
}

/// The user of a stream: sends its text both at once and later, and reads to the end.
pub(crate) struct User {
    offer: Option<Offer>,
    listens: bool,
    asked: bool,
    /// It has a stream, or wants one.
    busy: bool,
    text: Bytes,
    written: usize,
    next_write: Option<Instant>,
    /// Gives up before the stream stands, once in so many acts; never for 0.
    cancels: u32,
    pub(crate) received: Vec<u8>,
    pub(crate) via: Option<Via>,
    pub(crate) failed: Option<Reason>,
    conn: Option<ConnId>,
    ended: bool,
    shut: bool,
    /// It was reset, or nothing happened for too long.
    pub(crate) broken: bool,
    patience: Option<Instant>,
}

impl User {
    pub(crate) fn new(text: Bytes, offer: Option<Offer>, cancels: u32) -> Self {
        Self {
            listens: offer.as_ref().is_some_and(|offer| offer.listens),
            asked: offer.is_some(),
            busy: offer.is_some(),
            offer,
            text,
            written: 0,
            next_write: None,
            cancels,
            received: Vec::new(),
            via: None,
            failed: None,
            conn: None,
            ended: false,
            shut: false,
            broken: false,
            patience: None,
        }
    }

    /// Offers these too, first of all.
    pub(crate) fn prepend(&mut self, mut hosts: Vec<StreamHost>) {
        let offer = self.offer.as_mut().expect("it has an offer to make");
        hosts.append(&mut offer.hosts);
        offer.hosts = hosts;
    }

    /// What it has written so far.
    pub(crate) fn sent(&self) -> &[u8] {
        &self.text[..self.written]
    }

    /// Says whether everything went out and the other end has ended too.
    pub(crate) fn is_whole(&self) -> bool {
        self.via.is_some() && self.written == self.text.len() && !self.broken
    }

    /// Writes a piece of what is left, now and then; shuts its half down behind the last, the
    /// Target only when it has read to the end: a connection that ends before the Requester knows
    /// that it is used is as good as none.
    fn write(&mut self, cx: &mut Context<'_>) {
        let Some(conn) = self.conn else {
            return;
        };
        if self.next_write.take_if(|at| *at <= cx.now).is_none() {
            return;
        }
        let rest = self.text.slice(self.written..);
        if rest.is_empty() {
            if !self.asked && !self.ended {
                return;
            }
            self.shut = true;
            return cx.net(NetCommand::ShutdownWrite(conn));
        }
        let lens = [rest.len(), 1, rest.len().div_ceil(2)];
        let len = lens[cx.chooser.choose(rest.len().min(3) as u32) as usize];
        self.written += len;
        cx.net(NetCommand::Send(conn, rest.slice(..len)));
        self.next_write = Some(cx.now + Duration::from_millis(100));
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        if let Some(conn) = self.conn.take() {
            self.patience = None;
            self.next_write = None;
            cx.net(NetCommand::Close(conn));
        }
    }

    fn stop_listening(&mut self, cx: &mut Context<'_>) {
        if core::mem::take(&mut self.listens) {
            cx.net(NetCommand::Unlisten(LISTEN));
        }
    }
}

impl App for User {
    type Machine = Host;

    fn event(&mut self, host: &mut Host, told: Told, cx: &mut Context<'_>) {
        assert!(self.via.is_none() && self.failed.is_none(), "told twice");
        match told {
            Told::Established { conn, via } => {
                self.via = Some(via);
                self.conn = Some(conn);
                self.received.extend_from_slice(&host.early());
                self.next_write = Some(cx.now);
                self.patience = Some(cx.now + PATIENCE);
            }
            Told::Failed(reason) => self.failed = Some(reason),
        }
        self.stop_listening(cx);
    }

    fn act(&mut self, host: &mut Host, cx: &mut Context<'_>) {
        self.busy |= host.target.is_some();
        if let Some(offer) = &mut self.offer {
            if core::mem::take(&mut offer.listens) {
                cx.net(NetCommand::Listen(LISTEN));
            }
            if offer.at <= cx.now {
                let mut hosts = core::mem::take(&mut offer.hosts);
                hosts.extend(host.hosts());
                host.offer(offer.peer.clone(), offer.sid.clone(), hosts, cx.now);
                self.offer = None;
            }
        }
        let waits = self.via.is_none() && self.failed.is_none();
        if waits && self.cancels > 0 && cx.chooser.rarely(self.cancels) {
            host.cancel(cx.now);
        }
        if self.patience.is_some_and(|until| until <= cx.now) {
            self.broken = true;
            self.close(cx);
        }
        self.write(cx);
        if self.ended && self.shut {
            self.close(cx);
        }
    }

    fn wake(&self) -> Option<Instant> {
        let offer = self.offer.as_ref().map(|offer| offer.at);
        [offer, self.next_write, self.patience]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_done(&self) -> bool {
        let over = self.via.is_some() && self.conn.is_none() || self.failed.is_some();
        over || !self.busy
    }

    fn octets(&mut self, _: &mut Host, conn: ConnId, octets: Bytes, cx: &mut Context<'_>) {
        assert_eq!(self.conn, Some(conn), "another one is the stream's");
        if octets.is_empty() {
            self.ended = true;
            if !self.shut {
                self.next_write.get_or_insert(cx.now);
            }
        }
        self.received.extend_from_slice(&octets);
    }

    fn reset(&mut self, _: &mut Host, _: ConnId, cx: &mut Context<'_>) {
        self.broken = true;
        self.close(cx);
    }

    fn session(told: &Told) -> Option<(u64, bool)> {
        let _ = told;
        Some((0, true))
    }
}
