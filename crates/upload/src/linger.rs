//! Waiting for a moment on a thread that may block, without a runtime.

use crate::socket::Carrier;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;
use tokio_tungstenite::WebSocketStream;

/// How long a thread waits for what comes next before it goes: to come back costs more.
const LINGER: Duration = Duration::from_millis(1);

/// Attempts what is probably possible in a moment; `None` when it is not. `write` says whether room
/// to write is waited for, beside something to read. To be called while the socket is the thread's.
pub(crate) fn linger<S: Carrier, T>(
    ws: &mut WebSocketStream<S>,
    write: bool,
    mut attempt: impl FnMut(&mut WebSocketStream<S>, &mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    loop {
        if let Poll::Ready(result) = attempt(ws, &mut cx) {
            return Some(result);
        }
        let left = LINGER.saturating_sub(start.elapsed());
        if left.is_zero() {
            return None;
        }
        ws.get_mut().socket().wait(write, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Socket;
    use futures_util::{SinkExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    async fn pair() -> [WebSocketStream<Socket>; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let (near, far) = (Socket::new(near.unwrap()), Socket::new(far.unwrap().0));
        [
            WebSocketStream::from_raw_socket(near, Role::Client, None).await,
            WebSocketStream::from_raw_socket(far, Role::Server, None).await,
        ]
    }

    #[tokio::test]
    async fn what_comes_soon_is_had_and_nothing_else_is_waited_for() {
        let [mut near, mut far] = pair().await;
        far.get_mut().socket().leave();
        let nothing = linger(&mut far, false, |ws, cx| ws.poll_next_unpin(cx));
        assert!(nothing.is_none());

        near.send(Message::text("there")).await.unwrap();
        let mut attempts = 0;
        // It is on its way, however slow the machine is.
        let came = loop {
            attempts += 1;
            match linger(&mut far, false, |ws, cx| ws.poll_next_unpin(cx)) {
                Some(came) => break came,
                None => assert!(attempts < 10_000, "nothing came"),
            }
        };
        assert_eq!(came.unwrap().unwrap(), Message::text("there"));
        assert_eq!(linger(&mut far, true, |_, _| Poll::Ready(1)), Some(1));
    }

    #[tokio::test]
    async fn a_socket_goes_from_the_runtime_to_a_thread_and_back() {
        let [mut near, mut far] = pair().await;
        for round in 0..3 {
            far.get_mut().socket().leave();
            let sent = format!("{round}");
            let said = linger(&mut far, true, |ws, cx| {
                if ws.poll_ready_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready(ws.start_send_unpin(Message::text(sent.clone())))
            });
            said.unwrap().unwrap();
            let flushed = linger(&mut far, true, |ws, cx| ws.poll_flush_unpin(cx));
            flushed.unwrap().unwrap();
            // What comes meanwhile is found once the runtime has it again.
            near.send(Message::text("back")).await.unwrap();
            far.get_mut().socket().join();
            assert_eq!(near.next().await.unwrap().unwrap(), Message::text(sent));
            assert_eq!(far.next().await.unwrap().unwrap(), Message::text("back"));
        }
    }
}
