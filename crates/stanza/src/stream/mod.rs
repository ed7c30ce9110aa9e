//! The stream around the stanzas: its header, its end, its errors, and how it is set up.

mod opening;

pub use opening::{Opened, Opening, OpeningError};

use crate::writer::escape_attribute;
use crate::{Header, Jid, OutBuf, ns};

impl Header {
    /// Appends the header as text, behind an XML declaration.
    pub fn write(&self, out: &mut OutBuf) {
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
        attribute("xmlns", Some(&self.content), out);
        attribute("xmlns:stream", Some(ns::STREAM), out);
        attribute("from", self.from.as_ref().map(Jid::as_str), out);
        attribute("to", self.to.as_ref().map(Jid::as_str), out);
        attribute("id", self.id.as_deref(), out);
        attribute("version", self.version.as_deref(), out);
        out.push(b'>');
    }
}

/// Appends the stream's end tag.
pub fn write_stream_end(out: &mut OutBuf) {
    out.extend_from_slice(b"</stream:stream>");
}

/// Appends a stream error, and the stream's end tag, which must follow it (RFC 6120, 4.9.1.1).
///
/// `condition` is the local name of a defined condition, as
/// [`FrameError::condition`](crate::FrameError::condition) gives it.
pub fn write_stream_error(condition: &'static str, out: &mut OutBuf) {
    out.extend_from_slice(b"<stream:error><");
    out.extend_from_slice(condition.as_bytes());
    attribute("xmlns", Some(ns::STREAM_ERRORS), out);
    out.extend_from_slice(b"/></stream:error>");
    write_stream_end(out);
}

fn attribute(name: &str, value: Option<&str>, out: &mut OutBuf) {
    let Some(value) = value else {
        return;
    };
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(value, out);
    out.push(b'\'');
}
