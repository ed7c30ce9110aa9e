//! Tells what happens to one transfer.

use crate::report::{Event, Follow, Reporter};
use bytestreams_tokio as tokio_bytestreams;

/// Turns the events of a transfer into what is reported.
#[derive(Debug)]
pub(crate) struct Track<'a> {
    reporter: &'a Reporter,
    sid: String,
    name: String,
    total: Option<u64>,
    offset: u64,
    follow: Option<Follow<'a>>,
}

impl<'a> Track<'a> {
    pub(crate) fn new(reporter: &'a Reporter, sid: &str, name: &str, total: Option<u64>) -> Self {
        Self {
            reporter,
            sid: sid.to_owned(),
            name: name.to_owned(),
            total,
            offset: 0,
            follow: None,
        }
    }

    pub(crate) fn event(&mut self, event: &tokio_bytestreams::Event) {
        match event {
            tokio_bytestreams::Event::Accepted { method, range, .. } => {
                self.offset = range.offset.unwrap_or(0);
                self.reporter.event(&Event::Accepted {
                    sid: &self.sid,
                    method: *method,
                    offset: self.offset,
                });
            }
            tokio_bytestreams::Event::Established { .. } if self.follow.is_none() => {
                let (sid, name) = (&self.sid, &self.name);
                let follow = self.reporter.follow(sid, name, self.offset, self.total);
                self.follow = Some(follow);
            }
            tokio_bytestreams::Event::FellBack {
                from, to, reason, ..
            } => {
                if let Some(follow) = &self.follow {
                    follow.restarted();
                }
                self.reporter.event(&Event::FellBack {
                    sid: &self.sid,
                    from: *from,
                    to: *to,
                    reason: &reason.to_string(),
                });
            }
            tokio_bytestreams::Event::Progress { octets, .. } => {
                if let Some(follow) = &self.follow {
                    follow.moved(*octets);
                }
            }
            _ => {}
        }
    }

    /// Tells the end: no bar stands behind it.
    pub(crate) fn end(mut self, event: &Event<'_>) {
        self.follow = None;
        self.reporter.event(event);
    }
}
