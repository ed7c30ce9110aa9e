//! Moves octets between a file and a socket on a thread that may block: few large pieces, and no
//! task in between.

use crate::endpoint::{Acknowledger, Pace, Socket, Transfer, conn_end};
use crate::file::{PIECE, Partial, Reading, SourceError, StoreError};
use bytes::Bytes;
use bytestreams_machine::ConnId;
use bytestreams_transfer::ConnEnd;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// How long a read or a write takes before it is seen whether anything is to be told.
const TICK: Duration = Duration::from_millis(100);

/// Pieces between two sides that work at the same time.
const BETWEEN: usize = 4;

/// A socket in the hands of a thread that may block.
#[derive(Debug)]
pub(crate) struct Blocking {
    conn: ConnId,
    stream: TcpStream,
    early: Bytes,
    unsent: Bytes,
    /// How much is still to come, where that is known.
    left: Option<u64>,
    stop: Arc<AtomicBool>,
    acknowledger: Acknowledger,
    pace: Pace,
}

/// Breaks the connection off when it is dropped, unless the thread is done with it: the peer sees a
/// reset, and no end.
#[derive(Debug)]
pub(crate) struct Leash {
    stream: Option<TcpStream>,
    stop: Arc<AtomicBool>,
}

/// A socket with which a thread is done.
#[derive(Debug)]
pub(crate) struct GivenBack(ConnId, TcpStream);

/// Why octets move no more.
#[derive(Debug)]
pub(crate) enum Broken<E> {
    /// The file's side.
    File(E),
    /// The socket's side.
    Conn(ConnEnd),
    /// The leash was dropped.
    Stopped,
}

impl Blocking {
    pub(crate) fn new(
        socket: Socket,
        acknowledger: Acknowledger,
    ) -> Result<(Self, Leash), ConnEnd> {
        let (conn, left) = (socket.conn, socket.left);
        let (stream, early, unsent) = socket.into_parts();
        let prepared = stream.into_std().and_then(|stream| {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(TICK))?;
            stream.set_write_timeout(Some(TICK))?;
            Ok((stream.try_clone()?, stream))
        });
        let (other, stream) = prepared.map_err(|_| ConnEnd::Broken)?;
        let stop = Arc::new(AtomicBool::new(false));
        let leash = Leash {
            stream: Some(other),
            stop: stop.clone(),
        };
        let blocking = Self {
            conn,
            stream,
            early,
            unsent,
            left,
            stop,
            acknowledger,
            pace: Pace::default(),
        };
        Ok((blocking, leash))
    }

    /// Reads until the buffer is full; less is the end of the stream, or of the leash.
    fn fill<E>(&mut self, buffer: &mut [u8]) -> Result<usize, Broken<E>> {
        let mut filled = self.early.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&self.early.split_to(filled));
        self.moved(filled);
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    self.moved(n);
                }
                Err(error) if self.is_tick(&error) => {}
                // What came is stored before it is said why no more comes.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(Broken::Conn(conn_end(&error))),
            }
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(filled)
    }

    fn write_all<E>(&mut self, octets: &[u8]) -> Result<(), Broken<E>> {
        let unsent = core::mem::take(&mut self.unsent);
        self.write(&unsent, |_, _| ())?;
        self.write(octets, Self::moved)
    }

    fn write<E>(
        &mut self,
        mut octets: &[u8],
        moved: impl Fn(&mut Self, usize),
    ) -> Result<(), Broken<E>> {
        while !octets.is_empty() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Broken::Stopped);
            }
            match self.stream.write(octets) {
                Ok(0) => return Err(Broken::Conn(ConnEnd::Reset)),
                Ok(n) => {
                    octets = &octets[n..];
                    moved(self, n);
                }
                Err(error) if self.is_tick(&error) => {}
                Err(error) => return Err(Broken::Conn(conn_end(&error))),
            }
        }
        Ok(())
    }

    fn moved(&mut self, octets: usize) {
        if let Some(octets) = self.pace.moved(octets) {
            self.acknowledger.moved(octets);
        }
    }

    /// Says whether it is an error only because nothing happened for a while, which is a good time
    /// to tell what happened before.
    fn is_tick(&mut self, error: &io::Error) -> bool {
        let tick = error.kind() == NOTHING;
        if tick {
            self.tell();
        }
        tick || error.kind() == io::ErrorKind::Interrupted
    }

    fn tell(&mut self) {
        if let Some(octets) = self.pace.rest() {
            self.acknowledger.moved(octets);
        }
    }

    /// Gives the socket back: everything of it was moved.
    fn done<E>(mut self) -> Result<GivenBack, Broken<E>> {
        self.tell();
        if self.stop.load(Ordering::Relaxed) {
            return Err(Broken::Stopped);
        }
        Ok(GivenBack(self.conn, self.stream))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let Some(stream) = &self.stream else {
            return;
        };
        self.stop.store(true, Ordering::Relaxed);
        // Neither fails on a socket that is open; on one that is not, nothing is to be done.
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        let _ = stream.shutdown(Shutdown::Read);
    }
}

impl Leash {
    /// Lets go: the socket is given back.
    fn release(mut self) {
        self.stream = None;
    }
}

impl GivenBack {
    /// Hands the socket to the driver.
    pub(crate) fn to(self, transfer: &Transfer, leash: Leash) {
        leash.release();
        let Self(conn, stream) = self;
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpStream::from_std(stream));
        // One that cannot be had is as good as closed.
        if let Ok(stream) = stream {
            transfer.return_socket(conn, stream);
        }
    }
}

/// Sends what is to be read of a file. Answers the socket, and the SHA-256 if asked for.
pub(crate) fn send(
    mut to: Blocking,
    mut from: Reading,
) -> Result<(GivenBack, Option<[u8; 32]>), Broken<SourceError>> {
    let aside = from.hashes();
    carry(
        aside,
        |buffer| from.read(buffer).map_err(Broken::File),
        |octets| to.write_all(octets),
    )?;
    let sha256 = from.finish().map_err(Broken::File)?;
    Ok((to.done()?, sha256))
}

/// Receives what is to come, or to the end of the stream where that is not known. Answers the
/// socket; that all has come is for the caller to check.
pub(crate) fn receive(
    mut from: Blocking,
    to: &mut Partial,
) -> Result<GivenBack, Broken<StoreError>> {
    let mut left = from.left;
    let aside = to.hashes();
    let stop = from.stop.clone();
    carry(
        aside,
        |buffer| {
            let most = left.map_or(buffer.len(), |left| {
                usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()))
            });
            let filled = from.fill(&mut buffer[..most])?;
            if let Some(left) = &mut left {
                *left -= filled as u64;
            }
            Ok(filled)
        },
        |octets| {
            to.write(octets).map_err(|error| {
                // The other side may be waiting for octets.
                stop.store(true, Ordering::Relaxed);
                Broken::File(error)
            })
        },
    )?;
    to.flush().map_err(Broken::File)?;
    from.done()
}

/// Has one side fill pieces and the other empty them until there is nothing to fill; `aside` has
/// them do so at the same time.
fn carry<E: Send>(
    aside: bool,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, E> + Send,
    mut empty: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if !aside {
        let mut piece = vec![0; PIECE];
        loop {
            let filled = fill(&mut piece)?;
            if filled == 0 {
                return Ok(());
            }
            empty(&piece[..filled])?;
        }
    }
    let (full, pieces) = sync_channel::<(Vec<u8>, usize)>(BETWEEN);
    let (free, empties) = sync_channel::<Vec<u8>>(BETWEEN);
    std::thread::scope(|scope| {
        let filling = scope.spawn(move || {
            let mut made = 0;
            while let Some(mut piece) = next(&empties, &mut made) {
                let filled = fill(&mut piece)?;
                // Nobody takes it when the other side has failed.
                if filled == 0 || full.send((piece, filled)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut result = Ok(());
        for (piece, filled) in pieces {
            result = empty(&piece[..filled]);
            if result.is_err() {
                break;
            }
            // Who has filled the last takes none back.
            let _ = free.send(piece);
        }
        drop(free);
        match filling.join() {
            Ok(filled) => result.and(filled),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A piece to fill: one that was emptied, or a new one while there are few.
fn next(empties: &Receiver<Vec<u8>>, made: &mut usize) -> Option<Vec<u8>> {
    match empties.try_recv() {
        Ok(piece) => Some(piece),
        Err(_) if *made < BETWEEN => {
            *made += 1;
            Some(vec![0; PIECE])
        }
        Err(_) => empties.recv().ok(),
    }
}

/// What a read or write says that took as long as it may.
const NOTHING: io::ErrorKind = if cfg!(windows) {
    io::ErrorKind::TimedOut
} else {
    io::ErrorKind::WouldBlock
};
