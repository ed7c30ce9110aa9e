//! Links: what stanzas come from and go to.

pub mod component;
mod error;
pub mod serverless;
mod setup;
mod socket;
mod wire;

pub use error::{ConnectFailure, LinkError};

use bytestreams_machine::{Ends, Own};
use bytestreams_stanza::{Jid, OutBuf, Stanza, XmlWriter};
use core::fmt;
use std::net::TcpStream;
use std::sync::Arc;
use wire::Wire;

/// An XML stream over TCP, set up and ready for stanzas.
pub struct Link {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) ends: Option<Ends>,
    own: Jid,
    peer: Jid,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("own", &self.own)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Makes a link of a stream that is set up. `direct` says that the other end is the peer itself.
    fn new(wire: Wire, own: Jid, peer: Jid, direct: bool) -> Self {
        let (socket, content) = (wire.socket(), wire.content());
        let ends = socket.local_addr().and_then(|local| {
            let remote = socket.peer_addr()?;
            Ok(Ends {
                local,
                remote,
                direct,
            })
        });
        Self {
            socket,
            ends: ends.ok(),
            reader: Reader {
                wire,
                // There is no server: what comes in is from the peer, whatever it says.
                stamp: direct.then(|| peer.clone()),
            },
            writer: Writer {
                xml: XmlWriter::new(content),
                stamp: own.clone(),
            },
            own,
            peer,
        }
    }

    /// Who we are on this link.
    pub fn own(&self) -> &Jid {
        &self.own
    }

    /// The other end: the peer of a serverless link, the server of a component's.
    pub fn peer(&self) -> &Jid {
        &self.peer
    }

    pub(crate) fn as_own(&self) -> Own {
        Own {
            jid: self.own.clone(),
        }
    }
}

/// What comes in.
pub(crate) struct Reader {
    wire: Wire,
    stamp: Option<Jid>,
}

impl Reader {
    /// Waits for stanzas, then appends all that came with the first, `most` at most. When there is
    /// an error, what came before it is in `into` all the same.
    pub(crate) fn read(&mut self, into: &mut Vec<Stanza>, most: usize) -> Result<(), LinkError> {
        while into.len() < most {
            let frame = match self.wire.frame() {
                Some(frame) => frame?,
                None if !into.is_empty() => break,
                None => {
                    self.wire.read()?;
                    continue;
                }
            };
            if let Some(mut stanza) = wire::stanza(frame)? {
                if let Some(peer) = &self.stamp {
                    stanza.set_from(Some(peer.clone()));
                }
                into.push(stanza);
            }
        }
        Ok(())
    }
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Writer {
    xml: XmlWriter,
    stamp: Jid,
}

impl Writer {
    /// Appends a stanza, from us where it does not say from whom.
    pub(crate) fn write(&mut self, stanza: &Stanza, out: &mut OutBuf) {
        if stanza.from().is_some() {
            self.xml.write(stanza, out);
        } else {
            let mut stanza = stanza.clone();
            stanza.set_from(Some(self.stamp.clone()));
            self.xml.write(&stanza, out);
        }
    }
}
