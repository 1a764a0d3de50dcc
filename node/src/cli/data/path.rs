//! Paths to the fields of maps: names with dots between, in which any byte can be written.
//!
//! ```text
//!   address.city      the field city of the map address
//!   v1\.0             one field, whose name has a dot in it
//!   \x00\xff          a name of two bytes that are no text
//!   \\ \n \r \t       a backslash, the end of a line, ..
//! ```
//!
//! What is printed can be passed back.

use std::fmt::Write;
use std::str::FromStr;

use crate::cli::exit::UsageError;
use starling::wire::{MAX_DEPTH, MAX_FIELD_NAME};

/// The names that lead to a field, outermost first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    names: Vec<Name>,
}

/// A name is any bytes.
type Name = Vec<u8>;

impl FieldPath {
    /// The names, outermost first.
    pub(crate) fn names(&self) -> &[Name] {
        &self.names
    }

    /// The names of the maps around the field, and its own.
    pub(crate) fn split(&self) -> (&[Name], &[u8]) {
        match self.names.split_last() {
            Some((name, maps)) => (maps, name),
            None => (&[], &[]),
        }
    }
}

impl FromStr for FieldPath {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let wrong = |why: &str| UsageError(format!("{text:?} is no path to a field: {why}"));
        let mut names = vec![Vec::new()];
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c == '.' {
                names.push(Vec::new());
            } else if let Some(name) = names.last_mut() {
                match c {
                    '\\' => name.extend(escaped(&mut rest).map_err(wrong)?),
                    c => name.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                }
            }
        }
        if names.iter().any(Vec::is_empty) {
            return Err(wrong("a name is empty; a dot in a name is written \\."));
        }
        if names.len() > MAX_DEPTH || names.iter().any(|name| name.len() > MAX_FIELD_NAME) {
            let limits = format!("at most {MAX_DEPTH} names of at most {MAX_FIELD_NAME} bytes");
            return Err(wrong(&limits));
        }
        Ok(Self { names })
    }
}

/// A name as a path has it.
pub(crate) fn name_text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for piece in name.utf8_chunks() {
        for c in piece.valid().chars() {
            match c {
                '.' | '\\' => text.extend(['\\', c]),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(hex)),
                c => text.push(c),
            }
        }
        text.extend(piece.invalid().iter().copied().map(hex));
    }
    text
}

/// Names as a path has them.
pub(crate) fn path_text<N: AsRef<[u8]>>(names: &[N]) -> String {
    let names = names.iter().map(|name| name_text(name.as_ref()));
    names.collect::<Vec<_>>().join(".")
}

fn hex(byte: u8) -> String {
    let mut text = String::with_capacity(4);
    // Writing to a string does not fail.
    write!(text, "\\x{byte:02x}").unwrap_or_default();
    text
}

/// The bytes that stand for what follows a backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Result<Vec<u8>, &'static str> {
    let plain = |byte: u8| Ok(vec![byte]);
    match rest.next() {
        Some('n') => plain(b'\n'),
        Some('r') => plain(b'\r'),
        Some('t') => plain(b'\t'),
        Some('x') => {
            let mut digit = || rest.next().and_then(|c| c.to_digit(16));
            let byte = digit().zip(digit()).map(|(high, low)| high * 16 + low);
            let byte = byte.and_then(|byte| u8::try_from(byte).ok());
            byte.map(|byte| vec![byte])
                .ok_or("\\x is followed by two hexadecimal digits")
        }
        Some(c) if !c.is_alphanumeric() => Ok(c.to_string().into_bytes()),
        Some(_) => Err("behind a backslash stands . \\ n r t or xNN"),
        None => Err("it ends with a backslash"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{FieldPath, name_text, path_text};

    fn names(text: &str) -> Vec<Vec<u8>> {
        text.parse::<FieldPath>().unwrap().names().to_vec()
    }

    #[test]
    fn dots_separate_names_and_backslashes_write_any_byte() {
        assert_eq!(names("address.city"), [&b"address"[..], b"city"]);
        assert_eq!(names(r"v1\.0"), [b"v1.0"]);
        assert_eq!(
            names(r"\x00\xff.größe"),
            [&[0, 255][..], "größe".as_bytes()]
        );
        assert_eq!(name_text(b"a.b\\\n\x01\xff"), r"a\.b\\\n\x01\xff");
        for wrong in [
            "",
            "a..b",
            ".a",
            "a.",
            r"a\",
            r"\q",
            r"\x1",
            r"\x1g",
            "a.b.c.d.e.f.g.h.i",
        ] {
            assert!(wrong.parse::<FieldPath>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_passed_back(path in vec(vec(any::<u8>(), 1..6), 1..5)) {
            prop_assert_eq!(names(&path_text(&path)), path);
        }
    }
}
