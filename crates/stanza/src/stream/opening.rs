//! Setting streams up, without I/O.

use super::write_stream_error;
#[cfg(feature = "server")]
use crate::{Bind, Id, Iq, IqBody, Payload, Stanza, XmlWriter};
use crate::{Frame, Header, Jid, OutBuf, StanzaError, StreamError, ns};
use alloc::boxed::Box;
#[cfg(feature = "server")]
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// Sets a stream up: writes what is to be said and takes the frames that come.
///
/// The adapter writes [`Opening::output`] to the peer whenever it is not empty, feeds its framer
/// with what it reads, and gives each frame to [`Opening::handle`] until that says that the stream
/// is open. The same framer, and what is left of what was read, go on to the link.
#[derive(Debug)]
pub struct Opening {
    state: State,
    out: OutBuf,
}

/// What a stream turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The peer's header; none where the stream was open before.
    pub header: Option<Header>,
    /// The own address, as far as the peer gave one.
    pub jid: Option<Jid>,
}

/// Why a stream could not be set up. What is still to be written says so to the peer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OpeningError {
    /// The peer refused with a stream error; `not-authorized` when it did not like the secret.
    Refused(StreamError),
    /// The server refused to bind a resource.
    Unbound(Box<StanzaError>),
    /// The peer ended the stream.
    Ended,
    /// The peer's header has another content namespace, or lacks the identifier.
    BadHeader,
    /// The peer sent something else than what was due.
    Unexpected,
}

impl OpeningError {
    /// Says whether the peer refused because of who we are or say we are (XEP-0114, section 3;
    /// RFC 6120, 4.9.3): another address or secret is needed, and no other attempt.
    pub fn is_about_us(&self) -> bool {
        let about_us = ["not-authorized", "conflict", "host-unknown"];
        matches!(self, Self::Refused(error) if about_us.contains(&&*error.condition))
    }
}

enum State {
    /// A component awaits the server's header.
    #[cfg(feature = "server")]
    ComponentHeader {
        secret: String,
    },
    /// A component awaits the answer to its handshake.
    #[cfg(feature = "server")]
    Handshake {
        header: Header,
    },
    /// An initiator awaits the responder's header.
    Answer,
    /// A responder awaits the initiator's header.
    Request {
        own: Jid,
        id: Arc<str>,
    },
    /// A client awaits its resource.
    #[cfg(feature = "server")]
    Bound {
        id: Id,
    },
    Ended,
}

impl Opening {
    /// Begins the stream of an external component (XEP-0114, section 3).
    ///
    /// `component` is the domain that the component serves. With the feature `server`.
    #[cfg(feature = "server")]
    pub fn component(component: &Jid, secret: &str) -> Self {
        let mut opening = Self::of(State::ComponentHeader {
            secret: String::from(secret),
        });
        Header {
            from: None,
            to: Some(component.clone()),
            id: None,
            version: None,
            content: Arc::from(ns::COMPONENT),
        }
        .write(&mut opening.out);
        opening
    }

    /// Begins a serverless stream (in the manner of XEP-0174, section 5).
    pub fn serverless(own: &Jid, peer: Option<&Jid>) -> Self {
        let mut opening = Self::of(State::Answer);
        serverless_header(Some(own), peer, None).write(&mut opening.out);
        opening
    }

    /// Awaits a serverless stream that a peer begins; `id` names it and must not be guessable.
    pub fn await_serverless(own: &Jid, id: &str) -> Self {
        Self::of(State::Request {
            own: own.clone(),
            id: Arc::from(id),
        })
    }

    /// Binds a resource on a client's stream that is open and authenticated (RFC 6120, 7).
    ///
    /// Without `resource` the server chooses one. With the feature `server`.
    #[cfg(feature = "server")]
    pub fn bind(id: Id, resource: Option<&str>) -> Self {
        let mut opening = Self::of(State::Bound { id: id.clone() });
        let bind = Payload::Bind(Bind {
            resource: resource.map(Arc::from),
            jid: None,
        });
        XmlWriter::default().write(&Iq::set(None, id, bind).into(), &mut opening.out);
        opening
    }

    fn of(state: State) -> Self {
        Self {
            state,
            out: OutBuf::default(),
        }
    }

    /// What is to be written to the peer.
    pub const fn output(&mut self) -> &mut OutBuf {
        &mut self.out
    }

    /// Takes the next frame. Once the stream is open it says so; frames after that are the link's.
    ///
    /// # Errors
    /// When the stream will not open.
    pub fn handle(&mut self, frame: Frame) -> Result<Option<Opened>, OpeningError> {
        match frame {
            Frame::Error(error) => self.fail(OpeningError::Refused(error)),
            Frame::End => self.fail(OpeningError::Ended),
            // Nothing that they offer is wanted.
            Frame::Features => Ok(None),
            frame @ (Frame::Header(_)
            | Frame::Stanza(_)
            | Frame::Dropped(_)
            | Frame::Handshake(_)
            | Frame::Unknown { .. }) => self.due(frame),
        }
    }

    #[inline(never)]
    fn due(&mut self, frame: Frame) -> Result<Option<Opened>, OpeningError> {
        match (core::mem::replace(&mut self.state, State::Ended), frame) {
            #[cfg(feature = "server")]
            (State::ComponentHeader { secret }, Frame::Header(header)) => {
                let Some(id) = header
                    .id
                    .as_deref()
                    .filter(|_| is_of(&header, ns::COMPONENT))
                else {
                    return self.fail(OpeningError::BadHeader);
                };
                self.out.extend_from_slice(b"<handshake>");
                write_handshake(id, &secret, &mut self.out);
                self.out.extend_from_slice(b"</handshake>");
                self.state = State::Handshake { header };
                Ok(None)
            }
            #[cfg(feature = "server")]
            (State::Handshake { header }, Frame::Handshake(_)) => Ok(Some(Opened {
                header: Some(header),
                jid: None,
            })),
            (State::Answer, Frame::Header(header)) if is_of(&header, ns::CLIENT) => {
                Ok(Some(Opened {
                    jid: header.to.clone(),
                    header: Some(header),
                }))
            }
            (State::Request { own, id }, Frame::Header(header)) => {
                serverless_header(Some(&own), header.from.as_ref(), Some(id)).write(&mut self.out);
                if !is_of(&header, ns::CLIENT) {
                    return self.fail(OpeningError::BadHeader);
                }
                // Whoever speaks version 1.0 awaits features (RFC 6120, 4.3.2): none.
                if header.version.is_some() {
                    self.out.extend_from_slice(b"<stream:features/>");
                }
                Ok(Some(Opened {
                    jid: header.to.clone(),
                    header: Some(header),
                }))
            }
            (State::Answer, Frame::Header(_)) => self.fail(OpeningError::BadHeader),
            #[cfg(feature = "server")]
            (State::Bound { id }, Frame::Stanza(Stanza::Iq(iq))) if iq.id == id => match iq.body {
                IqBody::Result(Some(Payload::Bind(Bind { jid: Some(jid), .. }))) => {
                    Ok(Some(Opened {
                        header: None,
                        jid: Some(jid),
                    }))
                }
                IqBody::Error(error) => self.fail(OpeningError::Unbound(error)),
                IqBody::Result(_) | IqBody::Get(_) | IqBody::Set(_) => {
                    self.fail(OpeningError::Unexpected)
                }
            },
            // Servers may say more to a client whose resource is on its way.
            #[cfg(feature = "server")]
            (state @ State::Bound { .. }, _) => {
                self.state = state;
                Ok(None)
            }
            _ => self.fail(OpeningError::Unexpected),
        }
    }

    fn fail(&mut self, error: OpeningError) -> Result<Option<Opened>, OpeningError> {
        let condition = match &error {
            OpeningError::BadHeader => Some("invalid-namespace"),
            OpeningError::Unexpected => Some("policy-violation"),
            OpeningError::Refused(_) | OpeningError::Unbound(_) | OpeningError::Ended => None,
        };
        match condition {
            Some(condition) => write_stream_error(condition, &mut self.out),
            None => super::write_stream_end(&mut self.out),
        }
        self.state = State::Ended;
        Err(error)
    }
}

fn is_of(header: &Header, content: &str) -> bool {
    &*header.content == content
}

fn serverless_header(from: Option<&Jid>, to: Option<&Jid>, id: Option<Arc<str>>) -> Header {
    Header {
        from: from.cloned(),
        to: to.cloned(),
        id,
        version: Some(Arc::from("1.0")),
        content: Arc::from(ns::CLIENT),
    }
}

/// Appends the lower-case hexadecimal SHA-1 of the stream's identifier and the secret (XEP-0114,
/// section 3).
#[cfg(feature = "server")]
fn write_handshake(id: &str, secret: &str, out: &mut OutBuf) {
    use core::fmt::Write;
    use sha1::{Digest, Sha1};

    let digest = Sha1::new().chain_update(id).chain_update(secret).finalize();
    for octet in digest {
        // Writing into the buffer cannot fail.
        let _ = write!(out, "{octet:02x}");
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of it.
        f.write_str(match self {
            #[cfg(feature = "server")]
            Self::ComponentHeader { .. } => "ComponentHeader",
            #[cfg(feature = "server")]
            Self::Handshake { .. } => "Handshake",
            Self::Answer => "Answer",
            Self::Request { .. } => "Request",
            #[cfg(feature = "server")]
            Self::Bound { .. } => "Bound",
            Self::Ended => "Ended",
        })
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the peer refused the stream: {error}"),
            Self::Unbound(error) => write!(f, "the server gave no resource: {error}"),
            Self::Ended => f.write_str("the peer ended the stream"),
            Self::BadHeader => f.write_str("the peer's stream header is not as it must be"),
            Self::Unexpected => f.write_str("the peer sent something else than what was due"),
        }
    }
}

impl core::error::Error for OpeningError {}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::new(text).expect(text)
    }

    fn taken(opening: &mut Opening) -> String {
        let text = String::from_utf8(opening.output().as_slice().to_vec()).expect("UTF-8");
        opening.output().clear();
        text
    }

    fn header(content: &str, id: Option<&str>) -> Frame {
        Frame::Header(Header {
            from: Some(jid("a@b")),
            to: None,
            id: id.map(Arc::from),
            version: Some(Arc::from("1.0")),
            content: Arc::from(content),
        })
    }

    #[test]
    fn a_component_shakes_hands() {
        let mut opening = Opening::component(&jid("proxy.example.org"), "s3cret");
        assert_eq!(
            taken(&mut opening),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='proxy.example.org'>"
        );
        let opened = opening.handle(header(ns::COMPONENT, Some("3BF96D32")));
        assert_eq!(opened, Ok(None));
        assert_eq!(
            taken(&mut opening),
            "<handshake>a984b871214a298f0f743fcd25f99b10838ba12b</handshake>"
        );
        let opened = opening.handle(Frame::Handshake(String::new()));
        assert!(matches!(
            opened,
            Ok(Some(Opened {
                header: Some(_),
                ..
            }))
        ));
    }

    #[test]
    fn a_component_with_the_wrong_secret_is_told() {
        let mut opening = Opening::component(&jid("proxy.example.org"), "s3cret");
        assert_eq!(opening.handle(header(ns::COMPONENT, Some("1"))), Ok(None));
        let error = StreamError {
            condition: Arc::from("not-authorized"),
            text: None,
        };
        assert_eq!(
            opening.handle(Frame::Error(error.clone())),
            Err(OpeningError::Refused(error))
        );
    }

    #[test]
    fn a_component_refuses_a_header_that_is_not_for_it() {
        for header in [header(ns::COMPONENT, None), header(ns::CLIENT, Some("1"))] {
            let mut opening = Opening::component(&jid("proxy.example.org"), "s3cret");
            taken(&mut opening);
            assert_eq!(opening.handle(header), Err(OpeningError::BadHeader));
            assert!(taken(&mut opening).contains("<invalid-namespace "));
        }
    }

    #[test]
    fn both_ends_of_a_serverless_stream_open_with_the_others_header() {
        let mut initiator = Opening::serverless(&jid("a@b"), Some(&jid("c@d")));
        assert_eq!(
            taken(&mut initiator),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' from='a@b' to='c@d' version='1.0'>"
        );
        let mut responder = Opening::await_serverless(&jid("c@d"), "x&y");
        assert_eq!(taken(&mut responder), "");
        assert!(matches!(
            responder.handle(header(ns::CLIENT, None)),
            Ok(Some(Opened {
                header: Some(_),
                ..
            }))
        ));
        assert_eq!(
            taken(&mut responder),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' from='c@d' to='a@b' id='x&amp;y' \
             version='1.0'><stream:features/>"
        );
        assert_eq!(initiator.handle(Frame::Features), Ok(None));
        assert!(matches!(
            initiator.handle(header(ns::CLIENT, Some("1"))),
            Ok(Some(Opened {
                header: Some(_),
                ..
            }))
        ));
    }

    #[test]
    fn a_stanza_before_the_header_was_answered_is_refused() {
        let mut opening = Opening::serverless(&jid("a@b"), None);
        let stanza = Iq::get(None, Id::from("1"), Payload::Ping).into();
        assert_eq!(
            opening.handle(Frame::Stanza(stanza)),
            Err(OpeningError::Unexpected)
        );
    }

    #[test]
    fn a_refusal_is_about_us_or_not() {
        let refused = |condition: &str| {
            let (condition, text) = (condition.into(), None);
            OpeningError::Refused(StreamError { condition, text })
        };
        assert!(refused("not-authorized").is_about_us());
        assert!(refused("conflict").is_about_us());
        assert!(!refused("system-shutdown").is_about_us());
        assert!(!OpeningError::Ended.is_about_us());
    }

    #[test]
    fn a_client_learns_its_address() {
        let mut opening = Opening::bind(Id::from("b1"), Some("here"));
        assert_eq!(
            taken(&mut opening),
            "<iq id='b1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>here</resource></bind></iq>"
        );
        let answer = |id: &str, body| Frame::Stanza(Iq::answer(None, Id::from(id), body).into());
        let bound = || {
            IqBody::Result(Some(Payload::Bind(Bind {
                resource: None,
                jid: Some(jid("a@b/here")),
            })))
        };
        assert_eq!(opening.handle(answer("other", bound())), Ok(None));
        let opened = opening.handle(answer("b1", bound()));
        assert_eq!(
            opened,
            Ok(Some(Opened {
                header: None,
                jid: Some(jid("a@b/here"))
            }))
        );
        let mut opening = Opening::bind(Id::from("b1"), None);
        let error = Box::new(StanzaError::from(crate::Condition::Conflict));
        assert_eq!(
            opening.handle(answer("b1", IqBody::Error(error.clone()))),
            Err(OpeningError::Unbound(error))
        );
    }
}
