//! Messages of the machines, and of the WebSocket library.

use bytes::Bytes;
use bytestreams_stor::{Closing, Input, Message};
use core::time::Duration;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

/// How a WebSocket buffers: one message of ours fits, and connections that do nothing cost little.
pub(crate) fn config(message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(128 << 10)
        .write_buffer_size(128 << 10)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

/// What came, as a machine takes it; `None` for what the library answers itself.
pub(crate) fn input(came: Option<Result<protocol::Message, Error>>) -> Option<Input> {
    match came {
        Some(Ok(protocol::Message::Text(text))) => {
            Some(Input::Message(Message::Text(Bytes::from(text))))
        }
        Some(Ok(protocol::Message::Binary(octets))) => {
            Some(Input::Message(Message::Binary(octets)))
        }
        Some(Ok(
            protocol::Message::Ping(_) | protocol::Message::Pong(_) | protocol::Message::Frame(_),
        )) => None,
        Some(Err(Error::Capacity(_))) => Some(Input::Oversized),
        Some(Ok(protocol::Message::Close(_)) | Err(_)) | None => Some(Input::Closed),
    }
}

/// What a machine sends, as the library takes it.
pub(crate) fn output(message: Message) -> protocol::Message {
    match message {
        // The machines write UTF-8 only: as a frame it is not looked at once more.
        Message::Text(text) => {
            protocol::Message::Frame(Frame::message(text, OpCode::Data(Data::Text), true))
        }
        Message::Binary(octets) => protocol::Message::Binary(octets),
    }
}

pub(crate) fn closing(closing: Closing) -> protocol::Message {
    protocol::Message::Close(Some(CloseFrame {
        code: closing.code().into(),
        reason: Utf8Bytes::from_static(closing.reason()),
    }))
}

/// The machines' time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> bytestreams_machine::Instant {
        let micros = self.0.elapsed().as_micros();
        bytestreams_machine::Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// When a deadline is, for the timer; far away without one.
    pub(crate) fn at(self, deadline: Option<bytestreams_machine::Instant>) -> tokio::time::Instant {
        match deadline {
            // A timer has milliseconds, and must not fire before the machine thinks so.
            Some(at) => self.0 + Duration::from_micros(at.as_micros()) + Duration::from_millis(1),
            None => tokio::time::Instant::now() + Duration::from_secs(86_400),
        }
    }
}
