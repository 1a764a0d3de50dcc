//! Many reads, some at a time.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::{Pending, Query};
use crate::error::Error;
use crate::wire::Key;

/// Reads of many keys. [`next`](MultiGet::next) gives them as they arrive, each with its own
/// result. Keys are taken from their iterator as there is room, so there may be any number.
///
/// ```no_run
/// # async fn run(users: starling::Bucket) -> Result<(), starling::Error> {
/// let mut reads = users.multi_get(["ada", "eve"]).r(2);
/// while let Some((key, read)) = reads.next().await {
///     println!("{key}: {} values", read?.siblings().len());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is read until `next` is called"]
pub struct MultiGet<T> {
    keys: Box<dyn Iterator<Item = Key> + Send>,
    query: Box<dyn Fn(Key) -> Query<T> + Send + Sync>,
    crowd: Crowd<Key, T>,
    concurrency: usize,
    r: Option<u8>,
    timeout: Option<Duration>,
}

impl<T: 'static> MultiGet<T> {
    pub(crate) fn new<K: Into<Key> + 'static, I: IntoIterator<Item = K>>(
        keys: I,
        query: impl Fn(Key) -> Query<T> + Send + Sync + 'static,
    ) -> Self
    where
        I::IntoIter: Send + 'static,
    {
        Self {
            keys: Box::new(keys.into_iter().map(Into::into)),
            query: Box::new(query),
            crowd: Crowd::default(),
            concurrency: IN_FLIGHT,
            r: None,
            timeout: None,
        }
    }

    /// How many replicas must answer each read.
    pub fn r(mut self, r: u8) -> Self {
        self.r = Some(r);
        self
    }

    /// How long each read may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many are under way at a time, 1 to 256; 32 if this is not called.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.clamp(1, MOST_IN_FLIGHT);
        self
    }

    /// The next key that was read, in the order in which answers arrive; `None` when all were.
    /// Given up while it waits, it loses nothing.
    pub async fn next(&mut self) -> Option<OneOfMany<T>> {
        while self.crowd.len() < self.concurrency
            && let Some(key) = self.keys.next()
        {
            let mut query = (self.query)(key.clone());
            if let Some(r) = self.r {
                query = query.r(r);
            }
            if let Some(timeout) = self.timeout {
                query = query.timeout(timeout);
            }
            self.crowd.push(key, query.into_future());
        }
        self.crowd.next().await
    }
}

impl<T> fmt::Debug for MultiGet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiGet")
            .field("under_way", &self.crowd.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// One of many keys, and what was read of it.
pub type OneOfMany<T> = (Key, Result<T, Error>);

/// Operations under way, each under a name.
pub(super) struct Crowd<K, T> {
    running: Vec<(K, Pending<T>)>,
}

impl<K, T> Default for Crowd<K, T> {
    fn default() -> Self {
        Self {
            running: Vec::new(),
        }
    }
}

impl<K, T> Crowd<K, T> {
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn push(&mut self, name: K, operation: Pending<T>) {
        self.running.push((name, operation));
    }

    /// The first that ends; `None` if none runs. Each wake-up looks at all of them, which are few.
    pub(super) async fn next(&mut self) -> Option<(K, Result<T, Error>)> {
        let (place, result) = poll_fn(|context| {
            for (place, (_, operation)) in self.running.iter_mut().enumerate() {
                if let Poll::Ready(result) = operation.as_mut().poll(context) {
                    return Poll::Ready(Some((place, result)));
                }
            }
            if self.running.is_empty() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await?;
        let (name, _) = self.running.swap_remove(place);
        Some((name, result))
    }
}

/// How many operations are under way at a time unless something else is asked for.
pub(super) const IN_FLIGHT: usize = 32;
/// How many there can be.
pub(super) const MOST_IN_FLIGHT: usize = 256;
