//! The harness of the interop tests: real servers, other people's clients, our binary, and a network with latency.
//!
//! Everything stays on loopback, under temporary directories and on ports that were free; every wait has a deadline; every child
//! is killed by its own id and reaped. Helpers panic with the output of the child that disappointed: they are for tests.
//! What is missing on the machine is named together with the command that installs it; nothing is skipped.

pub mod board;
pub mod chromium;
pub mod cli;
pub mod delay;
pub mod example;
pub mod exchange;
pub mod files;
pub mod host;
pub mod malice;
pub mod peers;
pub mod plain;
pub mod process;
pub mod raw;
pub mod server;
pub mod socks;
pub mod tls;
pub mod xml;

use std::path::{Path, PathBuf};

pub use chromium::Chromium;
pub use cli::Cli;
pub use delay::DelayProxy;
pub use exchange::{LOGIN, Scratch, TRANSFER};
pub use host::{Activation, FakeHost, FakeProxy, Manner};
pub use process::Process;
pub use raw::RawClient;
pub use server::{Account, EJABBERD, PROSODY, Server, Setup};

/// Says whether the long tests are wanted too: `BYTESTREAMS_FULL=1`.
pub fn full() -> bool {
    std::env::var("BYTESTREAMS_FULL").is_ok_and(|value| value == "1")
}

/// Finds a program in `PATH` or at one of the given places; where it is missing, says how to install it.
fn require(program: &str, places: &[&str], advice: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .chain(places.iter().map(PathBuf::from));
    candidates
        .into_iter()
        .find(|candidate| Path::is_file(candidate))
        .unwrap_or_else(|| panic!("{program} is missing: {advice}"))
}
