//! What the adapters of `bytestreams-transfer` share of the network, over whatever runtime.
//!
//! * [`SocketOptions`] and [`listen`]: where to listen for peers beside the link, and whom to call.
//! * [`candidates`], [`PACE`] and [`connect_error`]: which addresses of a name to call, and how.
//! * [`probe`] and [`acknowledge`]: options of a link's socket.
//! * [`serverless`]: who we are where no server says so.
//! * [`entropy`]: what a new transfer draws.
//!
//! Nothing here waits, reads or writes: that is what adapters are for. Out of scope: files, which are
//! `bytestreams-file`'s.
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "this crate is of the standard library"
)]

mod dial;
mod keep;
mod listen;
mod options;
mod random;
pub mod serverless;

pub use dial::{PACE, candidates, connect_error};
pub use keep::{acknowledge, probe};
pub use listen::listen;
pub use options::SocketOptions;
pub use random::entropy;
