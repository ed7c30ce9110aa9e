//! A serverless XML stream over a UART, one after another, and the machines behind it.

use crate::clock::{Clock, Pool};
use crate::uart::Port;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytestreams_machine::{Input, Instant, Machine, Output, Own, Responder, Stack, turn};
use bytestreams_stanza::door::Plain;
use bytestreams_stanza::{
    Frame, FrameError, Framer, Identity, Jid, Limits, Opened, Opening, OpeningError, OutBuf,
    StreamError, XmlWriter, ns, write_stream_end, write_stream_error,
};
use bytestreams_transfer::{Config, Event, Transfers};
use core::fmt;
use core::ops::ControlFlow;
use core::time::Duration;

/// Octets of a block in band, before base64.
pub const BLOCK: u16 = 512;

/// How long the peer has to answer our header.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the line may rest in the middle of an element: where an octet that ends one is
/// corrupted, each side would wait for the other.
const PAUSE: Duration = Duration::from_secs(3);

/// What begins a stream, and cannot occur within one (RFC 6120, 11.1): a UART does not tell when
/// its other end has changed.
const BEGINNING: &[u8] = b"<?xml";

/// What has become of a stream.
pub enum News {
    /// It is open.
    Open,
    /// Something happened to a transfer.
    Event(Event),
    /// It is over, and not in order.
    Broken(Trouble),
}

/// Why a stream broke.
pub enum Trouble {
    /// What came is no stream of XMPP.
    Frame(FrameError),
    /// It was not set up.
    Opening(OpeningError),
    /// The peer ended it with an error.
    Peer(StreamError),
    /// Another one began.
    Begun,
    /// Nothing came for too long.
    Silent,
    /// An element came in part.
    Cut,
}

/// The stream on a UART.
pub struct Link {
    port: Port,
    own: Jid,
    framer: Framer<Plain>,
    writer: XmlWriter,
    out: OutBuf,
    stage: Stage,
    /// How much of [`BEGINNING`] came last.
    begun: usize,
    /// Whether the peer's stream has begun: nothing before that counts.
    hears: bool,
    heard: Instant,
}

enum Stage {
    Idle,
    Opening(Opening, Instant),
    Open(Box<Open>),
}

struct Open {
    peer: Jid,
    stack: Stack<Transfers>,
}

impl Link {
    pub fn new(port: Port, own: Jid) -> Self {
        Self {
            port,
            own,
            framer: framer(),
            writer: XmlWriter::new(ns::CLIENT),
            out: OutBuf::default(),
            stage: Stage::Idle,
            begun: 0,
            hears: false,
            heard: Instant::ZERO,
        }
    }

    /// Begins a stream.
    pub fn call(&mut self, now: Instant) {
        let opening = Opening::serverless(&self.own, None);
        self.stage = Stage::Opening(opening, now + PATIENCE);
        self.flush();
    }

    /// Ends the stream.
    pub fn end(&mut self) {
        write_stream_end(&mut self.out);
        self.rest();
    }

    /// Ends the stream with an error, and drops the transfers without a word.
    pub fn break_off(&mut self, condition: &'static str) {
        write_stream_error(condition, &mut self.out);
        self.rest();
    }

    /// Writes what is left, and lets go of all that a stream holds.
    fn rest(&mut self) {
        self.flush();
        self.stage = Stage::Idle;
        self.framer = framer();
        self.writer = XmlWriter::new(ns::CLIENT);
        self.out = OutBuf::default();
        self.hears = false;
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// The machine, while the stream is open.
    pub fn transfers(&mut self) -> Option<&mut Transfers> {
        match &mut self.stage {
            Stage::Open(open) => Some(&mut open.stack.machine),
            Stage::Idle | Stage::Opening(..) => None,
        }
    }

    /// The peer, while the stream is open.
    pub fn peer(&self) -> Option<&Jid> {
        match &self.stage {
            Stage::Open(open) => Some(&open.peer),
            Stage::Idle | Stage::Opening(..) => None,
        }
    }

    /// Takes what has come, fires what is due and writes what is to be written.
    pub fn turn(&mut self, clock: &mut Clock, pool: &mut Pool, news: &mut Vec<News>) {
        let mut room = [0; 64];
        let came = self.port.read(&mut room);
        let mut from = 0;
        for (at, octet) in came.iter().enumerate() {
            self.begun = match BEGINNING.get(self.begun) {
                Some(next) if next == octet => self.begun + 1,
                _ => usize::from(*octet == b'<'),
            };
            if self.begun == BEGINNING.len() {
                pool.stir();
                self.begin(pool, clock.now(), news);
                self.feed(BEGINNING, clock, news);
                from = at + 1;
            }
        }
        self.feed(&came[from..], clock, news);
        let now = clock.now();
        if !came.is_empty() {
            self.heard = now;
        }
        if matches!(&self.stage, Stage::Opening(_, until) if *until <= now) {
            self.over(Some(Trouble::Silent), now, news);
        } else if self.framer.buffered() > 0 && now.since(self.heard) >= PAUSE {
            write_stream_error("not-well-formed", &mut self.out);
            self.over(Some(Trouble::Cut), now, news);
        }
        self.crank(now, news);
    }

    /// Makes ready for the stream that begins.
    fn begin(&mut self, pool: &mut Pool, now: Instant, news: &mut Vec<News>) {
        if self.hears {
            self.over(Some(Trouble::Begun), now, news);
        }
        self.hears = true;
        if self.port == Port::Inbound {
            // Nobody is to guess it.
            let id = pool.draw().sid();
            let opening = Opening::await_serverless(&self.own, id.as_str());
            self.stage = Stage::Opening(opening, now + PATIENCE);
        }
    }

    fn feed(&mut self, mut octets: &[u8], clock: &mut Clock, news: &mut Vec<News>) {
        while self.hears {
            let Some(frame) = self.framer.next(&mut octets) else {
                return;
            };
            let now = clock.now();
            match frame {
                Ok(frame) => self.frame(frame, now, news),
                Err(error) => {
                    write_stream_error(error.condition(), &mut self.out);
                    self.over(Some(Trouble::Frame(error)), now, news);
                }
            }
            self.crank(now, news);
        }
    }

    fn frame(&mut self, frame: Frame, now: Instant, news: &mut Vec<News>) {
        match (&mut self.stage, frame) {
            (Stage::Idle, _) => {}
            (Stage::Opening(opening, _), frame) => match opening.handle(frame) {
                Ok(None) => {}
                Ok(Some(opened)) => {
                    self.flush();
                    self.opened(opened, now);
                    news.push(News::Open);
                }
                Err(error) => self.over(Some(Trouble::Opening(error)), now, news),
            },
            (Stage::Open(open), Frame::Stanza(mut stanza)) => {
                // Whatever it says: there is nobody else.
                stanza.set_from(Some(open.peer.clone()));
                let _ = open.stack.handle_input(Input::Stanza(stanza), now);
            }
            (Stage::Open(_), Frame::End) => {
                write_stream_end(&mut self.out);
                self.over(None, now, news);
            }
            (Stage::Open(_), Frame::Error(error)) => {
                write_stream_end(&mut self.out);
                self.over(Some(Trouble::Peer(error)), now, news);
            }
            // Nothing that could be answered.
            (Stage::Open(_), _) => {}
        }
    }

    fn opened(&mut self, opened: Opened, now: Instant) {
        let named = opened.header.and_then(|header| header.from);
        let peer = named.or_else(|| Jid::new("peer@serverless").ok());
        let mut config = Config::default();
        config.bounds.transfers = 2;
        config.bounds.transfers_a_peer = 1;
        config.bounds.open_offers_a_peer = 1;
        config.bounds.peers = 1;
        config.bounds.ended = 2;
        config.bounds.buffered = 4 * usize::from(BLOCK);
        config.bounds.block_size = BLOCK;
        let own = Own {
            jid: self.own.clone(),
        };
        let transfers = Transfers::new(own, config, now);
        // Blocks one at a time, or the ring would overflow.
        let mut features = transfers.features();
        features.retain(|feature| *feature != ns::IBB_PIPELINE);
        let identity = Identity {
            category: "client".into(),
            kind: "bot".into(),
            name: None,
        };
        let responder = Responder::new("urn:example:bare-metal", identity, &features);
        if let Some(peer) = peer {
            let stack = Stack::new(transfers, responder);
            self.stage = Stage::Open(Box::new(Open { peer, stack }));
        }
    }

    fn over(&mut self, why: Option<Trouble>, now: Instant, news: &mut Vec<News>) {
        match core::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => return,
            Stage::Opening(mut opening, _) => {
                let said = opening.output();
                self.out.extend_from_slice(said.as_slice());
            }
            Stage::Open(mut open) => {
                open.stack.machine.link_lost(now);
                while let Some(output) = open.stack.poll_output() {
                    if let Output::Event(event) = output {
                        news.push(News::Event(event));
                    }
                }
            }
        }
        self.rest();
        news.extend(why.map(News::Broken));
    }

    /// Carries out what the machines ask for.
    pub fn crank(&mut self, now: Instant, news: &mut Vec<News>) {
        self.flush();
        let Stage::Open(open) = &mut self.stage else {
            return;
        };
        let mut lost = false;
        turn(&mut open.stack, now, |output| {
            match output {
                Output::Stanza(stanza) => {
                    self.writer.write(&stanza, &mut self.out);
                    self.port.write(self.out.as_slice());
                    self.out.clear();
                }
                // There is no network.
                Output::Net(_) => {}
                Output::Event(Event::LinkLost) => lost = true,
                Output::Event(event) => news.push(News::Event(event)),
            }
            ControlFlow::Continue(())
        });
        if lost {
            write_stream_end(&mut self.out);
            self.over(Some(Trouble::Silent), now, news);
        }
    }

    fn flush(&mut self) {
        if let Stage::Opening(opening, _) = &mut self.stage {
            let said = opening.output();
            self.port.write(said.as_slice());
            said.clear();
        }
        self.port.write(self.out.as_slice());
        self.out.clear();
    }
}

fn framer() -> Framer<Plain> {
    let mut limits = Limits::SMALL;
    limits.block = usize::from(BLOCK);
    limits.stanza = 2048;
    Framer::new(Plain::default(), limits)
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Opening(error) => error.fmt(f),
            Self::Peer(error) => write!(f, "the peer says: {error}"),
            Self::Begun => f.write_str("another stream began"),
            Self::Silent => f.write_str("the peer says nothing"),
            Self::Cut => f.write_str("an element broke off"),
        }
    }
}
