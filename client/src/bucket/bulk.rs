//! Bulk: many writes, some at a time, each with a result of its own.

use std::future::IntoFuture;
use std::pin::Pin;

use super::answers::Written;
use super::many::{Crowd, IN_FLIGHT, MOST_IN_FLIGHT};
use super::{Pending, Write};
use crate::error::Error;

/// Many writes of any keys and buckets; await it to carry them out. They are *not* one atomic
/// write: each of them has a result of its own, and some may fail while others succeed. What must
/// go together is a [`Batch`](super::Batch).
#[must_use = "nothing is written until this is awaited"]
pub struct Bulk {
    writes: Vec<Pending<Written>>,
    concurrency: usize,
}

/// What became of each write, in the order in which they were given.
#[derive(Debug)]
#[must_use = "some of the writes may have failed"]
pub struct BulkReport {
    results: Vec<Result<Written, Error>>,
}

impl Bulk {
    pub(crate) fn new() -> Self {
        Self {
            writes: Vec::new(),
            concurrency: IN_FLIGHT,
        }
    }

    /// One more write. Two writes of one key are carried out in either order.
    pub fn write<M: Send + 'static>(mut self, write: Write<M>) -> Self {
        self.writes.push(write.into_future());
        self
    }

    /// More writes.
    pub fn writes<M: Send + 'static>(mut self, writes: impl IntoIterator<Item = Write<M>>) -> Self {
        self.writes
            .extend(writes.into_iter().map(IntoFuture::into_future));
        self
    }

    /// How many are carried out at a time, 1 to 256; 32 if this is not called.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.clamp(1, MOST_IN_FLIGHT);
        self
    }
}

impl BulkReport {
    /// The results, in the order of the writes.
    pub fn results(&self) -> &[Result<Written, Error>] {
        &self.results
    }

    /// The results, in the order of the writes, to keep.
    pub fn into_results(self) -> Vec<Result<Written, Error>> {
        self.results
    }

    /// The writes that failed, by their place in the order, counted from 0.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        let results = self.results.iter().enumerate();
        results.filter_map(|(place, result)| result.as_ref().err().map(|error| (place, error)))
    }

    /// Whether all writes succeeded.
    pub fn is_complete(&self) -> bool {
        self.results.iter().all(Result::is_ok)
    }
}

impl IntoFuture for Bulk {
    type Output = BulkReport;
    type IntoFuture = Pin<Box<dyn Future<Output = BulkReport> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let mut results: Vec<_> = self.writes.iter().map(|_| None).collect();
        let mut writes = self.writes.into_iter().enumerate();
        let mut crowd = Crowd::default();
        Box::pin(async move {
            loop {
                while crowd.len() < self.concurrency
                    && let Some((place, write)) = writes.next()
                {
                    crowd.push(place, write);
                }
                let Some((place, result)) = crowd.next().await else {
                    break;
                };
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(result);
                }
            }
            BulkReport {
                results: results.into_iter().flatten().collect(),
            }
        })
    }
}

impl std::fmt::Debug for Bulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulk")
            .field("writes", &self.writes.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
