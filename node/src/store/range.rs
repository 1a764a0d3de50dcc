//! A stretch of keys to scan: from a first key, which is included, to an end, which is not.
//!
//! Keys are compared as unsigned bytes, shorter first, in both engines.

use std::borrow::Cow;

/// The keys `from <= key < to`; without `to`, all keys from `from` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange<'a> {
    from: &'a [u8],
    to: Option<Cow<'a, [u8]>>,
}

impl<'a> KeyRange<'a> {
    /// Every key of the table.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            from: &[],
            to: None,
        }
    }

    /// The keys from `from` on, to the end of the table.
    #[must_use]
    pub const fn starting_at(from: &'a [u8]) -> Self {
        Self { from, to: None }
    }

    /// The keys `from <= key < to`; none when `to <= from`.
    #[must_use]
    pub const fn between(from: &'a [u8], to: &'a [u8]) -> Self {
        Self {
            from,
            to: Some(Cow::Borrowed(to)),
        }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &'a [u8]) -> Self {
        Self {
            from: prefix,
            to: prefix_end(prefix).map(Cow::Owned),
        }
    }

    /// The first key that may be in the range.
    #[must_use]
    pub const fn from(&self) -> &'a [u8] {
        self.from
    }

    /// The first key behind the range, if it has an end.
    #[must_use]
    pub fn to(&self) -> Option<&[u8]> {
        self.to.as_deref()
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to().is_some_and(|to| to <= self.from)
    }
}

/// The first key behind every key that begins with `prefix`, or none if such keys reach to the
/// end of the table (an empty prefix, or one of only `0xff`).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let (index, last) = prefix
        .iter()
        .enumerate()
        .rev()
        .find(|(_, byte)| **byte != u8::MAX)?;
    let mut end = prefix.get(..index)?.to_vec();
    end.push(last.saturating_add(1));
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::{KeyRange, prefix_end};

    #[test]
    fn prefix_ends_behind_every_key_that_begins_with_it() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(&[7, 0xff, 0xff]), Some(vec![8]));
        assert_eq!(prefix_end(&[0xff, 0xff]), None);
        assert_eq!(prefix_end(b""), None);
    }

    #[test]
    fn ranges_that_end_before_they_begin_are_empty() {
        assert!(KeyRange::between(b"b", b"a").is_empty());
        assert!(KeyRange::between(b"a", b"a").is_empty());
        assert!(!KeyRange::between(b"", b"a").is_empty());
        assert!(!KeyRange::all().is_empty());
    }
}
