//! The laws of a share in the states that a cluster can reach.
//!
//! A share has one writer of its `added` half, so the histories here are those of one actor: its
//! increments in order, seen by any replica as a prefix, which anyone may reset or void.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use super::{Share, Total, value, version};
use crate::actor::Actor;
use crate::codec::DecodeError;
use crate::context::Context;
use crate::dot::Dot;
use crate::hlc::Hlc;
use crate::row::Row;

/// The actor's increments: which of its events they were, and how much each.
type History = Vec<(u64, i64)>;

fn history() -> impl Strategy<Value = History> {
    vec((1_u64..4, -9_i64..10), 1..8).prop_map(|steps| {
        let counters = steps.iter().scan(0, |last, &(gap, _)| {
            *last += gap;
            Some(*last)
        });
        counters
            .zip(steps.iter().map(|&(_, amount)| amount))
            .collect()
    })
}

/// What a replica knows: the first `added` increments, the first `reset` of those reset, and voids.
#[derive(Debug, Clone)]
struct Knowledge {
    added: Index,
    reset: Index,
    voided: Vec<Index>,
}

fn knowledge() -> impl Strategy<Value = Knowledge> {
    (any::<Index>(), any::<Index>(), vec(any::<Index>(), 0..3)).prop_map(
        |(added, reset, voided)| Knowledge {
            added,
            reset,
            voided,
        },
    )
}

fn share(history: &History, known: &Knowledge) -> Share {
    let added = known.added.index(history.len() + 1);
    let reset = known.reset.index(added + 1);
    let mut share = Share::default();
    for (index, &(counter, amount)) in history.iter().take(added).enumerate() {
        if index == reset {
            share.reset();
        }
        share.add(counter, amount);
    }
    if reset == added {
        share.reset();
    }
    for voided in &known.voided {
        let (counter, amount) = history[voided.index(history.len())];
        share.void(counter, amount);
    }
    share
}

fn joined(shares: &[&Share]) -> Share {
    let mut sum = Share::default();
    shares.iter().for_each(|share| sum.join(share));
    sum
}

fn dot(node: u64, counter: u64) -> Dot {
    Dot::new(Actor { node, nonce: 0 }, counter)
}

proptest! {
    #[test]
    fn join_is_associative_commutative_and_idempotent(
        history in history(), a in knowledge(), b in knowledge(), c in knowledge(),
    ) {
        let [a, b, c] = [a, b, c].map(|known| share(&history, &known));
        let all = joined(&[&a, &b, &c]);
        prop_assert_eq!(&joined(&[&a, &joined(&[&b, &c])]), &all);
        prop_assert_eq!(&joined(&[&c, &b, &a]), &all);
        prop_assert_eq!(&joined(&[&all, &b]), &all);
        prop_assert_eq!(joined(&[&a]), a);
    }

    #[test]
    fn the_value_is_what_was_added_and_neither_reset_nor_void(
        history in history(), a in knowledge(), b in knowledge(),
    ) {
        let sum = joined(&[&share(&history, &a), &share(&history, &b)]);
        let reaches = |total: Total| move |counter: u64| counter <= total.upto;
        let (added, reset) = (reaches(sum.added()), reaches(sum.reset_part()));
        let voided: Vec<u64> = [&a, &b]
            .into_iter()
            .flat_map(|known| &known.voided)
            .map(|index| history[index.index(history.len())].0)
            .collect();
        let left = history
            .iter()
            .filter(|&&(counter, _)| {
                added(counter) && !reset(counter) && !voided.contains(&counter)
            });
        prop_assert_eq!(sum.value(), left.map(|&(_, amount)| i128::from(amount)).sum::<i128>());
    }

    #[test]
    fn reset_and_void_commute(history in history(), known in knowledge(), at in any::<Index>()) {
        let (counter, amount) = history[at.index(history.len())];
        let (mut reset, mut voided) = (share(&history, &known), share(&history, &known));
        let (void_last, reset_last) = {
            let (mut first, mut second) = (reset.clone(), voided.clone());
            first.reset();
            first.void(counter, amount);
            second.void(counter, amount);
            second.reset();
            (first, second)
        };
        prop_assert_eq!(&void_last, &reset_last);
        reset.reset();
        voided.void(counter, amount);
        reset.join(&voided);
        prop_assert_eq!(reset, void_last);
    }

    #[test]
    fn a_share_begun_anew_is_the_same_beside_whatever_is_left_of_the_old_one(
        history in history(), left in knowledge(), later in history(),
    ) {
        let old = share(&history, &left);
        // The removal is an event of the actor, too, so that its next one is two behind.
        let removal = history.last().map_or(0, |&(counter, _)| counter) + 1;
        let mut anew = Share::default();
        for &(counter, amount) in &later {
            anew.add(removal + counter, amount);
        }
        let amounts = later.iter().map(|&(_, amount)| i128::from(amount));
        prop_assert_eq!(anew.value(), amounts.sum::<i128>());
        prop_assert_eq!(&joined(&[&old, &anew]), &anew);
        prop_assert_eq!(&joined(&[&anew, &old]), &anew);
    }

    #[test]
    fn equal_shares_have_equal_bytes_and_come_back(
        history in history(), a in knowledge(), b in knowledge(),
    ) {
        let (a, b) = (share(&history, &a), share(&history, &b));
        prop_assert_eq!(Share::decode(&a.encode()), Ok(a.clone()));
        prop_assert_eq!(a == b, a.encode() == b.encode());
    }

    #[test]
    fn damaged_bytes_give_a_canonical_share_or_an_error(
        history in history(), a in knowledge(), at in any::<Index>(), to in any::<u8>(),
    ) {
        let mut bytes = share(&history, &a).encode().to_vec();
        for length in 0..bytes.len() {
            prop_assert!(Share::decode(&bytes[..length]).is_err());
        }
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(share) = Share::decode(&bytes) {
            prop_assert_eq!(&share.encode()[..], &bytes[..]);
        }
    }

    #[test]
    fn any_bytes_give_a_canonical_value_or_an_error(bytes in vec(any::<u8>(), 0..60)) {
        let tagged = [&[1], &bytes[..]].concat();
        if let Ok(share) = Share::decode(&tagged) {
            prop_assert_eq!(&share.encode()[..], &tagged[..]);
            // Neither totals nor counters of any size may overflow.
            let (_, mut joined) = (share.value(), share.clone());
            joined.join(&share);
            prop_assert_eq!(joined, share);
        }
    }
}

#[test]
fn the_bytes_of_a_share_of_format_1_stay() {
    let mut share = Share::default();
    share.add(7, 25);
    share.reset();
    share.add(9, -300);
    share.void(9, -300);
    share.void(12, 2);
    let bytes = [1, 9, 0xa5, 4, 8, 50, 2, 9, 0xd7, 4, 3, 4];
    assert_eq!(&share.encode()[..], bytes);
    assert_eq!(Share::decode(&bytes), Ok(share));
    // A reset that reaches less far, as another replica may know it.
    let bytes = [1, 9, 0xa5, 4, 7, 50, 2, 9, 0xd7, 4, 3, 4];
    let share = Share::decode(&bytes).unwrap();
    assert_eq!((share.value(), &share.encode()[..]), (0, &bytes[..]));
}

#[test]
fn what_no_share_can_hold_is_refused() {
    let refused = |bytes: &[u8]| {
        assert!(
            matches!(Share::decode(bytes), Err(DecodeError::Invalid { .. })),
            "{bytes:?}"
        );
    };
    refused(&[1, 0, 2, 0, 0, 0]); // a total of no increments
    refused(&[1, 3, 2, 4, 2, 0]); // more was reset than was added
    refused(&[1, 3, 2, 3, 2, 1, 3, 2]); // a void at or below the reset
    refused(&[1, 3, 2, 0, 0, 2, 3, 2, 0, 2]); // two voids of one increment
}

#[test]
fn a_void_waits_for_its_increment() {
    let mut share = Share::default();
    share.void(4, 10);
    assert_eq!(share.value(), 0);
    share.add(2, 5);
    share.add(4, 10);
    assert_eq!(share.value(), 5);
}

#[test]
fn a_counter_is_the_sum_of_its_joined_rows() {
    let row = |node, amounts: [i64; 2]| {
        let mut share = Share::default();
        let mut row = Row::default();
        for (counter, amount) in (1..).zip(amounts) {
            share.add(counter, amount);
            // Blind to what is there: the versions stay side by side, and the share joins them.
            let body = version(&share, Hlc::at(0), None);
            row.join(&Row::write(dot(node, counter), body, Context::default()));
        }
        row
    };
    assert_eq!(value([&row(1, [1, 2]), &row(2, [10, -20])]), Ok(-7));
    let mut spoiled = version(&Share::default(), Hlc::at(0), None);
    spoiled.body = "no share".into();
    let spoiled = Row::write(dot(3, 1), spoiled, Context::default());
    assert!(value([&spoiled]).is_err());
}
