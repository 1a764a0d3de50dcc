//! How large things may be, checked by client and node alike.
//!
//! The client checks before it sends, so that a mistake costs no round trip; the node checks
//! again, because it believes nobody. Beyond a limit the request is refused whole.

use serde_bytes::ByteBuf;
use thiserror::Error;

use super::{Edit, Key, Mutation, Page, WriteRequest};

/// Largest key in bytes, partition key and sort key together: 4 KiB.
pub const MAX_KEY: usize = 4 * 1024;
/// Largest value in bytes: 1 MiB.
pub const MAX_VALUE: usize = 1024 * 1024;
/// Largest element of a set in bytes: 4 KiB.
pub const MAX_ELEMENT: usize = 4 * 1024;
/// Most elements in one request: 1,000.
pub const MAX_ELEMENTS: usize = 1_000;
/// Most keys in one write: 1,000.
pub const MAX_ITEMS: usize = 1_000;
/// Most changes of one key in one write: 1,000.
pub const MAX_EDITS: usize = 1_000;
/// Most steps that lead to a field of a map: 8.
pub const MAX_DEPTH: usize = 8;
/// Longest name of a field in bytes: 255.
pub const MAX_FIELD_NAME: usize = 255;
/// Most entries of one page: 10,000.
pub const MAX_PAGE: u32 = 10_000;
/// Longest bucket name in bytes: 255.
pub const MAX_BUCKET_NAME: usize = 255;
/// Largest context token in bytes: 64 KiB.
pub const MAX_CONTEXT: usize = 64 * 1024;
/// Largest encoded message in bytes: 8 MiB, the transport's default frame.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// Something is over its limit, or out of its alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitError {
    /// A key, value, element, context or count is too large.
    #[error("{what} of {size} exceeds the limit of {limit}; nothing was written: make it smaller")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The partition key is empty, so nothing says where the key belongs.
    #[error("the partition key is empty; nothing was sent: a key needs at least one byte")]
    EmptyKey,
    /// There is no element in the request.
    #[error("the request names no element; nothing was sent: add or remove at least one")]
    NoElements,
    /// A write names no key, or a key without a change.
    #[error("the write changes nothing; nothing was sent: give it at least one change")]
    NoChange,
    /// Two items of a write are one key.
    #[error("the write names a key twice; nothing was sent: put all changes of a key together")]
    RepeatedKey,
    /// The name of a map's field is empty.
    #[error("the name of a field is empty; nothing was sent: a name has 1 to 255 bytes")]
    EmptyName,
    /// A page is asked to have no entries.
    #[error("a page of no entries says nothing; nothing was read: ask for at least one")]
    EmptyPage,
    /// A bucket's name breaks the rules of [`validate_bucket_name`].
    #[error(
        "a bucket's name is 1 to 255 bytes of letters, digits, '.', '_' and '-'; nothing was \
         sent: choose another name"
    )]
    BucketName,
}

/// Checks that a bucket's name is 1 to 255 bytes of ASCII letters, digits, `.`, `_`, `-`.
///
/// # Errors
/// If it is not.
pub fn validate_bucket_name(name: &str) -> Result<(), LimitError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = !name.is_empty() && name.len() <= MAX_BUCKET_NAME && name.bytes().all(plain);
    if fits {
        Ok(())
    } else {
        Err(LimitError::BucketName)
    }
}

impl Key {
    /// Checks the key's size.
    ///
    /// # Errors
    /// If the partition key is empty, or both parts together are over [`MAX_KEY`].
    pub fn check(&self) -> Result<(), LimitError> {
        if self.partition.is_empty() {
            return Err(LimitError::EmptyKey);
        }
        let size = self.partition.len().saturating_add(self.sort.len());
        at_most("a key in bytes", size, MAX_KEY)
    }
}

impl Mutation {
    /// Checks the sizes of what is to be written.
    ///
    /// # Errors
    /// If the value or an element is too large, or there are too many elements or none.
    pub fn check(&self) -> Result<(), LimitError> {
        match self {
            Self::Put(value) => at_most("a value in bytes", value.len(), MAX_VALUE),
            Self::Delete | Self::Increment(_) | Self::Offer(_) | Self::Switch(_) => Ok(()),
            Self::Add(elements) | Self::Remove(elements) => check_elements(elements),
            Self::Insert {
                after,
                before,
                items,
            } => {
                let mut ends = [after, before].into_iter().flatten();
                ends.try_for_each(|position| check_element(position))?;
                check_elements(items)
            }
        }
    }
}

impl Edit {
    /// Checks the path and the mutation.
    ///
    /// # Errors
    /// If the path is too deep, a name empty or too long, or the mutation too large.
    pub fn check(&self) -> Result<(), LimitError> {
        check_path(&self.path)?;
        self.mutation.check()
    }
}

impl WriteRequest {
    /// Checks the sizes of all that is to be written.
    ///
    /// # Errors
    /// If anything is over its limit, missing or named twice.
    pub fn check(&self) -> Result<(), LimitError> {
        at_most("a number of keys", self.items.len(), MAX_ITEMS)?;
        if self.items.is_empty() || self.items.iter().any(|item| item.edits.is_empty()) {
            return Err(LimitError::NoChange);
        }
        let mut sorts = std::collections::BTreeSet::new();
        for item in &self.items {
            let key = Key {
                partition: self.partition.clone(),
                sort: item.sort.clone(),
            };
            key.check()?;
            if !sorts.insert(&item.sort) {
                return Err(LimitError::RepeatedKey);
            }
            at_most("a number of changes", item.edits.len(), MAX_EDITS)?;
            item.edits.iter().try_for_each(Edit::check)?;
            check_context(&item.context)?;
        }
        Ok(())
    }
}

impl Page {
    /// Checks the page's limit and the sizes of its ends.
    ///
    /// # Errors
    /// If it asks for no entries, or something is too large.
    pub fn check(&self) -> Result<(), LimitError> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let most = usize::try_from(MAX_PAGE).unwrap_or(usize::MAX);
        at_most("a number of entries", limit, most)?;
        let mut ends = [&self.from, &self.to, &self.cursor].into_iter().flatten();
        ends.try_for_each(|end| at_most("the end of a page in bytes", end.len(), 4 * MAX_KEY))?;
        if limit == 0 {
            Err(LimitError::EmptyPage)
        } else {
            Ok(())
        }
    }
}

/// Checks the path to a field of a map.
///
/// # Errors
/// If it is deeper than [`MAX_DEPTH`], or a name is empty or longer than [`MAX_FIELD_NAME`].
pub fn check_path(path: &[ByteBuf]) -> Result<(), LimitError> {
    at_most("a number of steps to a field", path.len(), MAX_DEPTH)?;
    for name in path {
        if name.is_empty() {
            return Err(LimitError::EmptyName);
        }
        at_most("the name of a field in bytes", name.len(), MAX_FIELD_NAME)?;
    }
    Ok(())
}

fn check_elements(elements: &[ByteBuf]) -> Result<(), LimitError> {
    if elements.is_empty() {
        return Err(LimitError::NoElements);
    }
    at_most("a number of elements", elements.len(), MAX_ELEMENTS)?;
    let mut elements = elements.iter();
    elements.try_for_each(|element| check_element(element))
}

/// Checks one element of a set.
///
/// # Errors
/// If it is over [`MAX_ELEMENT`].
pub fn check_element(element: &[u8]) -> Result<(), LimitError> {
    at_most("an element in bytes", element.len(), MAX_ELEMENT)
}

/// Checks a context token's size; whose it is, only a node can tell.
///
/// # Errors
/// If it is over [`MAX_CONTEXT`].
pub fn check_context(token: &[u8]) -> Result<(), LimitError> {
    at_most("a context token in bytes", token.len(), MAX_CONTEXT)
}

pub(super) fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), LimitError> {
    if size <= limit {
        Ok(())
    } else {
        Err(LimitError::TooLarge { what, size, limit })
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{
        Edit, Key, LimitError, MAX_DEPTH, MAX_EDITS, MAX_ELEMENTS, MAX_FIELD_NAME, MAX_ITEMS,
        MAX_KEY, MAX_PAGE, MAX_VALUE, Mutation, Page, WriteRequest, check_path,
        validate_bucket_name,
    };
    use crate::wire::{Kind, OperationId, WriteItem};

    fn item(sort: usize, edits: usize) -> WriteItem {
        WriteItem {
            sort: ByteBuf::from(sort.to_string()),
            edits: vec![Edit::of_key(Kind::Value, Mutation::Delete); edits],
            context: ByteBuf::new(),
            only_if_current: false,
        }
    }

    fn write(items: Vec<WriteItem>) -> WriteRequest {
        let operation = OperationId {
            client: (0, 0),
            sequence: 0,
        };
        WriteRequest {
            bucket: "b".to_owned(),
            partition: ByteBuf::from(b"p"),
            items,
            operation,
            age_ms: 0,
            ttl_ms: None,
            w: None,
            durability: None,
            return_value: false,
            timeout_ms: 1,
            sloppy: None,
            pw: None,
        }
    }

    #[test]
    fn a_bucket_name_is_short_and_plain() {
        for name in ["a", "words.2026_en-GB", &"x".repeat(255)] {
            assert_eq!(validate_bucket_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a/b", "größe", "a\0", &"x".repeat(256)] {
            assert_eq!(
                validate_bucket_name(name),
                Err(LimitError::BucketName),
                "{name}"
            );
        }
    }

    #[test]
    fn a_key_is_measured_over_both_parts() {
        let key = |partition, sort| Key {
            partition: ByteBuf::from(vec![1; partition]),
            sort: ByteBuf::from(vec![1; sort]),
        };
        assert_eq!(key(1, MAX_KEY - 1).check(), Ok(()));
        assert!(matches!(
            key(1, MAX_KEY).check(),
            Err(LimitError::TooLarge { .. })
        ));
        assert_eq!(key(0, 1).check(), Err(LimitError::EmptyKey));
    }

    #[test]
    fn a_mutation_is_refused_whole() {
        let elements = |count| Mutation::Add(vec![ByteBuf::from(b"x"); count]);
        assert_eq!(elements(MAX_ELEMENTS).check(), Ok(()));
        assert!(elements(MAX_ELEMENTS + 1).check().is_err());
        assert_eq!(elements(0).check(), Err(LimitError::NoElements));
        let value = |size| Mutation::Put(ByteBuf::from(vec![0; size]));
        assert_eq!(value(MAX_VALUE).check(), Ok(()));
        assert!(value(MAX_VALUE + 1).check().is_err());
    }

    #[test]
    fn a_write_changes_something_and_each_key_once() {
        let items = |count| (0..count).map(|sort| item(sort, 1)).collect();
        assert_eq!(write(items(MAX_ITEMS)).check(), Ok(()));
        assert!(write(items(MAX_ITEMS + 1)).check().is_err());
        for empty in [vec![], vec![item(0, 1), item(1, 0)]] {
            assert_eq!(write(empty).check(), Err(LimitError::NoChange));
        }
        let twice = write(vec![item(0, 1), item(1, 1), item(0, 1)]);
        assert_eq!(twice.check(), Err(LimitError::RepeatedKey));
        assert_eq!(write(vec![item(0, MAX_EDITS)]).check(), Ok(()));
        assert!(write(vec![item(0, MAX_EDITS + 1)]).check().is_err());
    }

    #[test]
    fn a_field_has_a_short_path_of_names() {
        let path = |depth, name| vec![ByteBuf::from(vec![b'n'; name]); depth];
        for fits in [path(0, 1), path(MAX_DEPTH, MAX_FIELD_NAME)] {
            assert_eq!(check_path(&fits), Ok(()));
        }
        assert_eq!(check_path(&path(1, 0)), Err(LimitError::EmptyName));
        for large in [path(MAX_DEPTH + 1, 1), path(1, MAX_FIELD_NAME + 1)] {
            assert!(matches!(
                check_path(&large),
                Err(LimitError::TooLarge { .. })
            ));
        }
    }

    #[test]
    fn a_page_has_some_entries_and_not_too_many() {
        let page = |limit, end| Page {
            limit,
            from: Some(ByteBuf::from(vec![0; end])),
            ..Page::default()
        };
        assert_eq!(page(MAX_PAGE, 4 * MAX_KEY).check(), Ok(()));
        assert_eq!(page(0, 0).check(), Err(LimitError::EmptyPage));
        for large in [page(MAX_PAGE + 1, 0), page(1, 4 * MAX_KEY + 1)] {
            assert!(matches!(large.check(), Err(LimitError::TooLarge { .. })));
        }
    }
}
