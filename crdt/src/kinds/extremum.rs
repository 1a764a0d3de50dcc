//! `max` and `min`: a number that only grows, or only shrinks.
//!
//! Concurrent versions are joined when reading, and folded by the next writer. A raise that would
//! change nothing here is not written at all.
//!
//! | concurrent | gives |
//! |---|---|
//! | raise a, raise b | the greater |
//! | raise a, remove | a: a removal takes only what it saw |
//! | lower a, lower b | the smaller |
//! | raise a that changes nothing here, remove | nothing: that raise was never an event |
//!
//! ```text
//!   body   u8 format = 1 | zigzag varint value
//! ```

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::kinds::Edit;
use crate::kinds::rules::{Rows, Rules, Said, Twice, Unmade, Update};
use crate::row::Row;

/// The greatest number that was offered.
pub const MAX: Rules = Rules {
    make: |row, update| match update {
        Update::Offer(to) => Ok(raise(row, *to)?),
        _ => Err(Unmade::NotOfKind),
    },
    body: Some(|row| said(max(row)?)),
    ..Rules::new("max", Rows::One, Twice::Folds)
};

/// The smallest number that was offered.
pub const MIN: Rules = Rules {
    make: |row, update| match update {
        Update::Offer(to) => Ok(lower(row, *to)?),
        _ => Err(Unmade::NotOfKind),
    },
    body: Some(|row| said(min(row)?)),
    ..Rules::new("min", Rows::One, Twice::Folds)
};

/// Raises a maximum to at least `to`. `None` if it is there already.
///
/// # Errors
/// When a body is not an encoded number.
pub fn raise(row: &Row, to: i64) -> Result<Option<Edit>, DecodeError> {
    extend(row, to, i64::max)
}

/// Lowers a minimum to at most `to`. `None` if it is there already.
///
/// # Errors
/// When a body is not an encoded number.
pub fn lower(row: &Row, to: i64) -> Result<Option<Edit>, DecodeError> {
    extend(row, to, i64::min)
}

/// The greatest number of a joined row. `None` if nothing was ever raised, or all was removed.
///
/// # Errors
/// When a body is not an encoded number.
pub fn max(row: &Row) -> Result<Option<i64>, DecodeError> {
    joined(row, i64::max)
}

/// The smallest number of a joined row. `None` if nothing was ever lowered, or all was removed.
///
/// # Errors
/// When a body is not an encoded number.
pub fn min(row: &Row) -> Result<Option<i64>, DecodeError> {
    joined(row, i64::min)
}

/// Removes what is seen here.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::remove(row)
}

type Choice = fn(i64, i64) -> i64;

fn extend(row: &Row, to: i64, choose: Choice) -> Result<Option<Edit>, DecodeError> {
    let held = joined(row, choose)?;
    let next = held.map_or(to, |held| choose(held, to));
    Ok((held != Some(next)).then(|| Edit::put(row, encode(next))))
}

fn joined(row: &Row, choose: Choice) -> Result<Option<i64>, DecodeError> {
    row.versions().values().try_fold(None, |held, version| {
        let number = decode(&version.body)?;
        Ok(Some(held.map_or(number, |held| choose(held, number))))
    })
}

fn said(number: Option<i64>) -> Said {
    Ok(number.unwrap_or_default().to_string())
}

fn encode(number: i64) -> Bytes {
    let mut encoder = Encoder::with_capacity(11);
    encoder.u8(FORMAT);
    encoder.signed(i128::from(number));
    encoder.finish().into()
}

fn decode(bytes: &[u8]) -> Result<i64, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    match decoder.u8("extremum's format")? {
        FORMAT => {}
        found => {
            return Err(DecodeError::UnknownFormat {
                field: "extremum",
                found,
            });
        }
    }
    let field = "extremum's value";
    let wide = decoder.signed(field)?;
    decoder.finish()?;
    i64::try_from(wide).map_err(|_too_wide| DecodeError::Invalid { field })
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{decode, encode, lower, max, min, raise};
    use crate::{Actor, Context, Dot, Hlc, Row, Version};

    /// A row with the numbers as concurrent versions.
    fn holding(numbers: &[i64]) -> Row {
        let mut row = Row::default();
        for (node, &number) in (1..).zip(numbers) {
            let dot = Dot::new(Actor { node, nonce: 0 }, 1);
            let version = Version::new(Hlc::at(0), None, encode(number));
            row.join(&Row::write(dot, version, Context::default()));
        }
        row
    }

    proptest! {
        #[test]
        fn readers_see_the_extremes(numbers in vec(any::<i64>(), 0..6)) {
            let row = holding(&numbers);
            prop_assert_eq!(max(&row).unwrap(), numbers.iter().copied().max());
            prop_assert_eq!(min(&row).unwrap(), numbers.iter().copied().min());
        }

        #[test]
        fn what_changes_nothing_is_not_written(numbers in vec(-9_i64..9, 0..4), to in -9_i64..9) {
            let row = holding(&numbers);
            let grows = numbers.iter().all(|&number| number < to);
            let shrinks = numbers.iter().all(|&number| number > to);
            prop_assert_eq!(raise(&row, to).unwrap().is_some(), grows);
            prop_assert_eq!(lower(&row, to).unwrap().is_some(), shrinks);
        }

        #[test]
        fn any_bytes_give_a_number_in_its_one_form_or_an_error(bytes in vec(any::<u8>(), 0..13)) {
            if let Ok(number) = decode(&bytes) {
                prop_assert_eq!(encode(number), bytes);
            }
        }

        #[test]
        fn what_is_written_is_read(number in any::<i64>()) {
            prop_assert_eq!(decode(&encode(number)), Ok(number));
        }
    }

    #[test]
    fn the_bytes_of_format_1_stay() {
        assert_eq!(&encode(-2)[..], [1, 3]);
        assert_eq!(&encode(64)[..], [1, 0x80, 1]);
    }

    #[test]
    fn a_body_that_is_no_number_is_an_error() {
        assert!(decode(&[2, 0]).is_err() && decode(&[1]).is_err() && decode(&[1, 0, 0]).is_err());
    }
}
