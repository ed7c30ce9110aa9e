//! Requests that wait for their answers.

use crate::Instant;
use alloc::vec::Vec;
use bytestreams_stanza::{Id, Iq, Jid};

/// Who we are on this link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Our full JID, or the component's.
    pub jid: Jid,
}

impl Own {
    /// Says whether an answer from `from` answers a request sent to `to`.
    ///
    /// A request without `to` is answered by nobody in particular, by our own account, by
    /// ourselves, or by our own domain.
    pub fn answers(&self, to: Option<&Jid>, from: Option<&Jid>) -> bool {
        match (to, from) {
            (Some(to), Some(from)) => to == from,
            (None, None) => true,
            (None, Some(from)) => self.is_own(from),
            (Some(to), None) => self.is_own(to),
        }
    }

    fn is_own(&self, jid: &Jid) -> bool {
        *jid == self.jid
            || jid.is_bare()
                && (jid.same_bare(&self.jid)
                    || jid.local().is_none()
                        && jid.domain().eq_ignore_ascii_case(self.jid.domain()))
    }
}

/// Requests pending, each by the JID that was asked and its id, each with a deadline.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests<T> {
    /// In the order of their ids: they are few.
    pending: Vec<Pending<T>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Pending<T> {
    id: Id,
    to: Option<Jid>,
    due: Instant,
    what: T,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
        }
    }
}

impl<T> Requests<T> {
    /// Remembers a request until `deadline`.
    pub fn insert(&mut self, to: Option<Jid>, id: Id, deadline: Instant, what: T) {
        let place = self.place(&id);
        let new = Pending {
            id,
            to,
            due: deadline,
            what,
        };
        match place {
            Ok(at) => {
                if let Some(old) = self.pending.get_mut(at) {
                    *old = new;
                }
            }
            Err(at) => self.pending.insert(at, new),
        }
    }

    fn place(&self, id: &Id) -> Result<usize, usize> {
        self.pending.binary_search_by(|pending| pending.id.cmp(id))
    }

    /// Takes the request that this result or error answers, if its sender was asked.
    pub fn answered(&mut self, own: &Own, iq: &Iq) -> Option<T> {
        if iq.request().is_some() {
            return None;
        }
        let at = self.place(&iq.id).ok()?;
        let to = self.pending.get(at)?.to.as_ref();
        if !own.answers(to, iq.from.as_ref()) {
            return None;
        }
        Some(self.pending.remove(at).what)
    }

    /// Takes a request whose deadline has come.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        let at = self.pending.iter().position(|pending| pending.due <= now)?;
        Some(self.pending.remove(at).what)
    }

    /// Forgets the requests that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.pending.retain(|pending| keep(&pending.what));
    }

    /// Says when the next request expires.
    pub fn next(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.due).min()
    }

    /// How many are pending.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Says whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::IqBody;

    fn jid(text: &str) -> Jid {
        Jid::new(text).expect("a JID")
    }

    fn answer(from: Option<&str>, id: &str) -> Iq {
        let mut iq = Iq::answer(None, id.into(), IqBody::Result(None));
        iq.from = from.map(jid);
        iq
    }

    #[test]
    fn an_answer_counts_only_from_the_one_who_was_asked() {
        let own = Own {
            jid: jid("me@here/r"),
        };
        let mut requests = Requests::default();
        let later = Instant::from_micros(5);
        requests.insert(Some(jid("You@there/r")), "1".into(), later, 'a');
        assert_eq!(
            requests.answered(&own, &answer(Some("eve@there/r"), "1")),
            None
        );
        assert_eq!(
            requests.answered(&own, &answer(Some("you@there"), "1")),
            None
        );
        assert_eq!(requests.answered(&own, &answer(None, "1")), None);
        assert_eq!(
            requests.answered(&own, &answer(Some("you@There/r"), "1")),
            Some('a')
        );
        assert_eq!(
            requests.answered(&own, &answer(Some("you@there/r"), "1")),
            None
        );
    }

    #[test]
    fn a_request_to_nobody_is_answered_by_our_own() {
        let own = Own {
            jid: jid("me@here/r"),
        };
        for from in [None, Some("me@here"), Some("ME@here/r"), Some("here")] {
            assert!(own.answers(None, from.map(jid).as_ref()), "{from:?}");
        }
        for from in ["me@here/other", "you@here", "there", "here/r"] {
            assert!(!own.answers(None, Some(&jid(from))), "{from}");
        }
    }

    #[test]
    fn what_is_due_expires() {
        let mut requests = Requests::default();
        requests.insert(None, "1".into(), Instant::from_micros(5), ());
        assert_eq!(requests.next(), Some(Instant::from_micros(5)));
        assert_eq!(requests.expired(Instant::from_micros(4)), None);
        assert_eq!(requests.expired(Instant::from_micros(5)), Some(()));
        assert!(requests.is_empty());
    }
}
