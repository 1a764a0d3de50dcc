//! What comes of comparing rows and digests.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Finding, differing};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{Examined, KeyedRow};
use crdt::kinds::Leaf;
use crdt::{Actor, Context, Dot, Hlc, Row, Version};
use ring::{BucketId, Token};

#[test]
fn what_one_of_three_lacks_is_given_back_to_it_alone() {
    let both = [row("a", 1, "x"), row("b", 2, "y")];
    let (whole, less) = (both.to_vec(), vec![row("a", 1, "x")]);
    let here = Finding::of(&less, &[whole.clone(), whole.clone()]);
    assert_eq!(here.restored, [(key("b"), row("b", 2, "y").row)]);
    assert_eq!((here.lacking_there, here.alarms), (0, 0));
    let there = Finding::of(&whole, &[whole.clone(), less]);
    assert_eq!(
        (there.restored.len(), there.lacking_there, there.alarms),
        (0, 1, 0)
    );
}

#[test]
fn nothing_is_changed_where_nobody_can_say_who_is_right() {
    let (whole, none) = (vec![row("a", 1, "x")], Vec::new());
    for (mine, others) in [
        // Two owners.
        (&none, vec![whole.clone()]),
        (&whole, vec![none.clone()]),
        // More than one lacks it.
        (&none, vec![whole.clone(), none.clone()]),
        (&whole, vec![none.clone(), none.clone()]),
        // One dot, two contents.
        (&whole, vec![whole.clone(), vec![row("a", 1, "z")]]),
        (&none, vec![whole.clone(), vec![row("a", 1, "z")]]),
    ] {
        let finding = Finding::of(mine, &others);
        assert_eq!(
            (finding.restored.len(), finding.alarms),
            (0, 1),
            "{mine:?} {others:?}"
        );
    }
}

#[test]
fn rights_are_not_given_back() {
    let mut right = row("a", 1, "x");
    right.key = prefix("a").row(Leaf::Rights, &[0; 8]);
    let finding = Finding::of(&[], &[vec![right.clone()], vec![right]]);
    assert_eq!((finding.restored.len(), finding.alarms), (0, 1));
}

#[test]
fn digests_say_nothing_while_clocks_differ_unless_they_are_equal() {
    let examined = |clock, digests: &[u64]| Examined {
        clock,
        digests: digests.iter().copied().map(Some).collect(),
    };
    let mine = examined(1, &[5, 6]);
    let ask = |theirs: &[Examined]| differing(&mine, theirs);
    assert_eq!(ask(&[examined(2, &[5, 6])]), Some(BTreeSet::new()));
    assert_eq!(ask(&[examined(2, &[5, 7])]), None);
    assert_eq!(ask(&[examined(1, &[5, 7])]), Some([1].into()));
    assert_eq!(
        ask(&[examined(1, &[5, 6]), examined(1, &[4])]),
        Some([0, 1].into())
    );
}

fn row(name: &str, counter: u64, body: &'static str) -> KeyedRow {
    let dot = Dot::new(Actor { node: 1, nonce: 1 }, counter);
    let version = Version::new(Hlc::at(0), None, Bytes::from_static(body.as_bytes()));
    let row = Row::write(dot, version, Context::default());
    let key = key(name);
    KeyedRow { key, row }
}

fn key(name: &str) -> RowKey {
    prefix(name).row(Leaf::Value, b"")
}

fn prefix(name: &str) -> KeyPrefix {
    KeyPrefix::new(3, Token(1), BucketId(1), name.as_bytes(), b"")
}
