//! What a server tells its application.

use crate::{Credentials, Encoding, Fault, Refusal};
use alloc::string::String;

/// What a server tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client logs in. Answer with [`crate::Server::log_in`].
    Login(Credentials),
    /// The client wants to upload a file. Answer with [`crate::Server::accept`] or
    /// [`crate::Server::refuse`].
    Request(Request),
    /// All octets are stored. Check the file, put it in place, and answer with
    /// [`crate::Server::complete`] or [`crate::Server::refuse`].
    Complete,
    /// It is over. Nothing comes after this.
    Ended(End),
}

/// The file that a client wants to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name that the client gives: anything at all.
    pub name: String,
    /// The octets that will come.
    pub size: u64,
    /// How they will come.
    pub encoding: Encoding,
    /// `parameters` as JSON; `[]` where there are none. What they mean is the application's business.
    pub parameters: String,
}

/// How an upload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The file is in place, and the client was told so.
    Complete,
    /// The client did what it may not.
    Fault(Fault),
    /// The application refused.
    Refused(Refusal),
    /// The client left.
    Left,
    /// The client was silent for too long.
    TimedOut,
    /// The application stopped it.
    Stopped,
}
