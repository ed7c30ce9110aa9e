//! What all kinds of links do to be set up.

use super::wire::Wire;
use super::{ConnectFailure, LinkError};
use bytestreams_stanza::{Opened, Opening, OpeningError, StreamError};
use core::future::Future;
use core::time::Duration;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// Waits at most so long for a step.
pub(super) async fn within<T>(
    patience: Duration,
    step: &'static str,
    what: impl Future<Output = Result<T, ConnectFailure>>,
) -> Result<T, ConnectFailure> {
    tokio::time::timeout(patience, what)
        .await
        .unwrap_or(Err(ConnectFailure::TimedOut { step }))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Says and hears what it takes to set the stream up.
    pub(super) async fn open(&mut self, mut opening: Opening) -> Result<Opened, ConnectFailure> {
        loop {
            self.say(&mut opening).await.map_err(LinkError::Io)?;
            let frame = match self.next().await {
                Ok(frame) => frame,
                Err(error) => {
                    // The other side is told what is wrong, if it still listens.
                    let _ = self.flush().await;
                    return Err(error.into());
                }
            };
            match opening.handle(frame) {
                Ok(None) => {}
                Ok(Some(opened)) => {
                    self.say(&mut opening).await.map_err(LinkError::Io)?;
                    return Ok(opened);
                }
                Err(error) => {
                    // Likewise.
                    let _ = self.say(&mut opening).await;
                    return Err(failure(error));
                }
            }
        }
    }

    async fn say(&mut self, opening: &mut Opening) -> io::Result<()> {
        let words = opening.output();
        self.write_octets(words.as_slice());
        words.clear();
        self.flush().await
    }
}

fn failure(error: OpeningError) -> ConnectFailure {
    let words = error.to_string();
    match error {
        OpeningError::Refused(error) => refused(error),
        OpeningError::Unbound(error) => ConnectFailure::Bind(error.to_string()),
        OpeningError::Ended => LinkError::Closed.into(),
        OpeningError::BadHeader | OpeningError::Unexpected | _ => LinkError::Xml(words).into(),
    }
}

/// What a stream error means while the stream is being set up.
pub(super) fn refused(error: StreamError) -> ConnectFailure {
    if REFUSED.contains(&&*error.condition) {
        ConnectFailure::Auth(error.to_string())
    } else {
        LinkError::Stream(error).into()
    }
}

/// Stream errors that are about who we are (XEP-0114, section 3; RFC 6120, 4.9.3).
const REFUSED: [&str; 3] = ["not-authorized", "conflict", "host-unknown"];
