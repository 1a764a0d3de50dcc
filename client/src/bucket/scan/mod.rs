//! Ordered things by pages: the keys of a partition key, the elements of a set, the items of a
//! list, the fields of a map.
//!
//! A scan holds one page and asks for the next when that is used up, so whoever reads sets the
//! pace. Where it is can be kept as a text and gone on from later:
//!
//! ```text
//!   +---------+-----------------------------+--------+----------------------------------+
//!   | version | binding: hash of what is    | 0 or 1 | 0: the last that was given       |
//!   |   0x01  | scanned and how, u64        |        | 1: the node's cursor             |
//!   +---------+-----------------------------+--------+----------------------------------+
//! ```

mod sources;

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::Target;
use crate::client::{Plan, Route};
use crate::context::hash;
use crate::error::{Error, ErrorKind};
use crate::hex;
use crate::retry::Work;
use crate::wire::{self, Key, Page, Request, Response};
use ring::NodeId;

/// A stretch of something ordered, read by pages. Say which stretch, then call
/// [`try_next`](Scan::try_next) until it gives `None`.
///
/// ```no_run
/// # async fn run(orders: starling::Bucket) -> Result<(), starling::Error> {
/// let mut november = orders.scan("customer-7").prefix("2026-11-").reverse();
/// while let Some(order) = november.try_next().await? {
///     println!("{}: {:?}", order.key, order.read.single()?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is no snapshot: what changes during the scan may be seen or not. What was there all the time
/// is seen once. A page that cannot be read is an error, after which the same page is tried again;
/// nothing is left out in silence.
#[must_use = "nothing is read until `try_next` is called"]
pub struct Scan<T> {
    target: Target,
    page: Page,
    r: Option<u8>,
    timeout: Option<Duration>,
    resume: Option<String>,
    /// What was read and not given yet, each with what orders it.
    buffer: VecDeque<(Bytes, T)>,
    /// Where to go on after what was given.
    here: Place,
    /// Where to go on after what was read.
    ahead: Place,
    ask: Ask,
    open: Open<T>,
}

/// A key of a scan, and what was read of it.
#[derive(Debug, Clone)]
pub struct Entry<T> {
    /// The key.
    pub key: Key,
    /// What it holds.
    pub read: T,
}

/// Makes a request for a page, with r.
type Ask = Box<dyn Fn(Page, Option<u8>) -> Request + Send + Sync>;
/// Takes the answer apart.
type Open<T> = Box<dyn Fn(NodeId, Response) -> Result<Opened<T>, Error> + Send + Sync>;
/// What a page holds, each with what orders it, and where to go on.
type Opened<T> = (Vec<(Bytes, T)>, Option<ByteBuf>);

/// A place in a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Beginning,
    /// Behind what this orders.
    Behind(Bytes),
    /// Where a node said.
    At(ByteBuf),
    End,
}

impl<T> Scan<T> {
    fn new(target: Target, ask: Ask, open: Open<T>) -> Self {
        let page = Page {
            limit: PAGE,
            ..Page::default()
        };
        let r = target.client.profile().default_r();
        Self {
            target,
            page,
            r,
            timeout: None,
            resume: None,
            buffer: VecDeque::new(),
            here: Place::Beginning,
            ahead: Place::Beginning,
            ask,
            open,
        }
    }

    /// Only what lies in this range of byte strings.
    pub fn range<B: AsRef<[u8]>>(mut self, range: impl RangeBounds<B>) -> Self {
        self.page.from = match range.start_bound() {
            Bound::Included(from) => Some(ByteBuf::from(from.as_ref())),
            Bound::Excluded(from) => Some(successor(from.as_ref())),
            Bound::Unbounded => None,
        };
        self.page.to = match range.end_bound() {
            Bound::Included(to) => Some(successor(to.as_ref())),
            Bound::Excluded(to) => Some(ByteBuf::from(to.as_ref())),
            Bound::Unbounded => None,
        };
        self
    }

    /// Only what begins with these bytes.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.page.from = Some(ByteBuf::from(prefix.as_ref()));
        self.page.to = behind_prefix(prefix.as_ref());
        self
    }

    /// From the end to the beginning.
    pub fn reverse(mut self) -> Self {
        self.page.reverse = true;
        self
    }

    /// How many to ask for at a time, 1 to 10,000; if this is not called, 1,000, of the fields of a
    /// map 4,096.
    pub fn page_size(mut self, limit: u32) -> Self {
        self.page.limit = limit;
        self
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

    /// Goes on where a scan of the same stretch was when it gave this [`cursor`](Scan::cursor).
    /// A text that is none is an error of the first [`try_next`](Scan::try_next).
    pub fn resume(mut self, cursor: &str) -> Self {
        self.resume = Some(cursor.to_owned());
        self
    }

    /// Where the scan is, as text, to go on behind what it has given so far; `None` at its end.
    pub fn cursor(&self) -> Option<String> {
        if let Some(cursor) = &self.resume {
            return Some(cursor.clone());
        }
        let (tag, bytes) = match &self.here {
            Place::End => return None,
            Place::Beginning => (BEGINNING, &[][..]),
            Place::Behind(last) => (BEHIND, &last[..]),
            Place::At(cursor) => (AT, &cursor[..]),
        };
        let head = [VERSION].into_iter().chain(self.binding().to_be_bytes());
        let all = head.chain([tag]).chain(bytes.iter().copied());
        Some(hex::encode(all))
    }

    /// The next one; `None` at the end. Given up while it waits, it loses nothing.
    ///
    /// # Errors
    /// As for reading. Called again, it tries the same page again.
    pub async fn try_next(&mut self) -> Result<Option<T>, Error> {
        self.take_up()?;
        loop {
            if let Some((last, item)) = self.buffer.pop_front() {
                self.here = if self.buffer.is_empty() {
                    self.ahead.clone()
                } else {
                    Place::Behind(last)
                };
                return Ok(Some(item));
            }
            if self.here == Place::End {
                return Ok(None);
            }
            let (items, next) = self.fetch().await?;
            self.ahead = next.map_or(Place::End, Place::At);
            self.buffer = items.into();
            if self.buffer.is_empty() {
                self.here = self.ahead.clone();
            }
        }
    }

    /// All that is left, in memory.
    ///
    /// # Errors
    /// As [`try_next`](Scan::try_next); what was read before the error is lost.
    pub async fn collect(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.try_next().await? {
            all.push(item);
        }
        Ok(all)
    }

    async fn fetch(&self) -> Result<Opened<T>, Error> {
        self.target.key.check()?;
        wire::check_path(&self.target.path)?;
        let mut page = self.page.clone();
        match &self.here {
            Place::At(cursor) => page.cursor = Some(cursor.clone()),
            Place::Behind(last) if page.reverse => page.to = Some(ByteBuf::from(&last[..])),
            Place::Behind(last) => page.from = Some(successor(last)),
            Place::Beginning | Place::End => {}
        }
        page.check()?;
        let plan = Plan {
            route: Route::Owners,
            work: Work::Read,
            timeout: self.timeout,
            operation: None,
        };
        let request = (self.ask)(page, self.r);
        let (node, response) = self.target.call(plan, request).await?;
        (self.open)(node, response)
    }

    /// Goes to the place that a cursor names.
    fn take_up(&mut self) -> Result<(), Error> {
        let Some(cursor) = &self.resume else {
            return Ok(());
        };
        let bad = |message| Error::local(ErrorKind::BadRequest, message);
        let bytes = hex::decode(cursor).ok_or_else(|| bad(BAD_CURSOR))?;
        let Some((&[VERSION, b0, b1, b2, b3, b4, b5, b6, b7, tag], rest)) =
            bytes.split_first_chunk::<10>()
        else {
            return Err(bad(BAD_CURSOR));
        };
        if u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) != self.binding() {
            return Err(bad(FOREIGN_CURSOR));
        }
        self.here = match tag {
            BEGINNING => Place::Beginning,
            BEHIND => Place::Behind(Bytes::copy_from_slice(rest)),
            AT => Place::At(ByteBuf::from(rest)),
            _ => return Err(bad(BAD_CURSOR)),
        };
        self.resume = None;
        Ok(())
    }

    /// What a cursor belongs to: key, field, range and direction.
    fn binding(&self) -> u64 {
        let mut more = vec![u8::from(self.page.reverse)];
        let ends = [&self.page.from, &self.page.to].into_iter();
        for part in ends
            .map(Option::as_ref)
            .chain(self.target.path.iter().map(Some))
        {
            let size = part.map_or(u64::MAX, |part| part.len() as u64);
            more.extend(size.to_be_bytes());
            more.extend(part.into_iter().flat_map(|part| part.iter()));
        }
        hash(CURSORS, &self.target.bucket, &self.target.key, &more)
    }
}

impl<T> fmt::Debug for Scan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("bucket", &self.target.bucket)
            .field("key", &self.target.key)
            .field("page", &self.page)
            .field("here", &self.here)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

/// The first byte string after this one.
fn successor(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from([bytes, &[0]].concat())
}

/// The first byte string behind all that begin with `prefix`; `None` if nothing is.
fn behind_prefix(prefix: &[u8]) -> Option<ByteBuf> {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=end)?.to_vec();
    *behind.last_mut()? += 1;
    Some(ByteBuf::from(behind))
}

/// How many are asked for at a time.
const PAGE: u32 = 1_000;
const VERSION: u8 = 1;
const BEGINNING: u8 = 0;
const BEHIND: u8 = 1;
const AT: u8 = 2;
/// The domain of the hashes in cursors, apart from those of contexts and operations.
const CURSORS: u128 = 4;
const BAD_CURSOR: &str = "the text is no cursor of a scan; nothing was read: begin the scan anew";
const FOREIGN_CURSOR: &str = "the cursor is of another scan; nothing was read: scan the same key, \
     range and direction, or begin anew";

#[cfg(test)]
mod tests {
    use super::behind_prefix;

    /// A prefix, and what is behind it.
    type Case = (&'static [u8], Option<&'static [u8]>);

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begin_with_it_and_before_the_rest() {
        let cases: [Case; 5] = [
            (b"a", Some(b"b")),
            (b"a\xff", Some(b"b")),
            (b"a\xff\x01", Some(b"a\xff\x02")),
            (b"\xff\xff", None),
            (b"", None),
        ];
        for (prefix, behind) in cases {
            assert_eq!(behind_prefix(prefix).as_ref().map(|end| &end[..]), behind);
        }
    }
}
