//! Pipes that the kernel moves octets through.

use super::lock;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// What a pipe is to hold. It is what an unprivileged process may ask for.
pub(super) const CAPACITY: usize = 1 << 20;

/// How long no pipe is made after one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// A bounded pool of pipes. A pipe is lent while it holds octets and given back empty.
#[derive(Debug)]
pub(super) struct Pipes {
    most: usize,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    empty: Vec<Pipe>,
    /// Those in the pool and those lent.
    made: usize,
    failed: Option<Instant>,
}

impl Pipes {
    /// Makes a pool of at most so many pipes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            pool: Mutex::default(),
        }
    }

    /// Lends an empty pipe; `None` when all are lent, or the system gives none.
    pub(super) fn lend(&self) -> Option<Pipe> {
        let mut pool = lock(&self.pool);
        if let Some(pipe) = pool.empty.pop() {
            return Some(pipe);
        }
        if pool.made >= self.most || pool.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        match Pipe::new() {
            Ok(pipe) => {
                pool.made += 1;
                Some(pipe)
            }
            Err(_) => {
                pool.failed = Some(Instant::now());
                None
            }
        }
    }

    /// Takes a pipe back. One that holds octets is closed.
    pub(super) fn give_back(&self, pipe: Pipe) {
        let mut pool = lock(&self.pool);
        if pipe.held() == 0 {
            pool.empty.push(pipe);
        } else {
            pool.made -= 1;
        }
    }

    /// How many are lent.
    pub(super) fn lent(&self) -> usize {
        let pool = lock(&self.pool);
        pool.made - pool.empty.len()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::Pipe;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use none::Pipe;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use super::{CAPACITY, TcpStream, io};
    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use std::os::fd::{AsFd, OwnedFd};
    use tokio::io::Interest;

    /// A pipe that holds less moves no more at once than a copy does.
    const LEAST: usize = 64 << 10;

    /// A pipe, and how many octets are in it.
    #[derive(Debug)]
    pub(in crate::proxy) struct Pipe {
        out: OwnedFd,
        into: OwnedFd,
        held: usize,
    }

    impl Pipe {
        pub(super) fn new() -> io::Result<Self> {
            let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            let larger = |size| fcntl_setpipe_size(&into, size);
            // An unprivileged user has a limit on the sum of all pipes.
            if larger(CAPACITY).or_else(|_| larger(CAPACITY / 4))? < LEAST {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            Ok(Self { out, into, held: 0 })
        }

        pub(in crate::proxy) fn held(&self) -> usize {
            self.held
        }

        /// Takes at most `most` octets out of a socket; 0 at its end.
        pub(in crate::proxy) fn fill(
            &mut self,
            from: &TcpStream,
            most: usize,
        ) -> io::Result<usize> {
            let moved = from.try_io(Interest::READABLE, || through(from, &self.into, most))?;
            self.held += moved;
            Ok(moved)
        }

        /// Puts as many of its octets into a socket as that takes.
        pub(in crate::proxy) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
            let moved = to.try_io(Interest::WRITABLE, || through(&self.out, to, self.held))?;
            self.held -= moved;
            Ok(moved)
        }
    }

    fn through(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        loop {
            match splice(&from, None, &to, None, most, flags) {
                Err(rustix::io::Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use super::{TcpStream, io};

    /// There are no pipes that could be filled from a socket.
    #[derive(Debug)]
    pub(in crate::proxy) enum Pipe {}

    impl Pipe {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(in crate::proxy) fn held(&self) -> usize {
            match *self {}
        }

        pub(in crate::proxy) fn fill(&mut self, _: &TcpStream, _: usize) -> io::Result<usize> {
            match *self {}
        }

        pub(in crate::proxy) fn drain(&mut self, _: &TcpStream) -> io::Result<usize> {
            match *self {}
        }
    }
}
