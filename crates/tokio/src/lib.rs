//! XMPP file transfer on tokio.
//!
//! A *link* is a stream of stanzas: [`serverless`] between two programs, [`component`] and
//! `client` (a feature) to a server. An [`Endpoint`] makes transfers of it. [`send_file`] and
//! [`receive_file`] move files, a [`Bytestream`] moves octets both ways.
//!
//! ```no_run
//! use bytestreams_tokio::{Config, Endpoint, ReceiveFile, receive_file, file::Store, serverless};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let setup = serverless::Setup::default();
//! let listener = serverless::Listener::bind("127.0.0.1:5298").await?;
//! let link = listener.accept(&setup).await?;
//! let (endpoint, mut offers) = Endpoint::spawn(link, Config::default());
//! let store = Store::open("downloads")?;
//! while let Some(offer) = offers.next().await {
//!     let received = receive_file(offer, &store, &ReceiveFile::default(), |_| {}).await?;
//!     println!("{} from a peer", received.file.path.display());
//! }
//! endpoint.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is dropped
//!
//! Every future here may be dropped at any await. Those that wait (`next`, `closed`, [`Endpoint::get`],
//! [`Transfer::read`], [`Transfer::write`]) lose nothing by it: what comes is there for the next. Those
//! that do something ([`send_file`], [`receive_file`], [`Transfer::into_stream`]) and every handle of a
//! transfer cancel it towards the peer; threads that move its octets end by themselves. An [`Offer`] is
//! declined. Only an offer of ours that is not answered yet cannot be taken back: a peer that accepts it
//! later waits in vain until it gives up, or until the link ends.
//!
//! With the last handle, whichever it is, the link is closed in order, once nothing is going on. Where
//! the link is lost, or the runtime of the [`Driver`] ends, transfers fail with [`Reason::LinkLost`]; one
//! whose octets are all out by a socket of its own goes on to its end, as long as the driver runs.
//!
//! Out of scope: what the protocols say, which is the business of `bytestreams-transfer`.
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "this crate is of the standard library"
)]

mod disk;
mod endpoint;
mod haul;
mod jid;
pub mod link;
#[cfg(feature = "proxy")]
pub mod proxy;
mod pump;
mod receiver;
mod sender;
mod threads;

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
    Bytestream, Driver, Endpoint, Offer, Offers, Others, RequestError, SocketOptions, Transfer,
};
pub use jid::prepare_jid;
#[cfg(feature = "client")]
pub use link::client;
pub use link::{component, serverless};
pub use receiver::receive_file;
pub use sender::{Sending, send_file, start_file};
