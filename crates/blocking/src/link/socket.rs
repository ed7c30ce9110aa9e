//! What every socket of a link gets.

pub(super) use bytestreams_net::{acknowledge, probe};

use std::io;
use std::net::TcpStream;

/// Sends what is written at once: stanzas are written whole, and there is nothing to wait for.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
