//! Waiting for a moment on a thread that may block, without a runtime.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

/// How long a thread waits for what comes next before it goes: to come back costs more.
const LINGER: Duration = Duration::from_millis(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for what is probably ready in a moment; `None` when it is not. A runtime that shuts down
/// meanwhile is not missed.
pub(crate) fn linger<T>(future: impl Future<Output = T>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let start = Instant::now();
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return Some(result);
        }
        let left = LINGER.saturating_sub(start.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::{pending, poll_fn, ready};

    #[test]
    fn what_is_ready_or_woken_soon_is_had_and_nothing_else_is_waited_for() {
        assert_eq!(linger(ready(1)), Some(1));
        assert_eq!(linger(pending::<()>()), None);
        let mut polls = 0;
        let woken = poll_fn(|cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(polls);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(linger(woken), Some(3));
    }
}
