//! What can be said to `bytestreams proxy`.

use crate::args::{host_and_port, jid};
use bytestreams_stanza::Jid;
use clap::Args;
use core::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;

/// Relays SOCKS5 bytestreams for the users of an XMPP server (XEP-0065), as an external component
/// of it (XEP-0114).
///
/// Clients that cannot reach each other both connect here; one of them has the server pass the word
/// that they belong together.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bytestreams proxy --component proxy.example.org --server 127.0.0.1:5347 \\
      --secret-file secret.txt --listen '[::]:1080' --host files.example.org

Prosody:   Component \"proxy.example.org\"
               component_secret = \"...\"
ejabberd:  listen:
             - port: 5347
               module: ejabberd_service
               hosts: {proxy.example.org: {password: ...}}

The secret is the first line of --secret-file, or BYTESTREAMS_SECRET. It and all requests
travel to the server in clear, as XEP-0114 has it: keep --server on this machine or on a
network that you trust. What is relayed is as its clients send it.

Clients find the proxy in the disco#items of the server: components are listed there as a
rule, at least under their parent domain. Without --allow it serves the users of the domain
above its own, example.org for proxy.example.org.

The first Ctrl-C or SIGTERM takes no more sessions and waits for those that run, the second
ends at once. Exit status: 0 stopped, 1 stopped and sessions cut off, 2 usage, 4 could not
listen or join the server. Once joined, a lost server is called again while sessions go on.")]
pub(crate) struct Proxy {
    /// Its own JID: a domain that the server leaves to it.
    #[arg(long, value_name = "JID", value_parser = domain_jid)]
    pub(crate) component: Jid,
    /// Where the server takes components.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(crate) server: String,
    /// A file whose first line is the secret; otherwise it is taken from BYTESTREAMS_SECRET.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Take the clients' connections at this address; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR", value_parser = host_and_port)]
    pub(crate) listen: String,
    /// The host that clients are told to connect to, a name or an address, at the port of --listen.
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub(crate) host: Arc<str>,
    /// Serve the users of this domain, and of no other than those given.
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub(crate) allow: Vec<Arc<str>>,
    /// Serve everybody who can send requests to the component: strangers too, where the server
    /// talks to other servers.
    #[arg(long, conflicts_with = "allow")]
    pub(crate) allow_any: bool,
    /// Sessions at once.
    #[arg(long, value_name = "N", default_value = "2000")]
    pub(crate) max_sessions: NonZeroU32,
    /// Sessions at once that one user has activated.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) max_sessions_a_user: NonZeroU32,
    /// Connections at once from one address.
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) max_connections_a_source: NonZeroU32,
    /// End sessions that move nothing for so long.
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    pub(crate) idle: NonZeroU64,
    /// How long running sessions may go on after the first Ctrl-C or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub(crate) drain: u64,
    /// Answer GET /metrics in Prometheus' format at this address. Everybody who reaches it reads
    /// it.
    #[arg(long, value_name = "ADDR", value_parser = host_and_port)]
    pub(crate) metrics: Option<String>,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
}

fn domain_jid(text: &str) -> Result<Jid, String> {
    let jid = jid(text)?;
    if jid.local().is_some() || !jid.is_bare() {
        return Err("give a domain, such as proxy.example.org".into());
    }
    Ok(jid)
}

fn domain(text: &str) -> Result<Arc<str>, String> {
    domain_jid(text).map(|jid| jid.domain().into())
}

fn host(text: &str) -> Result<Arc<str>, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = bare.unwrap_or(text);
    let is_address = host.parse::<core::net::IpAddr>().is_ok();
    let is_name = !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if is_address || is_name {
        Ok(host.into())
    } else {
        Err("give a host name or an address, without a port".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_no_port() {
        for (text, expected) in [
            ("files.example.org", Some("files.example.org")),
            ("192.0.2.7", Some("192.0.2.7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("files.example.org:1080", None),
            ("[::1]:1080", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(host(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_component_is_a_domain() {
        assert!(domain_jid("proxy.example.org").is_ok());
        for text in ["romeo@example.org", "proxy.example.org/x", ""] {
            assert!(domain_jid(text).is_err(), "{text}");
        }
        assert_eq!(domain("Example.ORG").as_deref(), Ok("example.org"));
    }
}
