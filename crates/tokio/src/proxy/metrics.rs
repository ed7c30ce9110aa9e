//! The state of a proxy for Prometheus, and the little HTTP it takes to tell it.

use super::Handle;
use super::shared::Shared;
use core::fmt::Write as _;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Requests answered at once.
const REQUESTS: usize = 16;

/// The octets of a request at most.
const REQUEST: usize = 8 << 10;

/// How long a request may take, and its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pause after the socket gave an error.
const BREATH: Duration = Duration::from_millis(100);

/// Answers `GET /metrics` until the future is dropped.
pub async fn serve_metrics(listener: TcpListener, handle: Handle) {
    let room = Arc::new(Semaphore::new(REQUESTS));
    loop {
        // Never closed.
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        let handle = handle.clone();
        tokio::spawn(async move {
            // Who asks too slowly, or asks nothing, gets nothing.
            let _ = timeout(PATIENCE, answer(stream, &handle)).await;
            drop(permit);
        });
    }
}

async fn answer(mut stream: TcpStream, handle: &Handle) -> io::Result<()> {
    let mut request = Vec::new();
    let mut limited = (&mut stream).take(REQUEST as u64);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if limited.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let (status, body) = match path(&request) {
        Some((b"GET" | b"HEAD", b"/metrics")) => ("200 OK", handle.metrics()),
        Some((b"GET" | b"HEAD", _)) => ("404 Not Found", "only /metrics is here\n".into()),
        Some(_) => ("405 Method Not Allowed", String::new()),
        None => ("400 Bad Request", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if !request.starts_with(b"HEAD") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await?;
    // What is left unread would have the system take the answer back.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Method and path of a whole request.
fn path(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = request.split(|&b| b == b'\r').next()?;
    let mut words = line.split(|&b| b == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split(|&b| b == b'?').next()?;
    let whole = version.starts_with(b"HTTP/1.") && words.next().is_none();
    whole.then_some((method, path))
}

/// The state in the text format of Prometheus, version 0.0.4.
pub(super) fn text(shared: &Shared) -> String {
    let (stats, counts) = shared.stats();
    let relays = &shared.relays;
    let mut out = String::with_capacity(4096);
    let mut family = |name: &str, kind: &str, help: &str, values: &[(&str, u64)]| {
        let name = format!("bytestreams_proxy_{name}");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let gauge = |value: usize| [("", value as u64)];
    family(
        "online",
        "gauge",
        "Whether the XMPP server is joined.",
        &[("", counts.online.into())],
    );
    family(
        "sessions",
        "gauge",
        "Sessions that are relayed now.",
        &gauge(stats.active),
    );
    family(
        "pending_handshakes",
        "gauge",
        "Handshakes in progress.",
        &gauge(stats.handshaking),
    );
    family(
        "waiting_connections",
        "gauge",
        "Connections that wait for their activation.",
        &gauge(stats.waiting),
    );
    family(
        "lent_pipes",
        "gauge",
        "Kernel pipes that hold octets now.",
        &gauge(relays.pipes()),
    );
    family(
        "relayed_octets_total",
        "counter",
        "Octets relayed, in both directions.",
        &[("", relays.octets())],
    );
    family(
        "connections_total",
        "counter",
        "Connections accepted.",
        &[("", stats.accepted)],
    );
    family(
        "addresses_total",
        "counter",
        "Address queries answered with an address.",
        &[("", stats.addresses_told)],
    );
    family(
        "activations_total",
        "counter",
        "Sessions activated.",
        &[("", stats.activated)],
    );
    family(
        "ended_total",
        "counter",
        "Sessions that ended, by how.",
        &[
            ("{how=\"complete\"}", counts.complete),
            ("{how=\"idle\"}", counts.idle),
            ("{how=\"broken\"}", counts.broken),
            ("{how=\"cut\"}", counts.cut),
        ],
    );
    family(
        "refused_total",
        "counter",
        "Connections and requests refused, by why.",
        &[
            ("{why=\"too-many-connections\"}", stats.turned_away),
            ("{why=\"bad-handshake\"}", stats.handshakes_failed),
            ("{why=\"slow-handshake\"}", stats.handshakes_expired),
            ("{why=\"third-connection\"}", stats.third_refused),
            ("{why=\"not-activated\"}", stats.expired),
            ("{why=\"forbidden\"}", stats.forbidden),
            ("{why=\"activation\"}", stats.activations_refused),
        ],
    );
    family(
        "accept_errors_total",
        "counter",
        "Errors of the listening socket, such as too many open files.",
        &[("", counts.accept_errors)],
    );
    family(
        "links_total",
        "counter",
        "Times the XMPP server was joined.",
        &[("", counts.links)],
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Relays;

    #[test]
    fn requests_are_understood_or_not() {
        for (request, expected) in [
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                Some(("GET", "/metrics")),
            ),
            (
                "GET /metrics?name=x HTTP/1.0\r\n\r\n",
                Some(("GET", "/metrics")),
            ),
            ("POST / HTTP/1.1\r\n\r\n", Some(("POST", "/"))),
            ("GET /metrics HTTP/2\r\n\r\n", None),
            ("GET /a b HTTP/1.1\r\n\r\n", None),
            ("GET /metrics", None),
            ("", None),
            ("\u{5}\u{1}\0", None),
        ] {
            let expected = expected.map(|(m, p)| (m.as_bytes(), p.as_bytes()));
            assert_eq!(path(request.as_bytes()), expected, "{request:?}");
        }
    }

    #[test]
    fn every_family_has_its_head_and_a_value() {
        let shared = Shared::new(Relays::new(0, Duration::from_secs(1)));
        let text = text(&shared);
        assert!(text.ends_with('\n'));
        let mut family = "";
        let mut values = 0;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().unwrap_or_default();
                values += 1;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let kind = rest.strip_prefix(family).unwrap_or_default();
                let total = family.ends_with("_total");
                assert_eq!(kind, if total { " counter" } else { " gauge" }, "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                assert!(name.split('{').next() == Some(family), "{line}");
                assert_eq!(value, "0", "{line}");
            }
        }
        assert_eq!(values, 13);
    }
}
