//! A client that sends whatever it is told: for hostile stanzas through a real server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::server::{Account, SECRET, Server};
use crate::socks::hex_sha1;
use crate::xml::{Splitter, Stanza, escape};

/// How long a single answer may take.
pub const ANSWER: Duration = Duration::from_secs(10);

/// One XML stream over plaintext TCP, with no opinion on what goes over it.
#[derive(Debug)]
pub struct RawClient {
    /// The full JID that the server bound, or the component's; empty on a serverless stream.
    pub jid: String,
    /// Whether every stanza must say whom it is from, which is a component's duty.
    stamped: bool,
    socket: TcpStream,
    splitter: Splitter,
    ids: u32,
}

impl RawClient {
    /// Logs in by SASL PLAIN and binds `resource`.
    pub fn login(account: &Account, resource: &str) -> Self {
        Self::try_login(account, resource)
            .unwrap_or_else(|error| panic!("{}: {error}", account.jid))
    }

    pub(crate) fn try_login(account: &Account, resource: &str) -> io::Result<Self> {
        let (user, domain) = account
            .jid
            .split_once('@')
            .expect("a JID with a local part");
        let mut client = Self::connect(account.address)?;
        client.header(domain)?;
        let plain = STANDARD.encode(format!("\0{user}\0{SECRET}"));
        client.try_send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))?;
        let answer = client.try_recv(ANSWER)?;
        if !answer.has("<success") {
            return Err(io::Error::other(answer.0));
        }
        client.header(domain)?;
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource></bind></iq>",
            escape(resource)
        );
        client.try_send(&bind)?;
        let bound = client.try_recv(ANSWER)?;
        let jid = bound
            .0
            .split_once("<jid>")
            .and_then(|(_, rest)| rest.split_once("</jid>"));
        client.jid = jid
            .ok_or_else(|| io::Error::other(bound.0.clone()))?
            .0
            .to_owned();
        Ok(client)
    }

    /// Opens a serverless stream, in the manner of XEP-0174.
    pub fn serverless(address: SocketAddr) -> Self {
        let mut client =
            Self::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        client.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
        client
    }

    /// Joins a server as one of its components (XEP-0114): [`Server::component`], or [`Server::users`].
    pub fn component(server: &Server, jid: &str) -> Self {
        let mut client = Self::connect(server.components)
            .unwrap_or_else(|error| panic!("{}: {error}", server.components));
        client.send(&format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{jid}'>"
        ));
        let header = client.recv(ANSWER);
        let id = header.attr("id").expect("a stream id").to_owned();
        client.send(&format!(
            "<handshake>{}</handshake>",
            hex_sha1(&format!("{id}{SECRET}"))
        ));
        let answer = client.recv(ANSWER);
        assert!(answer.has("<handshake"), "{}", answer.0);
        client.jid = jid.to_owned();
        client.stamped = true;
        client
    }

    fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            jid: String::new(),
            stamped: false,
            socket,
            splitter: Splitter::default(),
            ids: 0,
        })
    }

    fn header(&mut self, domain: &str) -> io::Result<()> {
        self.splitter = Splitter::default();
        self.try_send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='{domain}'>"
        ))?;
        loop {
            if self.try_recv(ANSWER)?.0.starts_with("<stream:features") {
                return Ok(());
            }
        }
    }

    /// Sends text as it is.
    pub fn send(&mut self, text: &str) {
        self.try_send(text)
            .unwrap_or_else(|error| panic!("{}: {error}", self.jid));
    }

    fn try_send(&mut self, text: &str) -> io::Result<()> {
        self.socket.write_all(text.as_bytes())
    }

    /// Waits for the next stanza, header or end of stream.
    pub fn recv(&mut self, within: Duration) -> Stanza {
        self.try_recv(within)
            .unwrap_or_else(|error| panic!("{}: {error}", self.jid))
    }

    /// Waits for the next stanza; an end or a silence is an error.
    pub fn try_recv(&mut self, within: Duration) -> io::Result<Stanza> {
        let deadline = Instant::now() + within;
        let mut buffer = [0; 65536];
        loop {
            if let Some(stanza) = self.splitter.next_stanza() {
                return Ok(stanza);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    format!("nothing within {within:?}"),
                ));
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(octets) => self.splitter.push(&buffer[..octets]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a stanza of which `wanted` holds; on the way answers disco, pings and closes.
    pub fn recv_where(&mut self, what: &str, wanted: impl FnMut(&Stanza) -> bool) -> Stanza {
        self.recv_where_within(what, ANSWER, wanted)
    }

    fn recv_where_within(
        &mut self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&Stanza) -> bool,
    ) -> Stanza {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let stanza = self
                .try_recv(left)
                .unwrap_or_else(|error| panic!("{} waiting for {what}: {error}", self.jid));
            if wanted(&stanza) {
                return stanza;
            }
            if stanza.is_iq("set") && stanza.has("<close") {
                self.result(&stanza, "");
            } else if stanza.is_iq("get") {
                self.result(&stanza, &unsupported(&stanza));
            }
        }
    }

    /// Sends an IQ of that type and gives the answer, whatever it is.
    pub fn request(&mut self, kind: &str, to: &str, payload: &str) -> Stanza {
        let id = self.post(kind, to, payload);
        self.answer(&id)
    }

    /// Sends an IQ and gives its id, without waiting for the answer.
    pub fn post(&mut self, kind: &str, to: &str, payload: &str) -> String {
        self.ids += 1;
        let id = format!("raw-{}", self.ids);
        let to = if to.is_empty() {
            String::new()
        } else {
            format!(" to='{}'", escape(to))
        };
        let from = self.from();
        self.send(&format!(
            "<iq type='{kind}' id='{id}'{to}{from}>{payload}</iq>"
        ));
        id
    }

    /// Speaks as another user of a component from now on.
    pub fn speak_as(&mut self, jid: &str) {
        assert!(self.stamped, "only a component has several JIDs");
        self.jid = jid.to_owned();
    }

    fn from(&self) -> String {
        if self.stamped {
            format!(" from='{}'", escape(&self.jid))
        } else {
            String::new()
        }
    }

    /// Waits for the result or error with that id.
    pub fn answer(&mut self, id: &str) -> Stanza {
        self.answer_within(id, ANSWER)
    }

    /// Waits so long for the result or error with that id.
    pub fn answer_within(&mut self, id: &str, within: Duration) -> Stanza {
        self.recv_where_within(&format!("the answer to {id}"), within, |stanza| {
            stanza.0.starts_with("<iq")
                && stanza.attr("id") == Some(id)
                && matches!(stanza.attr("type"), Some("result" | "error"))
        })
    }

    /// Answers a request with a result.
    pub fn result(&mut self, request: &Stanza, payload: &str) {
        self.reply("result", request, payload);
    }

    /// Answers a request with an error of RFC 6120.
    pub fn refuse(&mut self, request: &Stanza, kind: &str, condition: &str) {
        let error = format!(
            "<error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        self.reply("error", request, &error);
    }

    fn reply(&mut self, kind: &str, request: &Stanza, payload: &str) {
        let id = request.attr("id").unwrap_or_default().to_owned();
        let to = request
            .attr("from")
            .map_or_else(String::new, |from| format!(" to='{from}'"));
        let from = self.from();
        self.send(&format!(
            "<iq type='{kind}' id='{id}'{to}{from}>{payload}</iq>"
        ));
    }
}

/// Gives the payload of the answer to a get of which this client knows nothing.
fn unsupported(get: &Stanza) -> String {
    if get.has("disco#info") {
        "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot'/>\
         <feature var='http://jabber.org/protocol/si'/><feature var='http://jabber.org/protocol/si/profile/file-transfer'/>\
         <feature var='http://jabber.org/protocol/bytestreams'/><feature var='http://jabber.org/protocol/ibb'/></query>"
            .to_owned()
    } else {
        String::new()
    }
}

/// Gives one `<data/>` block of XEP-0047.
pub fn ibb_data(sid: &str, seq: u16, octets: &[u8]) -> String {
    ibb_text(sid, seq, &STANDARD.encode(octets))
}

/// Gives one `<data/>` whose text is as told, base64 or not.
pub fn ibb_text(sid: &str, seq: u16, text: &str) -> String {
    format!("<data xmlns='http://jabber.org/protocol/ibb' sid='{sid}' seq='{seq}'>{text}</data>")
}

/// Gives an `<open/>` of XEP-0047.
pub fn ibb_open(sid: &str, block_size: u16) -> String {
    format!("<open xmlns='http://jabber.org/protocol/ibb' sid='{sid}' block-size='{block_size}'/>")
}

/// Gives a `<close/>` of XEP-0047.
pub fn ibb_close(sid: &str) -> String {
    format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{sid}'/>")
}

/// Gives a Stream Initiation offer of a file by IBB alone (XEP-0096).
pub fn si_offer(sid: &str, name: &str, size: &str) -> String {
    format!(
        "<si xmlns='http://jabber.org/protocol/si' id='{sid}' profile='http://jabber.org/protocol/si/profile/file-transfer'>\
         <file xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='{}' size='{size}'/>\
         <feature xmlns='http://jabber.org/protocol/feature-neg'><x xmlns='jabber:x:data' type='form'>\
         <field var='stream-method' type='list-single'><option><value>http://jabber.org/protocol/ibb</value></option></field>\
         </x></feature></si>",
        escape(name)
    )
}
