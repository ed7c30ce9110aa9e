//! Connects at a peer's word.

use bytestreams_machine::{ConnectError, DialPolicy};
use bytestreams_net::{PACE, candidates, connect_error};
use bytestreams_stanza::StreamHost;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long it may all take: longer than any machine waits, and less than the system tries.
const PATIENCE: Duration = Duration::from_secs(15);

/// Resolves the host, drops the addresses that the policy does not permit, and connects to one of
/// the others.
pub(super) async fn connect(
    host: StreamHost,
    policy: DialPolicy,
) -> Result<TcpStream, ConnectError> {
    within(PATIENCE, attempt(host, policy)).await
}

async fn within(
    patience: Duration,
    attempt: impl Future<Output = Result<TcpStream, ConnectError>>,
) -> Result<TcpStream, ConnectError> {
    let attempt = timeout(patience, attempt).await;
    attempt.unwrap_or(Err(ConnectError::TimedOut))
}

async fn attempt(host: StreamHost, policy: DialPolicy) -> Result<TcpStream, ConnectError> {
    let found = lookup_host((&*host.host, host.port)).await;
    let found: Vec<SocketAddr> = found.map_err(|_| ConnectError::Dns)?.collect();
    if found.is_empty() {
        return Err(ConnectError::Dns);
    }
    let mut addrs = candidates(found, &policy).into_iter();
    let mut calls = Calls::default();
    let mut error = ConnectError::Forbidden;
    loop {
        match addrs.next() {
            Some(addr) => calls.0.push(Box::pin(call(addr))),
            None if calls.0.is_empty() => return Err(error),
            None => {}
        }
        let next = poll_fn(|cx| calls.poll(cx));
        let result = if addrs.len() == 0 {
            next.await
        } else if let Ok(result) = timeout(PACE, next).await {
            result
        } else {
            continue;
        };
        match result {
            Ok(stream) => return Ok(stream),
            Err(why) => error = why,
        }
    }
}

/// Attempts beside each other.
#[derive(Default)]
struct Calls(Vec<Call>);

type Call = Pin<Box<dyn Future<Output = Result<TcpStream, ConnectError>> + Send>>;

impl Calls {
    /// The first that comes to an end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, ConnectError>> {
        let mut ready = None;
        self.0.retain_mut(|call| {
            if ready.is_some() {
                return true;
            }
            match call.as_mut().poll(cx) {
                Poll::Ready(result) => {
                    ready = Some(result);
                    false
                }
                Poll::Pending => true,
            }
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    }
}

async fn call(addr: SocketAddr) -> Result<TcpStream, ConnectError> {
    let stream = TcpStream::connect(addr).await;
    let stream = stream.map_err(|error| connect_error(&error))?;
    // A free port of this machine, called from that same port, answers itself.
    if stream.local_addr().is_ok_and(|local| local == addr) {
        return Err(ConnectError::Refused);
    }
    stream
        .set_nodelay(true)
        .map_err(|_| ConnectError::Unreachable)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::Jid;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_host_that_never_answers_is_given_up() {
        // Its queue is full, so that the system drops what else comes.
        let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
        silent.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let silent = silent.listen(0).expect("a listener");
        let addr = silent.local_addr().expect("an address");
        let _first = std::net::TcpStream::connect(addr).expect("a connection");
        let attempt = attempt(host("127.0.0.1", addr.port()), local());
        let error = within(Duration::from_millis(50), attempt).await;
        assert_eq!(error.expect_err("nobody"), ConnectError::TimedOut);
    }

    fn host(host: &str, port: u16) -> StreamHost {
        StreamHost {
            jid: Jid::new("a@b/c").expect("a JID"),
            host: host.into(),
            port,
        }
    }

    fn local() -> DialPolicy {
        DialPolicy {
            link: Some("127.0.0.1".parse().expect("an address")),
            ..DialPolicy::default()
        }
    }

    #[tokio::test]
    async fn a_permitted_address_is_called() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        for name in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
            let stream = connect(host(name, port), local()).await.expect(name);
            assert!(stream.nodelay().expect("an option"), "{name}");
            listener.accept().expect("a connection");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_not_permitted_is_never_called() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        listener.set_nonblocking(true).expect("an option");
        let port = listener.local_addr().expect("an address").port();
        for name in ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.1", "0"] {
            let error = connect(host(name, port), DialPolicy::default()).await;
            assert_eq!(error.expect_err(name), ConnectError::Forbidden, "{name}");
        }
        assert!(listener.accept().is_err());
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let error = connect(host("127.0.0.1", port), local()).await;
        assert_eq!(error.expect_err("nobody"), ConnectError::Refused);
        for name in ["", "no such name", "a..b"] {
            let error = connect(host(name, 1), local()).await;
            assert_eq!(error.expect_err(name), ConnectError::Dns, "{name}");
        }
    }
}
