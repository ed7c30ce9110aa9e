//! What the driver of a proxy and its handles share.

use super::{End, Relays, lock};
use bytestreams_socks5::ProxyStats;
use core::task::{Context, Waker};
use std::sync::{Arc, Mutex};

/// How far the end of a proxy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Stage {
    #[default]
    Running,
    /// Sessions may still end by themselves.
    Stopping,
    Halted,
}

/// What the driver counts beside the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Sessions that both sides ended in order.
    pub complete: u64,
    /// Sessions that moved nothing for too long.
    pub idle: u64,
    /// Sessions of which a connection broke.
    pub broken: u64,
    /// Sessions cut off because the proxy was stopped.
    pub cut: u64,
    /// Errors of the listening socket, such as too many open files.
    pub accept_errors: u64,
    /// Links to the server so far.
    pub links: u64,
    /// Whether the link to the server is up.
    pub online: bool,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) relays: Arc<Relays>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    driver: Option<Waker>,
    stats: ProxyStats,
    counts: Counts,
}

impl Shared {
    pub(super) fn new(relays: Arc<Relays>) -> Arc<Self> {
        Arc::new(Self {
            relays,
            state: Mutex::default(),
        })
    }

    /// The stage that is wanted; the driver is woken when that changes.
    pub(super) fn stage(&self, cx: &Context<'_>) -> Stage {
        let mut state = lock(&self.state);
        let known = state.driver.as_ref();
        if !known.is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.driver = Some(cx.waker().clone());
        }
        state.stage
    }

    pub(super) fn want(&self, stage: Stage) {
        let driver = {
            let mut state = lock(&self.state);
            state.stage = state.stage.max(stage);
            state.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(super) fn set_stats(&self, stats: ProxyStats) {
        lock(&self.state).stats = stats;
    }

    pub(super) fn stats(&self) -> (ProxyStats, Counts) {
        let state = lock(&self.state);
        (state.stats, state.counts)
    }

    pub(super) fn count_end(&self, end: Option<&End>) {
        let counts = &mut lock(&self.state).counts;
        match end {
            Some(End::Complete) => counts.complete += 1,
            Some(End::Idle) => counts.idle += 1,
            Some(End::Broken(_)) => counts.broken += 1,
            None => counts.cut += 1,
        }
    }

    pub(super) fn count_accept_error(&self) {
        lock(&self.state).counts.accept_errors += 1;
    }

    pub(super) fn set_online(&self, online: bool) {
        let counts = &mut lock(&self.state).counts;
        counts.links += u64::from(online && !counts.online);
        counts.online = online;
    }
}
