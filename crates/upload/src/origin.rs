//! Which pages may upload (RFC 6454, RFC 6455 section 10.2).

use core::fmt;
use core::str::FromStr;
use http::Uri;
use http::uri::Authority;

/// The origin of a page: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an origin such as https://example.org")
    }
}

impl core::error::Error for InvalidOrigin {}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidOrigin);
        };
        if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") {
            return Err(InvalidOrigin);
        }
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self {
            port: authority.port_u16().or_else(|| default_port(&scheme)),
            host: authority.host().to_ascii_lowercase(),
            scheme,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if Some(port) != default_port(&self.scheme) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl Origin {
    /// Says whether the page came from the host that a request is for. A `Host` without a port means
    /// the default one of the page's scheme: a proxy may speak TLS in the server's place.
    fn is_of(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let port = authority.port_u16().or_else(|| default_port(&self.scheme));
        authority.host().eq_ignore_ascii_case(&self.host) && port == self.port
    }
}

/// Says whether a request may upload. Programs send no `Origin`; pages always do, and theirs must be
/// the server's own or one of those named.
pub(crate) fn may_upload(origin: Option<&str>, host: Option<&str>, others: &[Origin]) -> bool {
    let Some(origin) = origin else {
        return true;
    };
    // `null` is that of a page without one: a file, or a sandbox.
    let Ok(origin) = origin.parse::<Origin>() else {
        return false;
    };
    others.contains(&origin) || host.is_some_and(|host| origin.is_of(host))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_same_host_and_named_ones_may_upload() {
        let others = ["https://other.example".parse().unwrap()];
        let may = |origin, host| may_upload(origin, host, &others);
        assert!(may(None, None));
        for (origin, host) in [
            ("http://a.example", "a.example"),
            ("http://A.example:80", "a.example"),
            ("https://a.example", "a.example"),
            ("https://a.example", "a.example:443"),
            ("http://a.example:8080", "a.example:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://other.example", "a.example"),
            ("https://other.example:443", "a.example"),
        ] {
            assert!(may(Some(origin), Some(host)), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "a.example"),
            ("", "a.example"),
            ("file://", "a.example"),
            ("a.example", "a.example"),
            ("http://b.example", "a.example"),
            ("http://a.example.evil", "a.example"),
            ("http://evil@a.example", "a.example"),
            ("http://a.example:8080", "a.example"),
            ("http://a.example", "a.example:8080"),
            ("https://a.example", "a.example:80"),
            ("http://other.example", "a.example"),
            ("https://other.example:444", "a.example"),
            ("http://a.example", "a b"),
        ] {
            assert!(!may(Some(origin), Some(host)), "{origin} {host}");
        }
        assert!(!may(Some("http://a.example"), None));
    }

    #[test]
    fn origins_are_read_and_written() {
        for (text, written) in [
            ("https://Example.org:443/", "https://example.org"),
            ("http://example.org:8080", "http://example.org:8080"),
            ("app://x", "app://x"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), written);
        }
        for text in ["example.org", "https://", "https://a/b", "*", "https://u@a"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
    }
}
