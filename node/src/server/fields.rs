//! Maps by pages: fields in the order of their names, each with all that it holds.
//!
//! A page is a stretch of rows, and a field may be many of them. Of a page that was cut short the
//! last field may lack rows, so it is left to the next page, which begins with it:
//!
//! ```text
//!   rows     a  b b b  c c c c c | c c d        cut within c
//!   page 1   a  b                               next: c
//!   page 2             c c c c c c  d
//! ```
//!
//! A field that is cut even so goes on with its first row that shows something, on a page of its
//! own: before that there may be very many that are cleared, or over, and not freed yet. One that
//! is cut behind that is not shown by halves: the page is refused, and names it. Where fields are
//! only counted it is one of them.
//!
//! ```text
//!   cursor   0 | name: the page begins with this field   1 | row key: it begins with this row
//! ```

use serde_bytes::ByteBuf;

use super::desk::Desk;
use super::failure::{self, Work};
use super::state::{Amount, Shown, state};
use crate::protocol::coordinator::{OrderFailed, ReadDone};
use crate::protocol::keys::{KeyPrefix, RowKey, successor};
use crate::protocol::messages::Range;
use crate::protocol::shares;
use crdt::Row;
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use starling::wire::{Failure, Page, ReadResponse, Response, State};

/// Which fields are read: what is kept of the request while it is under way.
#[derive(Debug)]
pub(super) struct Fields {
    shown: Shown,
    /// They are counted and not shown.
    is_counted: bool,
    key: KeyPrefix,
    path: Path,
    range: Range,
    /// Names at the most.
    limit: usize,
}

impl Fields {
    /// The fields of the map at a path that lie in a range of rows.
    pub(super) fn new(
        (key, path): (KeyPrefix, Path),
        range: Range,
        (limit, is_counted): (u32, bool),
        shown: Shown,
    ) -> Self {
        let shown = Shown {
            // What a field holds is in its own order, whichever way the fields come.
            reverse: false,
            amount: Amount::Shown,
            ..shown
        };
        Self {
            range,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            shown,
            is_counted,
            key,
            path,
        }
    }

    /// The name of the field in which the rows were cut off.
    fn cut(&self, done: &ReadDone) -> Result<Option<Vec<u8>>, Failure> {
        let Some(until) = &done.until else {
            return Ok(None);
        };
        let row = RowKey::decode(until);
        let row = row.map_err(|error| failure::unshowable(&error.to_string()))?;
        Ok(self.name(&row))
    }

    fn name(&self, row: &RowKey) -> Option<Vec<u8>> {
        row.path().names().get(self.shown.depth).map(|n| n.to_vec())
    }

    /// Is a field the first that these rows can be of, from its beginning or from within?
    fn begins_in(&self, name: &[u8]) -> bool {
        if self.range.reverse {
            self.range.to[..] <= self.key.fields_from(&self.path, &successor(name))[..]
        } else {
            self.range.from[..] >= self.key.fields_from(&self.path, name)[..]
        }
    }

    /// The cursor of a page that begins with a field.
    fn at(&self, name: &[u8]) -> ByteBuf {
        cursor(
            NAME,
            &if self.range.reverse {
                successor(name)
            } else {
                name.to_vec()
            },
        )
    }

    /// The cursor of a page that begins with what comes after a field.
    fn after(&self, name: &[u8]) -> ByteBuf {
        cursor(
            NAME,
            &if self.range.reverse {
                name.to_vec()
            } else {
                successor(name)
            },
        )
    }

    /// The cursor of a page that goes on within a field of which these rows, where it begins, were
    /// all that could be looked at. `None` if the first of them shows something: then no page can
    /// hold it.
    fn within(&self, done: &ReadDone) -> Option<ByteBuf> {
        let now_ms = self.shown.now_ms;
        let shows = |(key, row): &(&RowKey, &Row)| {
            let is_reset = key.leaf() == Leaf::Share && !shares::is_marked(row);
            !is_reset && row.versions().values().any(|v| !v.is_expired(now_ms))
        };
        let mut showing = done.rows.iter().filter(shows);
        let (first, is_ahead) = if self.range.reverse {
            let first = showing
                .next_back()
                .map(|(key, _)| successor(key.as_bytes()));
            let first = first.or_else(|| done.until.as_ref().map(|until| until.to_vec()))?;
            let is_ahead = first[..] < self.range.to[..];
            (first, is_ahead)
        } else {
            let first = showing.next().map(|(key, _)| key.as_bytes().to_vec());
            let first = first.or_else(|| done.until.as_ref().map(|until| successor(until)))?;
            let is_ahead = first[..] > self.range.from[..];
            (first, is_ahead)
        };
        is_ahead.then(|| cursor(ROW, &first))
    }
}

impl Desk {
    /// The answer to a question for fields.
    pub(super) fn fields(
        &self,
        page: &Fields,
        done: Result<ReadDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let mut done = done.map_err(|failed| failure::of_order(failed, Work::Read))?;
        let mut next = None;
        let cut = page.cut(&done)?;
        let alone = cut.as_ref().filter(|name| page.begins_in(name));
        let within = alone.and_then(|_| page.within(&done));
        if let (None, Some(name)) = (alone, &cut) {
            done.rows
                .retain(|row, _| page.name(row).as_ref() != Some(name));
            next = Some(page.at(name));
        }
        let State::Map(mut found) = state(page.shown, &done.rows)? else {
            return Err(failure::unshowable("a map is shown as something else"));
        };
        if let Some(name) = alone {
            if page.is_counted && !found.is_empty() {
                next = Some(page.after(name));
            } else {
                next = Some(within.ok_or_else(|| failure::field_too_large_to_scan(name))?);
                found.clear();
            }
        }
        if page.range.reverse {
            found.reverse();
        }
        let mut names = 0;
        let mut fields = Vec::with_capacity(found.len());
        let mut last: Option<ByteBuf> = None;
        for field in found {
            if last.as_ref() != Some(&field.name) {
                if names == page.limit {
                    next = last.map(|last| page.after(&last));
                    break;
                }
                names += 1;
                last = Some(field.name.clone());
            }
            fields.push(field);
        }
        Ok(Response::Read(ReadResponse {
            state: if page.is_counted {
                State::Number(i64::try_from(names).ok())
            } else {
                State::Map(fields)
            },
            context: ByteBuf::new(),
            answered: done.answered,
            next,
        }))
    }
}

/// The rows that a page of fields looks at.
///
/// # Errors
/// When its cursor is none.
pub(super) fn range(key: &KeyPrefix, path: &Path, page: &Page) -> Result<Range, Failure> {
    let at = |name: &[u8]| key.fields_from(path, name);
    let from = page.from.as_ref().map_or_else(|| at(b""), |name| at(name));
    let end = || key.field_range(path).1;
    let to = page.to.as_ref().map_or_else(end, |name| at(name));
    let begins = match page.cursor.as_ref().map(|cursor| &cursor[..]) {
        None => None,
        Some([NAME, name @ ..]) => Some(at(name)),
        Some([ROW, row @ ..]) => Some(row.to_vec()),
        Some(_) => return Err(failure::bad_request(&BAD_CURSOR)),
    };
    let (from, to) = match (begins, page.reverse) {
        (None, _) => (from, to),
        (Some(begins), false) => (from.max(begins), to),
        (Some(begins), true) => (from, to.min(begins)),
    };
    Ok(Range {
        from: ByteBuf::from(from),
        to: ByteBuf::from(to),
        reverse: page.reverse,
        // One more, which tells a page that ends with its last field from one that cuts it.
        limit: Some(page.limit.max(ROWS) + 1),
    })
}

fn cursor(mark: u8, place: &[u8]) -> ByteBuf {
    ByteBuf::from([&[mark], place].concat())
}

/// Rows that a page of few fields looks at: a field of more is not shown in a page.
const ROWS: u32 = 4_096;
const NAME: u8 = 0;
const ROW: u8 = 1;
const BAD_CURSOR: &str = "the cursor is none of a page of fields; nothing was read: begin anew";
