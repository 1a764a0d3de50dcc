//! How many elements a set, items a list or fields a map has.

use std::future::IntoFuture;
use std::time::Duration;

use super::answers::{Answer, Found};
use super::{Pending, Scan, Target};
use crate::wire::{Kind, MAX_PAGE};

/// How many elements, items or names of fields there are; await it to count them.
///
/// | | cost | error |
/// |---|---|---|
/// | `len` | of reading all | none, up to what changes meanwhile |
/// | `approximate_len` | of some thousand | none up to 4,096; then usually 6 %, from 16,000 3 % |
///
/// A name in a map counts once, of whatever kind and size its fields are.
///
/// They are counted where they are, by pages, and no element is sent to the client: exact, and no
/// snapshot. What is there all the time is counted once; what comes or goes meanwhile may be
/// counted or not. It costs the nodes about what reading all of them does, because each page is
/// joined from r replicas: with [`r(1)`](Length::r) one replica is asked and what others have and
/// it lacks is not counted.
///
/// An estimate looks at up to 1,024 elements, items or names, which every replica chooses alike by
/// their hashes. What was removed or has expired is not in it, with r replicas asked as in any
/// read. Of a name a replica looks at no more than 256 rows to find one that is still there.
#[derive(Debug)]
#[must_use = "nothing is counted until this is awaited"]
pub struct Length {
    pages: Scan<u64>,
}

impl Length {
    pub(super) fn new(target: Target, kind: Kind) -> Self {
        let pages = Scan::of_lengths(target, kind).page_size(MAX_PAGE);
        Self { pages }
    }

    /// How many replicas must answer for each page.
    pub fn r(mut self, r: u8) -> Self {
        self.pages = self.pages.r(r);
        self
    }

    /// How many to count at a time, 1 to 10,000; 10,000 if this is not called.
    pub fn page_size(mut self, limit: u32) -> Self {
        self.pages = self.pages.page_size(limit);
        self
    }

    /// How long each page may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.pages = self.pages.timeout(timeout);
        self
    }
}

/// The estimate in an answer to [`Part::Estimate`](crate::wire::Part::Estimate).
pub(super) fn estimated_length(answer: Answer) -> Result<u64, crate::Error> {
    answer.estimate().map(Found::into_value)
}

impl IntoFuture for Length {
    type Output = Result<u64, crate::Error>;
    type IntoFuture = Pending<u64>;

    fn into_future(self) -> Self::IntoFuture {
        let mut pages = self.pages;
        Box::pin(async move {
            let mut all = 0_u64;
            while let Some(count) = pages.try_next().await? {
                all = all.saturating_add(count);
            }
            Ok(all)
        })
    }
}
