//! Lends the socket of a transfer to a thread that may block.

use crate::endpoint::{Socket, Transfer};
use crate::file::exchange::conn_end;
use crate::file::haul::{Leash, Line};
use bytestreams_machine::ConnId;
use bytestreams_transfer::ConnEnd;
use std::io::Write;
use std::net::TcpStream;

/// A socket that a thread has. Dropped, it is broken off.
#[derive(Debug)]
pub(crate) struct Lent {
    conn: ConnId,
    leash: Leash,
}

/// Makes of a socket what a thread can use.
pub(crate) fn lend(socket: Socket, transfer: &Transfer) -> Result<(Line, Lent), ConnEnd> {
    let (conn, left) = (socket.conn, socket.left);
    let (stream, early, unsent) = socket.into_parts();
    let acknowledger = transfer.acknowledger();
    let line = stream.into_std().and_then(|mut stream| {
        stream.set_nonblocking(false)?;
        // The rest of a handshake, which the system has room for.
        stream.write_all(&unsent)?;
        Line::new(stream, early, left, move |octets| {
            acknowledger.moved(octets);
        })
    });
    let (line, leash) = line.map_err(|error| conn_end(&error))?;
    Ok((line, Lent { conn, leash }))
}

impl Lent {
    /// Hands the socket, with which the thread is done, to the driver.
    pub(crate) fn give_back(self, stream: TcpStream, transfer: &Transfer) {
        self.leash.release();
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpStream::from_std(stream));
        // One that cannot be had is as good as closed.
        if let Ok(stream) = stream {
            transfer.return_socket(self.conn, stream);
        }
    }
}
