//! Frames that wait to be written on one stream.
//!
//! Anybody queues frames without waiting; one task takes everything that is there and writes it at
//! once. While that write is under way the next batch gathers, so the busier a stream is, the fewer
//! writes a frame costs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::error::TransportError;
use super::frames::{HEADER, Kind, encode_header};

/// The queue of one stream, bounded in bytes.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
    max_bytes: usize,
    frames: AtomicU64,
    writes: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whole pieces in order, then `tail`.
    pieces: Vec<Bytes>,
    /// Headers and small bodies, copied together.
    tail: BytesMut,
    /// Bytes queued and bytes that the writer has taken but not yet handed to QUIC.
    bytes: usize,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// What is queued is still written; nothing is added.
    Finishing,
    /// Nothing is written any more.
    Closed,
}

/// What the writer should do next.
#[derive(Debug)]
pub(super) enum Batch {
    /// Write these pieces, `bytes` in all, in one go.
    Write { pieces: Vec<Bytes>, bytes: usize },
    /// End the stream: everything was written.
    Finish,
    /// Stop at once.
    Stop,
}

impl Outbox {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Notify::new(),
            max_bytes,
            frames: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }
    }

    /// Queues a frame. An empty queue takes any one frame, and a full one still takes the news that
    /// there is no reply, which is short and at most once per request being served.
    pub(super) fn push(&self, kind: Kind, id: u64, body: Bytes) -> Result<(), TransportError> {
        let Ok(length) = u32::try_from(body.len()) else {
            let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
            return Err(TransportError::FrameTooLarge {
                size,
                limit: u64::from(u32::MAX),
            });
        };
        let mut queue = self.lock();
        if queue.phase != Phase::Open {
            let reason = "it is being shut down".to_owned();
            return Err(TransportError::Closed { reason });
        }
        let bytes = queue
            .bytes
            .saturating_add(HEADER)
            .saturating_add(body.len());
        let must_fit = queue.bytes > 0 && kind != Kind::NoReply;
        if must_fit && bytes > self.max_bytes {
            return Err(TransportError::Overloaded {
                what: "the queue of bytes to send",
                limit: u64::try_from(self.max_bytes).unwrap_or(u64::MAX),
            });
        }
        queue.bytes = bytes;
        encode_header(kind, id, length, &mut queue.tail);
        if body.len() <= COPIED {
            queue.tail.extend_from_slice(&body);
        } else {
            let tail = queue.tail.split().freeze();
            queue.pieces.extend([tail, body]);
        }
        drop(queue);
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits until there is something to do, and takes all that is queued.
    pub(super) async fn next_batch(&self) -> Batch {
        loop {
            if let Some(batch) = self.poll_batch() {
                return batch;
            }
            self.wake.notified().await;
        }
    }

    /// Says that a batch of this many bytes was handed to QUIC.
    pub(super) fn written(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        drop(queue);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes no more frames; the writer ends the stream after those that are queued.
    pub(super) fn finish(&self) {
        let mut queue = self.lock();
        if queue.phase == Phase::Open {
            queue.phase = Phase::Finishing;
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Drops what is queued and stops the writer.
    pub(super) fn close(&self) {
        *self.lock() = Queue {
            phase: Phase::Closed,
            ..Queue::default()
        };
        self.wake.notify_one();
    }

    /// Whether more than half of the allowed bytes wait.
    pub(super) fn is_pressed(&self) -> bool {
        self.lock().bytes > self.max_bytes / 2
    }

    /// Frames queued so far, and the writes they needed.
    pub(super) fn frames_and_writes(&self) -> (u64, u64) {
        (
            self.frames.load(Ordering::Relaxed),
            self.writes.load(Ordering::Relaxed),
        )
    }

    fn poll_batch(&self) -> Option<Batch> {
        let mut queue = self.lock();
        if !queue.tail.is_empty() {
            let tail = queue.tail.split().freeze();
            queue.pieces.push(tail);
        }
        match (queue.pieces.is_empty(), queue.phase) {
            (_, Phase::Closed) => Some(Batch::Stop),
            (true, Phase::Open) => None,
            (true, Phase::Finishing) => Some(Batch::Finish),
            (false, Phase::Open | Phase::Finishing) => {
                let pieces = std::mem::take(&mut queue.pieces);
                let bytes = pieces.iter().map(Bytes::len).sum();
                Some(Batch::Write { pieces, bytes })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bodies up to this size are copied next to their headers: cheaper than one more piece.
const COPIED: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::{Batch, Bytes, COPIED, HEADER, Kind, Outbox, TransportError};

    #[test]
    fn frames_queued_together_leave_in_one_batch() {
        let outbox = Outbox::new(1 << 20);
        for id in 0..100 {
            outbox
                .push(Kind::Request, id, Bytes::from_static(b"ab"))
                .unwrap();
        }
        let Some(Batch::Write { pieces, bytes }) = outbox.poll_batch() else {
            panic!("no batch")
        };
        assert_eq!((pieces.len(), bytes), (1, 100 * (HEADER + 2)));
        assert!(outbox.poll_batch().is_none());
    }

    #[test]
    fn bytes_count_until_they_are_written() {
        let outbox = Outbox::new(100);
        let body = || Bytes::from_static(&[0; 40]);
        outbox.push(Kind::Request, 1, body()).unwrap();
        assert!(matches!(
            outbox.poll_batch(),
            Some(Batch::Write { bytes: 53, .. })
        ));
        let error = outbox.push(Kind::Request, 2, body()).unwrap_err();
        assert!(matches!(
            error,
            TransportError::Overloaded { limit: 100, .. }
        ));
        outbox.written(53);
        outbox
            .push(Kind::Request, 2, Bytes::from(vec![0; 1000]))
            .unwrap();
    }

    #[test]
    fn large_bodies_are_not_copied_and_keep_their_place() {
        let outbox = Outbox::new(1 << 20);
        let large = Bytes::from(vec![7; COPIED + 1]);
        outbox
            .push(Kind::Request, 1, Bytes::from_static(b"a"))
            .unwrap();
        outbox.push(Kind::Request, 2, large.clone()).unwrap();
        outbox
            .push(Kind::Request, 3, Bytes::from_static(b"b"))
            .unwrap();
        let Some(Batch::Write { pieces, .. }) = outbox.poll_batch() else {
            panic!("no batch")
        };
        let sizes: Vec<_> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [HEADER + 1 + HEADER, COPIED + 1, HEADER + 1]);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn a_finished_outbox_writes_what_it_has_and_takes_nothing() {
        let outbox = Outbox::new(100);
        outbox.push(Kind::Request, 1, Bytes::new()).unwrap();
        outbox.finish();
        assert!(outbox.push(Kind::Request, 2, Bytes::new()).is_err());
        assert!(matches!(outbox.poll_batch(), Some(Batch::Write { .. })));
        assert!(matches!(outbox.poll_batch(), Some(Batch::Finish)));
        outbox.close();
        assert!(matches!(outbox.poll_batch(), Some(Batch::Stop)));
    }
}
