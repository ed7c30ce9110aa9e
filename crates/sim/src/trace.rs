//! What happened: a hash of everything, and the last of it in words.

use crate::Side;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant, NetCommand, NetInput};
use bytestreams_stanza::{Iq, IqBody, Message, Payload, Stanza};
use core::fmt::{self, Write as _};

/// How many entries are kept in words.
const KEPT: usize = 60;

/// What happened to an end.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It sent this.
    Sent(Stanza),
    /// This came in.
    Received(Stanza),
    /// What it sent last was lost.
    Dropped,
    /// What it sent last comes back as an error.
    Bounced,
    /// So many of the last stanzas come in again.
    Repeated(usize),
    /// Its link is gone.
    Disconnected,
    /// Its timeout was called.
    Timeout,
    /// It told this to its application.
    Event(String),
    /// It did this with a socket.
    Command(NetCommand),
    /// This happened to a socket.
    Net(NetInput),
    /// Its application read this from a connection; empty at the end.
    Read(ConnId, Bytes),
    /// A connection of its application was reset.
    Reset(ConnId),
    /// What happens to a connection from now on: a fault of the net.
    Fault(ConnId, &'static str),
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// At which end.
    pub side: Side,
    /// What.
    pub what: What,
}

/// A run so far.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: Fnv,
    last: VecDeque<Entry>,
    muted: bool,
}

impl Trace {
    /// Stops recording: for long runs that are measured.
    pub const fn mute(&mut self) {
        self.muted = true;
    }

    /// Says whether nothing is recorded.
    pub const fn is_muted(&self) -> bool {
        self.muted
    }

    /// A hash of every entry: same choices, same hash.
    pub const fn hash(&self) -> u64 {
        self.hash.0
    }

    /// The last entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.last.iter()
    }

    pub(crate) fn push(&mut self, at: Instant, side: Side, what: What) {
        if self.muted {
            return;
        }
        self.hash.add(&at.as_micros().to_le_bytes());
        self.hash.add(&[side as u8]);
        match &what {
            What::Sent(stanza) => self.hash.stanza(1, stanza),
            What::Received(stanza) => self.hash.stanza(2, stanza),
            other => {
                let _ = write!(self.hash, "{other:?}");
            }
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(Entry { at, side, what });
    }
}

#[derive(Clone, Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a stanza without writing a block out: its number and its ends are enough to tell it.
    fn stanza(&mut self, tag: u8, stanza: &Stanza) {
        self.add(&[tag]);
        let data = match stanza {
            Stanza::Iq(Iq {
                id,
                body: IqBody::Set(Payload::Data(data)),
                ..
            }) => {
                self.add(id.as_bytes());
                Some(data)
            }
            Stanza::Message(Message {
                payload: Some(Payload::Data(data)),
                error: None,
                ..
            }) => Some(data),
            _ => None,
        };
        match data {
            Some(data) => {
                self.add(&data.seq.to_le_bytes());
                self.add(&data.octets.len().to_le_bytes());
                let end = data.octets.len().saturating_sub(8);
                self.add(data.octets.get(..8).unwrap_or(&data.octets));
                self.add(data.octets.get(end..).unwrap_or_default());
            }
            None => {
                let _ = write!(self, "{stanza:?}");
            }
        }
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} ", self.at, self.side)?;
        match &self.what {
            What::Sent(stanza) => write!(f, "sends {}", brief(stanza)),
            What::Received(stanza) => write!(f, "gets {}", brief(stanza)),
            What::Event(event) => write!(f, "tells {event}"),
            What::Net(NetInput::Received(conn, octets)) => {
                write!(f, "receives on {conn:?} {}", beginning(octets))
            }
            What::Command(NetCommand::Send(conn, octets)) => {
                write!(f, "writes on {conn:?} {}", beginning(octets))
            }
            What::Read(conn, octets) => write!(f, "reads on {conn:?} {}", beginning(octets)),
            other => write!(f, "{other:?}"),
        }
    }
}

/// What a handshake has fits.
fn beginning(octets: &Bytes) -> String {
    let shown = octets.slice(..octets.len().min(50));
    format!("{} octets: {shown:?}", octets.len())
}

fn brief(stanza: &Stanza) -> String {
    let name = |payload: &Payload| match payload {
        Payload::Data(data) => format!(
            "data sid={} seq={} ({} octets)",
            data.sid,
            data.seq,
            data.octets.len()
        ),
        other => format!("{other:?}"),
    };
    let from = stanza.from().map_or("-", |jid| jid.as_str());
    let to = stanza.to().map_or("-", |jid| jid.as_str());
    match stanza {
        Stanza::Iq(iq) => match &iq.body {
            IqBody::Get(payload) => format!("{from}>{to} get {} {}", iq.id, name(payload)),
            IqBody::Set(payload) => format!("{from}>{to} set {} {}", iq.id, name(payload)),
            IqBody::Result(None) => format!("{from}>{to} result {}", iq.id),
            IqBody::Result(Some(payload)) => {
                format!("{from}>{to} result {} {}", iq.id, name(payload))
            }
            IqBody::Error(error) => format!("{from}>{to} error {} {error}", iq.id),
        },
        Stanza::Message(message) => {
            let payload = message.payload.as_ref().map(name).unwrap_or_default();
            match &message.error {
                Some(error) => format!("{from}>{to} message error {error} {payload}"),
                None => format!("{from}>{to} message {payload}"),
            }
        }
        Stanza::Presence(presence) => format!("{from}>{to} presence {:?}", presence.kind),
    }
}
