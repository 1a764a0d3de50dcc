//! `hll`: about how many different things were seen, in at most 12 KiB (`HyperLogLog`, p = 14).
//!
//! A thing's 64-bit hash names one of 16,384 registers and offers it a *rank*, the place of the
//! first 1 in the rest of the hash. A register keeps the greatest rank, so registers join by the
//! maximum, whatever comes twice and in whatever order. The estimate's standard error is 0.81 %.
//!
//! ```text
//!   hash      block (6 bits) | register (8 bits) | 50 bits, whose first 1 is the rank
//!   row       one block of 256 registers, part = block: an addition rewrites at most 193 bytes
//!   body      u8 1 | pairs (u8 register, u8 rank), ascending        at most 96 registers are set
//!             u8 2 | 256 ranks of 6 bits, most significant first    otherwise
//! ```
//!
//! | concurrent | gives |
//! |---|---|
//! | observe x, observe y | both are counted |
//! | observe x, observe x | counted once |
//! | observe x, remove | x, and what its writer knew of the block: a block is written whole |
//! | observe x that changes nothing here, remove | nothing: that observation was never an event |
//!
//! Sources: Flajolet et al., *`HyperLogLog`* (2007); Ertl, *New cardinality estimation algorithms
//! for `HyperLogLog` sketches* (arXiv 1702.01284), section 4: its estimator needs neither
//! corrections by tables nor a change of method for small counts.

mod estimate;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::kinds::Edit;
use crate::kinds::rules::{Rows, Rules, Said, Twice, Unmade, Update};
use crate::row::Row;

pub use estimate::estimate;

/// Ranks are offered to the registers of a block.
pub const RULES: Rules = Rules {
    make: |row, update| match update {
        Update::Observe(offers) => Ok(observe(row, offers.iter().copied())?),
        _ => Err(Unmade::NotOfKind),
    },
    part: Some(part_said),
    body: Some(said),
    ..Rules::new("sketch", Rows::Parts, Twice::Folds)
};

/// How many registers a block holds.
pub const REGISTERS: usize = 256;

/// How many blocks a sketch has.
pub const BLOCKS: usize = 64;

/// The greatest rank: all bits of a hash behind its register are 0.
pub const MAX_RANK: u8 = 51;

/// Where a hash belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block, below [`BLOCKS`]: the part of the row.
    pub block: u8,
    /// The register in the block.
    pub index: u8,
    /// What the hash offers to the register, from 1 to [`MAX_RANK`].
    pub rank: u8,
}

/// Where a hash belongs. All bits of the hash must be good ones, and all writers must hash alike.
#[must_use]
pub fn place(hash: u64) -> Place {
    let [head, next, ..] = hash.to_be_bytes();
    // The lowest bit of the mark bounds the rank when the 50 bits are all 0.
    let rest = (hash << INDEX_BITS) | (1 << (INDEX_BITS - 1));
    let zeros = u8::try_from(rest.leading_zeros()).unwrap_or(MAX_RANK);
    Place {
        block: head >> 2,
        index: (head << 6) | (next >> 2),
        rank: zeros + 1,
    }
}

/// The registers of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    ranks: [u8; REGISTERS],
}

impl Default for Block {
    /// All registers are 0: nothing was seen.
    fn default() -> Self {
        Self {
            ranks: [0; REGISTERS],
        }
    }
}

impl Block {
    /// Joins the versions of a row.
    ///
    /// # Errors
    /// When a body is not an encoded block.
    pub fn of(row: &Row) -> Result<Self, DecodeError> {
        let mut block = Self::default();
        for version in row.versions().values() {
            block.join(&Self::decode(&version.body)?);
        }
        Ok(block)
    }

    /// The least upper bound of two blocks: also the union of what two sketches saw.
    pub fn join(&mut self, other: &Self) {
        for (here, &there) in self.ranks.iter_mut().zip(&other.ranks) {
            *here = there.max(*here);
        }
    }

    /// Offers a rank to a register; one over [`MAX_RANK`] counts as that. Has anything changed?
    pub fn offer(&mut self, index: u8, rank: u8) -> bool {
        let register = self.ranks.get_mut(usize::from(index));
        register.is_some_and(|here| {
            let grows = rank.min(MAX_RANK) > *here;
            *here = rank.min(MAX_RANK).max(*here);
            grows
        })
    }

    /// The ranks by register; 0 where nothing was seen.
    #[must_use]
    pub fn ranks(&self) -> &[u8; REGISTERS] {
        &self.ranks
    }

    /// Canonical bytes: the shorter of the two forms, and the list of pairs if both are as long.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let set = (0..=u8::MAX).zip(self.ranks).filter(|&(_, rank)| rank > 0);
        let mut encoder = Encoder::with_capacity(1 + DENSE);
        if set.clone().count() <= MAX_SPARSE {
            encoder.u8(SPARSE_FORMAT);
            for (index, rank) in set {
                encoder.raw(&[index, rank]);
            }
        } else {
            encoder.u8(DENSE_FORMAT);
            for four in self.ranks.chunks_exact(4) {
                let packed = four
                    .iter()
                    .fold(0, |bits, &rank| bits << 6 | u32::from(rank));
                let [_, bytes @ ..] = packed.to_be_bytes();
                encoder.raw(&bytes);
            }
        }
        encoder.finish().into()
    }

    /// Reads what [`Block::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a block.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("sketch's format")? {
            SPARSE_FORMAT => decode_sparse(decoder),
            DENSE_FORMAT => decode_dense(decoder),
            found => Err(DecodeError::UnknownFormat {
                field: "sketch",
                found,
            }),
        }
    }
}

/// A register of a block, and the rank that is offered to it.
pub type Offer = (u8, u8);

/// Offers ranks to the registers of a row. `None` if they change nothing here.
///
/// # Errors
/// When a body is not an encoded block.
pub fn observe(
    row: &Row,
    offers: impl IntoIterator<Item = Offer>,
) -> Result<Option<Edit>, DecodeError> {
    let mut block = Block::of(row)?;
    let mut changed = false;
    for (index, rank) in offers {
        changed |= block.offer(index, rank);
    }
    Ok(changed.then(|| Edit::put(row, block.encode())))
}

/// What becomes of the rows of a sketch that is shown things with these hashes, by their parts.
#[must_use]
pub fn updates(hashes: impl IntoIterator<Item = u64>) -> Vec<(Bytes, Update)> {
    let mut blocks: BTreeMap<u8, Vec<Offer>> = BTreeMap::new();
    for place in hashes.into_iter().map(place) {
        let offers = blocks.entry(place.block).or_default();
        offers.push((place.index, place.rank));
    }
    let blocks = blocks.into_iter();
    let update = |(block, offers)| (Bytes::from(vec![block]), Update::Observe(offers));
    blocks.map(update).collect()
}

/// Removes what is seen here of a block.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::remove(row)
}

fn part_said(part: &[u8]) -> Said {
    let mut decoder = Decoder::new(part);
    let block = decoder.u8("block of a sketch")?;
    decoder.finish()?;
    Ok(block.to_string())
}

fn said(row: &Row) -> Said {
    let block = Block::of(row)?;
    let set = block.ranks().iter().filter(|&&rank| rank > 0).count();
    Ok(format!("{set} of {REGISTERS} registers set"))
}

fn decode_sparse(mut decoder: Decoder<'_>) -> Result<Block, DecodeError> {
    let field = "register of a sketch";
    let mut block = Block::default();
    let mut last = None;
    let mut count = 0;
    while !decoder.rest().is_empty() {
        let index = decoder.u8(field)?;
        let rank = decoder.u8(field)?;
        count += 1;
        let ordered = last.is_none_or(|last| last < index);
        if !ordered || !(1..=MAX_RANK).contains(&rank) || count > MAX_SPARSE {
            return Err(DecodeError::Invalid { field });
        }
        block.offer(index, rank);
        last = Some(index);
    }
    Ok(block)
}

fn decode_dense(decoder: Decoder<'_>) -> Result<Block, DecodeError> {
    let field = "registers of a sketch";
    let invalid = DecodeError::Invalid { field };
    let packed = decoder.rest();
    if packed.len() < DENSE {
        return Err(DecodeError::Truncated { field });
    }
    if packed.len() > DENSE {
        return Err(invalid);
    }
    let mut ranks = [0; REGISTERS];
    for (four, packed) in ranks.chunks_exact_mut(4).zip(packed.chunks_exact(3)) {
        let bits = packed
            .iter()
            .fold(0, |bits, &byte| bits << 8 | u32::from(byte));
        for (rank, shift) in four.iter_mut().zip([18, 12, 6, 0]) {
            *rank = u8::try_from(bits >> shift & 0x3f).map_err(|_too_wide| invalid)?;
        }
    }
    let set = ranks.iter().filter(|&&rank| rank > 0).count();
    if set <= MAX_SPARSE || ranks.iter().any(|&rank| rank > MAX_RANK) {
        return Err(invalid);
    }
    Ok(Block { ranks })
}

/// How many bits of a hash name block and register: p of the paper.
const INDEX_BITS: u32 = 14;
const SPARSE_FORMAT: u8 = 1;
const DENSE_FORMAT: u8 = 2;
const DENSE: usize = REGISTERS * 6 / 8;
/// As many pairs as are not longer than the dense form.
const MAX_SPARSE: usize = DENSE / 2;

#[cfg(test)]
mod tests;
