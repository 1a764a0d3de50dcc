//! What peers say by gossip, on its way from their connections to the node loop.
//!
//! A queue of its own with a bound, unlike the [inbox](super::event): nobody waits for an answer to
//! gossip, so nothing else holds its senders back. What finds no room is dropped, like a datagram
//! that is lost on the way.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::admin::Metrics;
use ring::NodeId;

/// A message of gossip.
#[derive(Debug)]
pub(crate) struct Word {
    /// Who has sent it, by its certificate.
    pub(crate) from: NodeId,
    /// The process that has.
    pub(crate) instance: u64,
    /// The message.
    pub(crate) bytes: Bytes,
}

/// The end of the queue that connections have.
#[derive(Clone, Debug)]
pub(crate) struct Ears {
    queue: mpsc::Sender<Word>,
    metrics: Arc<Metrics>,
}

impl Ears {
    /// Takes a message in, or drops it.
    pub(crate) fn hear(&self, word: Word) {
        if self.queue.try_send(word).is_err() {
            self.metrics.gossip.dropped.inc();
        }
    }
}

/// A queue, and its other end for the loop.
pub(crate) fn queue(metrics: Arc<Metrics>) -> (Ears, mpsc::Receiver<Word>) {
    let (queue, words) = mpsc::channel(MOST_WORDS);
    (Ears { queue, metrics }, words)
}

/// Messages that wait for the loop, each of at most 64 KiB and mostly of some 30 bytes.
pub(crate) const MOST_WORDS: usize = 512;
