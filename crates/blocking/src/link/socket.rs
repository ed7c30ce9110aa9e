//! What every socket of a link gets.

use core::time::Duration;
use std::io;
use std::net::TcpStream;

/// Sends what is written at once: stanzas are written whole, and there is nothing to wait for.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// How long a link may be silent before the other end is asked for a sign of life, and how often and
/// how many times before it is given up.
const SILENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Has the system notice an other end that vanished without a word, in about two minutes: nothing
/// else would where nothing is sent.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn probe(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt::{
        set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
        set_tcp_user_timeout,
    };
    set_tcp_keepidle(stream, SILENCE)?;
    set_tcp_keepintvl(stream, PACE)?;
    set_tcp_keepcnt(stream, PROBES)?;
    // The same where something is sent and not acknowledged.
    let patience = SILENCE + PACE * PROBES;
    set_tcp_user_timeout(stream, patience.as_millis().try_into().unwrap_or(u32::MAX))?;
    set_socket_keepalive(stream, true)?;
    Ok(())
}

/// Does nothing here: elsewhere these are other options.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn probe(_stream: &TcpStream) -> io::Result<()> {
    let _ = (SILENCE, PACE, PROBES);
    Ok(())
}

/// Acknowledges what was received at once. A server that writes large stanzas in pieces with
/// Nagle's algorithm on waits for that before each last piece, 40 ms otherwise. The system forgets
/// it, so it is asked for after every read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn acknowledge(stream: &TcpStream) {
    // Slower without, but no less right.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

/// Does nothing here: only Linux lets a program ask for that.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn acknowledge(_stream: &TcpStream) {}
