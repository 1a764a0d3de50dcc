//! A connection as its user sees it: calls out, requests in, and who is at the other end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::SendDatagramError;
use tokio::sync::oneshot;

use super::error::{CloseCode, TransportError};
use super::frames::Kind;
use super::identity::Principal;
use super::inlet::Inlet;
use super::link::Link;
use super::serve::{Incoming, serve_requests};
use super::tls::Alpn;

/// A connection to one identified peer. Clones are handles of the same connection, which closes
/// when the last handle is dropped, also while requests are served.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    link: Arc<Link>,
    alpn: Alpn,
    peer: Option<Principal>,
    /// The peer's requests, until somebody serves them.
    requests: Mutex<Option<Inlet>>,
}

/// Names a call that is under way, to [cancel](Connection::cancel) it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId(u64);

/// What a connection has done so far, and what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Frames queued for the peer.
    pub frames_sent: u64,
    /// Writes they needed; frames that wait together share one.
    pub writes: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Our calls without a reply.
    pub in_flight: usize,
    /// The peer's requests without an answer of ours.
    pub serving: usize,
}

impl Connection {
    pub(super) fn new(
        link: Arc<Link>,
        requests: Inlet,
        alpn: Alpn,
        peer: Option<Principal>,
    ) -> Self {
        let requests = Mutex::new(Some(requests));
        Self {
            handle: Arc::new(Handle {
                link,
                alpn,
                peer,
                requests,
            }),
        }
    }

    /// Sends a request and runs `complete` with its outcome, exactly once, unless the call is
    /// cancelled: at the reply on the connection's task, or at once here (and then `None` is
    /// returned) if the request cannot be sent. `complete` must not block. There is no deadline.
    pub fn submit(
        &self,
        body: Bytes,
        complete: impl FnOnce(Result<Bytes, TransportError>) + Send + 'static,
    ) -> Option<CallId> {
        let link = &self.handle.link;
        if let Err(error) = link.check_size(&body) {
            complete(Err(error));
            return None;
        }
        let id = match link.pending.begin(Box::new(complete)) {
            Ok(id) => id,
            Err((complete, error)) => {
                complete(Err(error));
                return None;
            }
        };
        match link.calls.push(Kind::Request, id, body) {
            Ok(()) => Some(CallId(id)),
            Err(error) => {
                if let Some(complete) = link.pending.take(id) {
                    complete(Err(error));
                }
                None
            }
        }
    }

    /// Forgets a call: its completion is dropped without running. The peer may still carry out the
    /// request.
    pub fn cancel(&self, call: CallId) {
        drop(self.handle.link.pending.take(call.0));
    }

    /// Sends a request and waits for its reply, at most for `timeout`. Dropping the future cancels
    /// the call.
    ///
    /// # Errors
    /// If the request cannot be sent, the connection is lost, the peer gives no answer, or the time
    /// is up; [`TransportError::request_may_have_arrived`] tells the cases apart.
    pub async fn call(&self, body: Bytes, timeout: Duration) -> Result<Bytes, TransportError> {
        let (sender, receiver) = oneshot::channel();
        // A send fails when the caller has stopped waiting, and then nobody wants the outcome.
        let call = self.submit(body, move |outcome| drop(sender.send(outcome)));
        let _cancel = CancelOnDrop {
            connection: self,
            call,
        };
        match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(self.handle.link.fate()),
            Err(_) => Err(TransportError::Deadline { after: timeout }),
        }
    }

    /// Sends a message that has no reply. `Ok` means queued, nothing more.
    ///
    /// # Errors
    /// If it is too large, the queue is full, or the connection is closed.
    pub fn notify(&self, body: Bytes) -> Result<(), TransportError> {
        self.handle.link.check_size(&body)?;
        self.handle.link.calls.push(Kind::OneWay, 0, body)
    }

    /// Sends a datagram: it may be lost, doubled or overtaken, and nobody is told. Only peers take
    /// datagrams.
    ///
    /// # Errors
    /// If it is larger than the path carries now ([`TransportError::FrameTooLarge`]; it may go as
    /// a [one-way message](Self::notify)), the other side takes none, or the connection is closed.
    pub fn send_datagram(&self, body: Bytes) -> Result<(), TransportError> {
        let quinn = &self.handle.link.quinn;
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        quinn.send_datagram(body).map_err(|error| match error {
            SendDatagramError::TooLarge => {
                let most = quinn.max_datagram_size().unwrap_or(0);
                let limit = u64::try_from(most).unwrap_or(u64::MAX);
                TransportError::FrameTooLarge { size, limit }
            }
            SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled => {
                let reason = "the other side takes no datagrams".to_owned();
                TransportError::Closed { reason }
            }
            SendDatagramError::ConnectionLost(_) => self.handle.link.fate(),
        })
    }

    /// Hands every datagram of the peer to `on_datagram`, on a task of this connection and one at a
    /// time, so it must not block. What comes before this is called, or faster than it is taken, is
    /// kept as far as 64 KiB go; then the oldest are dropped.
    pub fn receive_datagrams(&self, mut on_datagram: impl FnMut(Bytes) + Send + 'static) {
        let quinn = self.handle.link.quinn.clone();
        tokio::spawn(async move {
            while let Ok(datagram) = quinn.read_datagram().await {
                on_datagram(datagram);
            }
        });
    }

    /// Hands every request and one-way message of the peer to `on_request`, on a task of this
    /// connection and one at a time, so it must not block. Until this is called the peer's messages
    /// wait in QUIC's windows. Only the first call counts.
    ///
    /// When [`Limits::max_serving`](super::Limits::max_serving) requests are unanswered, reading
    /// pauses.
    pub fn serve(&self, on_request: impl FnMut(Incoming) + Send + 'static) {
        let requests = self
            .handle
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(requests) = requests {
            let link = Arc::clone(&self.handle.link);
            tokio::spawn(serve_requests(link, requests, on_request));
        }
    }

    /// Who the peer proved to be; `None` for an anonymous client.
    pub fn peer(&self) -> Option<&Principal> {
        self.handle.peer.as_ref()
    }

    /// The protocol that was agreed.
    pub fn alpn(&self) -> Alpn {
        self.handle.alpn
    }

    /// Where the peer's packets come from.
    pub fn peer_address(&self) -> SocketAddr {
        self.handle.link.quinn.remote_address()
    }

    /// The current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.handle.link.quinn.rtt()
    }

    /// What the connection has done so far.
    pub fn stats(&self) -> ConnectionStats {
        let link = &self.handle.link;
        let (mut frames_sent, mut writes) = (0, 0);
        for outbox in link.calls.both().into_iter().chain(link.replies.both()) {
            let (frames, batches) = outbox.frames_and_writes();
            frames_sent += frames;
            writes += batches;
        }
        ConnectionStats {
            frames_sent,
            writes,
            frames_received: link.received.load(Ordering::Relaxed),
            in_flight: link.pending.len(),
            serving: link.gate.requests(),
        }
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.handle.link.quinn.close_reason().is_some()
    }

    /// Waits until the connection ends, for whatever reason, and says why.
    pub async fn closed(&self) -> TransportError {
        self.handle.link.quinn.closed().await;
        self.handle.link.fate()
    }

    /// Ends the connection at once. What is queued is dropped, calls without a reply complete as
    /// [`ConnectionLost`](TransportError::ConnectionLost), and the peer is told code and reason.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.handle.link.close(code, reason);
    }

    /// Ends the connection in order: takes no more calls and replies, waits until the peer has all
    /// that is queued (at most for `timeout`), then closes.
    pub async fn shut_down(&self, timeout: Duration) {
        // If the peer does not take it in time, it is dropped like in `close`.
        tokio::time::timeout(timeout, self.handle.link.drain())
            .await
            .ok();
        self.close(CloseCode::SHUTDOWN, "shutting down");
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.handle.peer)
            .field("alpn", &self.handle.alpn)
            .field("address", &self.peer_address())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.close(CloseCode::SHUTDOWN, "not needed any more");
    }
}

struct CancelOnDrop<'a> {
    connection: &'a Connection,
    call: Option<CallId>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.connection.cancel(call);
        }
    }
}
