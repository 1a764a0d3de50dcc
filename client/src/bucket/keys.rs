//! The keys of a bucket, by partitions of the ring.
//!
//! ```text
//!   cursor   u8 version 1 | binding: hash of bucket and number of partitions, u64
//!            | u32 partition | 0 or 1: is there a cursor of a node | that cursor
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use serde_bytes::ByteBuf;

use super::Target;
use crate::client::{Plan, Route};
use crate::context::hash;
use crate::error::{Error, ErrorKind};
use crate::hex;
use crate::retry::Work;
use crate::wire::{Key, KeysRequest, Outcome, Request, Response, validate_bucket_name};

/// The keys of a bucket, in no order that means anything: one partition of the ring after the
/// other, by pages. Call [`try_next`](Keys::try_next) until it gives `None`.
///
/// ```no_run
/// # async fn run(users: starling::Bucket) -> Result<(), starling::Error> {
/// let mut keys = users.keys();
/// while let Some(key) = keys.try_next().await? {
///     println!("{key}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is no snapshot: a key that comes or goes meanwhile may be seen or not. What is there all the
/// time is seen. A page that cannot be read is an error, after which the same page is tried again:
/// a list that came to its end is never partial.
#[derive(Debug)]
#[must_use = "nothing is read until `try_next` is called"]
pub struct Keys {
    target: Target,
    r: Option<u8>,
    timeout: Option<Duration>,
    pause: Duration,
    resume: Option<String>,
    /// How many partitions the ring had when the list began.
    partitions: u32,
    buffer: VecDeque<Key>,
    /// Where the page begins that is being given.
    here: Place,
    /// Where the next page begins.
    ahead: Place,
    has_paged: bool,
}

/// The beginning of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    partition: u32,
    cursor: Option<ByteBuf>,
}

impl Keys {
    pub(super) fn new(target: Target) -> Self {
        let (r, partitions) = {
            let client = &target.client;
            (client.profile().default_r(), client.topology().partitions())
        };
        Self {
            target,
            r,
            timeout: None,
            pause: Duration::ZERO,
            resume: None,
            partitions,
            buffer: VecDeque::new(),
            here: Place::default(),
            ahead: Place::default(),
            has_paged: false,
        }
    }

    /// How many replicas must answer for each page.
    pub fn r(mut self, r: u8) -> Self {
        self.r = Some(r);
        self
    }

    /// How long each page may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits this long before each page but the first, to leave the cluster to others.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Goes on where a list of the same bucket was when it gave this [`cursor`](Keys::cursor). A
    /// text that is none is an error of the first [`try_next`](Keys::try_next).
    pub fn resume(mut self, cursor: &str) -> Self {
        self.resume = Some(cursor.to_owned());
        self
    }

    /// Where the list is, as text; `None` at its end. A list that goes on from it gives the keys
    /// of the page under way once more, and leaves none out.
    pub fn cursor(&self) -> Option<String> {
        if let Some(cursor) = &self.resume {
            return Some(cursor.clone());
        }
        if self.here.partition >= self.partitions {
            return None;
        }
        let mut bytes = vec![VERSION];
        bytes.extend(self.binding().to_be_bytes());
        bytes.extend(self.here.partition.to_be_bytes());
        bytes.push(u8::from(self.here.cursor.is_some()));
        bytes.extend(self.here.cursor.iter().flat_map(|cursor| cursor.iter()));
        Some(hex::encode(bytes))
    }

    /// Whether all keys of the pages read so far were given: a list that goes on from here gives
    /// none of them again.
    pub fn is_between_pages(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next key; `None` when all partitions of the ring were listed. Given up while it waits,
    /// it loses nothing.
    ///
    /// # Errors
    /// As for reading. Called again, it tries the same page again.
    pub async fn try_next(&mut self) -> Result<Option<Key>, Error> {
        self.take_up()?;
        loop {
            if let Some(key) = self.buffer.pop_front() {
                if self.buffer.is_empty() {
                    self.here = self.ahead.clone();
                }
                return Ok(Some(key));
            }
            if self.here.partition >= self.partitions {
                return Ok(None);
            }
            self.fetch().await?;
            if self.buffer.is_empty() {
                self.here = self.ahead.clone();
            }
        }
    }

    /// All keys that are left, in memory.
    ///
    /// # Errors
    /// As [`try_next`](Keys::try_next); what was read before the error is lost.
    pub async fn collect(mut self) -> Result<Vec<Key>, Error> {
        let mut all = Vec::new();
        while let Some(key) = self.try_next().await? {
            all.push(key);
        }
        Ok(all)
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        validate_bucket_name(&self.target.bucket)?;
        if self.target.client.topology().partitions() != self.partitions {
            return Err(Error::local(ErrorKind::BadRequest, OTHER_RING));
        }
        if self.has_paged && !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        let request = Request::Keys(KeysRequest {
            bucket: self.target.bucket.clone(),
            ring_partition: self.here.partition,
            cursor: self.here.cursor.clone(),
            r: self.r,
            timeout_ms: 0,
        });
        let plan = Plan {
            route: Route::Owners,
            work: Work::Read,
            timeout: self.timeout,
            operation: None,
        };
        let response = match self.target.call(plan, request).await? {
            (_, Response::Keys(response)) => response,
            (node, _) => return Err(Error::unexpected(node, Outcome::NotApplied)),
        };
        self.has_paged = true;
        self.buffer = response.keys.into();
        self.ahead = match response.next {
            Some(cursor) => Place {
                partition: self.here.partition,
                cursor: Some(cursor),
            },
            None => Place {
                partition: self.here.partition.saturating_add(1),
                cursor: None,
            },
        };
        Ok(())
    }

    fn take_up(&mut self) -> Result<(), Error> {
        let Some(cursor) = &self.resume else {
            return Ok(());
        };
        let bad = |message| Error::local(ErrorKind::BadRequest, message);
        let bytes = hex::decode(cursor).ok_or_else(|| bad(BAD_CURSOR))?;
        let Some((head, rest)) = bytes.split_first_chunk::<14>() else {
            return Err(bad(BAD_CURSOR));
        };
        let &[
            VERSION,
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            b6,
            b7,
            p0,
            p1,
            p2,
            p3,
            has_cursor,
        ] = head
        else {
            return Err(bad(BAD_CURSOR));
        };
        if u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) != self.binding() {
            return Err(bad(FOREIGN_CURSOR));
        }
        self.here = Place {
            partition: u32::from_be_bytes([p0, p1, p2, p3]),
            cursor: (has_cursor != 0).then(|| ByteBuf::from(rest)),
        };
        self.resume = None;
        Ok(())
    }

    fn binding(&self) -> u64 {
        let partitions = self.partitions.to_be_bytes();
        hash(CURSORS, &self.target.bucket, &Key::new("", ""), &partitions)
    }
}

const VERSION: u8 = 1;
/// The domain of the hashes in cursors, apart from those of contexts, operations and scans.
const CURSORS: u128 = 5;
const BAD_CURSOR: &str =
    "the text is no cursor of a list of keys; nothing was read: begin the list anew";
const FOREIGN_CURSOR: &str = "the cursor is of another bucket or of a ring with another number of \
     partitions; nothing was read: begin the list anew";
const OTHER_RING: &str =
    "the ring has another number of partitions than when the list began: begin the list anew";
