//! The laws of the join, of filling and stripping, and of the bytes.
//!
//! Rows are drawn from one small universe of dots in which a dot always names the same version, as
//! it does in a cluster.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::{
    Just, Strategy, any, prop_assert, prop_assert_eq, prop_assert_ne, proptest,
};

use super::{Row, Version};
use crate::actor::Actor;
use crate::clock::Clock;
use crate::codec::DecodeError;
use crate::context::Context;
use crate::dot::Dot;
use crate::hlc::Hlc;
use crate::operation::OpId;

fn dot(node: u64, counter: u64) -> Dot {
    Dot::new(Actor { node, nonce: 7 }, counter)
}

/// The one version that `dot` names.
fn version(dot: Dot) -> Version {
    let (node, n) = (dot.actor.node, dot.counter);
    Version {
        hlc: Hlc::at(10 * n + node),
        op: (n % 2 == 0).then_some(OpId {
            client: u128::from(node),
            sequence: n,
        }),
        expires_ms: None,
        body: format!("{node}/{n}").into(),
    }
}

fn context(dots: &BTreeSet<Dot>) -> Context {
    let mut context = Context::default();
    dots.iter().for_each(|&dot| context.insert(dot));
    context
}

fn clock(dots: &BTreeSet<Dot>) -> Clock {
    Clock::of(context(dots).dots().clone())
}

fn delta(alive: Option<Dot>, over: &BTreeSet<Dot>) -> Row {
    match alive {
        Some(dot) => Row::write(dot, version(dot), context(over)),
        None => Row::delete(context(over)),
    }
}

fn joined(rows: impl IntoIterator<Item: Borrow<Row>>) -> Row {
    let mut sum = Row::default();
    rows.into_iter().for_each(|row| sum.join(row.borrow()));
    sum
}

fn any_dot() -> impl Strategy<Value = Dot> {
    (0_u64..3, 1_u64..6).prop_map(|(node, n)| dot(node, n))
}

fn dots() -> impl Strategy<Value = BTreeSet<Dot>> {
    btree_set(any_dot(), 0..10)
}

/// Any versions over any context, kills of its own versions too.
fn row() -> impl Strategy<Value = Row> {
    (dots(), dots()).prop_map(|(alive, over)| Row {
        versions: alive.iter().map(|&dot| (dot, version(dot))).collect(),
        context: context(&over),
    })
}

fn deltas() -> impl Strategy<Value = Vec<Row>> {
    let delta = (option::of(any_dot()), dots()).prop_map(|(alive, over)| delta(alive, &over));
    vec(delta, 0..8)
}

proptest! {
    #[test]
    fn join_is_associative(a in row(), b in row(), c in row()) {
        let left = joined([&joined([&a, &b]), &c]);
        prop_assert_eq!(left, joined([&a, &joined([&b, &c])]));
    }

    #[test]
    fn join_is_commutative(a in row(), b in row()) {
        prop_assert_eq!(joined([&a, &b]), joined([&b, &a]));
    }

    #[test]
    fn join_is_idempotent(a in row(), b in row()) {
        let once = joined([&a, &b]);
        prop_assert_eq!(joined([&a, &a]), a);
        prop_assert_eq!(joined([&once, &b]), once);
    }

    #[test]
    fn a_join_is_what_the_rule_says(a in row(), b in row()) {
        let (seen_a, seen_b) = (a.seen(), b.seen());
        let sum = joined([&a, &b]);
        for dot in (0..3).flat_map(|node| (1..6).map(move |n| dot(node, n))) {
            let (in_a, in_b) = (a.versions.contains_key(&dot), b.versions.contains_key(&dot));
            let stays = match (in_a, in_b) {
                (true, true) => true,
                (true, false) => !seen_b.contains(dot),
                (false, true) => !seen_a.contains(dot),
                (false, false) => false,
            };
            prop_assert_eq!(sum.versions.contains_key(&dot), stays, "{}", dot);
        }
    }

    #[test]
    fn deltas_in_any_order_and_grouping_make_one_state(
        (deltas, shuffled) in deltas().prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle())),
        cut in any::<proptest::sample::Index>(),
    ) {
        let full = joined(&deltas);
        prop_assert_eq!(&joined(&shuffled), &full);
        let (older, newer) = shuffled.split_at(cut.index(shuffled.len() + 1));
        prop_assert_eq!(joined([&joined(older), &joined(newer)]), full);
    }

    #[test]
    fn a_join_as_if_filled_shows_what_a_join_of_filled_rows_does(
        a in row(), b in row(), here in dots(), there in dots()
    ) {
        let (here, there) = (clock(&here), clock(&there));
        let bases = |clock: &Clock| Context::of(clock.dots().bases());
        let (mut filled, mut other) = (a.clone(), b.clone());
        filled.fill(&here);
        other.fill(&there);
        filled.join(&other);
        let mut lazy = a;
        lazy.join_filled(&bases(&here), &b, &bases(&there));
        prop_assert_eq!(&lazy.versions, &filled.versions);
        lazy.fill(&here);
        lazy.fill(&there);
        prop_assert_eq!(lazy, filled);
    }

    #[test]
    fn a_write_is_the_join_of_its_delta(a in row(), n in 6_u64..9, over in dots()) {
        let fresh = dot(1, n);
        let sum = joined([&a, &delta(Some(fresh), &over)]);
        let mut expected = a.versions.clone();
        expected.retain(|dot, _| !over.contains(&dot));
        expected.insert_missing(fresh, version(fresh));
        prop_assert_eq!(sum.versions, expected);
    }

    #[test]
    fn filling_and_stripping_change_nothing_that_is_seen(a in row(), seen in dots()) {
        let clock = clock(&seen);
        let (mut filled, mut stripped) = (a.clone(), a.clone());
        filled.fill(&clock);
        stripped.strip(&clock);
        prop_assert_eq!(filled.versions(), a.versions());
        prop_assert_eq!(stripped.versions(), a.versions());
        for dot in a.context.dots().ranges().map(|(actor, _, last)| Dot::new(actor, last)) {
            let explained = dot.counter <= clock.base(dot.actor);
            prop_assert_eq!(stripped.context.contains(dot), !explained);
        }
        filled.strip(&clock);
        prop_assert_eq!(&filled, &stripped);
        stripped.fill(&clock);
        let mut again = a;
        again.fill(&clock);
        prop_assert_eq!(stripped, again);
    }

    #[test]
    fn equal_rows_have_equal_bytes_and_come_back(a in row(), b in row()) {
        prop_assert_eq!(Row::decode(&a.encode()), Ok(a.clone()));
        prop_assert_eq!(a == b, a.encode() == b.encode());
        let clock = Clock::of(a.context.dots().clone());
        prop_assert_eq!(Clock::decode(&clock.encode()), Ok(clock));
    }

    #[test]
    fn bytes_that_decode_are_the_only_bytes_of_their_row(
        a in row(), at in any::<proptest::sample::Index>(), to in any::<u8>(),
    ) {
        let mut bytes = a.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(row) = Row::decode(&bytes) {
            prop_assert_eq!(row.encode(), bytes);
        }
    }

    #[test]
    fn cut_or_continued_bytes_are_refused(a in row(), more in vec(any::<u8>(), 1..4)) {
        let bytes = a.encode();
        for length in 0..bytes.len() {
            prop_assert_ne!(Row::decode(&bytes[..length]), Ok(a.clone()));
            prop_assert!(Row::decode(&bytes[..length]).is_err());
        }
        let long = [bytes, more.clone()].concat();
        prop_assert_eq!(
            Row::decode(&long),
            Err(DecodeError::TrailingBytes { count: more.len() })
        );
    }

    #[test]
    fn any_bytes_give_a_row_or_an_error(
        mut bytes in vec(any::<u8>(), 0..120), small in vec(0_u8..3, 0..120),
    ) {
        if let Some(format) = bytes.first_mut() {
            *format = 1;
        }
        for bytes in [bytes, small] {
            if let Ok(row) = Row::decode(&bytes) {
                prop_assert_eq!(row.encode(), bytes.clone());
            }
            if let Ok(clock) = Clock::decode(&bytes) {
                prop_assert_eq!(clock.encode(), bytes);
            }
        }
    }
}

#[test]
fn the_bytes_of_format_1_stay() {
    let mut row = Row::write(
        dot(1, 2),
        Version {
            hlc: Hlc::from_bits(0x0102_0304_0506_0708),
            op: Some(OpId {
                client: 5,
                sequence: 6,
            }),
            expires_ms: None,
            body: "hi".into(),
        },
        context(&BTreeSet::from([dot(1, 1), dot(2, 300)])),
    );
    row.join(&Row::write(
        dot(3, 1),
        Version {
            hlc: Hlc::at(0),
            op: None,
            expires_ms: None,
            body: "".into(),
        },
        Context::default(),
    ));
    let bytes = [
        &[1, 2][..],
        &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 2],
        &[1, 2, 3, 4, 5, 6, 7, 8, 1],
        &[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6,
        ],
        &[2, b'h', b'i'],
        &[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 1],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, 0],
        &[
            0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0xac, 2, 0,
        ],
    ]
    .concat();
    assert_eq!(row.encode(), bytes);
    assert_eq!(Row::decode(&bytes), Ok(row));
}

#[test]
fn the_empty_row_is_three_bytes_and_is_not_stored() {
    assert_eq!(Row::default().encode(), [1, 0, 0]);
    assert!(Row::default().is_empty());
    assert!(!Row::delete(context(&BTreeSet::from([dot(1, 1)]))).is_empty());
}

#[test]
fn an_unknown_format_is_named() {
    let found = Row::decode(&[2, 0, 0]);
    assert_eq!(
        found,
        Err(DecodeError::UnknownFormat {
            field: "row",
            found: 2
        })
    );
}

#[test]
fn the_last_counter_there_is_has_no_neighbour() {
    let all = |first| {
        let mut context = Context::default();
        context.insert(dot(1, first));
        let mut dots = context.dots().clone();
        dots.insert_range(dot(1, 1).actor, first, u64::MAX);
        dots
    };
    assert!(all(5).difference(&all(1)).is_empty());
    assert!(all(1).covers(&all(u64::MAX)));
    let mut above = Context::of(all(9));
    above.strip(&Clock::of(all(1)));
    assert!(above.is_empty());
}
