//! The task that carries out what the machine asks for.

use super::client::joined;
use super::connections::Connections;
use super::listen::Acceptor;
use super::shared::{Shared, Stage};
use super::uplink::Uplink;
use super::{Event, Outcome, Relayed, Relays};
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Input, ListenId, Machine, NetCommand, NetInput, Output, Stack, turn,
};
use bytestreams_socks5::{DstAddr, Proxy, ProxyEvent};
use core::future::Future;
use core::mem::take;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, Sleep};

/// Things of one kind that are looked at before those of another.
const BATCH: usize = 64;

/// Rounds before other tasks get their turn.
const ROUNDS: usize = 8;

/// The one socket that listens.
const LISTEN: ListenId = ListenId(0);

/// How long the end of the link may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is told to whoever runs the proxy.
pub(super) type Tell = Box<dyn FnMut(Event) + Send>;

/// The driver of one proxy: a future that ends when the proxy has been stopped.
pub(super) struct Driver {
    stack: Stack<Proxy>,
    /// None once no more connections are taken.
    acceptor: Option<Acceptor>,
    conns: Connections,
    inputs: VecDeque<NetInput>,
    uplink: Uplink,
    relays: Arc<Relays>,
    sessions: JoinSet<Relayed>,
    running: HashMap<Id, Session>,
    shared: Arc<Shared>,
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
    tell: Tell,
    drain: Duration,
    ending: Ending,
    /// Sessions that were cut off.
    cut: usize,
}

struct Session {
    addr: DstAddr,
    began: Instant,
}

/// How far the end is.
enum Ending {
    No,
    /// Sessions may go on until then.
    Draining(Pin<Box<Sleep>>),
    /// The sessions are cut off, and their sockets being closed.
    Cutting,
    /// The link is being closed.
    Leaving(Pin<Box<Sleep>>),
}

impl Driver {
    pub(super) fn new(
        stack: Stack<Proxy>,
        acceptor: Acceptor,
        uplink: Uplink,
        shared: Arc<Shared>,
        drain: Duration,
        tell: Tell,
    ) -> Self {
        Self {
            stack,
            acceptor: Some(acceptor),
            conns: Connections::default(),
            inputs: VecDeque::new(),
            uplink,
            relays: shared.relays.clone(),
            sessions: JoinSet::new(),
            running: HashMap::new(),
            shared,
            origin: Instant::now(),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            tell,
            drain,
            ending: Ending::No,
            cut: 0,
        }
    }

    fn now(&self) -> bytestreams_machine::Instant {
        let micros = self.origin.elapsed().as_micros();
        bytestreams_machine::Instant::from_micros(micros.try_into().unwrap_or(u64::MAX))
    }

    /// Feeds the machine what happened on the link; true when there may be more.
    fn poll_uplink(&mut self, cx: &mut Context<'_>) -> Result<bool, super::ConnectFailure> {
        for _ in 0..BATCH {
            match self.uplink.poll_next(cx, &mut self.tell)? {
                Poll::Ready(Some(stanza)) => {
                    let now = self.now();
                    // What nobody wants needs no answer: the responder is last in line.
                    let _ = self.stack.handle_input(Input::Stanza(stanza), now);
                }
                Poll::Ready(None) => return Ok(true),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(acceptor) = &mut self.acceptor else {
            return false;
        };
        for _ in 0..BATCH {
            match acceptor.poll_accept(cx) {
                Poll::Ready(Ok((stream, from))) => {
                    let conn = self.conns.insert(stream);
                    let listen = LISTEN;
                    self.inputs
                        .push_back(NetInput::Accepted { listen, conn, from });
                }
                Poll::Ready(Err(error)) => {
                    self.shared.count_accept_error();
                    (self.tell)(Event::AcceptFailed(error));
                    return true;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Feeds the machine what happened on connections; true when there may be more.
    fn poll_conns(&mut self, cx: &Context<'_>) -> bool {
        // What came in before is heard before a connection is looked at.
        self.feed();
        let any = self.conns.poll(BATCH, &mut self.inputs, cx);
        self.feed();
        any
    }

    fn feed(&mut self) {
        let now = self.now();
        for input in self.inputs.drain(..) {
            let _ = self.stack.handle_input(Input::Net(input), now);
        }
    }

    /// Sees which sessions ended; true when one did.
    fn poll_sessions(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(ended)) = self.sessions.poll_join_next_with_id(cx) {
            any = true;
            let (id, relayed) = match ended {
                Ok((id, relayed)) => (id, Some(relayed)),
                Err(error) => (error.id(), None),
            };
            let Some(session) = self.running.remove(&id) else {
                continue;
            };
            self.stack.machine.ended(session.addr);
            self.shared.count_end(relayed.as_ref().map(|r| &r.end));
            if let Some(relayed) = relayed {
                (self.tell)(Event::Ended {
                    session: session.addr,
                    took: session.began.elapsed(),
                    relayed,
                });
            }
        }
        any
    }

    /// Fires what is due and carries out what the machine asks for; true when that was anything
    /// that calls for another look.
    fn crank(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        let mut again = false;
        let mut events = Vec::new();
        let Self {
            stack,
            uplink,
            conns,
            ..
        } = self;
        // Handshakes do not wait for a server that does not read.
        let due = turn(stack, now, |output| {
            match output {
                Output::Stanza(stanza) => uplink.write(&stanza),
                Output::Net(command) => {
                    again |= !matches!(command, NetCommand::Detach(_));
                    conns.carry_out(command);
                }
                Output::Event(event) => events.push(event),
            }
            ControlFlow::Continue(())
        });
        for event in events {
            again = true;
            self.activated(event);
        }
        self.shared.set_stats(self.stack.machine.stats());
        let Some(due) = due else {
            return again;
        };
        let due = self.origin + Duration::from_micros(due.as_micros());
        if self.sleep.deadline() != due {
            self.sleep.as_mut().reset(due);
        }
        again | self.sleep.as_mut().poll(cx).is_ready()
    }

    fn activated(&mut self, event: ProxyEvent) {
        let ProxyEvent::Activated {
            addr,
            first,
            second,
            requester,
            target,
        } = event
        else {
            return;
        };
        let sides = [first, second].map(|id| self.side(id));
        let [Some((a, early_a, unsent_a)), Some((b, early_b, unsent_b))] = sides else {
            // One has just gone. The other gets no end in order: it was told that it stands.
            for (stream, ..) in sides.iter().flatten() {
                let _ = stream.set_zero_linger();
            }
            self.stack.machine.ended(addr);
            return;
        };
        // What is to be written to the one comes before what the other has sent.
        let early = [joined(&unsent_b, early_a), joined(&unsent_a, early_b)];
        let task = self.sessions.spawn(self.relays.relay([a, b], early));
        let began = Instant::now();
        self.running.insert(task.id(), Session { addr, began });
        (self.tell)(Event::Activated {
            session: addr,
            requester,
            target,
        });
    }

    fn side(&mut self, id: ConnId) -> Option<(tokio::net::TcpStream, Bytes, Bytes)> {
        let early = self.stack.machine.early(id);
        let (stream, unsent) = self.conns.take(id)?.into_parts();
        Some((stream, early, unsent))
    }

    /// Goes towards the end, if that is wanted; ready when it is reached.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stage = self.shared.stage(cx);
        loop {
            match &mut self.ending {
                Ending::No if stage == Stage::Running => return Poll::Pending,
                Ending::No => {
                    self.acceptor = None;
                    self.stack.machine.retire();
                    self.ending = Ending::Draining(Box::pin(tokio::time::sleep(self.drain)));
                    cx.waker().wake_by_ref();
                }
                Ending::Draining(sleep) => {
                    let over = stage == Stage::Halted || sleep.as_mut().poll(cx).is_ready();
                    if !self.running.is_empty() && !over {
                        return Poll::Pending;
                    }
                    self.cut = self.running.len();
                    self.sessions.abort_all();
                    self.ending = Ending::Cutting;
                }
                Ending::Cutting if !self.sessions.is_empty() => return Poll::Pending,
                Ending::Cutting if stage == Stage::Halted => return Poll::Ready(()),
                Ending::Cutting => {
                    self.ending = Ending::Leaving(Box::pin(tokio::time::sleep(FAREWELL)));
                }
                Ending::Leaving(sleep) => {
                    let over = stage == Stage::Halted || sleep.as_mut().poll(cx).is_ready();
                    if over || self.uplink.poll_close(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Future for Driver {
    type Output = Result<Outcome, super::ConnectFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            let mut more = false;
            if !matches!(this.ending, Ending::Leaving(_)) {
                more |= this.poll_uplink(cx)?;
            }
            more |= this.poll_accept(cx);
            more |= this.poll_conns(cx);
            more |= this.poll_sessions(cx);
            more |= this.crank(cx);
            more |= this.uplink.poll_flush(cx, &mut this.tell);
            if this.poll_end(cx).is_ready() {
                return Poll::Ready(Ok(Outcome {
                    cut: take(&mut this.cut),
                }));
            }
            if !more {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
