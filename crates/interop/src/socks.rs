//! SOCKS5 bytestreams by hand (XEP-0065): plain enough to be right at a glance, and independent of the crates under test.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use sha1::{Digest, Sha1};

use crate::xml::{Stanza, escape};

/// The namespace of XEP-0065.
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
/// The greeting of a client that wants no authentication.
pub const GREETING: [u8; 3] = [5, 1, 0];
/// How long a step of a handshake, or a read or a write after it, may take.
pub const STEP: Duration = Duration::from_secs(10);

/// Gives the SHA-1 of a text in lower-case hex.
pub fn hex_sha1(text: &str) -> String {
    let mut hex = String::new();
    for octet in Sha1::digest(text.as_bytes()) {
        write!(hex, "{octet:02x}").expect("a string grows");
    }
    hex
}

/// Gives the DST.ADDR of a bytestream: the SHA-1 of SID, Requester and Target.
pub fn dst_addr(sid: &str, requester: &str, target: &str) -> String {
    hex_sha1(&format!("{sid}{requester}{target}"))
}

/// Gives a CONNECT for a domain name of any content, port 0.
pub fn connect_request(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("at most 255 octets");
    [&[5, 1, 0, 3, length], name, &[0, 0]].concat()
}

/// Opens a TCP connection with deadlines on reads and writes.
pub fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    with_deadlines(socket)
}

fn with_deadlines(socket: TcpStream) -> TcpStream {
    socket.set_nodelay(true).expect("TCP");
    socket.set_read_timeout(Some(STEP)).expect("TCP");
    socket.set_write_timeout(Some(STEP)).expect("TCP");
    socket
}

/// Opens a TCP connection from another loopback address, of which Linux has 16 million.
pub fn dial_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a descriptor");
    bind(&socket, &SocketAddr::from((source, 0))).expect("loopback");
    connect(&socket, &address).unwrap_or_else(|error| panic!("{address}: {error}"));
    with_deadlines(socket.into())
}

/// Connects to a StreamHost for a hash and gives REP, 0 being success; a StreamHost that hangs up instead counts as 255.
pub fn try_connect(address: SocketAddr, hash: &str) -> (TcpStream, u8) {
    shake(dial(address), hash)
}

/// Shakes hands on an open connection and gives REP, as [`try_connect`].
pub fn shake(mut socket: TcpStream, hash: &str) -> (TcpStream, u8) {
    socket.write_all(&GREETING).expect("written");
    let mut method = [0; 2];
    if socket.read_exact(&mut method).is_err() {
        return (socket, 255);
    }
    assert_eq!(method, [5, 0], "the answer to the greeting");
    socket
        .write_all(&connect_request(hash.as_bytes()))
        .expect("written");
    let mut head = [0; 5];
    if socket.read_exact(&mut head).is_err() {
        return (socket, 255);
    }
    if head[1] == 0 {
        assert_eq!(head, [5, 0, 0, 3, 40], "the head of the answer to CONNECT");
        let mut rest = [0; 42];
        socket.read_exact(&mut rest).expect("the rest of it");
        assert_eq!(&rest[..40], hash.as_bytes(), "BND.ADDR");
    }
    (socket, head[1])
}

/// Connects to a StreamHost for a hash; it must accept.
pub fn connect(address: SocketAddr, hash: &str) -> TcpStream {
    let (socket, reply) = try_connect(address, hash);
    assert_eq!(reply, 0, "REP of {address} for {hash}");
    socket
}

/// Reads to the end and gives what came; a reset counts as an end.
pub fn read_to_end(mut socket: &TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    if let Err(error) = socket.read_to_end(&mut octets) {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "after {} octets: {error}",
            octets.len()
        );
    }
    octets
}

/// Gives the query that asks a proxy for its address.
pub fn address_query() -> String {
    format!("<query xmlns='{BYTESTREAMS}'/>")
}

/// Gives the query that offers StreamHosts, each a JID and an address.
pub fn hosts_query(sid: &str, hosts: &[(&str, SocketAddr)]) -> String {
    let mut query = format!("<query xmlns='{BYTESTREAMS}' sid='{}'>", escape(sid));
    for (jid, address) in hosts {
        let (host, port) = (address.ip(), address.port());
        let jid = escape(jid);
        write!(
            query,
            "<streamhost jid='{jid}' host='{host}' port='{port}'/>"
        )
        .expect("a string grows");
    }
    query + "</query>"
}

/// Gives the answer of a Target that uses a StreamHost.
pub fn used(sid: &str, host: &str) -> String {
    let (sid, host) = (escape(sid), escape(host));
    format!("<query xmlns='{BYTESTREAMS}' sid='{sid}'><streamhost-used jid='{host}'/></query>")
}

/// Gives the query that activates a bytestream on a proxy.
pub fn activate(sid: &str, target: &str) -> String {
    let (sid, target) = (escape(sid), escape(target));
    format!("<query xmlns='{BYTESTREAMS}' sid='{sid}'><activate>{target}</activate></query>")
}

/// Reads the first StreamHost of a stanza: its JID and its address, which must be numeric.
pub fn stream_host(stanza: &Stanza) -> (String, SocketAddr) {
    let attr = |name| {
        stanza
            .child_attr("streamhost", name)
            .unwrap_or_else(|| panic!("no streamhost with {name}: {}", stanza.0))
    };
    let host = attr("host").parse().expect("a numeric address");
    let port = attr("port").parse().expect("a port");
    (attr("jid").to_owned(), SocketAddr::new(host, port))
}

/// Gives a Stream Initiation offer of a file by SOCKS5 first and IBB second (XEP-0096).
pub fn si_offer(sid: &str, name: &str, size: u64) -> String {
    crate::raw::si_offer(sid, name, &size.to_string()).replace(
        "<option>",
        &format!("<option><value>{BYTESTREAMS}</value></option><option>"),
    )
}

/// Gives the answer that accepts an offer by SOCKS5.
pub fn si_accept() -> String {
    format!(
        "<si xmlns='http://jabber.org/protocol/si'><feature xmlns='http://jabber.org/protocol/feature-neg'>\
         <x xmlns='jabber:x:data' type='submit'><field var='stream-method'><value>{BYTESTREAMS}</value></field></x></feature></si>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_example_of_the_specification() {
        assert_eq!(
            dst_addr(
                "vxf9n471bn46",
                "requester@example.com/foo",
                "target@example.org/bar"
            ),
            "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff"
        );
    }

    #[test]
    fn reads_a_stream_host() {
        let host = ("proxy.example", "127.0.0.1:7777".parse().expect("one"));
        let query = Stanza(hosts_query("s1", &[host]));
        assert_eq!(stream_host(&query), (host.0.to_owned(), host.1));
    }
}
