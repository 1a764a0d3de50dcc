//! Why a fold of some operands must not strip: the directed trace of `dirstrip`.
//!
//! A row is stored as operands. Compaction sees the oldest of them alone, and a clock that may
//! already contain newer ones; stripping by that clock forgets a kill that the newer operand needs.

use crate::common::Replica;
use crdt::kinds::value::siblings;
use crdt::{Clock, Context, Hlc, Row, Version};

/// Replica c gets e, which overwrites x, before x itself; then compaction folds `[e]` alone.
fn operands() -> ([Row; 2], Clock) {
    let key = b"key".as_slice();
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let version = |body: &'static str| Some(Version::new(Hlc::at(1), None, body.into()));
    let x = a.write(key.into(), version("x"), Context::default());
    b.receive(&x);
    let seen = a.row(key).seen();
    let e = b.write(key.into(), version("e"), seen);
    let mut clock = Clock::default();
    clock.insert(e.dot);
    clock.insert(x.dot);
    ([e.row, x.row], clock)
}

fn read(oldest: &Row, newest: &Row) -> Vec<String> {
    let mut row = oldest.clone();
    row.join(newest);
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    siblings(&row)
        .iter()
        .map(|sibling| text(&sibling.value))
        .collect()
}

#[test]
fn a_fold_that_only_joins_keeps_the_overwritten_value_away() {
    let ([e, x], _) = operands();
    assert_eq!(read(&e, &x), ["e"]);
}

#[test]
fn a_fold_that_strips_by_the_live_clock_would_bring_it_back() {
    let ([mut e, x], clock) = operands();
    e.strip(&clock);
    assert_eq!(read(&e, &x), ["x", "e"]);
}

#[test]
fn a_fold_of_all_operands_may_strip() {
    let ([mut e, x], clock) = operands();
    e.join(&x);
    e.strip(&clock);
    assert!(e.context().is_empty());
    assert_eq!(read(&e, &Row::default()), ["e"]);
}
