//! Two ends, the way between them, and time.

use crate::app::{App, Node, Side};
use crate::turn::{Around, Turn};
use crate::{Chooser, Link, Trace};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytestreams_machine::{Instant, Machine};
use bytestreams_stanza::Jid;
use core::fmt;
use core::time::Duration;

/// What no run may exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Outputs of a machine from one input, the application's doing included.
    pub outputs: usize,
    /// Steps of a run.
    pub steps: u64,
    /// Simulated time of a run.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            outputs: 1_000,
            steps: 100_000,
            time: Duration::from_secs(3_600),
        }
    }
}

/// A run that came to its end with no law broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of the whole trace.
    pub hash: u64,
    /// How many steps it took.
    pub steps: u64,
    /// When it ended.
    pub at: Instant,
}

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which, and how.
    pub law: String,
    /// When.
    pub at: Instant,
    /// The last steps, in words.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}; before it:", self.law, self.at)?;
        for line in &self.trace {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Broken {}

/// Two machines, their applications, and the link between them.
pub struct World<L: App, R: App> {
    /// One end.
    pub left: Node<L>,
    /// The other.
    pub right: Node<R>,
    /// The way between them.
    pub link: Link,
    /// What no run may exceed.
    pub bounds: Bounds,
    /// What happened.
    pub trace: Trace,
    now: Instant,
    steps: u64,
}

impl<L: App, R: App> World<L, R> {
    /// Puts two ends, each an address, a machine and an application, into a world at time 0 with
    /// the default link and bounds.
    pub fn new(left: (Jid, L::Machine, L), right: (Jid, R::Machine, R)) -> Self {
        Self {
            left: Node::new(left),
            right: Node::new(right),
            link: Link::default(),
            bounds: Bounds::default(),
            trace: Trace::default(),
            now: Instant::ZERO,
            steps: 0,
        }
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Runs to the end: both applications are done and nothing is on its way. `law` is asked after
    /// each step.
    ///
    /// # Errors
    /// When a law is broken: one of `law`, or one of the world's own. A deadline lies in the
    /// future after `handle_timeout`; reading it changes nothing; an input brings forth a bounded
    /// number of outputs; nothing follows the last event of a session; both ends come to their
    /// end within the bounds.
    pub fn run(
        &mut self,
        chooser: &mut dyn Chooser,
        mut law: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<Outcome, Broken> {
        self.start(chooser)?;
        loop {
            law(self).map_err(|law| self.broken(law))?;
            if self.is_over() {
                return Ok(Outcome {
                    hash: self.trace.hash(),
                    steps: self.steps,
                    at: self.now,
                });
            }
            if !self.step(chooser)? {
                return Err(self.broken(format!(
                    "nothing will happen any more, done: left {}, right {}",
                    self.left.app.is_done(),
                    self.right.app.is_done()
                )));
            }
        }
    }

    /// Lets both applications act for the first time.
    ///
    /// # Errors
    /// As [`World::run`].
    pub fn start(&mut self, chooser: &mut dyn Chooser) -> Result<(), Broken> {
        for side in [Side::Left, Side::Right] {
            self.take(side, Turn::Act, chooser)?;
        }
        Ok(())
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Instant> {
        self.candidates().map(|(at, ..)| at).min()
    }

    /// Goes to the moment of the next thing and carries it out; where several happen at once the
    /// chooser picks one. Answers false when nothing will ever happen.
    ///
    /// # Errors
    /// As [`World::run`].
    pub fn step(&mut self, chooser: &mut dyn Chooser) -> Result<bool, Broken> {
        let Some(at) = self.next() else {
            return Ok(false);
        };
        self.now = self.now.max(at);
        self.steps += 1;
        if self.steps > self.bounds.steps {
            return Err(self.broken(format!("more than {} steps", self.bounds.steps)));
        }
        if self.now.since(Instant::ZERO) > self.bounds.time {
            return Err(self.broken(format!("longer than {:?}", self.bounds.time)));
        }
        let at_once = || self.candidates().filter(|(due, ..)| *due <= self.now);
        let picked = match at_once().count() {
            0 | 1 => 0,
            n => chooser.choose(u32::try_from(n).unwrap_or(u32::MAX)),
        };
        let Some((_, side, turn)) = at_once().nth(picked as usize) else {
            return Ok(false);
        };
        self.take(side, turn, chooser)?;
        Ok(true)
    }

    /// Says whether both applications are done and nothing is on its way.
    pub fn is_over(&self) -> bool {
        self.left.app.is_done()
            && self.right.app.is_done()
            && self.link.is_empty()
            && self.left.stalled.is_none()
            && self.right.stalled.is_none()
    }

    /// Makes the report of a broken law.
    pub fn broken(&self, law: String) -> Broken {
        Broken {
            law,
            at: self.now,
            trace: self.trace.entries().map(ToString::to_string).collect(),
        }
    }

    /// Everything that will happen, with its time, in a fixed order.
    fn candidates(&self) -> impl Iterator<Item = (Instant, Side, Turn)> {
        use Side::{Left, Right};
        let link = &self.link;
        [
            (link.to_left.next(), Left, Turn::Arrives),
            (link.to_right.next(), Right, Turn::Arrives),
            (link.strange_to_left.next(), Left, Turn::ArrivesStrange),
            (link.strange_to_right.next(), Right, Turn::ArrivesStrange),
            (self.left.machine.poll_timeout(), Left, Turn::Timeout),
            (self.right.machine.poll_timeout(), Right, Turn::Timeout),
            (self.left.wake(), Left, Turn::Act),
            (self.right.wake(), Right, Turn::Act),
            (self.left.stalled, Left, Turn::Drain),
            (self.right.stalled, Right, Turn::Drain),
        ]
        .into_iter()
        .filter_map(|(at, side, turn)| at.map(|at| (at, side, turn)))
    }

    fn take(&mut self, side: Side, turn: Turn, chooser: &mut dyn Chooser) -> Result<(), Broken> {
        let (peer, peer_online) = match side {
            Side::Left => (self.right.jid.clone(), self.right.online),
            Side::Right => (self.left.jid.clone(), self.left.online),
        };
        let mut around = Around {
            side,
            peer: &peer,
            peer_online,
            link: &mut self.link,
            trace: &mut self.trace,
            now: self.now,
            bounds: self.bounds,
            chooser,
        };
        let result = match side {
            Side::Left => around.take(turn, &mut self.left),
            Side::Right => around.take(turn, &mut self.right),
        };
        result.map_err(|law| self.broken(format!("{side:?}: {law}")))
    }
}

impl<L: App, R: App> fmt::Debug for World<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("steps", &self.steps)
            .field("left", &self.left)
            .field("right", &self.right)
            .finish_non_exhaustive()
    }
}
