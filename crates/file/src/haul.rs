//! Octets between a file and a socket, on a thread that may block: few large pieces, and nothing in
//! between.

use crate::{PIECE, Partial, Reading, SourceError, StoreError};
use bytes::Bytes;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// How long a read or a write takes before it is seen whether anything is to be told.
const TICK: Duration = Duration::from_millis(100);

/// Pieces between two sides that work at the same time.
const BETWEEN: usize = 4;

/// A socket of a transfer, which blocks, and tells now and then how many octets went through it.
pub struct Line {
    stream: TcpStream,
    early: Bytes,
    /// How much is still to come, where that is known.
    left: Option<u64>,
    stop: Arc<AtomicBool>,
    tell: Box<dyn FnMut(u64) + Send>,
    pace: Pace,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("stream", &self.stream)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Breaks a [`Line`] off when it is dropped, unless it was released: the peer sees a reset, and no
/// end.
#[derive(Debug)]
pub struct Leash {
    stream: Option<TcpStream>,
    stop: Arc<AtomicBool>,
}

/// Why octets move no more.
#[derive(Debug)]
pub enum Broken<E> {
    /// The file's side.
    File(E),
    /// The socket's side.
    Conn(io::Error),
    /// The leash was dropped.
    Stopped,
}

/// Why a socket moves no more octets.
#[derive(Debug)]
pub enum Cut {
    /// It broke.
    Conn(io::Error),
    /// The leash was dropped.
    Stopped,
}

impl<E> From<Cut> for Broken<E> {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Conn(error) => Self::Conn(error),
            Cut::Stopped => Self::Stopped,
        }
    }
}

impl Line {
    /// Takes a socket: `early` is what came of the stream already, `left` how much is to come in
    /// all, where that is known. `tell` hears how many octets more went through.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn new(
        stream: TcpStream,
        early: Bytes,
        left: Option<u64>,
        tell: impl FnMut(u64) + Send + 'static,
    ) -> io::Result<(Self, Leash)> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        let stop = Arc::new(AtomicBool::new(false));
        let leash = Leash {
            stream: Some(stream.try_clone()?),
            stop: stop.clone(),
        };
        let line = Self {
            stream,
            early,
            left,
            stop,
            tell: Box::new(tell),
            pace: Pace::default(),
        };
        Ok((line, leash))
    }

    /// Reads what there is, waiting for some; nothing at the end of the stream, and behind what was
    /// to come.
    ///
    /// # Errors
    /// Why there is nothing more.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Cut> {
        let most = self.left.map_or(buffer.len(), |left| {
            usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()))
        });
        let buffer = &mut buffer[..most];
        let n = if buffer.is_empty() {
            0
        } else if self.early.is_empty() {
            self.receive(buffer)?
        } else {
            let n = self.early.len().min(most);
            buffer[..n].copy_from_slice(&self.early.split_to(n));
            n
        };
        if let Some(left) = &mut self.left {
            *left -= n as u64;
        }
        self.moved(n);
        Ok(n)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Cut> {
        loop {
            self.check()?;
            match self.stream.read(buffer) {
                Ok(n) => return Ok(n),
                Err(error) if self.is_tick(&error) => {}
                Err(error) => return Err(self.cut(error)),
            }
        }
    }

    /// Reads until the buffer is full; less is the end of the stream, or why there is no more of it.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Cut> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                // What came is stored before it is said why no more comes.
                Err(_) if filled > 0 => break,
                Err(cut) => return Err(cut),
            }
        }
        Ok(filled)
    }

    /// Writes some of the octets, waiting until there is room.
    ///
    /// # Errors
    /// Why there never will be.
    pub fn write(&mut self, octets: &[u8]) -> Result<usize, Cut> {
        loop {
            self.check()?;
            match self.stream.write(octets) {
                Ok(0) if !octets.is_empty() => {
                    return Err(Cut::Conn(io::ErrorKind::WriteZero.into()));
                }
                Ok(n) => {
                    self.moved(n);
                    return Ok(n);
                }
                Err(error) if self.is_tick(&error) => {}
                Err(error) => return Err(self.cut(error)),
            }
        }
    }

    fn write_all(&mut self, mut octets: &[u8]) -> Result<(), Cut> {
        while !octets.is_empty() {
            let n = self.write(octets)?;
            octets = &octets[n..];
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Cut> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Cut::Stopped);
        }
        Ok(())
    }

    /// An error that the leash made is none of the peer's.
    fn cut(&self, error: io::Error) -> Cut {
        self.check().err().unwrap_or(Cut::Conn(error))
    }

    fn moved(&mut self, octets: usize) {
        if let Some(octets) = self.pace.moved(octets) {
            (self.tell)(octets);
        }
    }

    /// Says whether it is an error only because nothing happened for a while, which is a good time
    /// to tell what happened before.
    fn is_tick(&mut self, error: &io::Error) -> bool {
        let tick = error.kind() == NOTHING;
        if tick {
            self.tell_rest();
        }
        tick || error.kind() == io::ErrorKind::Interrupted
    }

    /// Tells what was not yet told.
    pub fn tell_rest(&mut self) {
        if let Some(octets) = self.pace.rest() {
            (self.tell)(octets);
        }
    }

    /// Shuts the write half down; what the peer has to say can still be read.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Gives the socket back: everything of it was moved.
    ///
    /// # Errors
    /// When the leash was dropped.
    pub fn done(mut self) -> Result<TcpStream, Cut> {
        self.tell_rest();
        self.check()?;
        Ok(self.stream)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            self.stop.store(true, Ordering::Relaxed);
            abandon(stream);
        }
    }
}

impl Leash {
    /// Lets go: the socket is given back.
    pub fn release(mut self) {
        self.stream = None;
    }
}

/// Makes the peer see a reset, and no end, once the socket is dropped: what was cut off may look
/// whole otherwise. Whoever reads it meanwhile reads the end.
pub fn abandon(stream: &TcpStream) {
    // Neither fails on a socket that is open; on one that is not, nothing is to be done.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

/// Sends what is to be read of a file. Answers the socket, and the SHA-256 if asked for.
///
/// # Errors
/// What broke.
pub fn send(
    mut to: Line,
    mut from: Reading,
) -> Result<(TcpStream, Option<[u8; 32]>), Broken<SourceError>> {
    let aside = from.hashes();
    carry(
        aside,
        |buffer| from.read(buffer).map_err(Broken::File),
        |octets| Ok(to.write_all(octets)?),
    )?;
    let sha256 = from.finish().map_err(Broken::File)?;
    Ok((to.done()?, sha256))
}

/// Receives what is to come, or to the end of the stream where that is not known. Answers the
/// socket; that all has come is for the caller to check.
///
/// # Errors
/// What broke.
pub fn receive(mut from: Line, to: &mut Partial) -> Result<TcpStream, Broken<StoreError>> {
    let aside = to.hashes();
    let stop = from.stop.clone();
    carry(
        aside,
        |buffer| match from.fill(buffer) {
            // What came before is stored all the same, and `done` tells.
            Err(Cut::Stopped) => Ok(0),
            other => Ok(other?),
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
    Ok(from.done()?)
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

/// Octets between two words about how many have moved.
const OFTEN: u64 = 1 << 20;

/// Tells how many octets have moved, now and then.
#[derive(Debug)]
pub struct Pace {
    untold: u64,
    told: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            untold: 0,
            told: Instant::now(),
        }
    }
}

impl Pace {
    /// Takes note of octets; answers how many to tell, when it is time.
    pub fn moved(&mut self, octets: usize) -> Option<u64> {
        self.untold += octets as u64;
        if self.untold >= OFTEN || self.told.elapsed() >= TICK {
            self.rest()
        } else {
            None
        }
    }

    /// Answers how many to tell, whether it is time or not.
    pub fn rest(&mut self) -> Option<u64> {
        self.told = Instant::now();
        let untold = core::mem::take(&mut self.untold);
        (untold > 0).then_some(untold)
    }
}

/// What a read or write says that took as long as it may.
const NOTHING: io::ErrorKind = if cfg!(windows) {
    io::ErrorKind::TimedOut
} else {
    io::ErrorKind::WouldBlock
};
