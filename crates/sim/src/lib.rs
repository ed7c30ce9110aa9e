//! A deterministic world for two protocol machines, or three.
//!
//! A [`World`] holds [`Machine`](bytestreams_machine::Machine)s, the application of each (an
//! [`App`], which is the test's script), a link between them that delays, drops, bounces, repeats,
//! disconnects and lets a stranger in, and a [`Net`] for their sockets that cuts, refuses, loses,
//! resets and lets an intruder in. Time jumps to the next deadline. Every decision is
//! one [`Chooser::choose`], so a run is its choices: [`seeds`] walks many random worlds,
//! [`every_run`] walks all runs of a small one, and [`Scripted`] takes a fuzzer's octets.
//!
//! ```
//! use bytestreams_machine::{Input, Instant, Machine, Output};
//! use bytestreams_sim::{App, Broken, Chooser, Context, Faults, World, seeds};
//! use bytestreams_stanza::{Iq, IqBody, Jid, Payload, Stanza};
//!
//! /// Pings once, or answers pings.
//! #[derive(Default)]
//! struct Pinger(Option<Stanza>);
//!
//! impl Machine for Pinger {
//!     type Event = ();
//!     fn handle_input(&mut self, input: Input, _: Instant) -> Option<Input> {
//!         match input {
//!             Input::Stanza(Stanza::Iq(iq)) if iq.request().is_some() => {
//!                 self.0 = Some(iq.result(None).into());
//!             }
//!             other => return Some(other),
//!         }
//!         None
//!     }
//!     fn handle_timeout(&mut self, _: Instant) {}
//!     fn poll_output(&mut self) -> Option<Output<()>> {
//!         self.0.take().map(Output::Stanza)
//!     }
//!     fn poll_timeout(&self) -> Option<Instant> {
//!         None
//!     }
//! }
//!
//! struct Script { ping: Option<Iq> }
//!
//! impl App for Script {
//!     type Machine = Pinger;
//!     fn event(&mut self, _: &mut Pinger, _: (), _: &mut Context<'_>) {}
//!     fn act(&mut self, machine: &mut Pinger, _: &mut Context<'_>) {
//!         if let Some(ping) = self.ping.take() {
//!             machine.0 = Some(ping.into());
//!         }
//!     }
//!     fn is_done(&self) -> bool {
//!         self.ping.is_none()
//!     }
//! }
//!
//! let jid = |text| Jid::new(text).unwrap();
//! seeds(0..100, |chooser| {
//!     let ping = Iq::get(Some(jid("b@there/r")), "1".into(), Payload::Ping);
//!     let mut world = World::new(
//!         (jid("a@here/r"), Pinger::default(), Script { ping: Some(ping) }),
//!         (jid("b@there/r"), Pinger::default(), Script { ping: None }),
//!     );
//!     world.link.faults = Faults::NONE;
//!     world.run(chooser, |world| {
//!         if world.link.sent() > 2 { Err("more stanzas than a ping and its pong".into()) } else { Ok(()) }
//!     })
//! });
//! ```
//!
//! Out of scope: XML. Stanzas cross the link as values; their octets on the wire are estimated by
//! [`wire_octets`] where a [`Link`] has a bandwidth.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "traces and estimates treat what they do not know alike"
)]

extern crate alloc;

mod app;
mod choose;
mod explore;
mod lane;
mod link;
mod net;
mod trace;
mod turn;
mod world;

pub use app::{Absent, App, Context, Node, Side};
pub use choose::{Chooser, Odometer, Scripted, Seeded};
pub use explore::{every_run, seeds};
pub use lane::{Lane, wire_octets};
pub use link::{Faults, Forge, Link, Stranger};
pub use net::{Answer, Hears, Net, NetFaults, Place, Say, Speak, babble, silent};
pub use trace::{Entry, Trace, What};
pub use world::{Bounds, Broken, Outcome, World};
