//! Reads a file ahead on a thread that may block.

use crate::endpoint::Transfer;
use crate::file::{Pieces, Reading, SourceError};
use bytes::Bytes;
use core::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Pieces read ahead.
const AHEAD: usize = 3;

enum Piece {
    Octets(Bytes),
    End(Result<Option<[u8; 32]>, SourceError>),
}

/// Reads a file ahead on a thread that may block, and hands the octets to the transfer.
pub(crate) struct Pump {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Pump {
    pub(crate) fn start(reading: Reading) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let mut file = Pieces::new(reading);
        spawn_blocking(move || {
            let last = loop {
                match file.next() {
                    Ok(Some(octets)) => {
                        // Nobody takes it when the transfer is over.
                        if sender.blocking_send(Piece::Octets(octets)).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break file.finish(),
                    Err(error) => break Err(error),
                }
            };
            // Likewise.
            let _ = sender.blocking_send(Piece::End(last));
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }

    /// Moves octets until all are moved.
    pub(crate) fn poll(
        &mut self,
        transfer: &mut Transfer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<[u8; 32]>, SourceError>> {
        loop {
            match ready!(transfer.poll_write(cx, &mut self.current)) {
                Ok(()) => {}
                // An event tells what became of the stream.
                Err(_) => return Poll::Pending,
            }
            match ready!(self.pieces.poll_recv(cx)) {
                Some(Piece::Octets(octets)) => self.current = octets,
                Some(Piece::End(result)) => return Poll::Ready(result),
                None => return Poll::Pending,
            }
        }
    }
}
