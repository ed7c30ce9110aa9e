//! Moving octets through memory of our own, where the kernel cannot or has no pipe left.
//!
//! Nothing is held between two turns: octets are looked at in the one socket's buffer, written to
//! the other, and only what that took is taken out. So one buffer a thread serves all sessions,
//! and a receiver that stalls costs no memory here.

use core::cell::RefCell;
use core::task::{Context, Poll, ready};
use std::io;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// The octets moved at once at most.
pub(super) const CAPACITY: usize = 256 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What came of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The source has ended.
    End,
    /// So many octets moved, and that was all there was to read.
    All(usize),
    /// So many octets moved, and the destination takes no more now.
    Part(usize),
}

/// An error, and whose socket it is.
#[derive(Debug)]
pub(super) enum Side {
    From(io::Error),
    To(io::Error),
}

/// Moves at most `most` octets; pending until there is something to read.
pub(super) fn poll_copy(
    cx: &mut Context<'_>,
    from: &TcpStream,
    to: &TcpStream,
    most: usize,
) -> Poll<Result<Copied, Side>> {
    with_buffer(|buffer| {
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let mut seen = ReadBuf::new(buffer);
        let len = ready!(from.poll_peek(cx, &mut seen)).map_err(Side::From)?;
        if len == 0 {
            return Poll::Ready(Ok(Copied::End));
        }
        let moved = match to.try_write(seen.filled()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            result => result.map_err(Side::To)?,
        };
        take_out(from, buffer, moved).map_err(Side::From)?;
        Poll::Ready(Ok(if moved == len {
            Copied::All(moved)
        } else {
            Copied::Part(moved)
        }))
    })
}

/// Throws away what there is to read; ready with the number of octets, 0 at the end.
pub(super) fn poll_discard(cx: &mut Context<'_>, from: &TcpStream) -> Poll<io::Result<usize>> {
    with_buffer(|buffer| {
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    })
}

fn with_buffer<T>(what: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.is_empty() {
            buffer.resize(CAPACITY, 0);
        }
        what(buffer)
    })
}

/// Takes octets out that were looked at.
fn take_out(from: &TcpStream, buffer: &mut [u8], octets: usize) -> io::Result<()> {
    let mut left = octets;
    while left > 0 {
        let buffer = buffer.get_mut(..left).unwrap_or_default();
        match take(from, buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(taken) => left -= taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Has the kernel drop them, without another copy.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn take(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};
    let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    let (_, taken) = recv(from, buffer, flags)?;
    Ok(taken)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn take(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    from.try_read(buffer)
}
