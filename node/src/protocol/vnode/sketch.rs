//! Which registers of a sketch a set of hashes concerns.

use std::collections::BTreeMap;

use crdt::kinds::hll;

/// Registers of a sketch, an index and a rank each, by their blocks.
pub(super) type Registers = BTreeMap<u8, Vec<(u8, u8)>>;

/// Registers of a sketch by their blocks.
pub(super) fn by_block(hashes: &[u64]) -> Registers {
    let mut blocks = Registers::new();
    for &hash in hashes {
        let place = hll::place(hash);
        let registers = blocks.entry(place.block).or_default();
        registers.push((place.index, place.rank));
    }
    blocks
}
