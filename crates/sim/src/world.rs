//! The ends, the ways between them, and time.

use crate::app::{Absent, App, Node, Side};
use crate::net::{Due, Moment, Net, NetStep};
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

/// Two machines or three, their applications, the link and the net between them.
pub struct World<L: App, R: App, T: App = Absent> {
    /// One end.
    pub left: Node<L>,
    /// The other.
    pub right: Node<R>,
    /// A third, where there is one.
    pub third: Node<T>,
    /// The way of stanzas between them.
    pub link: Link,
    /// The way of octets between them.
    pub net: Net,
    /// What no run may exceed.
    pub bounds: Bounds,
    /// What happened.
    pub trace: Trace,
    /// Whether the chooser picks which of the things that are due at once happens first. Where not,
    /// the order is fixed, and a world has fewer runs.
    pub any_order: bool,
    sides: &'static [Side],
    now: Instant,
    steps: u64,
}

impl<L: App, R: App> World<L, R> {
    /// Puts two ends, each an address, a machine and an application, into a world at time 0 with
    /// the default link, net and bounds.
    pub fn new(left: (Jid, L::Machine, L), right: (Jid, R::Machine, R)) -> Self {
        // Nobody asks for the address of one who is not there.
        let nobody = (left.0.clone(), Absent, Absent);
        let mut world = Self::with_third(left, right, nobody);
        world.sides = &[Side::Left, Side::Right];
        world
    }
}

impl<L: App, R: App, T: App> World<L, R, T> {
    /// Puts three ends into a world.
    pub fn with_third(
        left: (Jid, L::Machine, L),
        right: (Jid, R::Machine, R),
        third: (Jid, T::Machine, T),
    ) -> Self {
        Self {
            left: Node::new(left),
            right: Node::new(right),
            third: Node::new(third),
            link: Link::default(),
            net: Net::default(),
            bounds: Bounds::default(),
            trace: Trace::default(),
            any_order: true,
            sides: &Side::ALL,
            now: Instant::ZERO,
            steps: 0,
        }
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Runs to the end: all applications are done, nothing is on its way and no connection is
    /// open. `law` is asked after each step.
    ///
    /// # Errors
    /// When a law is broken: one of `law`, or one of the world's own. A deadline lies in the
    /// future after `handle_timeout`; reading it changes nothing; an input brings forth a bounded
    /// number of outputs; nothing follows the last event of a session; sockets are used as
    /// [`Net`] says, and each connection is closed at last; all ends come to their end within the
    /// bounds.
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
                    "nothing will happen any more, {}",
                    self.left_over()
                )));
            }
        }
    }

    /// What keeps the world from its end, in words.
    fn left_over(&self) -> String {
        let done = [
            self.left.app.is_done(),
            self.right.app.is_done(),
            self.third.app.is_done(),
        ];
        let mut words = String::from("done:");
        for (side, done) in self.sides.iter().zip(done) {
            let open: Vec<_> = self.net.open(*side).collect();
            words.push_str(&format!(" {side:?} {done}"));
            if !open.is_empty() {
                words.push_str(&format!(" but {open:?} leaked"));
            }
        }
        words
    }

    /// Lets all applications act for the first time.
    ///
    /// # Errors
    /// As [`World::run`].
    pub fn start(&mut self, chooser: &mut dyn Chooser) -> Result<(), Broken> {
        for side in self.sides {
            self.take(Next::Turn(*side, Turn::Act), chooser)?;
        }
        Ok(())
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Instant> {
        self.candidates().map(|(at, _)| at).min()
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
            return Err(self.broken(format!(
                "longer than {:?}, {}",
                self.bounds.time,
                self.left_over()
            )));
        }
        let at_once = || self.candidates().filter(|(due, _)| *due <= self.now);
        let picked = match at_once().count() {
            0 | 1 => 0,
            _ if !self.any_order => 0,
            n => chooser.choose(u32::try_from(n).unwrap_or(u32::MAX)),
        };
        let Some((_, next)) = at_once().nth(picked as usize) else {
            return Ok(false);
        };
        self.take(next, chooser)?;
        Ok(true)
    }

    /// Says whether all applications are done, nothing is on its way and no connection is open.
    pub fn is_over(&self) -> bool {
        self.left.is_over()
            && self.right.is_over()
            && self.third.is_over()
            && self.link.is_empty()
            && self.net.is_over()
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
    fn candidates(&self) -> impl Iterator<Item = (Instant, Next)> {
        use Side::{Left, Right, Third};
        let link = &self.link;
        let arrivals = self.sides.iter().flat_map(move |&to| {
            let from = self.sides.iter().filter(move |from| **from != to);
            from.map(move |&from| (link.lane_from(to, from).next(), to, Turn::Arrives(from)))
        });
        let strange = self.sides.iter();
        let strange = strange.map(move |&to| (link.strange(to).next(), to, Turn::ArrivesStrange));
        let own = [
            (self.left.machine.poll_timeout(), Left, Turn::Timeout),
            (self.right.machine.poll_timeout(), Right, Turn::Timeout),
            (self.third.machine.poll_timeout(), Third, Turn::Timeout),
            (self.left.wake(), Left, Turn::Act),
            (self.right.wake(), Right, Turn::Act),
            (self.third.wake(), Third, Turn::Act),
            (self.left.stalled, Left, Turn::Drain),
            (self.right.stalled, Right, Turn::Drain),
            (self.third.stalled, Third, Turn::Drain),
        ];
        let turns = arrivals.chain(strange).chain(own);
        let turns = turns.filter_map(|(at, side, turn)| Some((at?, Next::Turn(side, turn))));
        let net = self.net.candidates();
        turns.chain(net.map(|(at, step)| (at, Next::Net(step))))
    }

    fn take(&mut self, next: Next, chooser: &mut dyn Chooser) -> Result<(), Broken> {
        let (side, turn) = match next {
            Next::Turn(side, turn) => (side, turn),
            Next::Net(step) => match self.net_step(step, chooser) {
                Some(turn) => turn,
                None => return Ok(()),
            },
        };
        let (left, right, third) = (&mut self.left, &mut self.right, &mut self.third);
        let around = Around {
            side,
            peers: &[],
            link: &mut self.link,
            net: &mut self.net,
            trace: &mut self.trace,
            now: self.now,
            bounds: self.bounds,
            chooser,
        };
        // In a world of two nobody is third.
        let others = self.sides.len() - 1;
        let result = match side {
            Side::Left => {
                let peers = [right.peer(Side::Right), third.peer(Side::Third)];
                around.among(&peers[..others]).take(turn, left)
            }
            Side::Right => {
                let peers = [left.peer(Side::Left), third.peer(Side::Third)];
                around.among(&peers[..others]).take(turn, right)
            }
            Side::Third => {
                let peers = [left.peer(Side::Left), right.peer(Side::Right)];
                around.among(&peers).take(turn, third)
            }
        };
        result.map_err(|law| self.broken(format!("{side:?}: {law}")))
    }

    /// Lets the net go on: whose turn that makes it, if anyone's.
    fn net_step(&mut self, step: NetStep, chooser: &mut dyn Chooser) -> Option<(Side, Turn)> {
        let mut moment = Moment {
            now: self.now,
            chooser,
            trace: &mut self.trace,
        };
        match step {
            NetStep::Conn(conn) => match self.net.side(conn) {
                Some(side) => Some((side, Turn::Socket(conn))),
                None => {
                    self.net.arrive(conn, &mut moment);
                    None
                }
            },
            NetStep::Due(nth) => match self.net.take(nth)? {
                Due::Notice(side, input) => {
                    self.net.told(side, &input);
                    Some((side, Turn::Notice(input)))
                }
                Due::Attempt(side, token, to) => {
                    self.net.attempt(side, token, to, &mut moment);
                    None
                }
            },
        }
    }
}

/// What happens next.
#[derive(Debug)]
enum Next {
    /// At one of the ends.
    Turn(Side, Turn),
    /// On the net.
    Net(NetStep),
}

impl<L: App, R: App, T: App> fmt::Debug for World<L, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("steps", &self.steps)
            .field("left", &self.left)
            .field("right", &self.right)
            .field("third", &self.third)
            .finish_non_exhaustive()
    }
}
