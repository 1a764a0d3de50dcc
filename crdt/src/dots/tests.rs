//! A set of dots against the plain set it stands for.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::DotSet;
use crate::actor::Actor;
use crate::codec::{Decoder, Encoder};
use crate::dot::Dot;

fn dots() -> impl Strategy<Value = BTreeSet<Dot>> {
    vec((0_u64..3, 1_u64..24), 0..40).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(node, n)| Dot::new(Actor { node, nonce: 9 }, n))
            .collect()
    })
}

fn set(dots: &BTreeSet<Dot>) -> DotSet {
    let mut set = DotSet::default();
    dots.iter().for_each(|&dot| set.insert(dot));
    set
}

fn plain(set: &DotSet) -> BTreeSet<Dot> {
    set.ranges()
        .flat_map(|(actor, first, last)| (first..=last).map(move |n| Dot::new(actor, n)))
        .collect()
}

proptest! {
    #[test]
    fn it_holds_what_was_inserted_in_any_order(a in dots(), b in dots()) {
        let mut joined = set(&a);
        joined.join(&set(&b));
        let union: BTreeSet<Dot> = a.union(&b).copied().collect();
        prop_assert_eq!(plain(&joined), union.clone());
        prop_assert_eq!(&joined, &set(&union));
        prop_assert_eq!(joined.len(), union.len() as u64);
        for dot in &union {
            prop_assert!(joined.contains(*dot));
        }
    }

    #[test]
    fn difference_is_set_difference(a in dots(), b in dots()) {
        let left = set(&a).difference(&set(&b));
        let expected: BTreeSet<Dot> = a.difference(&b).copied().collect();
        prop_assert_eq!(plain(&left), expected);
        prop_assert_eq!(set(&a).covers(&set(&b)), b.is_subset(&a));
    }

    #[test]
    fn bases_and_what_lies_beyond_make_the_set(a in dots(), b in dots()) {
        let floor = set(&b);
        let mut beyond = set(&a);
        beyond.remove_bases(&floor);
        let expected: BTreeSet<Dot> =
            a.iter().copied().filter(|dot| dot.counter > floor.base(dot.actor)).collect();
        prop_assert_eq!(plain(&beyond), expected);
        prop_assert!(floor.covers(&floor.bases()));
        for actor in floor.actors() {
            let next = Dot::new(actor, floor.base(actor) + 1);
            prop_assert!(!floor.contains(next));
        }
    }

    #[test]
    fn equal_sets_have_equal_bytes_and_come_back(a in dots()) {
        let mut encoder = Encoder::default();
        set(&a).encode(&mut encoder);
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        prop_assert_eq!(DotSet::decode(&mut decoder).unwrap(), set(&a));
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn bytes_that_decode_are_canonical(bytes in vec(0_u8..4, 0..80)) {
        let mut decoder = Decoder::new(&bytes);
        if let Ok(set) = DotSet::decode(&mut decoder) {
            let mut encoder = Encoder::default();
            set.encode(&mut encoder);
            let read = bytes.len() - decoder.rest().len();
            prop_assert_eq!(encoder.finish(), &bytes[..read]);
        }
    }
}
