//! Stream Initiation (XEP-0095) and its file-transfer profile (XEP-0096), over the forms of
//! XEP-0020 and XEP-0004, without I/O.
//!
//! The Sender has an [`Offer`]: a machine that sends the offer and waits for the answer. The
//! Receiver has an [`Answer`], made from a peer's offer, which builds the reply:
//!
//! ```
//! use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Own};
//! use bytestreams_si::{Answer, Method, Methods, Offer, OfferEvent, Proposal};
//! use bytestreams_stanza::{File, IqBody, Jid, Payload, Range, Sid, Stanza};
//!
//! let (romeo, juliet) = (Jid::new("romeo@a/x")?, Jid::new("juliet@b/y")?);
//! let proposal = Proposal {
//!     sid: Sid::new("s1")?,
//!     file: File { name: Some("photo.jpg".into()), size: Some(1022), ..File::default() },
//!     mime_type: None,
//!     methods: Methods::from_slice(&[Method::Ibb]),
//! };
//! let own = Own { jid: romeo.clone() };
//! let mut offer = Offer::new(own, juliet, proposal, &mut Ids::new("s1"), Instant::ZERO);
//!
//! // What the driver carries to the other side, whose link stamps where it came from.
//! let Some(Output::Stanza(Stanza::Iq(mut iq))) = offer.poll_output() else { panic!() };
//! iq.from = Some(romeo);
//! let answer = Answer::read(&iq, &[Method::Ibb])?;
//! let mut reply = answer.accept(Method::Ibb, Range::default());
//! # use std::error::Error;
//!
//! reply.from = iq.to;
//! assert!(offer.handle_input(Input::Stanza(reply.into()), Instant::ZERO).is_none());
//! assert!(matches!(offer.poll_output(), Some(Output::Event(OfferEvent::Accepted(_)))));
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! Out of scope: the streams themselves, and who decides what is accepted.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod answer;
mod method;
mod offer;

pub use answer::Answer;
pub use method::{Method, Methods};
pub use offer::{Accepted, Offer, OfferEvent, Proposal, Refusal};
