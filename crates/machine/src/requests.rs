//! Requests that wait for their answers.

use crate::Instant;
use alloc::collections::BTreeMap;
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
    pending: BTreeMap<Id, (Option<Jid>, Instant, T)>,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self {
            pending: BTreeMap::new(),
        }
    }
}

impl<T> Requests<T> {
    /// Remembers a request until `deadline`.
    pub fn insert(&mut self, to: Option<Jid>, id: Id, deadline: Instant, what: T) {
        self.pending.insert(id, (to, deadline, what));
    }

    /// Takes the request that this result or error answers, if its sender was asked.
    pub fn answered(&mut self, own: &Own, iq: &Iq) -> Option<T> {
        if iq.request().is_some() {
            return None;
        }
        let (to, _, _) = self.pending.get(&iq.id)?;
        if !own.answers(to.as_ref(), iq.from.as_ref()) {
            return None;
        }
        self.pending.remove(&iq.id).map(|(_, _, what)| what)
    }

    /// Takes a request whose deadline has come.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        let id = self
            .pending
            .iter()
            .find(|(_, (_, due, _))| *due <= now)
            .map(|(id, _)| id.clone())?;
        self.pending.remove(&id).map(|(_, _, what)| what)
    }

    /// Forgets the requests that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.pending.retain(|_, (_, _, what)| keep(what));
    }

    /// Says when the next request expires.
    pub fn next(&self) -> Option<Instant> {
        self.pending.values().map(|(_, due, _)| *due).min()
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
