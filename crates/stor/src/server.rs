//! The server's side of one connection.

use crate::answer::Answer;
use crate::command::{Verb, command, read_auth, read_stor};
use crate::{
    Closing, Encoding, End, Fault, Input, Kind, Message, Output, Refusal, ServerConfig, ServerEvent,
};
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec;
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stanza::{Base64, Base64Error};

/// The server's side of one connection, which uploads one file.
///
/// The application answers what the events ask. Blocks are pulled with [`Server::read`], in order, and
/// each is answered when [`Server::stored`] says so: a slow disk slows the client.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    state: State,
    logged_in: bool,
    deadline: Option<Instant>,
    outputs: VecDeque<Output<ServerEvent>>,
    base64: Base64,
}

#[derive(Debug)]
enum State {
    /// `AUTH` or `STOR` comes next.
    Open,
    /// The application looks at the login.
    LoggingIn,
    /// The application looks at the request.
    Deciding(Incoming),
    Receiving(Incoming),
    /// All is stored; the application puts the file in place.
    Completing {
        size: u64,
        /// Octets of the last block.
        last: usize,
    },
    /// All is answered; the client closes. The size that it declared.
    Done(u64),
    Over,
}

#[derive(Debug, Default)]
struct Incoming {
    encoding: Encoding,
    size: u64,
    /// Octets that came.
    came: u64,
    blocks: VecDeque<Bytes>,
    /// The octets of the blocks that are read but not stored.
    reading: VecDeque<usize>,
    /// Octets that came and are not stored.
    waiting: usize,
}

impl Incoming {
    fn pending(&self) -> usize {
        self.blocks.len() + self.reading.len()
    }
}

impl Server {
    /// Begins with a WebSocket that was just opened.
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        Self {
            deadline: Some(now + config.handshake),
            config,
            state: State::Open,
            logged_in: false,
            outputs: VecDeque::new(),
            base64: Base64::new(),
        }
    }

    /// Says whether another message can be taken. While it cannot, leave the WebSocket unread, so that
    /// the client waits; a message that is fed all the same ends the upload.
    pub fn is_ready(&self) -> bool {
        match &self.state {
            State::Open | State::Done(_) | State::Over => true,
            State::LoggingIn | State::Deciding(_) | State::Completing { .. } => false,
            // Behind the last block only a fault can come, and that can wait.
            State::Receiving(incoming) => self.has_room(incoming) && !incoming.is_whole(),
        }
    }

    /// Takes one input. Never fails: a client's fault is answered, then reported as an event.
    pub fn handle_input(&mut self, input: Input, _now: Instant) {
        match input {
            Input::Message(message) => {
                if let Err((kind, fault)) = self.message(message) {
                    self.fail(kind, fault);
                }
            }
            Input::Oversized => {
                if !matches!(self.state, State::Done(_) | State::Over) {
                    self.fail(self.kind(), Fault::MessageTooLong);
                }
            }
            Input::Closed => match self.state {
                // Whoever leaves after the last block has said all there is to say.
                State::Completing { .. } | State::Over => {}
                State::Done(_) => self.over(),
                State::Open | State::LoggingIn | State::Deciding(_) | State::Receiving(_) => {
                    self.end(End::Left);
                }
            },
        }
    }

    /// Fires what is due at `now`, which may be nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        if matches!(self.state, State::Done(_)) {
            self.outputs.push_back(Output::Close(Closing::Normal));
            self.over();
        } else {
            self.outputs.push_back(Output::Close(Closing::TimedOut));
            self.end(End::TimedOut);
        }
    }

    /// Yields the next thing to carry out.
    pub fn poll_output(&mut self) -> Option<Output<ServerEvent>> {
        self.outputs.pop_front()
    }

    /// Says when [`Server::handle_timeout`] is next due. A pure read.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Answers a login. Without effect when there is none to answer.
    pub fn log_in(&mut self, right: bool, now: Instant) {
        if !matches!(self.state, State::LoggingIn) {
            return;
        }
        if !right {
            return self.fail(Kind::Auth, Fault::WrongLogin);
        }
        self.logged_in = true;
        self.state = State::Open;
        self.deadline = Some(now + self.config.handshake);
        self.answer(Answer::LoggedIn);
    }

    /// Lets the upload begin. Without effect when there is no request to answer.
    pub fn accept(&mut self, now: Instant) {
        let State::Deciding(incoming) = &mut self.state else {
            return;
        };
        self.state = State::Receiving(core::mem::take(incoming));
        self.deadline = Some(now + self.config.idle);
        self.answer(Answer::Accepted {
            window: self.config.window,
            block: self.config.block.min(self.config.limits.block),
        });
    }

    /// Ends the upload with a code and a message to the client: an answer to the request, or the news
    /// that it cannot go on. Without effect once it is over.
    pub fn refuse(&mut self, refusal: Refusal) {
        if matches!(self.state, State::Done(_) | State::Over) {
            return;
        }
        self.answer(Answer::Refused {
            kind: self.kind(),
            code: refusal.code,
            message: &refusal.message,
        });
        self.outputs.push_back(Output::Close(Closing::Refused));
        self.end(End::Refused(refusal));
    }

    /// Takes the next block, which is to be stored. Each is followed by a [`Server::stored`].
    pub fn read(&mut self) -> Option<Bytes> {
        let State::Receiving(incoming) = &mut self.state else {
            return None;
        };
        let block = incoming.blocks.pop_front()?;
        incoming.reading.push_back(block.len());
        Some(block)
    }

    /// Answers the oldest block that was read: it is stored. Without effect when there is none.
    pub fn stored(&mut self, now: Instant) {
        let State::Receiving(incoming) = &mut self.state else {
            return;
        };
        let (size, whole) = (incoming.size, incoming.is_whole());
        let Some(octets) = incoming.reading.pop_front() else {
            return;
        };
        incoming.waiting -= octets;
        let pending = incoming.pending();
        if whole && pending == 0 {
            self.state = State::Completing { size, last: octets };
            self.deadline = None;
            self.event(ServerEvent::Complete);
            return;
        }
        if pending == 0 {
            self.deadline = Some(now + self.config.idle);
        }
        self.answer(Answer::Stored { octets });
    }

    /// Answers the last block: the file is in place under this name. Without effect before
    /// [`ServerEvent::Complete`].
    pub fn complete(&mut self, name: &str, now: Instant) {
        let State::Completing { size, last } = self.state else {
            return;
        };
        self.answer(Answer::Complete { octets: last, name });
        self.event(ServerEvent::Ended(End::Complete));
        self.state = State::Done(size);
        self.deadline = Some(now + self.config.farewell);
    }

    /// Ends it, whatever it does.
    pub fn stop(&mut self) {
        match self.state {
            State::Over => {}
            State::Done(_) => {
                self.outputs.push_back(Output::Close(Closing::GoingAway));
                self.over();
            }
            State::Open
            | State::LoggingIn
            | State::Deciding(_)
            | State::Receiving(_)
            | State::Completing { .. } => {
                self.outputs.push_back(Output::Close(Closing::GoingAway));
                self.end(End::Stopped);
            }
        }
    }

    /// Says whether nothing more is to come of it but the end of the connection.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The octets that came and are not stored.
    pub fn waiting(&self) -> usize {
        if let State::Receiving(incoming) = &self.state {
            incoming.waiting
        } else {
            0
        }
    }

    fn message(&mut self, message: Message) -> Result<(), (Kind, Fault)> {
        match self.state {
            State::Open => self.opening(message),
            State::LoggingIn => Err((Kind::Auth, Fault::Impatient)),
            State::Deciding(_) => Err((Kind::Stor, Fault::Impatient)),
            State::Receiving(_) => self.block(message),
            State::Completing { .. } => Err((Kind::Data, Fault::Impatient)),
            State::Done(declared) => {
                // The file is in place, as it was declared: only this message is refused.
                let (kind, fault) =
                    misplaced(&message).unwrap_or((Kind::Data, Fault::TooMany { declared }));
                self.refuse_with(kind, &fault);
                self.over();
                Ok(())
            }
            State::Over => Ok(()),
        }
    }

    /// `AUTH` or `STOR`.
    fn opening(&mut self, message: Message) -> Result<(), (Kind, Fault)> {
        let Message::Text(text) = message else {
            return Err((Kind::Data, Fault::BlockBeforeStor));
        };
        let Some((verb, json)) = command(&text) else {
            return Err((Kind::Data, Fault::BlockBeforeStor));
        };
        let limits = &self.config.limits;
        match verb {
            Verb::Auth => {
                let failed = |fault| (Kind::Auth, fault);
                if self.logged_in {
                    return Err(failed(Fault::SecondAuth));
                }
                if text.len() > limits.command {
                    return Err(failed(Fault::MessageTooLong));
                }
                let credentials = read_auth(json, limits).map_err(failed)?;
                self.state = State::LoggingIn;
                self.event(ServerEvent::Login(credentials));
            }
            Verb::Stor => {
                let failed = |fault| (Kind::Stor, fault);
                if self.config.login && !self.logged_in {
                    return Err(failed(Fault::Unauthenticated));
                }
                if text.len() > limits.command {
                    return Err(failed(Fault::MessageTooLong));
                }
                let request = read_stor(json, limits).map_err(failed)?;
                self.state = State::Deciding(Incoming {
                    encoding: request.encoding,
                    size: request.size,
                    ..Incoming::default()
                });
                self.event(ServerEvent::Request(request));
            }
        }
        self.deadline = None;
        Ok(())
    }

    fn block(&mut self, message: Message) -> Result<(), (Kind, Fault)> {
        let State::Receiving(incoming) = &self.state else {
            return Ok(());
        };
        let (encoding, room) = (incoming.encoding, self.has_room(incoming));
        let (size, came) = (incoming.size, incoming.came);
        let whole = incoming.is_whole();
        let most = self.config.limits.block.get();
        let failed = |fault| (Kind::Data, fault);
        if let Some(fault) = misplaced(&message) {
            return Err(fault);
        }
        let octets = match (message, encoding) {
            (Message::Binary(octets), Encoding::Binary) => octets,
            (Message::Text(text), Encoding::Base64) => self.decoded(&text, most).map_err(failed)?,
            (Message::Text(_), Encoding::Binary) | (Message::Binary(_), Encoding::Base64) => {
                return Err(failed(Fault::OtherEncoding { declared: encoding }));
            }
        };
        if octets.len() > most as usize {
            return Err(failed(Fault::BlockTooLarge { most }));
        }
        if whole || octets.len() as u64 > size - came {
            return Err(failed(Fault::TooMany { declared: size }));
        }
        // Where the file is not empty, an empty block says that this was all.
        if octets.is_empty() && size > 0 {
            return Err(failed(Fault::TooFew {
                declared: size,
                got: came,
            }));
        }
        if !room {
            return Err(failed(Fault::Impatient));
        }
        if let State::Receiving(incoming) = &mut self.state {
            incoming.came += octets.len() as u64;
            incoming.waiting += octets.len();
            incoming.blocks.push_back(octets);
        }
        self.deadline = None;
        Ok(())
    }

    fn decoded(&self, text: &[u8], most: u32) -> Result<Bytes, Fault> {
        let most = most as usize;
        let mut octets = vec![0; Base64::decoded_len(text.len()).min(most)];
        match self.base64.decode(text, &mut octets) {
            Ok(length) => {
                octets.truncate(length);
                Ok(octets.into())
            }
            Err(Base64Error::Invalid) => Err(Fault::Base64),
            Err(Base64Error::TooLong) => Err(Fault::BlockTooLarge {
                most: self.config.limits.block.get(),
            }),
        }
    }

    fn has_room(&self, incoming: &Incoming) -> bool {
        incoming.waiting < self.config.limits.waiting
            && incoming.pending() < usize::from(self.config.window.get())
    }

    /// What an answer out of turn would answer.
    fn kind(&self) -> Kind {
        match self.state {
            State::LoggingIn => Kind::Auth,
            State::Open | State::Deciding(_) => Kind::Stor,
            State::Receiving(_) | State::Completing { .. } | State::Done(_) | State::Over => {
                Kind::Data
            }
        }
    }

    fn fail(&mut self, kind: Kind, fault: Fault) {
        self.refuse_with(kind, &fault);
        self.end(End::Fault(fault));
    }

    fn refuse_with(&mut self, kind: Kind, fault: &Fault) {
        self.answer(Answer::Refused {
            kind,
            code: fault.code(),
            message: &fault.to_string(),
        });
        let closing = if *fault == Fault::MessageTooLong {
            Closing::TooBig
        } else {
            Closing::Refused
        };
        self.outputs.push_back(Output::Close(closing));
    }

    fn end(&mut self, end: End) {
        self.event(ServerEvent::Ended(end));
        self.over();
    }

    fn over(&mut self) {
        self.state = State::Over;
        self.deadline = None;
    }

    fn answer(&mut self, answer: Answer<'_>) {
        self.outputs.push_back(Output::Send(answer.write()));
    }

    fn event(&mut self, event: ServerEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Incoming {
    /// All octets came. An empty file is one empty block, so that one must have come, too.
    fn is_whole(&self) -> bool {
        self.came == self.size && (self.size > 0 || self.pending() > 0)
    }
}

/// A command where only a block may stand.
fn misplaced(message: &Message) -> Option<(Kind, Fault)> {
    let Message::Text(text) = message else {
        return None;
    };
    Some(match command(text)?.0 {
        Verb::Stor => (Kind::Stor, Fault::SecondStor),
        Verb::Auth => (Kind::Auth, Fault::SecondAuth),
    })
}
