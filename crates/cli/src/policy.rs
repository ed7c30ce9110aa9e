//! What becomes of an offer.

use crate::args::Accept;
use crate::ask::Asker;
use crate::escape::escape;
use crate::failure::{Cause, DECLINED, FAILED, Failure};
use crate::report::{self, Done, Event, Reporter, octets};
use crate::stop::Stop;
use crate::track::Track;
use bytestreams_tokio::file::Store;
use bytestreams_tokio::{Config, Offer, ReceiveError, ReceiveFile, SocketOptions, receive_file};
use core::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What every offer is measured by, and how the program is to end.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) store: Store,
    pub(crate) accept: Option<Accept>,
    pub(crate) once: bool,
    pub(crate) max_size: Option<u64>,
    pub(crate) how: ReceiveFile,
    pub(crate) config: Config,
    pub(crate) sockets: SocketOptions,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) stop: Stop,
    pub(crate) asker: Asker,
    pub(crate) course: Course,
}

/// What tells a file that can be resumed from others: account, name, size, MD5.
type Resumable = (String, Option<Arc<str>>, u64, [u8; 16]);

/// Where the program stands.
#[derive(Debug)]
pub(crate) struct Course {
    state: Mutex<State>,
    over: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// With `--once`: a file has been accepted, this one if it can be resumed.
    taken: Option<Option<Resumable>>,
    outcome: Result<(), Failure>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                taken: None,
                outcome: Ok(()),
            }),
            over: watch::Sender::new(false),
        }
    }
}

impl Course {
    /// Waits until no more offers are taken.
    pub(crate) async fn over(&self) {
        // The sender is here, so that it cannot have gone.
        let _ = self.over.subscribe().wait_for(|&over| over).await;
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Takes no more offers.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// How the program is to end.
    pub(crate) fn outcome(&self) -> Result<(), Failure> {
        self.state().outcome.clone()
    }

    pub(crate) fn set_outcome(&self, outcome: Result<(), Failure>) {
        self.state().outcome = outcome;
    }

    /// Says whether an offer may be accepted: with `--once` only the first, and the same file
    /// again, whose sender may be gone without anybody saying so.
    fn take(&self, once: bool, file: Option<Resumable>) -> bool {
        let mut state = self.state();
        if once && let Some(taken) = &state.taken {
            return file.is_some() && *taken == file;
        }
        state.taken = Some(file);
        true
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Verdict {
    Accept,
    Decline(String),
    /// A person said no.
    Refuse,
}

impl Policy {
    /// Takes or declines an offer, and sees the transfer through. `address` is where a peer without
    /// authentication is.
    pub(crate) async fn handle(&self, offer: Offer, address: Option<SocketAddr>) {
        let sid = offer.sid().as_str().to_owned();
        let who = match address {
            Some(address) => format!("{address} (unauthenticated)"),
            None => offer.from().as_str().to_owned(),
        };
        self.reporter.event(&Event::Offered {
            sid: &sid,
            name: offer.file().name.as_deref(),
            size: offer.file().size,
            from: offer.from().as_str(),
            who: &who,
        });
        let verdict = tokio::select! {
            verdict = self.judge(&offer, &who) => verdict,
            () = self.course.over() => Verdict::Decline("the receiver is going away".into()),
        };
        match verdict {
            Verdict::Accept if self.course.take(self.once, self.resumable(&offer)) => {
                self.receive(offer, &sid).await;
            }
            Verdict::Accept => self.decline(offer, &sid, "the receiver takes one file only"),
            Verdict::Decline(words) => self.decline(offer, &sid, &words),
            Verdict::Refuse => {
                self.decline(offer, &sid, "not wanted");
                if self.once {
                    self.finish(Err(Failure::told(DECLINED)));
                }
            }
        }
    }

    async fn judge(&self, offer: &Offer, who: &str) -> Verdict {
        let size = offer.file().size;
        if let (Some(size), Some(most)) = (size, self.max_size)
            && size > most
        {
            return Verdict::Decline(format!("larger than the {} taken here", octets(most)));
        }
        match &self.accept {
            Some(accept) if accept.covers(offer.from()) => Verdict::Accept,
            None if self.reporter.can_ask() => {
                let question = match (offer.file().name.as_deref(), size) {
                    (Some(name), Some(size)) => format!(
                        "Take \"{}\", {}, from {}?",
                        escape(name),
                        octets(size),
                        escape(who)
                    ),
                    _ => format!("Take what comes from {}?", escape(who)),
                };
                if self.asker.yes(&self.reporter, &question).await {
                    Verdict::Accept
                } else {
                    Verdict::Refuse
                }
            }
            _ => Verdict::Decline("not accepted from you".into()),
        }
    }

    fn decline(&self, offer: Offer, sid: &str, words: &str) {
        offer.decline(Some(words));
        self.reporter.event(&Event::Failed {
            sid: Some(sid),
            reason: &format!("{}{words}", report::DECLINED),
        });
    }

    async fn receive(&self, offer: Offer, sid: &str) {
        let name = offer.file().name.as_deref().unwrap_or(sid).to_owned();
        let mut track = Track::new(&self.reporter, sid, &name, offer.file().size);
        let received = tokio::select! {
            received = receive_file(offer, &self.store, &self.how, |event| track.event(event)) => {
                Some(received)
            }
            () = self.stop.wanted() => None,
        };
        let outcome = match received {
            Some(Ok(received)) => {
                let stored = received.file;
                let name = stored.path.file_name().unwrap_or_default();
                track.end(&Event::Done(Done {
                    sid,
                    name: &name.to_string_lossy(),
                    bytes: received.octets,
                    method: received.method,
                    via: received.via,
                    took: received.took,
                    path: Some(&stored.path),
                    sha256: stored.sha256,
                    side: None,
                }));
                Ok(())
            }
            Some(Err(error)) => {
                track.end(&Event::Failed {
                    sid: Some(sid),
                    reason: &error.words(),
                });
                // Another transfer goes on with the file.
                if let ReceiveError::Superseded = error {
                    return;
                }
                Err(Failure::told(error.status()))
            }
            None => {
                track.end(&Event::Failed {
                    sid: Some(sid),
                    reason: "cancelled",
                });
                self.course.set_outcome(Err(Failure::told(FAILED)));
                return;
            }
        };
        if self.once {
            self.finish(outcome);
        }
    }

    fn resumable(&self, offer: &Offer) -> Option<Resumable> {
        let file = offer.file();
        let (true, Some(size), Some(hash)) = (self.how.resume, file.size, file.hash) else {
            return None;
        };
        Some((
            offer.from().bare().as_str().to_owned(),
            file.name.clone(),
            size,
            hash,
        ))
    }

    fn finish(&self, outcome: Result<(), Failure>) {
        self.course.set_outcome(outcome);
        self.course.end();
    }
}
