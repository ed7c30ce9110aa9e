//! Options of a link's socket that keep it alive and quick.

use std::io;
use std::time::Duration;

/// How long a link may be silent before the other end is asked for a sign of life, and how often and
/// how many times before it is given up.
const SILENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Has the system notice an other end that vanished without a word, in about two minutes: nothing
/// else would where nothing is sent.
///
/// # Errors
/// Those of the socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn probe(stream: &impl std::os::fd::AsFd) -> io::Result<()> {
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
///
/// # Errors
/// None.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn probe<S>(_stream: &S) -> io::Result<()> {
    let _ = (SILENCE, PACE, PROBES);
    Ok(())
}

/// Acknowledges what was received at once. A server that writes large stanzas in pieces with
/// Nagle's algorithm on waits for that before each last piece, 40 ms otherwise. The system forgets
/// it, so it is asked for after every read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn acknowledge(stream: &impl std::os::fd::AsFd) {
    // Slower without, but no less right.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

/// Does nothing here: only Linux lets a program ask for that.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn acknowledge<S>(_stream: &S) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn silence_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(addr).expect("a connection");
        probe(&stream).expect("options");
        assert_eq!(socket_keepalive(&stream), Ok(true));
        assert_eq!(tcp_keepidle(&stream), Ok(SILENCE));
        assert_eq!(tcp_user_timeout(&stream), Ok(120_000));
    }
}
