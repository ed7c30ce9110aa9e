//! The machine's five methods: where stanzas go, and when.

use crate::agenda::Booked;
use crate::silence::Alarm;
use crate::transfer::{Stage, tag_of};
use crate::{Event, Keepalive, TransferId, Transfers};
use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_stanza::{Iq, IqBody, Message, Payload, Presence, PresenceType, Sid, Stanza, ns};

impl Machine for Transfers {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let stanza = match input {
            Input::Net(input) => return self.net_input(input, now).map(Input::Net),
            Input::Stanza(stanza) if !self.lost => stanza,
            other @ Input::Stanza(_) => return Some(other),
        };
        self.now = now;
        self.silence.heard(now);
        let rest = match stanza {
            Stanza::Iq(iq) if iq.request().is_some() => self.request(iq, now),
            Stanza::Iq(iq) => self.reply(iq, now),
            Stanza::Message(message) => self.message(message, now),
            Stanza::Presence(presence) => Some(self.presence(presence)),
        };
        let rest = self.strays.handle_input(Input::Stanza(rest?), now);
        self.drain_strays();
        rest
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(peer) = self.questions.expired(now) {
            self.peers.answered(&peer, None);
            self.resume_probing(&peer, now);
        }
        while let Some((due, id)) = self.agenda.take(now) {
            let Some(transfer) = self.live.get_mut(id) else {
                continue;
            };
            if transfer.booked.is(due) {
                transfer.booked = Booked::NONE;
                self.wake(id, now);
            }
        }
        self.shared_timeout(now);
        self.strays.handle_timeout(now);
        self.drain_strays();
        match self.silence.due(self.is_deaf(), now) {
            Some(Alarm::Ping) => self.ping(),
            Some(Alarm::Lost) => {
                self.link_lost(now);
                self.tell(Event::LinkLost);
            }
            None => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        let queued = self.queue.pop_front();
        let mut output = queued.or_else(|| self.poll_transfers())?;
        if let Output::Event(Event::Progress { id, octets }) = &mut output {
            // What moved since it was queued is told with it.
            if let Ok(transfer) = self.get_mut(*id) {
                transfer.progress_told = false;
                *octets = transfer.moved();
            }
        }
        Some(output)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [
            self.agenda.next(),
            self.questions.next(),
            self.socks5.next(),
            self.strays.poll_timeout(),
            self.silence.next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Transfers {
    fn request(&mut self, iq: Iq, now: Instant) -> Option<Stanza> {
        match &iq.body {
            IqBody::Set(Payload::Si(_)) if iq.from.is_some() => {
                self.offered(&iq, now);
                None
            }
            IqBody::Set(Payload::Open(open)) => {
                let id = self.by_stream(iq.from.as_ref(), &open.sid);
                // A stream knows its own opening when it is repeated.
                let Some(Stanza::Iq(iq)) = self.feed(id, iq.into(), now) else {
                    return None;
                };
                self.opened(iq, now);
                None
            }
            #[cfg(feature = "socks5")]
            IqBody::Set(Payload::Bytestreams(_)) => self.queried(iq, now).map(Stanza::Iq),
            IqBody::Set(Payload::Close(close)) if self.closed_early(&iq, &close.sid, now) => None,
            IqBody::Set(payload) => {
                let sid = stream_of(payload).cloned();
                let id = sid.and_then(|sid| self.by_stream(iq.from.as_ref(), &sid));
                self.feed(id, iq.into(), now)
            }
            IqBody::Get(_) | IqBody::Result(_) | IqBody::Error(_) => Some(iq.into()),
        }
    }

    fn reply(&mut self, iq: Iq, now: Instant) -> Option<Stanza> {
        if let Some(peer) = self.questions.answered(&self.own, &iq) {
            if let IqBody::Result(Some(Payload::DiscoInfo(info))) = &iq.body {
                self.peers.answered(&peer, Some(info));
            } else {
                self.peers.answered(&peer, None);
            }
            self.resume_probing(&peer, now);
            return None;
        }
        let Stanza::Iq(iq) = self.found_proxies(iq.into(), now)? else {
            return None;
        };
        let id = self.by_tag(iq.id.as_str());
        #[cfg(feature = "socks5")]
        let id = id.or_else(|| self.by_sid_for_id(&iq));
        self.feed(id, iq.into(), now)
    }

    /// The transfer whose sid an error has where an id belongs, which one well-known peer writes.
    #[cfg(feature = "socks5")]
    fn by_sid_for_id(&self, iq: &Iq) -> Option<TransferId> {
        let IqBody::Error(_) = iq.body else {
            return None;
        };
        let sid = Sid::new(iq.id.as_str()).ok()?;
        self.by_stream(iq.from.as_ref(), &sid)
    }

    fn message(&mut self, message: Message, now: Instant) -> Option<Stanza> {
        let sid = message.payload.as_ref().and_then(stream_of);
        let by_stream = sid.and_then(|sid| self.by_stream(message.from.as_ref(), sid));
        // One that bounced is known by its id where its content was not echoed.
        let bounced = message.id.as_ref().filter(|_| message.error.is_some());
        let id = by_stream.or_else(|| bounced.and_then(|id| self.by_tag(id.as_str())));
        self.feed(id, message.into(), now)
    }

    fn presence(&mut self, presence: Presence) -> Stanza {
        if let (PresenceType::Unavailable, Some(from)) = (presence.kind, &presence.from) {
            self.peers.forget(from);
        }
        presence.into()
    }

    fn by_tag(&self, id: &str) -> Option<TransferId> {
        self.live.by_tag(tag_of(id)?)
    }

    /// Gives a stanza to the transfer that it may belong to; answers what is left of it.
    fn feed(&mut self, id: Option<TransferId>, stanza: Stanza, now: Instant) -> Option<Stanza> {
        let Some((id, transfer)) = id.and_then(|id| Some((id, self.live.get_mut(id)?))) else {
            return Some(stanza);
        };
        let speaks = match &stanza {
            Stanza::Iq(iq) => iq.request().is_some(),
            Stanza::Message(message) => message.error.is_none(),
            Stanza::Presence(_) => false,
        };
        if speaks {
            transfer.heard = now;
        }
        if let Stage::Socks5(_) = transfer.stage {
            return self.feed_socks5(id, stanza, now);
        }
        let input = Input::Stanza(stanza);
        let rest = match &mut transfer.stage {
            Stage::Offering(offer) => offer.handle_input(input, now),
            Stage::InBand(session) | Stage::Closing(session) => session.handle_input(input, now),
            Stage::Preparing(_)
            | Stage::Probing(_)
            | Stage::Offered(..)
            | Stage::Asked(..)
            | Stage::Expecting(_)
            | Stage::Socks5(_)
            | Stage::Over => Some(input),
        };
        self.touch(id, now);
        match rest {
            Some(Input::Stanza(stanza)) => Some(stanza),
            Some(Input::Net(_)) | None => None,
        }
    }

    fn wake(&mut self, id: TransferId, now: Instant) {
        let Some(transfer) = self.live.get_mut(id) else {
            return;
        };
        let is_due = transfer.due().is_some_and(|due| due <= now);
        match &mut transfer.stage {
            _ if !is_due => {}
            Stage::Offering(offer) => offer.handle_timeout(now),
            Stage::InBand(session) | Stage::Closing(session) => {
                session.handle_timeout(now);
                self.stalled(id, now);
            }
            Stage::Preparing(_) => return self.prepared(id, now),
            Stage::Probing(_) => return self.open_now(id, now),
            Stage::Socks5(_) => self.wake_socks5(id, now),
            Stage::Offered(..) | Stage::Asked(..) | Stage::Expecting(_) => {
                return self.overdue(id, now);
            }
            Stage::Over => {}
        }
        self.touch(id, now);
    }

    fn ping(&mut self) {
        let to = match &self.config.keepalive {
            Keepalive::Off => return,
            Keepalive::Link => None,
            Keepalive::To(jid) => Some(jid.clone()),
        };
        let id = self.ids.next_id();
        self.send(Iq::get(to, id, Payload::Ping));
    }

    fn drain_strays(&mut self) {
        while let Some(output) = self.strays.poll_output() {
            if let Output::Stanza(stanza) = output {
                self.answer(stanza);
            }
        }
    }
}

/// The in-band stream that a payload belongs to.
fn stream_of(payload: &Payload) -> Option<&Sid> {
    if let Payload::Data(data) = payload {
        Some(&data.sid)
    } else if let Payload::Close(close) = payload {
        Some(&close.sid)
    } else if let Payload::Invalid(invalid) = payload {
        invalid.sid.as_ref().filter(|_| &*invalid.ns == ns::IBB)
    } else {
        None
    }
}
