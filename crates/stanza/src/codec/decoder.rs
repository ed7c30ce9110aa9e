//! From tokens to stanzas, within bounds.

use super::draft::{AnyDraft, name_of};
use super::error::ErrorDraft;
use super::presence::PresenceDraft;
use super::{Collect, DecodeError, Node, SERVER, Tools, child, payload};
use crate::base64::{Base64, Base64Error, is_space};
use crate::intern::Interner;
use crate::slab::Slab;
use crate::{
    Fault, Id, Invalid, Iq, IqBody, Jid, Limits, Message, Payload, Presence, PresenceType, Sid,
    Stanza, Token, TokenSink, ns,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::convert::Infallible;

/// Makes stanzas of tokens: those of one whole stanza element, then [`Decoder::finish`].
///
/// It takes any tokens and never fails on one. What a payload's specification does not allow
/// becomes [`Payload::Invalid`], what nothing here knows [`Payload::Unknown`], and whatever exceeds
/// the [`Limits`] is let go and leaves [`Fault::Limit`], so that whoever answers requests can
/// answer these too. One decoder serves one link: it keeps its buffers, and the names seen last.
#[derive(Debug)]
pub struct Decoder {
    tools: Tools,
    head: Head,
    /// The known elements that are open, from the stanza inwards.
    open: Vec<Node>,
    /// How many elements are open within the innermost known one and passed over.
    skipped: usize,
    /// Attributes of the element that began last, counted while they may still come.
    attributes: usize,
    draft: AnyDraft,
    payload: Option<Payload>,
    /// What the payload is, and the stream that it names.
    named: Option<(Node, Option<Sid>)>,
    error: Option<ErrorDraft>,
    presence: PresenceDraft,
    /// Text of the element that collects one.
    text: String,
    /// The same where it is base64.
    base64: Vec<u8>,
    /// The limit exceeded first.
    exceeded: Option<&'static str>,
}

/// What is known of the stanza itself.
#[derive(Debug, Default)]
struct Head {
    kind: Option<Node>,
    /// Whether its element has ended.
    ended: bool,
    /// Whether tokens came where none belong.
    torn: bool,
    /// `jabber:component:accept` rather than `jabber:client`.
    component: bool,
    from: Option<Jid>,
    to: Option<Jid>,
    id: Option<Id>,
    ty: Type,
    bad: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Type {
    #[default]
    None,
    Get,
    Set,
    Result,
    Error,
    Unavailable,
    /// A message to a room, or to nobody in particular.
    ToMany,
    Other,
}

impl Head {
    fn content(&self) -> &'static str {
        if self.component {
            ns::COMPONENT
        } else {
            ns::CLIENT
        }
    }

    fn attr(&mut self, name: &str, value: &str, tools: &mut Tools) {
        match name {
            "from" => match tools.names.jid(value.as_bytes()) {
                Ok(jid) => self.from = Some(jid),
                Err(_) => self.bad = Some("from"),
            },
            "to" => match tools.names.jid(value.as_bytes()) {
                Ok(jid) => self.to = Some(jid),
                Err(_) => self.bad = Some("to"),
            },
            "id" if value.len() > tools.limits.text.min(Id::MAX) => self.bad = Some("id"),
            "id" => self.id = Some(Id::from(value)),
            "type" => {
                self.ty = match value {
                    "get" => Type::Get,
                    "set" => Type::Set,
                    "result" => Type::Result,
                    "error" => Type::Error,
                    "unavailable" => Type::Unavailable,
                    "groupchat" | "headline" => Type::ToMany,
                    _ => Type::Other,
                }
            }
            _ => {}
        }
    }
}

impl Decoder {
    /// Makes a decoder with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            tools: Tools {
                slab: Slab::new(&limits),
                names: Interner::default(),
                base64: Base64::new(),
                limits,
            },
            head: Head::default(),
            open: Vec::new(),
            skipped: 0,
            attributes: 0,
            draft: AnyDraft::None,
            payload: None,
            named: None,
            error: None,
            presence: PresenceDraft::default(),
            text: String::new(),
            base64: Vec::new(),
            exceeded: None,
        }
    }

    /// The bounds.
    pub const fn limits(&self) -> &Limits {
        &self.tools.limits
    }

    /// The caches and the engine, for whoever makes stanzas without tokens.
    #[allow(dead_code, reason = "the hot path of the framer takes them")]
    pub(crate) const fn tools(&mut self) -> &mut Tools {
        &mut self.tools
    }

    /// Declares the stanza under way to exceed the named limit: its payload is let go.
    ///
    /// For a source that knows of a limit before the tokens do, such as the stanza's octets. It
    /// still owes the tokens that end the element.
    pub fn exceed(&mut self, limit: &'static str) {
        self.exceeded = self.exceeded.or(Some(limit));
        self.text.clear();
        self.base64.clear();
    }

    /// Forgets the stanza under way.
    pub fn reset(&mut self) {
        self.head = Head::default();
        self.open.clear();
        self.skipped = 0;
        self.attributes = 0;
        self.draft = AnyDraft::None;
        self.payload = None;
        self.named = None;
        self.error = None;
        self.presence = PresenceDraft::default();
        self.text.clear();
        self.base64.clear();
        self.exceeded = None;
        self.text.shrink_to(KEPT);
    }

    /// Yields the stanza whose tokens have been taken, and begins anew.
    ///
    /// # Errors
    /// When they are no stanza that could be answered. The decoder begins anew then too.
    pub fn finish(&mut self) -> Result<Stanza, DecodeError> {
        let stanza = self.stanza();
        self.reset();
        stanza
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn stanza(&mut self) -> Result<Stanza, DecodeError> {
        let head = core::mem::take(&mut self.head);
        if head.torn || !head.ended {
            return Err(DecodeError::Incomplete);
        }
        let kind = head.kind.ok_or(DecodeError::NotAStanza)?;
        if let Some(name) = head.bad {
            return Err(DecodeError::Malformed(name));
        }
        let (from, to) = (head.from, head.to);
        let mut payload = self.payload.take();
        if let Some(limit) = self.exceeded {
            // What was whole before the limit broke is not to be trusted either.
            payload = Some(self.let_go(payload, Fault::Limit(limit)));
        }
        let error = self
            .error
            .take()
            .map(|error| Box::new(error.finish()))
            .or_else(|| (head.ty == Type::Error).then(|| Box::new(ErrorDraft::default().finish())));
        Ok(match kind {
            Node::Iq => {
                let unnamed = head.id.is_none();
                // An answer without an id is an answer to nothing.
                if unnamed && (!SERVER || matches!(head.ty, Type::Result | Type::Error)) {
                    return Err(DecodeError::Malformed("id"));
                }
                let body = match (head.ty, error) {
                    // Whatever is in it, it is a bad-request and no more (RFC 6120, 8.3.3.1).
                    _ if SERVER && unnamed => IqBody::Set(nameless(Fault::MissingAttribute("id"))),
                    (Type::Get, _) => IqBody::Get(payload.unwrap_or_else(childless)),
                    (Type::Set, _) => IqBody::Set(payload.unwrap_or_else(childless)),
                    (Type::Result, _) => IqBody::Result(payload),
                    (Type::Error, Some(error)) => IqBody::Error(error),
                    _ if SERVER => IqBody::Set(nameless(Fault::BadValue("type"))),
                    _ => return Err(DecodeError::Malformed("type")),
                };
                Stanza::Iq(Iq {
                    from,
                    to,
                    id: head.id.unwrap_or_else(|| Id::from("")),
                    body,
                })
            }
            Node::Message => Stanza::Message(Message {
                from,
                to,
                id: head.id,
                payload,
                error,
            }),
            _ => {
                let (priority, caps) = core::mem::take(&mut self.presence).finish();
                Stanza::Presence(Presence {
                    from,
                    to,
                    kind: match head.ty {
                        Type::None => PresenceType::Available,
                        Type::Unavailable => PresenceType::Unavailable,
                        Type::Error => PresenceType::Error,
                        _ => PresenceType::Other,
                    },
                    priority,
                    caps,
                })
            }
        })
    }

    #[cfg_attr(not(feature = "fast"), inline(never))]
    fn begin(&mut self, ns: &str, name: &str) {
        self.attributes = 0;
        let Some(&parent) = self.open.last() else {
            self.begin_stanza(ns, name);
            return;
        };
        if self.open.len() + self.skipped >= self.tools.limits.depth {
            self.exceed("depth");
        }
        if self.skipped > 0 || self.exceeded.is_some() {
            self.skipped += 1;
            return;
        }
        let node = if self.open.len() == 1 {
            self.begin_child(parent, ns, name)
        } else {
            child(parent, ns, name)
        };
        let Some(node) = node else {
            self.skipped = 1;
            return;
        };
        self.open.push(node);
        if node.collects() != Collect::Nothing {
            self.text.clear();
            self.base64.clear();
        }
        let begun = match &mut self.error {
            Some(error) if self.open.get(1) == Some(&Node::Error) => {
                error.open(node);
                Ok(())
            }
            _ => self.draft.open(node, &mut self.tools),
        };
        self.check(begun);
    }

    fn begin_stanza(&mut self, ns: &str, name: &str) {
        if self.head.ended || self.skipped > 0 {
            self.head.torn = self.head.ended;
            self.skipped += 1;
            return;
        }
        self.head.component = ns == ns::COMPONENT;
        let node = match name {
            _ if ns != self.head.content() => None,
            "iq" => Some(Node::Iq),
            "message" => Some(Node::Message),
            "presence" => Some(Node::Presence),
            _ => None,
        };
        self.head.kind = node;
        match node {
            Some(node) => self.open.push(node),
            None => self.skipped += 1,
        }
    }

    /// Says what a child of the stanza is, and begins its draft.
    fn begin_child(&mut self, stanza: Node, ns: &str, name: &str) -> Option<Node> {
        let of_content = ns == self.head.content();
        match (stanza, name) {
            (Node::Presence, "priority") if SERVER && of_content => return Some(Node::Priority),
            (Node::Presence, "c") if SERVER && ns == ns::CAPS => return Some(Node::Caps),
            (Node::Presence, _) => return None,
            (_, "error") if of_content && self.head.ty == Type::Error => {
                // The first one counts.
                return match self.error {
                    Some(_) => None,
                    None => {
                        self.error = Some(ErrorDraft::default());
                        Some(Node::Error)
                    }
                };
            }
            // Octets come from one to one, and a room removes whoever answers it with an error.
            (Node::Message, _) if self.head.ty == Type::ToMany => return None,
            // What an error echoes of a request says nothing new.
            (Node::Iq, _) if self.head.ty == Type::Error => return None,
            _ => {}
        }
        if self.payload.is_some() {
            return None;
        }
        let known = payload(ns, name);
        match known {
            Some(node) => self.draft = AnyDraft::new(node),
            None if stanza == Node::Iq => {
                if ns.len().max(name.len()) > self.tools.limits.text {
                    self.exceed("text");
                } else {
                    self.payload = Some(Payload::Unknown {
                        ns: Arc::from(ns),
                        name: Arc::from(name),
                    });
                }
            }
            None => {}
        }
        known
    }

    fn attr(&mut self, name: &str, value: &str) {
        self.attributes += 1;
        if self.attributes > self.tools.limits.attributes {
            self.exceed("attributes");
        }
        let Some(&node) = self.open.last() else {
            return;
        };
        if self.open.len() == 1 && self.skipped == 0 {
            self.head.attr(name, value, &mut self.tools);
            return;
        }
        if value.len() > self.tools.limits.text {
            self.exceed("text");
        }
        if self.skipped > 0 || self.exceeded.is_some() {
            return;
        }
        if self.open.get(1) == Some(&Node::Error) {
            if let Some(error) = &mut self.error {
                error.attr(node, name, value);
            }
            return;
        }
        if SERVER && self.head.kind == Some(Node::Presence) {
            self.presence.attr(node, name, value, &self.tools);
            return;
        }
        let taken = self.draft.attr(node, name, value, &mut self.tools);
        self.check(taken);
    }

    fn collects(&self) -> Collect {
        if self.skipped > 0 || self.exceeded.is_some() {
            return Collect::Nothing;
        }
        self.open.last().map_or(Collect::Nothing, |n| n.collects())
    }

    fn push_text(&mut self, piece: &str) {
        match self.collects() {
            Collect::Nothing => {}
            Collect::Text => {
                if self.text.len() + piece.len() > self.tools.limits.text {
                    self.exceed("text");
                    return;
                }
                self.text.push_str(piece);
            }
            Collect::Base64 => {
                let most = Base64::encoded_len(self.tools.limits.block);
                // Without a branch an octet, so that the usual case is done many at once.
                if piece.bytes().fold(false, |any, b| any | is_space(b)) {
                    let room = (most + 1).saturating_sub(self.base64.len());
                    let dense = piece.bytes().filter(|b| !is_space(*b)).take(room);
                    self.base64.extend(dense);
                } else if self.base64.len() + piece.len() <= most {
                    self.base64.extend_from_slice(piece.as_bytes());
                } else {
                    self.exceed("block");
                }
                if self.base64.len() > most {
                    self.exceed("block");
                }
            }
        }
    }

    fn push_octets(&mut self, octets: &[u8]) {
        if self.collects() != Collect::Base64 {
            return;
        }
        if octets.len() > self.tools.limits.block {
            self.exceed("block");
            return;
        }
        let block = self.tools.slab.fill(octets.len(), |room| {
            room.copy_from_slice(octets);
            Ok::<_, Infallible>(octets.len())
        });
        match block {
            Ok(block) => self.draft.octets(block),
        }
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            if self.open.is_empty() && self.skipped == 0 {
                self.head.ended = true;
            }
            return;
        }
        if self.open.is_empty() {
            self.head.torn = true;
            return;
        }
        if self.collects() == Collect::Base64 && !self.base64.is_empty() {
            let decoded = self.tools.decode(&self.base64);
            self.base64.clear();
            match decoded {
                Ok(block) => self.draft.octets(block),
                Err(fault) => self.check(Err(fault)),
            }
        }
        let depth = self.open.len();
        let Some(node) = self.open.pop() else {
            return;
        };
        if depth == 1 {
            self.head.ended = true;
            return;
        }
        let whole = self.exceeded.is_none();
        if node == Node::Error || self.open.get(1) == Some(&Node::Error) {
            if let Some(error) = self.error.as_mut().filter(|_| whole) {
                error.close(node, &self.text);
            }
        } else if SERVER && self.head.kind == Some(Node::Presence) {
            if whole {
                self.presence.close(node, &self.text);
            }
        } else if whole {
            let closed = self.draft.close(node, &self.text, &mut self.tools);
            self.check(closed);
        }
        if node.collects() == Collect::Text {
            self.text.clear();
        }
        if depth == 2 && node != Node::Error {
            let draft = core::mem::replace(&mut self.draft, AnyDraft::None);
            self.named = Some((node, draft.sid()));
            self.payload = draft.finish(node);
        }
    }

    /// What stands for a payload that was not taken.
    fn let_go(&mut self, payload: Option<Payload>, fault: Fault) -> Payload {
        let (ns, name, sid) = match (self.named.take(), payload) {
            (None, Some(Payload::Unknown { ns, name })) => (ns, name, None),
            (Some((node, sid)), _) => {
                let (ns, name) = name_of(node);
                (Arc::from(ns), Arc::from(name), sid)
            }
            (None, _) => (Arc::default(), Arc::default(), None),
        };
        Payload::Invalid(Box::new(Invalid {
            ns,
            name,
            sid,
            fault,
        }))
    }

    /// Turns a fault into the end of the payload's draft.
    fn check(&mut self, result: Result<(), Fault>) {
        match result {
            Ok(()) => {}
            Err(Fault::Limit(limit @ ("items" | "block"))) => self.exceed(limit),
            Err(fault) => {
                let draft = core::mem::replace(&mut self.draft, AnyDraft::None);
                self.draft = match draft {
                    // The first fault counts, and the stream where it is known.
                    AnyDraft::Broken(..) => draft,
                    _ => AnyDraft::Broken(fault, draft.sid()),
                };
            }
        }
    }
}

impl TokenSink for Decoder {
    type Error = Infallible;

    fn token(&mut self, token: Token<'_>) -> Result<(), Infallible> {
        match token {
            Token::Open { ns, name } => self.begin(ns, name),
            Token::Attr { name, value } => self.attr(name, value),
            Token::Text(piece) => self.push_text(piece),
            Token::Octets(octets) => self.push_octets(octets),
            Token::Close => self.end(),
        }
        Ok(())
    }
}

impl Tools {
    /// Decodes one block into the slab.
    pub(crate) fn decode(&mut self, text: &[u8]) -> Result<Bytes, Fault> {
        let Self {
            slab,
            base64,
            limits,
            ..
        } = self;
        let room = Base64::decoded_len(text.len());
        let block = slab.fill(room, |room| {
            let octets = base64.decode(text, room).map_err(|error| match error {
                Base64Error::Invalid => Fault::Base64,
                Base64Error::TooLong => Fault::Limit("block"),
            })?;
            if octets > limits.block {
                return Err(Fault::Limit("block"));
            }
            Ok(octets)
        })?;
        if block.len() >= room / 2 {
            return Ok(block);
        }
        // Most of it was white space: a block that waits to be stored holds no more than it counts.
        slab.fill(block.len(), |room| {
            room.copy_from_slice(&block);
            Ok(block.len())
        })
    }
}

/// What stands for the child of an IQ that is not even one.
fn nameless(fault: Fault) -> Payload {
    Payload::Invalid(Box::new(Invalid {
        ns: Arc::default(),
        name: Arc::default(),
        sid: None,
        fault,
    }))
}

fn childless() -> Payload {
    Payload::Unknown {
        ns: Arc::default(),
        name: Arc::default(),
    }
}

/// Octets of text that a decoder keeps room for between stanzas.
const KEPT: usize = 4096;
