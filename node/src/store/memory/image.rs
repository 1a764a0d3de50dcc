//! The file of a memory engine's checkpoint.
//!
//! ```text
//! magic "starmem" | version u8 = 1
//! per row         | table u8 | key length u32 LE | value length u32 LE | key | value
//! at the end      | 0xff     | xxh3_64 of everything before these eight bytes, u64 LE
//! ```
//!
//! Rows stand in order of table and key. Decoding is total: any other bytes are an error, and
//! nothing is allocated for a length that the file does not have.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::Rows;
use crate::store::error::StoreError;
use crate::store::table::Table;

/// Why bytes are not an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageError {
    /// They end early, their checksum is wrong, or a table does not exist.
    Damaged(&'static str),
    /// Their version is not known here.
    Version(u8),
}

impl ImageError {
    /// The same for the caller of the engine.
    pub(super) fn at(self, database: &Path, file: &Path) -> StoreError {
        let (database, file) = (database.to_path_buf(), file.to_path_buf());
        match self {
            Self::Damaged(detail) => StoreError::Corruption {
                database,
                file,
                detail: detail.to_owned(),
            },
            Self::Version(version) => StoreError::NewerFormat {
                database,
                detail: format!("image version {version}"),
            },
        }
    }
}

/// The tables as one file.
pub(super) fn encode(tables: &[Arc<Rows>; Table::COUNT]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    for (index, rows) in (0_u8..).zip(tables) {
        for (key, value) in rows.iter() {
            bytes.push(index);
            // Keys and values are limited to a few MiB far above this engine; the length of a
            // longer one would not match its bytes, and decoding would refuse the file.
            for part in [key, value] {
                let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
                bytes.extend_from_slice(&length.to_le_bytes());
            }
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
    }
    bytes.push(END);
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The tables in a file.
pub(super) fn decode(bytes: &[u8]) -> Result<[Rows; Table::COUNT], ImageError> {
    const SHORT: ImageError = ImageError::Damaged("the file ends early");
    let (body, checksum) = bytes.split_last_chunk::<8>().ok_or(SHORT)?;
    let mut rest = body
        .strip_prefix(MAGIC)
        .ok_or(ImageError::Damaged("not an image"))?;
    let version = *rest.split_off_first().ok_or(SHORT)?;
    if version != VERSION {
        return Err(ImageError::Version(version));
    }
    if xxh3_64(body) != u64::from_le_bytes(*checksum) {
        return Err(ImageError::Damaged("the checksum is wrong"));
    }
    let mut tables: [Rows; Table::COUNT] = [const { BTreeMap::new() }; Table::COUNT];
    loop {
        let table = *rest.split_off_first().ok_or(SHORT)?;
        if table == END && rest.is_empty() {
            return Ok(tables);
        }
        let rows = tables
            .get_mut(usize::from(table))
            .ok_or(ImageError::Damaged("a row of an unknown table"))?;
        let key_length = take_length(&mut rest).ok_or(SHORT)?;
        let value_length = take_length(&mut rest).ok_or(SHORT)?;
        let key = rest.split_off(..key_length).ok_or(SHORT)?;
        let value = rest.split_off(..value_length).ok_or(SHORT)?;
        rows.insert(key.to_vec(), value.to_vec());
    }
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

const MAGIC: &[u8] = b"starmem";
const VERSION: u8 = 1;
const END: u8 = 0xff;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ImageError, Rows, Table, decode, encode};

    fn tables() -> [Arc<Rows>; Table::COUNT] {
        let mut tables: [Rows; Table::COUNT] = Default::default();
        tables[Table::Data.index()].insert(b"k".to_vec(), b"value".to_vec());
        tables[Table::Meta.index()].insert(Vec::new(), Vec::new());
        tables.map(Arc::new)
    }

    #[test]
    fn images_have_these_bytes() {
        let expected = b"starmem\x01\
            \x00\x01\x00\x00\x00\x05\x00\x00\x00kvalue\
            \x04\x00\x00\x00\x00\x00\x00\x00\x00\
            \xff";
        let bytes = encode(&tables());
        assert_eq!(
            bytes.split_last_chunk::<8>().map(|(body, _)| body),
            Some(&expected[..])
        );
    }

    #[test]
    fn decoding_undoes_encoding() {
        let tables = tables();
        let decoded = decode(&encode(&tables)).expect("bytes just encoded");
        assert_eq!(decoded.map(Arc::new), tables);
    }

    #[test]
    fn damaged_images_are_refused() {
        let bytes = encode(&tables());
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x10;
            assert!(decode(&flipped).is_err(), "flipped byte {index}");
            assert!(decode(&bytes[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn newer_images_are_told_from_damaged_ones() {
        let mut bytes = encode(&tables());
        bytes[7] = 2;
        assert_eq!(decode(&bytes), Err(ImageError::Version(2)));
    }
}
