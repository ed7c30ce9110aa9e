//! The exchange of stanzas in short.

use crate::escape::escape;
use crate::report::{Reporter, grouped, octets};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Carrier, Data, DiscoInfo, Form, Id, IqBody, Open, Payload, Si,
    Stanza, ns,
};
use bytestreams_tokio::Method;
use bytestreams_tokio::link::Direction;
use std::collections::HashMap;
use std::sync::Arc;

/// Prints what passes on a link, all blocks of a stream on one line.
#[derive(Debug)]
pub(crate) struct Trace {
    reporter: Arc<Reporter>,
    /// What was asked, and from which side.
    asked: HashMap<(bool, Id), &'static str>,
    blocks: u64,
    octets: u64,
    acknowledged: u64,
}

const BLOCK: &str = "IBB data";

impl Trace {
    pub(crate) fn new(reporter: Arc<Reporter>) -> Self {
        Self {
            reporter,
            asked: HashMap::new(),
            blocks: 0,
            octets: 0,
            acknowledged: 0,
        }
    }

    /// Sees a stanza.
    pub(crate) fn stanza(&mut self, direction: Direction, stanza: &Stanza) {
        let out = direction == Direction::Out;
        match stanza {
            Stanza::Iq(iq) => match &iq.body {
                IqBody::Get(payload) => self.request(out, "iq get", &iq.id, payload),
                IqBody::Set(payload) => self.request(out, "iq set", &iq.id, payload),
                IqBody::Result(payload) => match self.asked.remove(&(!out, iq.id.clone())) {
                    Some(BLOCK) => self.acknowledged += 1,
                    asked => self.line(out, "iq result", &answer(asked, payload.as_ref())),
                },
                IqBody::Error(error) => {
                    let asked = self.asked.remove(&(!out, iq.id.clone())).unwrap_or("?");
                    let text = format!("{asked}: {}", error.condition);
                    self.line(out, "iq error", &text);
                }
            },
            Stanza::Message(message) => {
                if let Some(Payload::Data(data)) = &message.payload {
                    self.block(data);
                }
            }
            Stanza::Presence(_) => self.line(out, "presence", ""),
        }
    }

    fn request(&mut self, out: bool, kind: &str, id: &Id, payload: &Payload) {
        let (asked, text) = match payload {
            Payload::Data(data) => {
                self.block(data);
                self.asked.insert((out, id.clone()), BLOCK);
                return;
            }
            Payload::Si(si) => ("SI offer", offer(si)),
            Payload::Open(open) => ("IBB open", opened(open)),
            Payload::Close(_) => {
                self.blocks(out);
                ("IBB close", "IBB close".into())
            }
            Payload::Bytestreams(query) => ("SOCKS5 bytestream", bytestream(query)),
            Payload::DiscoInfo(_) => ("disco#info", "disco#info: what is supported?".into()),
            Payload::Ping => ("ping", "ping".into()),
            _ => ("request", "request".into()),
        };
        self.asked.insert((out, id.clone()), asked);
        self.line(out, kind, &text);
    }

    fn block(&mut self, data: &Data) {
        self.blocks += 1;
        self.octets += data.octets.len() as u64;
    }

    /// Sums up the blocks of a stream that ends.
    fn blocks(&mut self, out: bool) {
        let blocks = core::mem::take(&mut self.blocks);
        let moved = core::mem::take(&mut self.octets);
        let acknowledged = core::mem::take(&mut self.acknowledged);
        if blocks == 0 {
            return;
        }
        let noun = if blocks == 1 { "block" } else { "blocks" };
        let text = format!("{BLOCK}: {} in {} {noun}", octets(moved), grouped(blocks));
        self.line(out, "iq set", &text);
        let text = format!("{} acknowledged", grouped(acknowledged));
        self.line(!out, "iq result", &text);
    }

    fn line(&self, out: bool, kind: &str, text: &str) {
        let arrow = if out { "->" } else { "<-" };
        self.reporter
            .say(&format!("  {arrow}  {kind:<9}  {}", escape(text)));
    }
}

fn offer(si: &Si) -> String {
    let file = si.file.clone().unwrap_or_default();
    let name = file.name.as_deref().unwrap_or("?");
    let size = file.size.map_or_else(|| "?".into(), octets);
    format!(
        "SI offer: \"{name}\", {size}, {}",
        methods(si.feature.as_ref())
    )
}

fn methods(form: Option<&Form>) -> String {
    let named = form
        .into_iter()
        .flat_map(|form| &form.fields)
        .flat_map(|field| field.options.iter().chain(&field.values))
        .map(|value| Method::from_namespace(value).map_or(&**value, |method| method.as_str()));
    named.collect::<Vec<_>>().join(" or ")
}

fn opened(open: &Open) -> String {
    let carrier = match open.carrier {
        Carrier::Iq => "iq",
        Carrier::Message => "message",
    };
    format!(
        "IBB open: blocks of at most {}, by {carrier}",
        octets(u64::from(open.block_size))
    )
}

fn bytestream(query: &Bytestreams) -> String {
    match &query.content {
        BytestreamsContent::Hosts(hosts) => {
            let hosts = hosts.iter().map(|host| match host.host.contains(':') {
                true => format!("[{}]:{}", host.host, host.port),
                false => format!("{}:{}", host.host, host.port),
            });
            let hosts = hosts.collect::<Vec<_>>().join(", ");
            format!("SOCKS5 StreamHosts: {hosts}")
        }
        BytestreamsContent::Used(jid) => format!("SOCKS5 StreamHost used: {jid}"),
        BytestreamsContent::Activate(jid) => format!("SOCKS5 activate: {jid}"),
    }
}

fn answer(asked: Option<&str>, payload: Option<&Payload>) -> String {
    match (asked, payload) {
        (_, Some(Payload::Si(si))) => format!("SI accepted: {}", methods(si.feature.as_ref())),
        (_, Some(Payload::Bytestreams(query))) => bytestream(query),
        (_, Some(Payload::DiscoInfo(info))) => disco(info),
        (Some("IBB open"), _) => "IBB opened".into(),
        (Some("IBB close"), _) => "IBB closed".into(),
        (Some(asked), _) => format!("{asked}: done"),
        (None, _) => "an answer to nothing".into(),
    }
}

fn disco(info: &DiscoInfo) -> String {
    let many = info.features.iter().any(|f| **f == *ns::IBB_PIPELINE);
    format!(
        "disco#info: {} features{}",
        info.features.len(),
        if many {
            ", many blocks in flight among them"
        } else {
            ""
        }
    )
}
