//! The watch over the link.

use bytestreams_machine::Instant;
use core::time::Duration;

/// How long the link may be silent before it is asked, and then before it is given up.
const QUIET: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);

/// Notices a link that has gone silent: a connection whose other end vanished looks, from here,
/// like one on which nobody has anything to say.
#[derive(Debug)]
pub(crate) struct Silence {
    heard: Instant,
    state: State,
    /// No timer runs before this. It may lie before the true deadline, which moves with every
    /// stanza, never behind it.
    wake: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Listening,
    /// A ping is out since then.
    Asked(Instant),
    Lost,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    Ping,
    Lost,
}

impl Silence {
    pub(crate) fn new(on: bool, now: Instant) -> Self {
        Self {
            heard: now,
            state: if on { State::Listening } else { State::Off },
            wake: now + QUIET,
        }
    }

    /// Notes that something came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        if let State::Asked(_) = self.state {
            self.state = State::Listening;
            self.wake = now + QUIET;
        }
    }

    /// Stops watching.
    pub(crate) fn stop(&mut self) {
        self.state = State::Lost;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        match self.state {
            State::Off | State::Lost => None,
            State::Listening | State::Asked(_) => Some(self.wake),
        }
    }

    /// Says what is due at `now`. While nobody listens to the link, `deaf`, silence means nothing.
    pub(crate) fn due(&mut self, deaf: bool, now: Instant) -> Option<Alarm> {
        if self.next().is_none_or(|wake| now < wake) {
            return None;
        }
        if deaf {
            self.heard = now;
        }
        match self.state {
            State::Listening if self.heard + QUIET <= now => {
                self.state = State::Asked(now);
                self.wake = now + GRACE;
                Some(Alarm::Ping)
            }
            State::Asked(since) if self.heard <= since => {
                self.state = State::Lost;
                Some(Alarm::Lost)
            }
            State::Listening | State::Asked(_) => {
                self.state = State::Listening;
                self.wake = self.heard + QUIET;
                None
            }
            State::Off | State::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_link_is_asked_and_then_given_up() {
        let mut silence = Silence::new(true, at(0));
        silence.heard(at(10));
        assert_eq!(silence.next(), Some(at(60)));
        assert_eq!(silence.due(false, at(60)), None);
        assert_eq!(silence.next(), Some(at(70)));
        assert_eq!(silence.due(false, at(69)), None);
        assert_eq!(silence.due(false, at(70)), Some(Alarm::Ping));
        assert_eq!(silence.next(), Some(at(100)));
        assert_eq!(silence.due(false, at(100)), Some(Alarm::Lost));
        assert_eq!(silence.next(), None);
    }

    #[test]
    fn anything_heard_after_the_ping_keeps_the_link() {
        let mut silence = Silence::new(true, at(0));
        assert_eq!(silence.due(false, at(60)), Some(Alarm::Ping));
        silence.heard(at(60));
        assert_eq!(silence.next(), Some(at(120)));
        assert_eq!(silence.due(false, at(120)), Some(Alarm::Ping));
        silence.heard(at(149));
        assert_eq!(silence.due(false, at(150)), None);
        assert_eq!(silence.next(), Some(at(209)));
    }

    #[test]
    fn nobody_is_missed_while_nobody_listens() {
        let mut silence = Silence::new(true, at(0));
        assert_eq!(silence.due(true, at(60)), None);
        assert_eq!(silence.next(), Some(at(120)));
        assert_eq!(silence.due(false, at(120)), Some(Alarm::Ping));
        assert_eq!(silence.due(true, at(150)), None);
        assert_eq!(silence.due(false, at(210)), Some(Alarm::Ping));
    }

    #[test]
    fn a_watch_that_is_off_has_no_deadline() {
        let mut silence = Silence::new(false, at(0));
        assert_eq!(silence.next(), None);
        assert_eq!(silence.due(false, at(1000)), None);
    }
}
