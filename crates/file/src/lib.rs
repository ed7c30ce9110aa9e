//! Files on disk: what is received, what is sent.
//!
//! [`Store`] is a directory that receives. [`Store::begin`] makes or finds the partial file of one
//! transfer; the octets go into [`Partial::write`]; [`Partial::finish`] syncs, checks and puts the
//! file in place, without ever overwriting. A partial that is dropped unfinished is kept when the
//! transfer may be resumed, and removed otherwise. [`Source`] is a file that is sent.
//!
//! [`haul`] moves octets between files and sockets. Everything here blocks and knows neither a
//! protocol nor a runtime; `exchange` (the feature `transfer`) is what the adapters of
//! `bytestreams-transfer` share.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bytestreams_file::{Incoming, Keep, Store};
//!
//! let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path())?;
//! let incoming = Incoming { from: "romeo@montague.example", name: "photo.jpg", size: Some(5), ..Incoming::default() };
//! let mut partial = store.begin(&incoming, Keep::default())?;
//! partial.write(b"hello")?;
//! let stored = partial.finish()?;
//! assert_eq!(stored.path, dir.path().join("photo.jpg"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_alloc,
    reason = "this crate is of the standard library"
)]

mod claim;
mod date;
mod error;
#[cfg(feature = "transfer")]
pub mod exchange;
mod hashes;
pub mod haul;
mod partial;
mod pieces;
mod source;
mod store;

pub use claim::Wanted;
pub use date::{format_date, parse_date};
pub use error::{SourceError, StoreError};
pub use hashes::{PIECE, hex};
pub use partial::{Partial, Stored};
pub use pieces::Pieces;
pub use source::{Reading, Source};
pub use store::{Incoming, Keep, Store};
