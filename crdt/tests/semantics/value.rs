//! `value`: what concurrent puts and deletes of one key give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{observers, op, version};
use crdt::kinds::value::{latest, siblings};
use crdt::{Context, Hlc, OpId, Version};

const KEY: Bytes = Bytes::from_static(b"key");

fn put(replica: &mut Replica, body: &'static str, over: &Context) -> Delta {
    replica.write(KEY, Some(version(body, None)), over.clone())
}

fn put_as(replica: &mut Replica, body: &'static str, name: OpId) -> Delta {
    replica.write(KEY, Some(version(body, Some(name))), Context::default())
}

fn delete(replica: &mut Replica, over: &Context) -> Delta {
    replica.write(KEY, None, over.clone())
}

fn read(replica: &Replica) -> Vec<String> {
    let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
    let siblings = siblings(&replica.filled(&KEY)).into_iter();
    siblings.map(|sibling| text(sibling.value)).collect()
}

fn token(replica: &Replica) -> Context {
    replica.filled(&KEY).seen()
}

/// Two replicas that both hold `old`, with its delta.
fn two_with_old() -> (Replica, Replica, Delta) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let old = put(&mut a, "old", &Context::default());
    b.receive(&old);
    (a, b, old)
}

#[track_caller]
fn all_show(deltas: &[Delta], expected: &[&str]) {
    for observer in observers(deltas) {
        assert_eq!(read(&observer), expected);
    }
}

#[test]
fn concurrent_puts_are_siblings() {
    let (mut a, mut b, old) = two_with_old();
    let (over_a, over_b) = (token(&a), token(&b));
    let x = put(&mut a, "x", &over_a);
    let y = put(&mut b, "y", &over_b);
    all_show(&[old, x, y], &["x", "y"]);
}

#[test]
fn a_put_survives_a_concurrent_delete() {
    let (mut a, mut b, old) = two_with_old();
    let (over_a, over_b) = (token(&a), token(&b));
    let x = put(&mut a, "x", &over_a);
    let gone = delete(&mut b, &over_b);
    all_show(&[old, x, gone], &["x"]);
}

#[test]
fn concurrent_deletes_leave_nothing_at_all() {
    let (mut a, mut b, old) = two_with_old();
    let (over_a, over_b) = (token(&a), token(&b));
    let deltas = [old, delete(&mut a, &over_a), delete(&mut b, &over_b)];
    all_show(&deltas, &[]);
    for observer in observers(&deltas) {
        assert!(observer.rows.is_empty(), "a deleted key takes no space");
    }
}

#[test]
fn one_put_at_two_coordinators_under_one_operation_is_one_value() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let first = put_as(&mut a, "once", op(1));
    let retry = put_as(&mut b, "once", op(1));
    all_show(&[first.clone(), retry.clone()], &["once"]);
    let shown = siblings(&observers(&[retry, first.clone()])[0].filled(&KEY));
    assert_eq!(shown[0].dot, first.dot, "the smaller dot is shown");
}

#[test]
fn a_write_that_read_a_retried_put_covers_both_of_its_versions() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let first = put_as(&mut a, "once", op(1));
    let retry = put_as(&mut b, "once", op(1));
    a.receive(&retry);
    let over = token(&a);
    let next = put(&mut a, "next", &over);
    all_show(&[first, retry, next], &["next"]);
}

#[test]
fn a_put_with_a_stale_context_stands_beside_what_it_has_not_seen() {
    let (mut a, _, old) = two_with_old();
    let stale = token(&a);
    let newer = put(&mut a, "newer", &stale);
    let late = put(&mut a, "late", &stale);
    all_show(&[old, newer, late], &["newer", "late"]);
}

#[test]
fn a_put_without_a_context_overwrites_nothing() {
    let (mut a, _, old) = two_with_old();
    let blind = put(&mut a, "blind", &Context::default());
    all_show(&[old, blind], &["old", "blind"]);
}

#[test]
fn of_concurrent_puts_the_one_with_the_later_stamp_is_the_latest() {
    for (stamps, expected) in [([9, 8], "x"), ([8, 9], "y"), ([9, 9], "y")] {
        let (mut a, mut b, old) = two_with_old();
        let put = |replica: &mut Replica, body: &'static str, stamp| {
            let over = token(replica);
            let version = Version::new(Hlc::at(stamp), None, body.into());
            replica.write(KEY, Some(version), over)
        };
        let puts = [put(&mut a, "x", stamps[0]), put(&mut b, "y", stamps[1])];
        for observer in observers(&[&[old][..], &puts].concat()) {
            let shown = latest(&observer.filled(&KEY)).map(|sibling| sibling.value);
            assert_eq!(shown, Some(expected.into()), "{stamps:?}");
        }
    }
}

#[test]
fn a_put_overwrites_what_its_reader_saw() {
    let (mut a, mut b, old) = two_with_old();
    let left = put(&mut a, "left", &Context::default());
    b.receive(&left);
    let over = token(&b);
    let merged = put(&mut b, "merged", &over);
    all_show(&[old, left, merged], &["merged"]);
}

#[test]
fn a_reader_of_one_dot_has_not_seen_those_below_it() {
    let mut a = Replica::new(1);
    let first = put(&mut a, "first", &Context::default());
    let second = put(&mut a, "second", &Context::default());
    let mut b = Replica::new(2);
    b.receive(&second);
    let over = token(&b);
    let third = put(&mut b, "third", &over);
    all_show(&[first, second, third], &["first", "third"]);
}

#[test]
fn a_late_copy_of_a_deleted_value_stays_away() {
    let (mut a, mut b, old) = two_with_old();
    let over = token(&b);
    let gone = delete(&mut b, &over);
    a.receive(&gone);
    a.receive(&old);
    assert!(read(&a).is_empty() && a.rows.is_empty());
    let mut behind = Replica::new(3);
    behind.receive(&old);
    behind.pull(&a, b"");
    assert!(read(&behind).is_empty() && behind.rows.is_empty());
}

#[test]
fn two_interleaved_clients_never_see_more_than_two_siblings() {
    let mut server = Replica::new(1);
    let mut contexts = [Context::default(), Context::default()];
    for turn in 0..40 {
        let mine = &mut contexts[turn % 2];
        // Neither reads: each goes on from the reply to its own last write.
        let body = if turn % 2 == 0 { "left" } else { "right" };
        let delta = put(&mut server, body, mine);
        mine.insert(delta.dot);
        assert!(read(&server).len() <= 2, "siblings pile up at turn {turn}");
    }
}

#[test]
fn two_interleaved_readers_writing_over_what_they_read_never_exceed_two() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for turn in 0..40 {
        let (over_a, over_b) = (token(&a), token(&b));
        let x = put(&mut a, "x", &over_a);
        let y = put(&mut b, "y", &over_b);
        if turn % 3 != 0 {
            b.receive(&x);
        }
        a.receive(&y);
        assert!(read(&a).len() <= 2 && read(&b).len() <= 2);
    }
    a.pull(&b, b"");
    b.pull(&a, b"");
    assert_eq!(read(&a), read(&b));
}
