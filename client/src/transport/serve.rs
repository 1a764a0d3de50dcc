//! The callee's side: requests of the peer, and the one reply that each of them gets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::error::{CloseCode, TransportError};
use super::frames::Kind;
use super::inlet::Inlet;
use super::link::Link;

/// A message of the peer. The body shares the memory of a read buffer: copy what is kept for long.
#[derive(Debug)]
pub struct Incoming {
    /// What the peer sent.
    pub body: Bytes,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

/// The right to answer one request, from any thread and at any time. Dropping it unused tells the
/// caller that no reply will come.
pub struct ReplyTo {
    link: Arc<Link>,
    /// `None` for a one-way message and after the answer.
    id: Option<u64>,
    request_bytes: usize,
}

impl ReplyTo {
    /// Queues the reply; never waits. If the connection is gone the reply is dropped, and one that
    /// exceeds a limit of size or queue becomes [`NoReply`](TransportError::NoReply) at the caller.
    /// After a one-way message this does nothing.
    pub fn send(mut self, body: Bytes) {
        self.answer(Kind::Reply, body);
    }

    /// Whether the peer waits for a reply.
    pub fn is_expected(&self) -> bool {
        self.id.is_some()
    }

    fn answer(&mut self, kind: Kind, body: Bytes) {
        if let Some(id) = self.id.take() {
            self.link.reply(kind, id, body);
            self.link.gate.leave(self.request_bytes);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.answer(
            Kind::NoReply,
            Bytes::from_static(b"the request was dropped"),
        );
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The task that reads the peer's requests, until it ends its streams or breaks the rules.
pub(super) async fn serve_requests(
    link: Arc<Link>,
    mut inlet: Inlet,
    mut on_request: impl FnMut(Incoming) + Send + 'static,
) {
    let _guard = CloseOnPanic(Arc::clone(&link));
    let error = loop {
        let frame = match inlet.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => break error,
        };
        link.received.fetch_add(1, Ordering::Relaxed);
        let is_request = match frame.kind {
            Kind::Request => true,
            Kind::OneWay => false,
            Kind::Reply | Kind::NoReply => {
                let reason = "a reply came where only requests may".to_owned();
                break TransportError::BadFrame { reason };
            }
        };
        let request_bytes = frame.body.len();
        if is_request && !enter(&link, request_bytes).await {
            return;
        }
        let id = is_request.then_some(frame.id);
        let reply = ReplyTo {
            link: Arc::clone(&link),
            id,
            request_bytes,
        };
        on_request(Incoming {
            body: frame.body,
            reply,
        });
    };
    let code = error.close_code();
    link.break_off(error, code);
}

/// Ends the connection if the handler panics. Its callers would wait in vain otherwise.
struct CloseOnPanic(Arc<Link>);

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the handler of requests failed".to_owned();
            self.0
                .break_off(TransportError::Closed { reason }, CloseCode::HANDLER_FAILED);
        }
    }
}

/// Waits until one more request may be under way. `false` if the connection ended first.
async fn enter(link: &Link, bytes: usize) -> bool {
    loop {
        if !link.replies.is_pressed() && link.gate.try_enter(bytes) {
            return true;
        }
        tokio::select! {
            biased;
            () = link.gate.eased.notified() => {}
            _ = link.quinn.closed() => return false,
        }
    }
}
