//! How many partitions each node shall own (step 1).
//!
//! Shares in proportion to the weights are not always possible: with three zones of 34, 33 and 33
//! equal nodes and one copy per zone, the first zone would need 34 % of all copies and can hold
//! at most a third. So the copies are divided among zones first and inside each zone then, and
//! what one cannot hold flows over to the others, like water poured into vessels of different
//! height.

use crate::claim::candidates::Candidates;

/// The quota of every candidate. They sum up to `partitions * width`.
pub(super) fn quotas(
    candidates: &Candidates,
    partitions: usize,
    width: usize,
    zone_max: usize,
) -> Vec<u64> {
    let weight = |node: &usize| u64::from(candidates.nodes[*node].weight);
    let (partitions, width, zone_max) = (partitions as u64, width as u64, zone_max as u64);
    let zones: Vec<Vessel> = candidates
        .zones
        .iter()
        .map(|nodes| Vessel {
            weight: nodes.iter().map(weight).sum(),
            cap: partitions * zone_max.min(nodes.len() as u64),
        })
        .collect();
    let mut quotas = vec![0; candidates.nodes.len()];
    for (nodes, share) in candidates
        .zones
        .iter()
        .zip(pour(&zones, partitions * width))
    {
        let vessels: Vec<Vessel> = nodes
            .iter()
            .map(|node| Vessel {
                weight: weight(node),
                cap: partitions,
            })
            .collect();
        for (node, quota) in nodes.iter().zip(pour(&vessels, share)) {
            quotas[*node] = quota;
        }
    }
    quotas
}

/// Something that takes a share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vessel {
    /// Its share relative to the others; not zero.
    pub(super) weight: u64,
    /// The most that it can hold.
    pub(super) cap: u64,
}

/// Divides `total` by weight, none above its cap: the whole of `total`, or every vessel full.
///
/// Rounded to whole numbers by the largest remainder, ties to the earlier vessel. Products of a
/// weight and a total are taken in 128 bits and cannot overflow.
pub(super) fn pour(vessels: &[Vessel], total: u64) -> Vec<u64> {
    let mut shares = vec![0; vessels.len()];
    let mut open: Vec<usize> = (0..vessels.len()).collect();
    let mut rest = total;
    let mut weight;
    loop {
        weight = open
            .iter()
            .map(|k| u128::from(vessels[*k].weight))
            .sum::<u128>();
        let (full, fitting): (Vec<usize>, Vec<usize>) = open.iter().copied().partition(|k| {
            let Vessel { weight: own, cap } = vessels[*k];
            u128::from(own) * u128::from(rest) > u128::from(cap) * weight
        });
        if full.is_empty() {
            break;
        }
        for k in full {
            shares[k] = vessels[k].cap;
            rest -= vessels[k].cap;
        }
        open = fitting;
    }
    let mut left = rest;
    let mut remainders = Vec::with_capacity(open.len());
    for k in open {
        let exact = u128::from(vessels[k].weight) * u128::from(rest);
        // A share is at most `rest`, which is a u64.
        shares[k] = u64::try_from(exact / weight).unwrap_or(rest);
        left -= shares[k];
        remainders.push((exact % weight, k));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for ((_, k), _) in remainders.into_iter().zip(0..left) {
        shares[k] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Vessel, pour};

    fn vessel(weight: u64, cap: u64) -> Vessel {
        Vessel { weight, cap }
    }

    #[test]
    fn what_one_cannot_hold_flows_over() {
        let zones = [vessel(34, 256), vessel(33, 256), vessel(33, 256)];
        assert_eq!(pour(&zones, 768), [256, 256, 256]);
        let uneven = [vessel(10, 5), vessel(1, 100), vessel(1, 100)];
        assert_eq!(pour(&uneven, 25), [5, 10, 10]);
    }

    #[test]
    fn remainders_go_to_the_largest_then_the_first() {
        let equal = [vessel(1, 9), vessel(1, 9), vessel(1, 9)];
        assert_eq!(pour(&equal, 8), [3, 3, 2]);
        assert_eq!(pour(&[vessel(1, 9), vessel(2, 9)], 5), [2, 3]);
    }

    #[test]
    fn the_greatest_weights_do_not_overflow() {
        let heavy = vec![vessel(u64::from(u32::MAX) * 10_000, 1 << 23); 3];
        assert_eq!(pour(&heavy, 3 << 20), [1 << 20, 1 << 20, 1 << 20]);
    }

    proptest! {
        #[test]
        fn everything_is_poured_and_nothing_overflows(
            sizes in vec((1_u64..1000, 1_u64..500), 1..12),
            part in any::<u16>(),
        ) {
            let vessels: Vec<_> = sizes.iter().map(|(w, cap)| vessel(*w, *cap)).collect();
            let room: u64 = vessels.iter().map(|v| v.cap).sum();
            let total = u64::from(part) % (room + 1);
            let shares = pour(&vessels, total);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            prop_assert!(shares.iter().zip(&vessels).all(|(share, v)| *share <= v.cap));
        }
    }
}
