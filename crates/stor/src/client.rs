//! The client's side of one upload.

use crate::answer::Heard;
use crate::command::{write_auth, write_stor};
use crate::{ClientConfig, Closing, Credentials, Encoding, Input, Kind, Message, Output, Reason};
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stanza::Base64;
use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};
use serde_json::Value;

/// The octets of a block towards a server that announces none.
const BLOCK: NonZeroU32 = NonZeroU32::MIN.saturating_add((16 << 10) - 1);

/// A file that is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// The name that the server is told.
    pub name: String,
    /// Octets of the file.
    pub size: u64,
    /// How they travel.
    pub encoding: Encoding,
    /// `parameters` as JSON, for servers that know some; `[]` otherwise.
    pub parameters: String,
    /// Logs in first.
    pub credentials: Option<Credentials>,
}

impl Upload {
    /// A file in binary blocks, without login and parameters.
    pub fn new(name: impl Into<String>, size: u64) -> Self {
        Self {
            name: name.into(),
            size,
            encoding: Encoding::Binary,
            parameters: "[]".to_string(),
            credentials: None,
        }
    }
}

/// The parameters of an upload are not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUpload;

impl fmt::Display for InvalidUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters are not JSON")
    }
}

impl core::error::Error for InvalidUpload {}

/// A block cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// No block can be sent now: [`Client::room`] is `None`.
    NotNow,
    /// The block is empty where it must not be, or longer than [`Client::room`].
    Length {
        /// Octets taken.
        room: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow => f.write_str("no block can be sent now"),
            Self::Length { room } => write!(f, "a block of 1 to {room} octets is wanted"),
        }
    }
}

impl core::error::Error for WriteError {}

/// What a client tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server takes the file: blocks can be sent.
    Accepted {
        /// How many blocks may be unanswered.
        window: NonZeroU16,
        /// Octets of a block.
        block: NonZeroU32,
    },
    /// A block is stored. The octets stored so far.
    Stored(u64),
    /// The file is stored. Nothing comes after this.
    Done {
        /// The name that it got, where the server says so.
        name: Option<String>,
    },
    /// It came to nothing. Nothing comes after this.
    Failed(Reason),
}

/// The client's side of one upload, over a WebSocket of its own.
#[derive(Debug)]
pub struct Client {
    upload: Upload,
    config: ClientConfig,
    state: State,
    deadline: Option<Instant>,
    outputs: VecDeque<Output<ClientEvent>>,
    base64: Base64,
    /// The text of the last block, whose memory the next one takes once it is free.
    text: Bytes,
}

#[derive(Debug)]
enum State {
    LoggingIn,
    Asking,
    Sending(Sending),
    Over,
}

#[derive(Debug)]
struct Sending {
    window: NonZeroU16,
    block: NonZeroU32,
    sent: u64,
    stored: u64,
    /// The octets of the blocks that are not answered.
    unanswered: VecDeque<usize>,
}

impl Client {
    /// Begins with a WebSocket that was just opened.
    ///
    /// # Errors
    /// Parameters that are not JSON.
    pub fn new(upload: Upload, config: ClientConfig, now: Instant) -> Result<Self, InvalidUpload> {
        if serde_json::from_str::<Value>(&upload.parameters).is_err() {
            return Err(InvalidUpload);
        }
        let (state, first) = match &upload.credentials {
            Some(credentials) => (State::LoggingIn, write_auth(credentials)),
            None => (State::Asking, write_stor(&upload)),
        };
        Ok(Self {
            deadline: Some(now + config.patience),
            outputs: VecDeque::from([Output::Send(first)]),
            upload,
            config,
            state,
            base64: Base64::new(),
            text: Bytes::new(),
        })
    }

    /// Takes one input.
    pub fn handle_input(&mut self, input: Input, now: Instant) {
        if matches!(self.state, State::Over) {
            return;
        }
        let heard = match input {
            Input::Message(Message::Text(text)) => Heard::read(&text).ok_or(Reason::NoAnswer),
            Input::Message(Message::Binary(_)) | Input::Oversized => Err(Reason::NoAnswer),
            Input::Closed => Err(Reason::Closed),
        };
        if let Err(reason) = heard.and_then(|heard| self.answer(heard, now)) {
            self.fail(reason, Closing::Normal);
        }
    }

    /// Fires what is due at `now`, which may be nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(Reason::TimedOut, Closing::TimedOut);
        }
    }

    /// Yields the next thing to carry out.
    pub fn poll_output(&mut self) -> Option<Output<ClientEvent>> {
        self.outputs.pop_front()
    }

    /// Says when [`Client::handle_timeout`] is next due. A pure read.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Says how many octets the next block takes: `None` while no block can be sent, and `Some(0)` for
    /// the empty block of an empty file.
    pub fn room(&self) -> Option<usize> {
        let State::Sending(sending) = &self.state else {
            return None;
        };
        if sending.unanswered.len() >= usize::from(sending.window.get()) {
            return None;
        }
        let left = self.upload.size - sending.sent;
        if left == 0 {
            return (self.upload.size == 0 && sending.unanswered.is_empty()).then_some(0);
        }
        let block = sending.block.get() as usize;
        Some(usize::try_from(left).map_or(block, |left| left.min(block)))
    }

    /// Sends a block: 1 to [`Client::room`] octets.
    ///
    /// # Errors
    /// When no block can be sent, or none of this length; nothing is sent then.
    pub fn write(&mut self, block: Bytes, now: Instant) -> Result<(), WriteError> {
        let room = self.room().ok_or(WriteError::NotNow)?;
        if block.len() > room || block.is_empty() && room > 0 {
            return Err(WriteError::Length { room });
        }
        let State::Sending(sending) = &mut self.state else {
            return Err(WriteError::NotNow);
        };
        if sending.unanswered.is_empty() {
            self.deadline = Some(now + self.config.patience);
        }
        sending.sent += block.len() as u64;
        sending.unanswered.push_back(block.len());
        let message = match self.upload.encoding {
            Encoding::Binary => Message::Binary(block),
            Encoding::Base64 => {
                let last = core::mem::take(&mut self.text).try_into_mut();
                let mut text = last.unwrap_or_default();
                text.resize(Base64::encoded_len(block.len()), 0);
                let length = self.base64.encode_slice(&block, &mut text);
                text.truncate(length.unwrap_or_default());
                self.text = text.freeze();
                Message::Text(self.text.clone())
            }
        };
        self.outputs.push_back(Output::Send(message));
        Ok(())
    }

    /// Gives up.
    pub fn stop(&mut self) {
        if !matches!(self.state, State::Over) {
            self.fail(Reason::Stopped, Closing::GoingAway);
        }
    }

    /// Says whether nothing more is to come of it.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How many blocks are not answered.
    pub fn unanswered(&self) -> usize {
        match &self.state {
            State::Sending(sending) => sending.unanswered.len(),
            State::LoggingIn | State::Asking | State::Over => 0,
        }
    }

    fn answer(&mut self, heard: Heard, now: Instant) -> Result<(), Reason> {
        if heard.code != 200 {
            return Err(Reason::Refused {
                code: heard.code,
                message: heard.message,
            });
        }
        match (&mut self.state, heard.kind) {
            (State::LoggingIn, Kind::Auth) => {
                self.state = State::Asking;
                self.deadline = Some(now + self.config.patience);
                self.outputs
                    .push_back(Output::Send(write_stor(&self.upload)));
                Ok(())
            }
            (State::Asking, Kind::Stor) => {
                self.accepted(heard.window.zip(heard.block));
                Ok(())
            }
            (State::Sending(sending), Kind::Data) => {
                let octets = sending.unanswered.pop_front().ok_or(Reason::OutOfTurn)? as u64;
                if let Some(read) = heard.octets.filter(|&read| read != octets) {
                    return Err(Reason::Miscounted { sent: octets, read });
                }
                sending.stored += octets;
                let (stored, all) = (sending.stored, sending.unanswered.is_empty());
                self.deadline = (!all).then(|| now + self.config.patience);
                self.event(ClientEvent::Stored(stored));
                if all && stored == self.upload.size {
                    self.event(ClientEvent::Done { name: heard.name });
                    self.over(Closing::Normal);
                }
                Ok(())
            }
            (State::LoggingIn | State::Asking | State::Sending(_) | State::Over, _) => {
                Err(Reason::OutOfTurn)
            }
        }
    }

    /// Begins to send, with a window and blocks as a server of ours announces them.
    fn accepted(&mut self, announced: Option<(NonZeroU16, NonZeroU32)>) {
        let (window, block) = match announced {
            Some((window, most)) => (
                self.config
                    .window
                    .map_or(window, |wanted| wanted.min(window)),
                self.config.block.map_or(most, |wanted| wanted.min(most)),
            ),
            None => (NonZeroU16::MIN, self.config.block.unwrap_or(BLOCK)),
        };
        self.state = State::Sending(Sending {
            window,
            block,
            sent: 0,
            stored: 0,
            unanswered: VecDeque::new(),
        });
        // It is the application's turn.
        self.deadline = None;
        self.event(ClientEvent::Accepted { window, block });
    }

    fn fail(&mut self, reason: Reason, closing: Closing) {
        self.event(ClientEvent::Failed(reason));
        self.over(closing);
    }

    fn over(&mut self, closing: Closing) {
        self.outputs.push_back(Output::Close(closing));
        self.state = State::Over;
        self.deadline = None;
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}
