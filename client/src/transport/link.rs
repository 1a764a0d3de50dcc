//! One connection from the inside: its queues, its tables, and the tasks that move bytes.
//!
//! There is one task per stream that writes, one that reads replies, and one that reads requests
//! once somebody serves them. No task is made for a request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use quinn::{ConnectionError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::watch;

use super::config::Limits;
use super::error::{CloseCode, TransportError, printable};
use super::frames::{Frame, Kind, Lane};
use super::gate::Gate;
use super::inlet::Inlet;
use super::outbox::{Batch, Outbox};
use super::pending::Pending;

/// What the halves of a connection share.
pub(super) struct Link {
    pub(super) quinn: quinn::Connection,
    pub(super) limits: Limits,
    pub(super) pending: Pending,
    pub(super) calls: Lanes,
    pub(super) replies: Lanes,
    pub(super) gate: Gate,
    pub(super) received: AtomicU64,
    /// Why we closed the connection, if we did.
    fate: OnceLock<TransportError>,
    /// Writers that still have something to do.
    writers: watch::Sender<usize>,
}

/// The two queues of one direction.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    pub(super) small: Arc<Outbox>,
    pub(super) bulk: Arc<Outbox>,
}

/// A bidirectional stream.
pub(super) type Stream = (SendStream, RecvStream);

/// The four streams of a connection: those we opened for our calls and those the peer opened.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) our_small: Stream,
    pub(super) our_bulk: Stream,
    pub(super) their_small: Stream,
    pub(super) their_bulk: Stream,
}

impl Link {
    /// Starts the tasks; gives the link and the requests of the peer, which nobody reads yet.
    pub(super) fn start(
        quinn: quinn::Connection,
        streams: Streams,
        limits: Limits,
    ) -> (Arc<Self>, Inlet) {
        let (calls, replies) = (Lanes::new(&limits), Lanes::new(&limits));
        let link = Arc::new(Self {
            quinn,
            limits,
            pending: Pending::new(limits.max_in_flight),
            calls: calls.clone(),
            replies: replies.clone(),
            gate: Gate::new(limits.max_serving, limits.max_serving_bytes),
            received: AtomicU64::new(0),
            fate: OnceLock::new(),
            writers: watch::Sender::new(4),
        });
        let Streams {
            our_small,
            our_bulk,
            their_small,
            their_bulk,
        } = streams;
        for (outbox, stream) in [
            (calls.small, our_small.0),
            (calls.bulk, our_bulk.0),
            (replies.small, their_small.0),
            (replies.bulk, their_bulk.0),
        ] {
            tokio::spawn(write_out(Arc::clone(&link), outbox, stream));
        }
        let incoming = Inlet::new(our_small.1, our_bulk.1, limits.max_frame);
        tokio::spawn(receive_replies(Arc::clone(&link), incoming));
        (
            link,
            Inlet::new(their_small.1, their_bulk.1, limits.max_frame),
        )
    }

    /// Queues a reply. One that exceeds a limit becomes an error at the caller; a closed connection
    /// has no use for it.
    pub(super) fn reply(&self, kind: Kind, id: u64, body: Bytes) {
        let size = body.len();
        let queued = self
            .check_size(&body)
            .and_then(|()| self.replies.push(kind, id, body));
        let reason = match queued {
            Ok(()) | Err(TransportError::Closed { .. }) => return,
            Err(TransportError::FrameTooLarge { limit, .. }) => {
                format!("its reply of {size} bytes exceeds the limit of {limit}")
            }
            Err(_) => {
                let limit = self.limits.max_queued_bytes;
                format!("its reply found no room in the queue of {limit} bytes")
            }
        };
        // This always finds room, unless the connection was closed meanwhile.
        let no_reply = Bytes::from(reason);
        self.replies.push(Kind::NoReply, id, no_reply).ok();
    }

    pub(super) fn check_size(&self, body: &Bytes) -> Result<(), TransportError> {
        match u32::try_from(body.len()) {
            Ok(size) if size <= self.limits.max_frame => Ok(()),
            _ => Err(TransportError::FrameTooLarge {
                size: u64::try_from(body.len()).unwrap_or(u64::MAX),
                limit: u64::from(self.limits.max_frame),
            }),
        }
    }

    /// Closes the connection because of what the peer did, unless it is closed already.
    pub(super) fn break_off(&self, error: TransportError, code: CloseCode) {
        if self.quinn.close_reason().is_none() {
            let reason = error.to_string();
            tracing::info!(peer = %self.quinn.remote_address(), reason, "closing a connection");
            self.fate.get_or_init(|| error);
            self.close(code, &reason);
        }
    }

    /// Closes the connection unless it is closed already: closing twice would cover up why.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        if self.quinn.close_reason().is_none() {
            self.quinn
                .close(VarInt::from_u32(code.0), reason.as_bytes());
        }
    }

    /// Why the connection ended. Meaningful once it did.
    pub(super) fn fate(&self) -> TransportError {
        if let Some(fate) = self.fate.get() {
            return fate.clone();
        }
        let lost = |reason: String| TransportError::ConnectionLost { reason };
        match self.quinn.close_reason() {
            None => lost("it is ending".to_owned()),
            Some(ConnectionError::LocallyClosed) => TransportError::Closed {
                reason: "closed on this side".to_owned(),
            },
            Some(ConnectionError::ApplicationClosed(close)) => {
                lost(format!("the peer closed it: {}", printable(&close.reason)))
            }
            Some(ConnectionError::TimedOut) => {
                lost(format!("nothing heard for {:?}", self.limits.idle_timeout))
            }
            Some(ConnectionError::Reset) => lost("the peer has restarted".to_owned()),
            Some(error) => lost(error.to_string()),
        }
    }

    /// Writes what is queued, ends our streams and waits until the peer has it all.
    pub(super) async fn drain(&self) {
        for outbox in self.calls.both().into_iter().chain(self.replies.both()) {
            outbox.finish();
        }
        let mut writers = self.writers.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        writers.wait_for(|&busy| busy == 0).await.ok();
    }

    /// Ends everything that waits for the connection.
    fn bury(&self) {
        let reason = match self.fate() {
            TransportError::ConnectionLost { reason } | TransportError::Closed { reason } => reason,
            error => error.to_string(),
        };
        for outbox in self.calls.both().into_iter().chain(self.replies.both()) {
            outbox.close();
        }
        self.pending.close(&reason);
    }

    fn complete(&self, frame: Frame) -> Result<(), TransportError> {
        self.received.fetch_add(1, Ordering::Relaxed);
        let outcome = match frame.kind {
            Kind::Reply => Ok(frame.body),
            Kind::NoReply => Err(TransportError::NoReply {
                reason: printable(&frame.body),
            }),
            Kind::Request | Kind::OneWay => {
                let reason = "a request came where only replies may".to_owned();
                return Err(TransportError::BadFrame { reason });
            }
        };
        // A call that met its deadline is not in the table any more; its reply is dropped here.
        if let Some(complete) = self.pending.take(frame.id) {
            complete(outcome);
        }
        Ok(())
    }
}

impl Lanes {
    fn new(limits: &Limits) -> Self {
        let outbox = || Arc::new(Outbox::new(limits.max_queued_bytes));
        Self {
            small: outbox(),
            bulk: outbox(),
        }
    }

    /// Queues a frame on the lane of its size.
    pub(super) fn push(&self, kind: Kind, id: u64, body: Bytes) -> Result<(), TransportError> {
        match Lane::of(body.len()) {
            Lane::Small => self.small.push(kind, id, body),
            Lane::Bulk => self.bulk.push(kind, id, body),
        }
    }

    pub(super) fn both(&self) -> [&Outbox; 2] {
        [&self.small, &self.bulk]
    }

    pub(super) fn is_pressed(&self) -> bool {
        self.both().into_iter().any(Outbox::is_pressed)
    }
}

/// The task that writes one stream.
async fn write_out(link: Arc<Link>, outbox: Arc<Outbox>, mut stream: SendStream) {
    loop {
        match outbox.next_batch().await {
            Batch::Write { mut pieces, bytes } => {
                if let Err(error) = stream.write_all_chunks(&mut pieces).await {
                    if let WriteError::Stopped(code) = error {
                        let reason = format!("it stopped reading a stream (code {code})");
                        link.break_off(TransportError::BadFrame { reason }, CloseCode::BAD_FRAME);
                    }
                    break;
                }
                outbox.written(bytes);
                link.gate.eased.notify_one();
            }
            Batch::Finish => {
                if stream.finish().is_ok() {
                    // An error means that the connection went away, which ends the wait as well.
                    stream.stopped().await.ok();
                }
                break;
            }
            Batch::Stop => break,
        }
    }
    link.writers
        .send_modify(|busy| *busy = busy.saturating_sub(1));
}

/// The task that reads replies, and that ends what waits when the connection ends.
async fn receive_replies(link: Arc<Link>, mut inlet: Inlet) {
    let _guard = BuryOnDrop(Arc::clone(&link));
    let ended = loop {
        match inlet.next().await {
            Ok(Some(frame)) => {
                if let Err(error) = link.complete(frame) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match ended {
        Ok(()) => link.pending.close("the peer takes no more requests"),
        Err(error) => {
            let code = error.close_code();
            link.break_off(error, code);
        }
    }
    link.quinn.closed().await;
}

/// Nobody waits for a connection without this task: not when the connection has ended, not when a
/// completion panicked, not when the runtime stops.
struct BuryOnDrop(Arc<Link>);

impl Drop for BuryOnDrop {
    fn drop(&mut self) {
        self.0.close(CloseCode::SHUTDOWN, "stopped");
        self.0.bury();
    }
}
