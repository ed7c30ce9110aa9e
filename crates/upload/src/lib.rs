//! Uploads over a WebSocket on tokio: a [`Server`] with a page for browsers, and a client, [`upload()`].
//!
//! ```no_run
//! use bytestreams_upload::{Config, Event, Server};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:8080", "inbox", Config::default()).await?;
//! println!("http://{}/", server.local_addr());
//! server
//!     .run(std::future::pending(), |event| {
//!         if let Event::Stored { path, .. } = event {
//!             println!("{}", path.display());
//!         }
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! The server writes each file under a name of its own, and answers each block when it is written;
//! the last one is answered when the file is synced, checked and in place. Nothing is ever
//! overwritten. The page at `/` needs no other server; `/upload.js` is a module without dependencies
//! that other pages can take.
//!
//! Out of scope: what the protocol says, which is the business of `bytestreams-stor`.
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "this crate is of the standard library"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the libraries are not exhaustive"
)]

mod census;
mod client;
mod config;
mod disk;
mod event;
mod linger;
mod origin;
mod page;
mod passwords;
mod peer;
mod server;
mod service;
mod session;
mod socket;
mod tls;
mod wire;

pub use bytestreams_stor::{Credentials, Encoding, Reason, Request};
pub use client::{Progress, UploadError, UploadOptions, Uploaded, upload};
pub use config::{Bounds, Config, Decide};
pub use event::{Event, Failure, UploadId};
pub use origin::{InvalidOrigin, Origin};
pub use passwords::{HashError, Passwords, PasswordsError, hash_password};
pub use peer::Peer;
pub use server::{BindError, Server};
pub use tls::{Tls, TlsError};
