//! SOCKS5 Bytestreams (XEP-0065).

use super::{Draft, Emit, Node, Tools, jid, number, room, shared, sid, trim};
use crate::{Bytestreams, BytestreamsContent, Fault, Jid, Mode, Payload, Sid, StreamHost};
use crate::{TokenSink, ns};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Bytestreams {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::BYTESTREAMS, "query")?;
        sink.attr_if("sid", self.sid.as_ref().map(Sid::as_str))?;
        sink.attr_if("dstaddr", self.dstaddr.as_deref())?;
        match &self.content {
            BytestreamsContent::Hosts(hosts) => {
                match self.mode {
                    // Said where it is the offer's to say.
                    Mode::Tcp if self.sid.is_some() && !hosts.is_empty() => {
                        sink.attr("mode", "tcp")?;
                    }
                    Mode::Tcp => {}
                    Mode::Udp => sink.attr("mode", "udp")?,
                }
                for host in hosts {
                    sink.open(ns::BYTESTREAMS, "streamhost")?;
                    sink.attr("jid", host.jid.as_str())?;
                    sink.attr("host", &host.host)?;
                    sink.number("port", host.port.into())?;
                    sink.close()?;
                }
            }
            BytestreamsContent::Used(jid) => {
                sink.open(ns::BYTESTREAMS, "streamhost-used")?;
                sink.attr("jid", jid.as_str())?;
                sink.close()?;
            }
            BytestreamsContent::Activate(jid) => {
                sink.leaf(ns::BYTESTREAMS, "activate", jid.as_str())?;
            }
        }
        sink.close()
    }
}

#[derive(Debug, Default)]
pub(crate) struct BytestreamsDraft {
    sid: Option<Sid>,
    mode: Mode,
    dstaddr: Option<Arc<str>>,
    hosts: Vec<StreamHost>,
    host: HostDraft,
    used: Option<Option<Jid>>,
    activate: Option<Jid>,
}

#[derive(Debug, Default)]
struct HostDraft {
    jid: Option<Jid>,
    host: Option<Arc<str>>,
    /// None when it names one that cannot be.
    port: Option<u16>,
}

impl Draft for BytestreamsDraft {
    fn open(&mut self, node: Node, tools: &mut Tools) -> Result<(), Fault> {
        match node {
            Node::StreamHost => {
                room(&self.hosts, &tools.limits)?;
                self.host = HostDraft {
                    port: Some(DEFAULT_PORT),
                    ..HostDraft::default()
                };
            }
            Node::StreamHostUsed => self.used = Some(None),
            _ => {}
        }
        Ok(())
    }

    fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        tools: &mut Tools,
    ) -> Result<(), Fault> {
        match (node, name) {
            // One peer answers with an empty one when it means none.
            (Node::Bytestreams, "sid") if !value.is_empty() => self.sid = Some(sid(value, tools)?),
            (Node::Bytestreams, "mode") => {
                self.mode = match trim(value) {
                    "tcp" => Mode::Tcp,
                    "udp" => Mode::Udp,
                    _ => return Err(Fault::BadValue("mode")),
                }
            }
            (Node::Bytestreams, "dstaddr") => {
                // It travels behind one octet of length (RFC 1928, section 5).
                if value.is_empty() || value.len() > 255 {
                    return Err(Fault::BadValue("dstaddr"));
                }
                self.dstaddr = shared(value);
            }
            (Node::StreamHost, "jid") => self.host.jid = jid(value, "jid").ok(),
            (Node::StreamHost, "host") => {
                self.host.host = Some(trim(value))
                    .filter(|host| !host.is_empty())
                    .and_then(shared);
            }
            (Node::StreamHost, "port") => {
                self.host.port = number(value, "port")
                    .ok()
                    .and_then(|port| u16::try_from(port).ok())
                    .filter(|port| *port != 0);
            }
            (Node::StreamHostUsed, "jid") => self.used = Some(Some(jid(value, "jid")?)),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, node: Node, text: &str, _tools: &mut Tools) -> Result<(), Fault> {
        match node {
            Node::StreamHost => {
                // One that cannot be used does not spoil the others.
                let host = core::mem::take(&mut self.host);
                if let (Some(jid), Some(host), Some(port)) = (host.jid, host.host, host.port) {
                    self.hosts.push(StreamHost { jid, host, port });
                }
            }
            Node::Activate => self.activate = Some(jid(text, "activate")?),
            _ => {}
        }
        Ok(())
    }

    fn sid(&self) -> Option<Sid> {
        self.sid.clone()
    }

    fn finish(self) -> Result<Payload, Fault> {
        let content = match (self.used, self.activate) {
            (Some(used), _) => {
                BytestreamsContent::Used(used.ok_or(Fault::MissingAttribute("jid"))?)
            }
            (None, Some(jid)) => BytestreamsContent::Activate(jid),
            (None, None) => BytestreamsContent::Hosts(self.hosts),
        };
        Ok(Payload::Bytestreams(Box::new(Bytestreams {
            sid: self.sid,
            mode: self.mode,
            dstaddr: self.dstaddr,
            content,
        })))
    }
}

/// The port of a StreamHost that names none (XEP-0065, section 4.2).
const DEFAULT_PORT: u16 = 1080;
