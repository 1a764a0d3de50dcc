//! `counter`: increments and decrements, with observed reset; one row for each actor.
//!
//! An actor's [`Share`] holds the running total of its own increments, up to the counter of the
//! latest one's dot. A reset copies the total that it observed; what it did not see stays with
//! exactly its own amount. Joined, the greater `upto` wins in each half (the `cum` form of the
//! model).
//!
//! ```text
//!   share of A    added  {upto 9, total 31}      A's increments up to dot A·9 make 31
//!                 reset  {upto 7, total 25}      of which those up to A·7 were reset
//!                 voids  {9: 2}                  A·9 (+2) was a retry that counts elsewhere
//!   value         31 - 25 - 2 = 4
//! ```
//!
//! A retried increment that was applied at two coordinators counts once: all but the smallest dot
//! are *void*. A void is a fact and not an amount taken away, so any replica may record it, twice
//! too, and a reset that covers the increment covers its void by itself, in whatever order they
//! arrive. (The published way lets only the losing actor take the amount out of its own total;
//! that needs rules for actors that are gone and for resets.)
//!
//! *A void waits for its winner.* Whoever records one must first know that the winning dot is on as
//! many replicas as an acknowledged write is. Otherwise a retry that was acknowledged at two is
//! made void for the sake of a winner that only one replica holds, and with that one disk the
//! increment is gone. Both dots count until then.
//!
//! | concurrent | gives |
//! |---|---|
//! | increment a, increment b | a + b |
//! | increment a, reset | a: a reset takes away only what it observed |
//! | reset, reset | both took away what they observed, once |
//! | increment a at two coordinators under one operation id | a, once |
//!
//! Sources: Weidner and Almeida, *An Oblivious Observed-Reset Embeddable Replicated Counter*
//! (PaPoC'22); the pair-wise versions are those of *The problem with embedded CRDT counters and a
//! solution* (PaPoC'16).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dot::Dot;
use crate::operation::OpId;
use crate::row::{Row, Version};

/// A total that is right up to some event of the share's actor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// The dot counter of the latest increment in it; 0 for none.
    pub upto: u64,
    /// The sum.
    pub total: i128,
}

impl Total {
    fn join(&mut self, other: Self) {
        if other.upto > self.upto {
            *self = other;
        }
    }
}

/// What one actor contributes to a counter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    added: Total,
    reset: Total,
    voids: BTreeMap<u64, i64>,
}

impl Share {
    /// Joins the versions of a row. Versions that are not shares are an error of the store.
    ///
    /// # Errors
    /// When a body is not an encoded share.
    pub fn of(row: &Row) -> Result<Self, DecodeError> {
        let mut share = Self::default();
        for version in row.versions().values() {
            share.join(&Self::decode(&version.body)?);
        }
        Ok(share)
    }

    /// The least upper bound of two states of one share.
    pub fn join(&mut self, other: &Self) {
        self.added.join(other.added);
        self.reset.join(other.reset);
        self.voids.extend(&other.voids);
        self.forget_reset_voids();
    }

    /// Adds `amount` under the actor's event `counter`, which is greater than all before.
    pub fn add(&mut self, counter: u64, amount: i64) {
        self.added = Total {
            upto: counter,
            total: self.added.total.saturating_add(i128::from(amount)),
        };
    }

    /// Takes away all that has been added so far.
    pub fn reset(&mut self) {
        self.reset = self.added;
        self.forget_reset_voids();
    }

    /// Records that the increment with dot counter `counter` counts elsewhere.
    pub fn void(&mut self, counter: u64, amount: i64) {
        if counter > self.reset.upto {
            self.voids.insert(counter, amount);
        }
    }

    /// The share's part of the counter's value.
    ///
    /// A void that came before its increment waits for it. The sum saturates at 128 bits, which no
    /// number of 64-bit increments reaches.
    #[must_use]
    pub fn value(&self) -> i128 {
        let here = self.voids.range(..=self.added.upto);
        let voided: i128 = here.map(|(_, &amount)| i128::from(amount)).sum();
        let left = self.added.total.saturating_sub(self.reset.total);
        left.saturating_sub(voided)
    }

    /// The running total of what the actor added.
    #[must_use]
    pub fn added(&self) -> Total {
        self.added
    }

    /// How much of it was reset.
    #[must_use]
    pub fn reset_part(&self) -> Total {
        self.reset
    }

    /// How many increments are void.
    #[must_use]
    pub fn voids(&self) -> usize {
        self.voids.len()
    }

    /// Is the increment with dot counter `counter` already void or reset?
    #[must_use]
    pub fn is_settled(&self, counter: u64) -> bool {
        counter <= self.reset.upto || self.voids.contains_key(&counter)
    }

    /// Canonical bytes: format 1, `added` and `reset` as varint `upto` and zigzag `total`, then the
    /// voids as a count and pairs of gap and zigzag amount.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut encoder = Encoder::with_capacity(32);
        encoder.u8(FORMAT);
        for half in [self.added, self.reset] {
            encoder.varint(half.upto);
            encoder.signed(half.total);
        }
        encoder.varint(self.voids.len() as u64);
        let mut before = 0;
        for (&counter, &amount) in &self.voids {
            encoder.varint(counter - before);
            encoder.signed(i128::from(amount));
            before = counter;
        }
        encoder.finish().into()
    }

    /// Reads what [`Share::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a share.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("share's format")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "share",
                    found,
                });
            }
        }
        let added = decode_total(&mut decoder)?;
        let reset = decode_total(&mut decoder)?;
        if reset.upto > added.upto {
            return Err(DecodeError::Invalid {
                field: "share's reset",
            });
        }
        let mut voids = BTreeMap::new();
        let mut before = 0_u64;
        for _ in 0..decoder.count("voids of a share")? {
            let invalid = DecodeError::Invalid {
                field: "void of a share",
            };
            let gap = decoder.varint("void of a share")?;
            let counter = before.checked_add(gap).ok_or(invalid)?;
            let amount =
                i64::try_from(decoder.signed("void amount")?).map_err(|_too_wide| invalid)?;
            if counter <= before.max(reset.upto) {
                return Err(invalid);
            }
            voids.insert(counter, amount);
            before = counter;
        }
        decoder.finish()?;
        Ok(Self {
            added,
            reset,
            voids,
        })
    }

    fn forget_reset_voids(&mut self) {
        self.voids.retain(|&counter, _| counter > self.reset.upto);
    }
}

fn decode_total(decoder: &mut Decoder<'_>) -> Result<Total, DecodeError> {
    let upto = decoder.varint("share's counter")?;
    let total = decoder.signed("share's total")?;
    if upto == 0 && total != 0 {
        return Err(DecodeError::Invalid {
            field: "share's total",
        });
    }
    Ok(Total { upto, total })
}

/// The value of a counter whose joined rows are `shares`.
///
/// # Errors
/// When a body is not an encoded share.
#[expect(
    single_use_lifetimes,
    reason = "an anonymous lifetime is not allowed here"
)]
pub fn value<'a>(shares: impl IntoIterator<Item = &'a Row>) -> Result<i128, DecodeError> {
    shares.into_iter().try_fold(0, |sum: i128, row| {
        Ok(sum.saturating_add(Share::of(row)?.value()))
    })
}

/// Every dot under which one increment was applied, and its amount: the completion record.
///
/// ```
/// use crdt::{Actor, Dot, kinds::counter::Applications};
///
/// let dot = |node, n| Dot::new(Actor { node, nonce: 0 }, n);
/// let mut record = Applications::new(dot(2, 8), 5);
/// assert_eq!(record.losers().count(), 0);
/// record.insert(dot(1, 3));
/// assert_eq!(record.losers().collect::<Vec<_>>(), [dot(2, 8)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applications {
    amount: i64,
    dots: BTreeSet<Dot>,
}

impl Applications {
    /// Applied once, under `dot`.
    #[must_use]
    pub fn new(dot: Dot, amount: i64) -> Self {
        Self {
            amount,
            dots: BTreeSet::from([dot]),
        }
    }

    /// Applied under `dot` too. False if that was known.
    pub fn insert(&mut self, dot: Dot) -> bool {
        self.dots.insert(dot)
    }

    /// The amount of the increment.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// Every dot it was applied under, in order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.dots.iter().copied()
    }

    /// The application that counts: the one with the smallest dot.
    #[must_use]
    pub fn winner(&self) -> Option<Dot> {
        self.dots.first().copied()
    }

    /// The applications that must be made void: all but the winner.
    pub fn losers(&self) -> impl Iterator<Item = Dot> + '_ {
        self.dots.iter().copied().skip(1)
    }

    /// Appends the zigzag amount and the dots.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.signed(i128::from(self.amount));
        encoder.varint(self.dots.len() as u64);
        self.dots.iter().for_each(|dot| dot.encode(encoder));
    }

    /// Takes what [`Applications::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a record.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let invalid = DecodeError::Invalid {
            field: "record of an increment",
        };
        let amount =
            i64::try_from(decoder.signed("record's amount")?).map_err(|_too_wide| invalid)?;
        let mut dots = BTreeSet::new();
        for _ in 0..decoder.count("record's dots")? {
            let dot = Dot::decode(decoder)?;
            if dots.last().is_some_and(|&last| last >= dot) {
                return Err(invalid);
            }
            dots.insert(dot);
        }
        if dots.is_empty() {
            Err(invalid)
        } else {
            Ok(Self { amount, dots })
        }
    }
}

/// The version that a share is written as.
#[must_use]
pub fn version(share: &Share, hlc: crate::Hlc, op: Option<OpId>) -> Version {
    Version {
        hlc,
        op,
        body: share.encode(),
    }
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests;
