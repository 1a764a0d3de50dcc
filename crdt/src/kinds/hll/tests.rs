//! Sketches: bytes, joins, and how far estimates are from the truth.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{BLOCKS, Block, DENSE, MAX_RANK, Place, REGISTERS, estimate, observe, place};
use crate::kinds::Edit;
use crate::{Dot, Hlc, Row, Version};

fn block() -> impl Strategy<Value = Block> {
    btree_map(any::<u8>(), 1..=MAX_RANK, 0..=REGISTERS).prop_map(|ranks| {
        let mut block = Block::default();
        for (index, rank) in ranks {
            block.offer(index, rank);
        }
        block
    })
}

/// The finaliser of `SplitMix64`: different numbers give different hashes, the same in each run.
fn hash(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn see(blocks: &mut [Block], number: u64) {
    let Place { block, index, rank } = place(hash(number));
    blocks[usize::from(block)].offer(index, rank);
}

fn error(count: u64, seed: u64) -> f64 {
    let mut blocks = vec![Block::default(); BLOCKS];
    (0..count).for_each(|number| see(&mut blocks, hash(seed) ^ number));
    estimate(&blocks) as f64 / count as f64 - 1.0
}

proptest! {
    #[test]
    fn what_is_written_is_read(block in block()) {
        let bytes = block.encode();
        prop_assert!(bytes.len() <= 1 + DENSE);
        prop_assert_eq!(Block::decode(&bytes), Ok(block));
    }

    #[test]
    fn any_bytes_are_a_block_in_its_one_form_or_an_error(
        form in 0_u8..4, rest in vec(0_u8..64, 0..200), dense in vec(any::<u8>(), DENSE),
    ) {
        for rest in [rest, dense] {
            let bytes = [&[form][..], &rest].concat();
            if let Ok(block) = Block::decode(&bytes) {
                prop_assert_eq!(block.encode(), bytes);
            }
        }
    }

    #[test]
    fn blocks_are_joined_in_any_order_and_any_number_of_times(
        a in block(), b in block(), c in block(),
    ) {
        let join = |x: &Block, y: &Block| {
            let mut joined = x.clone();
            joined.join(y);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn each_hash_has_its_place(hash in any::<u64>()) {
        let Place { block, index, rank } = place(hash);
        prop_assert_eq!(u64::from(block) << 8 | u64::from(index), hash >> 50);
        let rest = hash << 14;
        let zeros = if rest == 0 { 50 } else { rest.leading_zeros() };
        prop_assert_eq!(u32::from(rank), zeros + 1);
    }
}

#[test]
fn the_ends_of_the_hashes_have_places() {
    let place = |hash| {
        let Place { block, index, rank } = place(hash);
        (block, index, rank)
    };
    assert_eq!(place(0), (0, 0, MAX_RANK));
    assert_eq!(place(u64::MAX), (63, 255, 1));
}

#[test]
fn estimates_err_as_much_as_the_paper_says() {
    const RUNS: u64 = 60;
    for count in [100_u64, 3_000, 20_000, 60_000] {
        let errors: Vec<f64> = (0..RUNS).map(|seed| error(count, seed)).collect();
        let mean = errors.iter().sum::<f64>() / RUNS as f64;
        let square = errors.iter().map(|error| error * error).sum::<f64>();
        let deviation = (square / RUNS as f64).sqrt();
        let worst = errors
            .iter()
            .fold(0_f64, |worst, error| worst.max(error.abs()));
        assert!(mean.abs() < 0.004, "{count}: bias {mean}");
        assert!(deviation < 0.010, "{count}: deviation {deviation}");
        assert!(worst < 0.035, "{count}: worst {worst}");
    }
}

#[test]
fn a_million_is_estimated_within_three_deviations() {
    assert!(error(1_000_000, 1).abs() < 3.0 * 0.0081);
}

#[test]
fn few_things_are_counted_exactly() {
    let mut blocks = vec![Block::default(); BLOCKS];
    assert_eq!((estimate(&blocks), estimate(&[])), (0, 0));
    for number in 0..20 {
        assert_eq!(estimate(&blocks), number);
        see(&mut blocks, number);
    }
}

#[test]
fn full_registers_give_a_number_and_no_fault() {
    let mut full = Block::default();
    (0..=u8::MAX).for_each(|index| assert!(full.offer(index, u8::MAX)));
    assert_eq!(full.ranks(), &[MAX_RANK; REGISTERS]);
    assert_eq!(estimate(&vec![full.clone(); BLOCKS]), u64::MAX);
    assert!(estimate(&vec![full; 2 * BLOCKS]) > 0);
}

#[test]
fn missing_blocks_have_seen_nothing() {
    let mut blocks = vec![Block::default(); BLOCKS];
    (0..500).for_each(|number| see(&mut blocks, number));
    let mut seen = blocks.clone();
    seen.retain(|block| *block != Block::default());
    seen.truncate(40);
    let rest = vec![Block::default(); BLOCKS - 40];
    assert_eq!(estimate(&[&seen[..], &rest].concat()), estimate(&seen));
}

#[test]
fn an_observation_that_changes_nothing_is_not_written() {
    let empty = Row::default();
    assert_eq!(observe(&empty, []), Ok(None));
    let Ok(Some(Edit {
        body: Some(body),
        context,
    })) = observe(&empty, [(7, 3), (9, 1)])
    else {
        panic!("a first observation is written");
    };
    assert_eq!(body[..], [1, 7, 3, 9, 1]);
    let actor = crate::Actor { node: 1, nonce: 1 };
    let version = Version::new(Hlc::at(0), None, body);
    let row = Row::write(Dot::new(actor, 1), version, context);
    assert_eq!(observe(&row, [(7, 2), (9, 1)]), Ok(None));
    assert!(matches!(observe(&row, [(7, 4)]), Ok(Some(_))));
}

#[test]
fn the_bytes_of_the_dense_form_stay() {
    let mut block = Block::default();
    (0..=u8::MAX).for_each(|index| {
        block.offer(index, 1 + index % 4);
    });
    let bytes = block.encode();
    assert_eq!(bytes.len(), 193);
    // 000001 000010 000011 000100, 64 times.
    assert_eq!(
        bytes[..],
        [&[2][..], &[0x04, 0x20, 0xc4].repeat(64)].concat()
    );
}
