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
//! *A void is a version without totals*, beside those that have some. Whoever writes it may know
//! less of the share than others, and must not bring back what they have removed since.
//!
//! *A share that is reset to its end may be removed*, by its actor alone, which knows all of its
//! increments. The next one begins the totals anew: it says that all before it is reset, up to the
//! counter just below its own. What is left anywhere of the removed share is older than that in
//! both halves, and loses every join.
//!
//! ```text
//!   removed       added {upto 9, total 31}    reset {upto 9, total 31}    by the actor's event 12
//!   begun anew    added {upto 20, total 5}    reset {upto 19, total 0}
//!   joined        added {upto 20, total 5}    reset {upto 19, total 0}    value 5
//! ```
//!
//! *A void waits for its winner.* Whoever records one must first know that the winning dot is on as
//! many replicas as an acknowledged write is. Otherwise a retry that was acknowledged at two is
//! made void for the sake of a winner that only one replica holds, and with that one disk the
//! increment is gone. They must be replicas that hold the losing dot, too: what was heard of one
//! before it had that may be about a disk that it has lost since. Both dots count until then.
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

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::kinds::rules::{Rows, Rules, Said, Twice};
use crate::operation::OpId;
use crate::row::{Row, Version};

/// An increment is no update of its row alone: the share names the event.
pub const RULES: Rules = Rules {
    part: Some(|part| Ok(Actor::decode(&mut Decoder::new(part))?.to_string())),
    body: Some(said),
    ..Rules::new("share", Rows::Parts, Twice::Sums)
};

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
    ///
    /// If all before is reset, the new state says so up to the event before this one, so that it
    /// holds against whatever another replica still shows of the share before it was removed.
    pub fn add(&mut self, counter: u64, amount: i64) {
        if self.is_reset() {
            self.reset.upto = counter.saturating_sub(1);
            self.forget_reset_voids();
        }
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

    /// Is all that was added reset? So it is where nothing was.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.added == self.reset
    }

    /// Is there no total in it, and at most voids?
    #[must_use]
    pub fn has_no_total(&self) -> bool {
        self.added == Total::default()
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

/// The version that a share is written as.
#[must_use]
pub fn version(share: &Share, hlc: crate::Hlc, op: Option<OpId>) -> Version {
    Version {
        hlc,
        op,
        expires_ms: None,
        body: share.encode(),
    }
}

fn said(row: &Row) -> Said {
    let share = Share::of(row)?;
    let (added, reset) = (share.added, share.reset);
    Ok(format!(
        "{} (added {} up to {}, reset {} up to {}, {} void)",
        share.value(),
        added.total,
        added.upto,
        reset.total,
        reset.upto,
        share.voids()
    ))
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests;
