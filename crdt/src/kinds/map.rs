//! `map`: fields of any kind, nested, as rows whose keys carry the path to them.
//!
//! A map has no row of its own. A field is there while any row under its path has a version, so
//! adding a field costs what the field's first write costs, and nothing is read or locked above.
//! What follows a key's prefix in the key of a row is its *suffix*:
//!
//! ```text
//!   suffix   each step: 0x20 name 0x00 0x01 | u8 leaf | part
//!   name     its bytes, each 0x00 written as 0x00 0xff
//!
//!   ""        value            00
//!   "a"       max              20 'a' 00 01  04
//!   "a"."b"   element "x"      20 'a' 00 01  20 'b' 00 01  02 'x'
//! ```
//!
//! Codes of leaves are below 0x20 and a path of no steps adds nothing, so a key that is no map is
//! the map's root: its rows are keyed as if there were no maps. The rows of one field stand
//! together, its own leaves before the fields below it, and fields stand in the byte order of their
//! names.
//!
//! A field is known by its name *and* its leaf: "x" as a counter and "x" as a set are two fields
//! that live side by side. Two clients that disagree on a field's kind lose nothing, and each reads
//! what it wrote.
//!
//! | concurrent | gives |
//! |---|---|
//! | write x, write y (two fields) | both |
//! | write x as a counter, write x as a set | both, as two fields |
//! | write x, write x | as the field's kind says |
//! | remove x, write x or something below it | the write: a removal takes only what it saw |
//! | remove x (a counter), increment x | the increment alone: a removal resets what it saw |
//!
//! Source: reset-remove maps of *Riak Data Types* and of Almeida et al. (JPDC'18), with the path in
//! the row's key as *Big(ger) Sets* (PaPoC'16) does for elements.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder};
use crate::kinds::counter::Share;
use crate::kinds::{Edit, Leaf};
use crate::row::Row;

/// The byte before each name of a path. Codes of leaves are below it.
pub const STEP: u8 = 0x20;

/// How many steps a path may have.
pub const MAX_DEPTH: usize = 8;

/// How many bytes the name of a field may have; it has at least one.
pub const MAX_NAME: usize = 255;

/// The names that lead from a key to one of its fields, outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    names: Vec<Bytes>,
}

impl Path {
    /// The path of no steps: the key itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of these names.
    ///
    /// # Errors
    /// When there are more than [`MAX_DEPTH`] of them, or one is empty or over [`MAX_NAME`] bytes.
    pub fn new(names: Vec<Bytes>) -> Result<Self, PathError> {
        if names.len() > MAX_DEPTH {
            return Err(PathError::TooDeep { depth: names.len() });
        }
        match names.iter().find(|name| !is_name(name)) {
            Some(name) => Err(PathError::Name { length: name.len() }),
            None => Ok(Self { names }),
        }
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[Bytes] {
        &self.names
    }

    /// The bytes that the suffixes of the field and of all below it begin with.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        let length: usize = self.names.iter().map(|name| name.len() + 3).sum();
        let mut prefix = Vec::with_capacity(length + 1);
        for name in &self.names {
            prefix.push(STEP);
            escape(name, &mut prefix);
            prefix.extend([ZERO, END]);
        }
        prefix
    }

    /// How many bytes of the [prefix](Self::prefix) the first step takes, the first two, and so on.
    pub fn ends(&self) -> impl Iterator<Item = usize> {
        self.names.iter().scan(0, |end, name| {
            let zeros = name.iter().filter(|&&byte| byte == ZERO).count();
            *end += name.len() + zeros + 3;
            Some(*end)
        })
    }
}

/// Why names are no path. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// There are too many steps.
    TooDeep {
        /// How many.
        depth: usize,
    },
    /// A name is empty or too long.
    Name {
        /// How many bytes it has.
        length: usize,
    },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep { depth } => {
                write!(f, "the path has {depth} steps, allowed are {MAX_DEPTH}")
            }
            Self::Name { length } => write!(
                f,
                "a field's name has {length} bytes, allowed are 1 to {MAX_NAME}"
            ),
        }
    }
}

impl Error for PathError {}

/// A suffix taken apart: the field, what kind of row it is, and the row's part.
pub type Suffix<'a> = (Path, Leaf, &'a [u8]);

/// What follows the key's prefix in the key of a row.
///
/// ```
/// use crdt::kinds::Leaf;
/// use crdt::kinds::map::{Path, decode_suffix, encode_suffix};
///
/// let path = Path::new(vec!["tags".into()]).unwrap();
/// let suffix = encode_suffix(&path, Leaf::Element, b"red");
/// assert_eq!(suffix, b"\x20tags\0\x01\x02red");
/// assert_eq!(decode_suffix(&suffix), Ok((path, Leaf::Element, &b"red"[..])));
/// ```
#[must_use]
pub fn encode_suffix(path: &Path, leaf: Leaf, part: &[u8]) -> Vec<u8> {
    let mut suffix = path.prefix();
    suffix.reserve_exact(part.len() + 1);
    suffix.push(leaf.code());
    suffix.extend_from_slice(part);
    suffix
}

/// Takes apart what [`encode_suffix`] wrote. Each suffix has one path, leaf and part, and the other
/// way round.
///
/// # Errors
/// When the bytes are not a suffix: they end early, a name is badly escaped, empty or too long, the
/// path is too deep, or no leaf has the code.
pub fn decode_suffix(bytes: &[u8]) -> Result<Suffix<'_>, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let mut names = Vec::new();
    loop {
        let code = decoder.u8("leaf of a row's key")?;
        if code != STEP {
            let field = "leaf of a row's key";
            let leaf = Leaf::of(code).ok_or(DecodeError::Invalid { field })?;
            return Ok((Path { names }, leaf, decoder.rest()));
        }
        if names.len() == MAX_DEPTH {
            return Err(DecodeError::Invalid {
                field: "depth of a row's path",
            });
        }
        names.push(decode_name(&mut decoder)?);
    }
}

/// The suffixes of everything at a path and below it: from the first, included, to the second,
/// excluded.
#[must_use]
pub fn range(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let from = path.prefix();
    let mut to = from.clone();
    to.push(STEP + 1);
    (from, to)
}

/// What the suffixes of those fields of the map at a path begin at whose names are not before
/// `name`, which may be any bytes.
#[must_use]
pub fn fields_from(path: &Path, name: &[u8]) -> Vec<u8> {
    let mut from = path.prefix();
    from.push(STEP);
    escape(name, &mut from);
    from
}

/// The suffixes of the rows of one leaf of a field, as [`range`]: the fields below it are left out.
#[must_use]
pub fn leaf_range(path: &Path, leaf: Leaf) -> (Vec<u8>, Vec<u8>) {
    let mut from = path.prefix();
    let mut to = from.clone();
    from.push(leaf.code());
    to.push(leaf.code() + 1);
    (from, to)
}

/// What the removal of a field, or of a key, writes into one of its rows. `None` for nothing.
///
/// A counter's share is reset as observed and stays until its actor removes it: only that one
/// knows all of its increments, and any other might come late with a running total that brings the
/// old ones back. Every other row loses the versions that are seen here.
///
/// A bounded counter is not for removal while nodes spend: what was spent beside the removal stays
/// as a debt of that node, which its next additions pay first.
///
/// # Errors
/// When a body is not what the leaf says.
pub fn erase(leaf: Leaf, row: &Row) -> Result<Option<Edit>, DecodeError> {
    let edit = if leaf == Leaf::Share {
        let before = Share::of(row)?;
        let mut share = before.clone();
        share.reset();
        (share != before).then(|| Edit::put(row, share.encode()))
    } else {
        Some(Edit::remove(row)).filter(|edit| !edit.is_empty())
    };
    Ok(edit)
}

fn is_name(name: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&name.len())
}

fn escape(name: &[u8], into: &mut Vec<u8>) {
    for &byte in name {
        into.push(byte);
        if byte == ZERO {
            into.push(ESCAPED);
        }
    }
}

fn decode_name(decoder: &mut Decoder<'_>) -> Result<Bytes, DecodeError> {
    let field = "name of a field";
    let mut name = Vec::new();
    loop {
        let byte = decoder.u8(field)?;
        if byte == ZERO {
            match decoder.u8(field)? {
                ESCAPED => {}
                END if is_name(&name) => return Ok(name.into()),
                _ => return Err(DecodeError::Invalid { field }),
            }
        }
        if name.len() == MAX_NAME {
            return Err(DecodeError::Invalid { field });
        }
        name.push(byte);
    }
}

const ZERO: u8 = 0;
const ESCAPED: u8 = 0xff;
const END: u8 = 1;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;

    use super::{MAX_DEPTH, MAX_NAME, Path, PathError, decode_suffix, encode_suffix};
    use super::{fields_from, leaf_range, range};
    use crate::kinds::Leaf;

    /// Bytes near the marks, so that escapes, ends and steps meet.
    fn bytes(from: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(
            select(vec![0_u8, 1, 2, 0x20, 0x21, b'a', 0xfe, 0xff]),
            from..5,
        )
    }

    fn paths() -> impl Strategy<Value = Path> {
        vec(bytes(1).prop_map(Bytes::from), 0..4).prop_map(|names| Path::new(names).unwrap())
    }

    fn leaves() -> impl Strategy<Value = Leaf> {
        select(Leaf::ALL.to_vec())
    }

    fn lies_in(suffix: &[u8], range: &(Vec<u8>, Vec<u8>)) -> bool {
        suffix >= &range.0[..] && suffix < &range.1[..]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(path in paths(), leaf in leaves(), part in bytes(0)) {
            let suffix = encode_suffix(&path, leaf, &part);
            prop_assert_eq!(decode_suffix(&suffix), Ok((path, leaf, &part[..])));
        }

        #[test]
        fn any_bytes_are_one_suffix_or_an_error(
            bytes in vec(any::<u8>(), 0..40), near in bytes(0),
        ) {
            for bytes in [bytes, near] {
                if let Ok((path, leaf, part)) = decode_suffix(&bytes) {
                    prop_assert_eq!(encode_suffix(&path, leaf, part), bytes);
                }
            }
        }

        #[test]
        fn a_range_holds_the_field_and_what_is_below_and_nothing_else(
            path in paths(), other in paths(), leaf in leaves(), part in bytes(0),
        ) {
            let suffix = encode_suffix(&other, leaf, &part);
            let below = other.names().starts_with(path.names());
            prop_assert_eq!(lies_in(&suffix, &range(&path)), below);
            for asked in Leaf::ALL {
                let own = lies_in(&suffix, &leaf_range(&path, asked));
                prop_assert_eq!(own, other == path && asked == leaf);
            }
        }

        #[test]
        fn fields_from_a_name_on_are_those_whose_names_are_not_before_it(
            path in paths(), name in bytes(1), other in bytes(0), leaf in leaves(), deep in paths(),
        ) {
            let mut names = path.names().to_vec();
            names.push(name.clone().into());
            names.extend(deep.names().iter().take(2).cloned());
            let suffix = encode_suffix(&Path::new(names).unwrap(), leaf, b"x");
            let from = fields_from(&path, &other);
            prop_assert_eq!(suffix >= from, name >= other);
            prop_assert!(encode_suffix(&path, leaf, b"x") < fields_from(&path, b""));
        }

        #[test]
        fn suffixes_stand_in_the_order_of_names(
            a in paths(), b in paths(), leaf in leaves(), part in bytes(0),
        ) {
            let suffix = |path| encode_suffix(path, leaf, &part);
            prop_assert_eq!(suffix(&a).cmp(&suffix(&b)), a.cmp(&b));
            prop_assert!(a != b || suffix(&a) == suffix(&b));
        }
    }

    #[test]
    fn a_path_of_no_steps_is_the_plain_kind() {
        let suffix = encode_suffix(&Path::root(), Leaf::Element, b"e");
        assert_eq!(suffix, [&[2][..], b"e"].concat());
    }

    #[test]
    fn limits_hold_when_made_and_when_read() {
        let deep = |depth| Path::new(vec!["a".into(); depth]);
        let named = |length| Path::new(vec![vec![7; length].into()]);
        let depth = MAX_DEPTH + 1;
        assert_eq!(deep(depth), Err(PathError::TooDeep { depth }));
        for length in [0, MAX_NAME + 1] {
            assert_eq!(named(length), Err(PathError::Name { length }));
        }
        for path in [deep(MAX_DEPTH).unwrap(), named(MAX_NAME).unwrap()] {
            let suffix = encode_suffix(&path, Leaf::Max, b"");
            assert!(decode_suffix(&suffix).is_ok());
        }
        let too_deep = [&b"\x20a\0\x01".repeat(depth)[..], &[0]].concat();
        let too_long = [&b"\x20"[..], &[7; MAX_NAME + 1], b"\0\x01\0"].concat();
        for bytes in [
            &too_deep[..],
            &too_long,
            b"\x20\0\x01\0",
            b"\x20a\0\x02\0",
            b"",
        ] {
            assert!(decode_suffix(bytes).is_err());
        }
    }
}
