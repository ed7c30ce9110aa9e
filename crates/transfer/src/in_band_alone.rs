//! What stands in for SOCKS5 bytestreams where they are left out: nothing.

use crate::transfer::Transfer;
use crate::{CommandError, Event, Method, Reason, TransferId, Transfers};
use bytestreams_machine::{Instant, NetInput, Output};
use bytestreams_stanza::{Iq, Stanza};

/// The methods that there are.
pub(crate) const METHODS: &[Method] = &[Method::Ibb];

#[derive(Debug, Default)]
pub(crate) struct Shared {}

impl Shared {
    #[expect(clippy::unused_self, reason = "the shape of what it stands in for")]
    pub(crate) const fn next(&self) -> Option<Instant> {
        None
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Phase {}

impl Phase {
    pub(crate) const fn due(&self) -> Option<Instant> {
        match *self {}
    }

    pub(crate) const fn is_moving(&self) -> bool {
        match *self {}
    }
}

#[expect(clippy::unused_self, reason = "the shape of what it stands in for")]
impl Transfers {
    pub(crate) const fn net_input(&self, input: NetInput, _now: Instant) -> Option<NetInput> {
        Some(input)
    }

    pub(crate) const fn feed_socks5(
        &self,
        _id: TransferId,
        stanza: Stanza,
        _now: Instant,
    ) -> Option<Stanza> {
        Some(stanza)
    }

    pub(crate) const fn found_proxies(&self, stanza: Stanza, _now: Instant) -> Option<Stanza> {
        Some(stanza)
    }

    pub(crate) const fn shared_timeout(&self, _now: Instant) {}

    pub(crate) const fn abandon(&self, _id: TransferId, phase: Phase, _now: Instant) {
        match phase {}
    }

    pub(crate) const fn close_everything(&self) {}

    pub(crate) const fn outlives_link(output: &Output<Event>) -> bool {
        matches!(output, Output::Event(_))
    }

    pub(crate) const fn prepare(&self, _id: TransferId, _now: Instant) -> bool {
        false
    }

    pub(crate) const fn prepared(&self, _id: TransferId, _now: Instant) {}

    pub(crate) const fn is_socks5_of_use(&self, _id: TransferId) -> bool {
        false
    }

    pub(crate) const fn request_socks5(&self, _id: TransferId, _now: Instant) {}

    pub(crate) const fn listen_no_more(&self, _id: TransferId, _now: Instant) {}

    pub(crate) fn makes_way(&self, id: TransferId, _now: Instant) -> bool {
        self.get(id).is_ok_and(Transfer::is_expected)
    }

    pub(crate) const fn asked_otherwise(&self, _id: TransferId, _iq: &Iq) -> bool {
        false
    }

    pub(crate) const fn try_hosts(&self, _id: TransferId, _iq: &Iq, _now: Instant) {}

    pub(crate) const fn finish_socket(
        &self,
        _id: TransferId,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::WrongStage)
    }

    pub(crate) const fn socket_stalls_at(_transfer: &Transfer) -> Option<Instant> {
        None
    }

    pub(crate) const fn wake_socks5(&self, _id: TransferId, _now: Instant) {}

    pub(crate) const fn no_stream_host() -> Reason {
        Reason::NoCommonMethod
    }
}
