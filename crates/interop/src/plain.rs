//! What the fast ways are held against: a relay that does nothing but splice, a copy of a file that does nothing but what it must.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

use crate::socks::dial;

const BLOCK: usize = 256 << 10;
const PIPE: usize = 1 << 20;
/// How long a read or a write may stall while something is measured.
const STALL: Duration = Duration::from_secs(60);

/// Takes two connections and splices what the second sends to the first, in a thread of this process.
#[derive(Debug)]
pub struct SpliceRelay {
    address: SocketAddr,
    thread: JoinHandle<io::Result<f64>>,
}

impl SpliceRelay {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let thread = thread::spawn(move || {
            let (to, _) = listener.accept()?;
            let (from, _) = listener.accept()?;
            relay(&from, &to)?;
            to.shutdown(Shutdown::Write)?;
            let spent = clock_gettime(ClockId::ThreadCPUTime);
            Ok(spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9)
        });
        Self { address, thread }
    }

    /// Connects twice: the one to write to, and the one to read from.
    pub fn connect(&self) -> (TcpStream, TcpStream) {
        let (target, requester) = (dial(self.address), dial(self.address));
        (requester, target)
    }

    /// Waits for its end and gives the processor time that it used.
    pub fn cpu_seconds(self) -> f64 {
        self.thread.join().expect("no panic").expect("relayed")
    }
}

fn relay(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (out, into) = pipe()?;
    fcntl_setpipe_size(&into, PIPE)?;
    let flags = SpliceFlags::MOVE | SpliceFlags::MORE;
    loop {
        let mut held = splice(from, None, &into, None, PIPE, flags)?;
        if held == 0 {
            return Ok(());
        }
        while held > 0 {
            held -= splice(&out, None, to, None, held, flags)?;
        }
    }
}

/// Writes so many octets to one socket and reads them from another to the end; gives the seconds from the first to the last.
pub fn seconds_through(requester: TcpStream, mut target: TcpStream, octets: u64) -> f64 {
    for socket in [&requester, &target] {
        socket.set_read_timeout(Some(STALL)).expect("TCP");
        socket.set_write_timeout(Some(STALL)).expect("TCP");
    }
    let began = Instant::now();
    let writing = thread::spawn(move || {
        let mut requester = requester;
        let block = vec![0x5a; BLOCK];
        let mut left = octets;
        while left > 0 {
            let take = left.min(BLOCK as u64);
            requester
                .write_all(&block[..take as usize])
                .expect("written");
            left -= take;
        }
        requester.shutdown(Shutdown::Write).expect("shut down");
        requester
    });
    let mut buffer = vec![0; BLOCK];
    let mut got = 0;
    while got < octets {
        let read = target.read(&mut buffer).expect("read");
        assert_ne!(read, 0, "the end after {got} of {octets} octets");
        got += read as u64;
    }
    let took = began.elapsed();
    writing.join().expect("no panic");
    took.as_secs_f64()
}

/// Copies a file over one TCP connection between two threads, written anew, synced and renamed, and hashed at both ends if told;
/// gives the seconds.
pub fn copy_seconds(from: &Path, to: &Path, hashed: bool) -> f64 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut source = File::open(from).expect("a file to send");
    let began = Instant::now();
    let sending = thread::spawn(move || {
        let mut socket = dial(address);
        let hash = pump(&mut source, &mut socket, hashed).expect("sent");
        socket.shutdown(Shutdown::Write).expect("shut down");
        hash
    });
    let (mut socket, _) = listener.accept().expect("a connection");
    let partial = to.with_extension("part");
    let mut file = File::create(&partial).expect("the scratch directory is ours");
    let hash = pump(&mut socket, &mut file, hashed).expect("received");
    file.sync_all().expect("synced");
    std::fs::rename(&partial, to).expect("the scratch directory is ours");
    let took = began.elapsed();
    assert_eq!(sending.join().expect("no panic"), hash);
    took.as_secs_f64()
}

fn pump(from: &mut impl Read, to: &mut impl Write, hashed: bool) -> io::Result<Vec<u8>> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BLOCK];
    loop {
        let octets = from.read(&mut buffer)?;
        if octets == 0 {
            return Ok(hash.finalize().to_vec());
        }
        if hashed {
            hash.update(&buffer[..octets]);
        }
        to.write_all(&buffer[..octets])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{assert_identical, random_file};

    #[test]
    fn a_bare_relay_moves_all_octets() {
        let relay = SpliceRelay::start();
        let (requester, target) = relay.connect();
        assert!(seconds_through(requester, target, 50_000_001) > 0.0);
        assert!(relay.cpu_seconds() > 0.0);
    }

    #[test]
    fn a_plain_copy_is_identical() {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let file = random_file(dir.path(), "from", 1_000_003, 3);
        let copy = dir.path().join("to");
        copy_seconds(&file, &copy, true);
        assert_identical(&file, &copy);
    }
}
