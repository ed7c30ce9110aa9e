//! What every socket of a link gets.

use std::io;
use tokio::net::TcpStream;

/// Sends what is written at once: stanzas are written whole, and there is nothing to wait for.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Acknowledges what was received at once. A server that writes large stanzas in pieces with
/// Nagle's algorithm on waits for that before each last piece, 40 ms otherwise. The system forgets
/// it, so it is asked for after every read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn acknowledge(stream: &TcpStream) {
    // Slower without, but no less right.
    let _ = stream.set_quickack(true);
}

/// Does nothing here: only Linux lets a program ask for that.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn acknowledge(_stream: &TcpStream) {}
