//! XMPP file transfer on threads, with no async runtime anywhere below it.
//!
//! A *link* is a stream of stanzas: [`serverless`] between two programs, [`component`] to a server.
//! An [`Endpoint`] makes transfers of it. [`send_file`] and [`receive_file`] move files, a
//! [`Bytestream`] moves octets both ways.
//!
//! ```no_run
//! use bytestreams_blocking::{Config, Endpoint, ReceiveFile, file::Store, receive_file, serverless};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let setup = serverless::Setup::default();
//! let listener = serverless::Listener::bind("127.0.0.1:5298")?;
//! let link = listener.accept(&setup)?;
//! let (endpoint, offers) = Endpoint::spawn(link, Config::default())?;
//! let store = Store::open("downloads")?;
//! for offer in offers {
//!     let received = receive_file(offer, &store, &ReceiveFile::default(), |_| {})?;
//!     println!("{} from a peer", received.file.path.display());
//! }
//! endpoint.close();
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! Two for each link, one that reads and one that keeps the deadlines and writes what the system
//! does not take at once; one for each listening socket beside it, each connection that is being
//! made, and each connection that is there; one more while a file goes by a socket. Whoever changes
//! the machine turns its crank, under one lock that nobody holds while it waits or writes, and
//! writes what comes of it where that does not wait. All threads end with the [`Endpoint`], whose last
//! handle waits for them when it is dropped.
//!
//! Out of scope: what the protocols say, which is the business of `bytestreams-transfer`.
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "this crate is of the standard library"
)]

mod endpoint;
pub mod link;
mod receiver;
mod sender;

pub use bytestreams_file as file;
pub use bytestreams_file::exchange::{
    ReceiveError, ReceiveFile, Received, SendError, SendFile, Sent,
};
pub use bytestreams_machine::Network;
pub use bytestreams_transfer::{
    Bounds, Config, ConnEnd, Event, Incomplete, Keepalive, Method, Methods, Options, Proposal,
    Reason, Side, Socks5, TransferId, Via, Ways, Window, WriteError, safe_name,
};
pub use endpoint::{
    Bytestream, Canceller, Endpoint, Offer, Offers, Others, SocketOptions, Transfer,
};
pub use link::{Link, component, serverless};
pub use receiver::{Receiving, accept_file, receive_file};
pub use sender::{Sending, send_file, start_file};
