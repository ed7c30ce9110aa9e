//! The link to the server, which comes and goes while sessions go on.

use super::driver::Tell;
use super::shared::Shared;
use super::{Event, Login};
use crate::component::{self, Component};
use crate::link::{ConnectFailure, LinkError, StanzaLink};
use bytestreams_stanza::{Jid, Stanza};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{Instant, Sleep, sleep};

/// The write buffer at which stanzas are dropped: whoever asked has long given up.
const WRITE_MARK: usize = 1 << 20;

/// The write buffer at which nothing more is read.
const READ_MARK: usize = 64 << 10;

/// How long the server may leave what was written unread.
const STUCK: Duration = Duration::from_secs(60);

/// Pauses between attempts to connect again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A link that lived this long starts the pauses anew.
const STABLE: Duration = Duration::from_secs(60);

/// Connects, and connects again.
pub(super) struct Uplink {
    jid: Jid,
    login: Login,
    shared: Arc<Shared>,
    state: State,
    pause: Duration,
    began: Instant,
    been_online: bool,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Component, ConnectFailure>> + Send>>;

enum State {
    Connecting(Connecting),
    Up {
        link: Box<Component>,
        /// When it will have been stuck for too long.
        stuck: Option<Pin<Box<Sleep>>>,
    },
    Pause(Pin<Box<Sleep>>),
}

impl fmt::Debug for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uplink")
            .field("jid", &self.jid)
            .finish_non_exhaustive()
    }
}

impl Uplink {
    pub(super) fn new(jid: Jid, login: Login, shared: Arc<Shared>) -> Self {
        Self {
            state: State::Connecting(connect(&jid, &login)),
            jid,
            login,
            shared,
            pause: SHORTEST,
            began: Instant::now(),
            been_online: false,
        }
    }

    /// Waits for the next stanza; `None` when something else happened.
    ///
    /// # Errors
    /// When the first attempt to connect failed.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        tell: &mut Tell,
    ) -> Result<Poll<Option<Stanza>>, ConnectFailure> {
        let why = match &mut self.state {
            State::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(link)) => {
                    let link = Box::new(link);
                    self.state = State::Up { link, stuck: None };
                    self.began = Instant::now();
                    self.been_online = true;
                    self.shared.set_online(true);
                    tell(Event::Online);
                    return Ok(Poll::Ready(None));
                }
                Poll::Ready(Err(failure)) if !self.been_online => return Err(failure),
                Poll::Ready(Err(failure)) => failure,
            },
            State::Up { link, .. } if link.buffered() > READ_MARK => return Ok(Poll::Pending),
            State::Up { link, .. } => match link.poll_next(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(stanza)) => return Ok(Poll::Ready(Some(stanza))),
                Poll::Ready(Err(error)) => error.into(),
            },
            State::Pause(sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Ok(Poll::Pending);
                }
                self.state = State::Connecting(connect(&self.jid, &self.login));
                return Ok(Poll::Ready(None));
            }
        };
        self.lost(why, tell);
        Ok(Poll::Ready(None))
    }

    fn lost(&mut self, why: ConnectFailure, tell: &mut Tell) {
        self.shared.set_online(false);
        if self.began.elapsed() >= STABLE {
            self.pause = SHORTEST;
        }
        self.state = State::Pause(Box::pin(sleep(self.pause)));
        tell(Event::Offline {
            why,
            again_in: self.pause,
        });
        self.pause = (self.pause * 2).min(LONGEST);
    }

    /// Sends a stanza, if there is a server to send it to.
    pub(super) fn write(&mut self, stanza: &Stanza) {
        if let State::Up { link, .. } = &mut self.state
            && link.buffered() < WRITE_MARK
        {
            link.write(stanza);
        }
    }

    /// Writes what waits. An error shows when the link is read next.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, tell: &mut Tell) -> bool {
        let State::Up { link, stuck } = &mut self.state else {
            return false;
        };
        let why = match link.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                // Reading may have waited for this.
                return stuck.take().is_some();
            }
            Poll::Ready(Err(error)) => error,
            Poll::Pending => {
                let stuck = stuck.get_or_insert_with(|| Box::pin(sleep(STUCK)));
                if stuck.as_mut().poll(cx).is_pending() {
                    return false;
                }
                LinkError::Silent
            }
        };
        self.lost(why.into(), tell);
        true
    }

    /// Ends the link in order, if there is one.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Up { link, .. } = &mut self.state {
            let _ = ready!(link.poll_close(cx));
        }
        self.shared.set_online(false);
        Poll::Ready(())
    }
}

fn connect(jid: &Jid, login: &Login) -> Connecting {
    let (jid, login) = (jid.clone(), login.clone());
    Box::pin(async move {
        component::connect(&*login.server, &jid, &login.secret, login.patience).await
    })
}
