//! An offer as the application sees it.

use crate::{CommandError, Event, Methods, Reason, Side, TransferId};
use bytestreams_stanza::{File, Jid, Range, Sid};

/// A file or a stream that a peer offers: what an adapter hands its application to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    id: TransferId,
    from: Jid,
    sid: Sid,
    file: File,
    methods: Methods,
    announced: bool,
}

impl Proposal {
    /// Takes what [`Event::Offered`] tells; other events give nothing.
    pub fn new(event: Event) -> Option<Self> {
        if let Event::Offered {
            id,
            from,
            sid,
            file,
            methods,
            announced,
            ..
        } = event
        {
            return Some(Self {
                id,
                from,
                sid,
                file,
                methods,
                announced,
            });
        }
        None
    }

    /// Its name on this link.
    pub const fn id(&self) -> TransferId {
        self.id
    }

    /// Who offers, as the link stamped it.
    pub const fn from(&self) -> &Jid {
        &self.from
    }

    /// The stream.
    pub const fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The file, as the peer describes it. Its name is not to be trusted: see
    /// [`crate::safe_name`].
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The methods that both sides have.
    pub const fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Whether there was an offer (XEP-0095). Otherwise it is a bare stream, with neither name nor
    /// size.
    pub const fn announced(&self) -> bool {
        self.announced
    }

    /// Whether a part of the file can be asked for: the offer allows ranges and has hash and size.
    pub const fn takes_range(&self) -> bool {
        self.file.range.is_some() && self.file.hash.is_some() && self.file.size.is_some()
    }

    /// Why there is nothing of it to accept any more, where nothing else is known: the peer has
    /// withdrawn it.
    pub const fn withdrawn() -> Reason {
        Reason::Cancelled { by: Side::Peer }
    }

    /// Why it could not be accepted with this range, whose transfer failed as `failure` says.
    pub fn refused(error: CommandError, range: Range, failure: Option<Reason>) -> Reason {
        if error == CommandError::BadRange {
            return Reason::BadRange {
                offset: range.offset.unwrap_or(0),
                length: range.length,
            };
        }
        failure.unwrap_or_else(Self::withdrawn)
    }
}
