//! Which ways octets may take: methods, StreamHosts, proxies.

use crate::args::{MethodArg, host_and_port, jid};
use crate::escape::escape;
use crate::failure::Failure;
use bytestreams_stanza::Jid;
use bytestreams_tokio::{Config, Method, Methods, Network, SocketOptions, Ways};
use clap::Args;
use std::sync::Arc;

/// The ways of what is sent.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "SOCKS5")]
pub(crate) struct SendWays {
    /// Listen for the other side at this address, and tell it; port 0 chooses a free one. Without
    /// it, a free port on all local addresses.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port,
          conflicts_with_all = ["no_direct", "proxy_only"])]
    pub(crate) direct_listen: Option<String>,
    /// Tell the other side this address too, such as a port forwarded to --direct-listen. Nothing
    /// listens on it here.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port,
          conflicts_with = "proxy_only")]
    pub(crate) streamhost: Vec<String>,
    /// Use this proxy, instead of those that the own server names.
    #[arg(long, value_name = "JID", value_parser = jid, requires = "jid",
          conflicts_with = "no_proxy")]
    pub(crate) proxy: Vec<Jid>,
    /// Do not listen for the other side.
    #[arg(long)]
    pub(crate) no_direct: bool,
    /// Use no proxy.
    #[arg(long)]
    pub(crate) no_proxy: bool,
    /// Tell the other side no address of ours: go through a proxy, or in band unless --method
    /// socks5 forbids it.
    #[arg(long, conflicts_with = "no_proxy", requires = "jid")]
    pub(crate) proxy_only: bool,
}

/// The ways of what is received.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "SOCKS5")]
pub(crate) struct ReceiveWays {
    /// Connect to no address that the other side gives as its own: take what comes through a proxy,
    /// or in band unless --method socks5 forbids it. It is the sender who names the proxy: --method
    /// ibb trusts it with nothing.
    #[arg(long)]
    pub(crate) proxy_only: bool,
    /// Connect to these addresses too when a sender names them. Public addresses are always
    /// allowed; private ones and this machine only when the server, or the sender without one, is
    /// at such an address itself.
    #[arg(long, value_name = "NET")]
    pub(crate) allow_host: Vec<Network>,
}

impl SendWays {
    /// Makes of the arguments what the link and the sockets beside it need. `server` says whether
    /// there is one.
    pub(crate) fn apply(
        &self,
        method: MethodArg,
        server: bool,
    ) -> Result<(Config, SocketOptions), Failure> {
        let said = [
            (self.direct_listen.is_some(), "--direct-listen"),
            (!self.streamhost.is_empty(), "--streamhost"),
            (!self.proxy.is_empty(), "--proxy"),
            (self.no_direct, "--no-direct"),
            (self.no_proxy, "--no-proxy"),
            (self.proxy_only, "--proxy-only"),
        ];
        none_in_band(method, &said)?;
        if self.no_direct && self.streamhost.is_empty() && (self.no_proxy || !server) {
            return Err(Failure::usage(
                "--no-direct leaves no way but in band here: give --method ibb instead",
            ));
        }
        let mut config = config(method);
        let socks5 = &mut config.socks5;
        socks5.ways = match (self.proxy_only, self.no_proxy) {
            (true, _) => Ways::Proxied,
            (false, true) => Ways::Direct,
            (false, false) => Ways::Any,
        };
        socks5.listen = !self.no_direct;
        socks5.discover = server;
        socks5.proxies.clone_from(&self.proxy);
        socks5.advertised = self.streamhost.iter().filter_map(|h| parts(h)).collect();
        let mut sockets = SocketOptions::default();
        if let Some(addr) = &self.direct_listen {
            sockets.listen(addr.as_str()).map_err(|e| {
                Failure::unconnected(format!("cannot listen on {}: {e}", escape(addr)))
            })?;
        }
        Ok((config, sockets))
    }
}

impl ReceiveWays {
    /// Makes of the arguments what links and the sockets beside them need.
    pub(crate) fn apply(&self, method: MethodArg) -> Result<(Config, SocketOptions), Failure> {
        let said = [
            (self.proxy_only, "--proxy-only"),
            (!self.allow_host.is_empty(), "--allow-host"),
        ];
        none_in_band(method, &said)?;
        let mut config = config(method);
        if self.proxy_only {
            config.socks5.ways = Ways::Proxied;
        }
        let mut sockets = SocketOptions::default();
        sockets.allowed.clone_from(&self.allow_host);
        Ok((config, sockets))
    }
}

/// A configuration with the methods wanted.
pub(crate) fn config(method: MethodArg) -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(match method {
        MethodArg::Auto => &[Method::Socks5, Method::Ibb],
        MethodArg::Socks5 => &[Method::Socks5],
        MethodArg::Ibb => &[Method::Ibb],
    });
    config
}

/// Refuses to be told how to use sockets where none is to be used.
fn none_in_band(method: MethodArg, said: &[(bool, &str)]) -> Result<(), Failure> {
    match said.iter().find(|(said, _)| *said) {
        Some((_, name)) if method == MethodArg::Ibb => Err(Failure::usage(format!(
            "--method ibb stays in band, so {name} means nothing: leave one of them out"
        ))),
        _ => Ok(()),
    }
}

/// The host without brackets, and the port.
fn parts(addr: &str) -> Option<(Arc<str>, u16)> {
    let (host, port) = addr.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Some((bare.unwrap_or(host).into(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamhost_has_no_brackets() {
        for (addr, host, port) in [
            ("192.0.2.7:7", "192.0.2.7", 7),
            ("[2001:db8::7]:7000", "2001:db8::7", 7000),
            ("nat.example:1", "nat.example", 1),
        ] {
            assert_eq!(parts(addr), Some((host.into(), port)));
        }
    }

    #[test]
    fn arguments_become_ways() {
        let ways = SendWays {
            proxy_only: true,
            ..SendWays::default()
        };
        let (config, _) = ways.apply(MethodArg::Auto, true).unwrap();
        assert_eq!(config.socks5.ways, Ways::Proxied);
        let ways = SendWays {
            no_proxy: true,
            streamhost: vec!["a.example:7".into()],
            ..SendWays::default()
        };
        let (config, _) = ways.apply(MethodArg::Socks5, false).unwrap();
        assert_eq!(config.socks5.ways, Ways::Direct);
        assert_eq!(config.socks5.advertised, [("a.example".into(), 7)]);
        assert_eq!(config.methods.as_slice(), [Method::Socks5]);
        assert!(config.socks5.listen && !config.socks5.discover);
        let ways = ReceiveWays {
            allow_host: vec!["10.0.0.0/8".parse().unwrap()],
            ..ReceiveWays::default()
        };
        let (_, sockets) = ways.apply(MethodArg::Auto).unwrap();
        assert_eq!(sockets.allowed, ways.allow_host);
    }

    #[test]
    fn what_leaves_no_way_is_refused() {
        let none = SendWays {
            no_direct: true,
            no_proxy: true,
            ..SendWays::default()
        };
        assert_eq!(none.apply(MethodArg::Auto, true).unwrap_err().status, 2);
        let no_proxy = SendWays {
            no_proxy: true,
            ..SendWays::default()
        };
        assert_eq!(no_proxy.apply(MethodArg::Ibb, true).unwrap_err().status, 2);
    }
}
