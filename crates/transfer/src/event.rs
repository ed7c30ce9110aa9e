//! What the machine tells the application.

use crate::{Reason, TransferId};
use alloc::sync::Arc;
use bytestreams_machine::ConnId;
use bytestreams_si::{Method, Methods};
use bytestreams_stanza::{File, Jid, Range, Sid};
use core::fmt;

/// How the octets of a transfer travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Via {
    /// Over a connection between the two sides (XEP-0065).
    Direct,
    /// Through a Proxy (XEP-0065).
    Proxy,
    /// In band (XEP-0047).
    Ibb,
}

impl Via {
    /// Its short name: `direct`, `proxy` or `ibb`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::Ibb => "ibb",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something happened to a transfer, or to the link.
///
/// The life of a transfer that we send: [`Event::Accepted`] (after an offer),
/// [`Event::Established`], then [`Event::Writable`] and [`Event::Progress`], and at the end one of
/// [`Event::Done`] and [`Event::Failed`]. Of one that we receive: [`Event::Offered`],
/// [`Event::Accepted`] (once accepted here), [`Event::Established`], then [`Event::Readable`] and
/// [`Event::Progress`], [`Event::Ended`], and one of [`Event::Done`] and [`Event::Failed`]. Nothing
/// follows the last, which comes exactly once for each transfer.
///
/// Over a socket there is no [`Event::Writable`] and no [`Event::Readable`]: the application moves
/// the octets itself and says so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A peer offers a file or a stream: answer with [`crate::Transfers::accept`] or
    /// [`crate::Transfers::decline`], within 300 s.
    Offered {
        /// The transfer.
        id: TransferId,
        /// Who offers, as the link stamped it.
        from: Jid,
        /// The stream.
        sid: Sid,
        /// The file, as the peer describes it; without name and size for an unannounced stream.
        /// The name is not to be trusted: see [`crate::safe_name`].
        file: File,
        /// The MIME type, as the peer says.
        mime_type: Option<Arc<str>>,
        /// The methods that both sides have, preferred ones first.
        methods: Methods,
        /// Whether there was an offer (XEP-0095). Otherwise it is a bare stream: nothing is known
        /// of what comes, and the application may write as well as read.
        announced: bool,
    },
    /// The offer was accepted, by the peer or by us.
    Accepted {
        /// The transfer.
        id: TransferId,
        /// How the octets will travel.
        method: Method,
        /// The part of the file that will travel. The sender writes exactly this part.
        range: Range,
    },
    /// Octets can travel.
    Established {
        /// The transfer.
        id: TransferId,
        /// How they travel.
        method: Method,
        /// The socket that is the application's from now on, told right behind its
        /// [`NetCommand::Detach`](bytestreams_machine::NetCommand::Detach). What came ahead of that is
        /// given by `Transfers::early`. Absent for streams in band, which
        /// [`crate::Transfers::write`] and [`crate::Transfers::read`] serve.
        conn: Option<ConnId>,
    },
    /// There is something to [`crate::Transfers::read`]: read until it gives nothing. It comes
    /// again when more has arrived since.
    Readable {
        /// The transfer.
        id: TransferId,
    },
    /// [`crate::Transfers::write`] takes octets again after it answered
    /// [`crate::Blocked::Full`].
    Writable {
        /// The transfer.
        id: TransferId,
    },
    /// The peer has sent all that it will send, and as much of it as was announced: it closed the
    /// stream in band, or the application said so of the socket. Once everything is read, stored
    /// and checked, call [`crate::Transfers::completed`].
    Ended {
        /// The transfer.
        id: TransferId,
    },
    /// The way that was tried failed and another is tried. All octets written so far are void: at
    /// the next [`Event::Established`] begin again at the start of the range.
    FellBack {
        /// The transfer.
        id: TransferId,
        /// The method that failed.
        from: Method,
        /// The method that is tried next, or waited for where the peer began. The same one means
        /// that it is tried more cautiously, or by another offer: in band with one block in flight,
        /// or as the only method.
        to: Method,
        /// What went wrong.
        reason: Reason,
    },
    /// Octets moved.
    Progress {
        /// The transfer.
        id: TransferId,
        /// How many in all, those before the range not counted: acknowledged by the peer where we
        /// send in band, stored by the application where we receive in band, moved as the
        /// application says over a socket.
        octets: u64,
    },
    /// The transfer is complete: where we send, the peer has acknowledged everything and confirmed
    /// the end (over a socket, it has closed it or had 10 s to do so); where we receive, the
    /// application has said so.
    Done {
        /// The transfer.
        id: TransferId,
    },
    /// The transfer has failed, and nothing more is heard of it.
    Failed {
        /// The transfer.
        id: TransferId,
        /// Why.
        reason: Reason,
    },
    /// The link has been silent for too long and is given up; every transfer has failed with
    /// [`Reason::LinkLost`] before. The driver drops the link and this machine.
    LinkLost,
}

impl Event {
    /// Whose it is; nobody's where the link itself is meant.
    pub const fn transfer(&self) -> Option<TransferId> {
        match self {
            Self::Offered { id, .. }
            | Self::Accepted { id, .. }
            | Self::Established { id, .. }
            | Self::Readable { id }
            | Self::Writable { id }
            | Self::Ended { id }
            | Self::FellBack { id, .. }
            | Self::Progress { id, .. }
            | Self::Done { id }
            | Self::Failed { id, .. } => Some(*id),
            Self::LinkLost => None,
        }
    }
}
