//! What all kinds of links do to be set up.

use super::wire::Wire;
use super::{ConnectFailure, LinkError};
use bytestreams_stanza::{Frame, Header, Jid, ns};
use core::fmt::Write;
use core::future::Future;
use core::time::Duration;
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

/// The start tag of a stream (RFC 6120, 4.7).
pub(super) fn header(
    content: &str,
    from: Option<&Jid>,
    to: Option<&Jid>,
    id: Option<&str>,
    version: bool,
) -> String {
    let mut text = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{content}' xmlns:stream='{}'",
        ns::STREAM
    );
    let mut attribute = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            // A string takes whatever there is.
            let _ = write!(text, " {name}='");
            for c in value.chars() {
                match c {
                    '&' => text.push_str("&amp;"),
                    '<' => text.push_str("&lt;"),
                    '\'' => text.push_str("&apos;"),
                    c => text.push(c),
                }
            }
            text.push('\'');
        }
    };
    attribute("from", from.map(Jid::as_str));
    attribute("to", to.map(Jid::as_str));
    attribute("id", id);
    attribute("version", version.then_some("1.0"));
    text.push('>');
    text
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Waits for the other side's header.
    pub(super) async fn header(&mut self, content: &str) -> Result<Header, ConnectFailure> {
        match self.next().await {
            Ok(Frame::Header(header)) if &*header.content == content => Ok(header),
            Ok(Frame::Header(header)) => Err(LinkError::Xml(format!(
                "its stream is of {} and not of {content}",
                header.content
            ))
            .into()),
            Ok(_) => Err(LinkError::Xml("it has no header".into()).into()),
            Err(error) => {
                // The other side is told what is wrong, if it still listens.
                let _ = self.flush().await;
                Err(error.into())
            }
        }
    }
}
