//! The estimate: Ertl's improved raw estimator (arXiv 1702.01284, section 4, algorithm 6).

use super::{BLOCKS, Block, MAX_RANK, REGISTERS};

/// About how many different hashes the blocks of one sketch have seen.
///
/// Blocks that are missing have seen nothing; more than [`BLOCKS`] are not one sketch, and give a
/// number without a meaning. The standard error is 0.81 %; the estimate of nothing is 0.
#[must_use]
pub fn estimate(blocks: &[Block]) -> u64 {
    let counts = counts(blocks);
    let share = |count: u32| f64::from(count) / f64::from(TOTAL);
    let last = usize::from(MAX_RANK);
    let mut sum = f64::from(TOTAL) * tau(1.0 - share(counts[last]));
    for &count in counts[1..last].iter().rev() {
        sum = 0.5 * (sum + f64::from(count));
    }
    sum += f64::from(TOTAL) * sigma(share(counts[0]));
    rounded(f64::from(TOTAL) * f64::from(TOTAL) / (2.0 * std::f64::consts::LN_2 * sum))
}

/// How many registers hold each rank.
fn counts(blocks: &[Block]) -> [u32; MAX_RANK as usize + 1] {
    let mut counts = [0; MAX_RANK as usize + 1];
    let mut unseen = TOTAL;
    for rank in blocks.iter().flat_map(|block| block.ranks()) {
        counts[usize::from(*rank)] += 1;
        unseen = unseen.saturating_sub(1);
    }
    counts[0] += unseen;
    counts
}

/// `x + Σ x^(2^k) 2^(k-1)`: corrects for registers that saw nothing. Infinite at 1.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum <= before {
            return sum;
        }
    }
}

/// `(1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3`: corrects for registers that are full. 0 at 0 and 1.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is not negative, and a cast ends at the bounds"
)]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

#[expect(clippy::cast_possible_truncation, reason = "there are 16,384")]
const TOTAL: u32 = (BLOCKS * REGISTERS) as u32;
