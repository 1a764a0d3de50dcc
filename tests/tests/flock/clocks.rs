//! A node whose wall clock is wrong goes by those of the others.

use bytes::Bytes;

use crate::five;
use crdt::Hlc;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use ring::NodeId;
use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::vnode::Action;
use starling_node::store::{Engine, Table};
use starling_tests::flock::{Flock, command};

const DAY: i64 = 24 * 3_600 * 1_000;

/// By how many milliseconds the stamp of an assignment is off.
fn stamped_off(flock: &mut Flock, node: NodeId, sequence: u64) -> i64 {
    let assign = Action::one(Leaf::Register, Update::Assign(Bytes::from_static(b"v")));
    let stamp: Hlc = flock.write(node, sequence, assign).changes[0].event.hlc;
    let off = i128::from(stamp.milliseconds()) - i128::from(flock.now().wall_ms);
    i64::try_from(off).expect("a few days")
}

#[test]
fn a_node_that_starts_a_day_ahead_stamps_as_the_others_do_once_it_has_heard_them() {
    let mut flock = five(HintConfig::default());
    let [wrong, right, ..] = flock.nodes::<5>();
    flock.set_clock(wrong, DAY);
    flock.restart(wrong);
    assert!(
        stamped_off(&mut flock, wrong, 1) > DAY / 2,
        "nobody has told it"
    );
    flock.pass(3);
    assert_eq!(flock.replica(wrong).wall_ahead_ms(), DAY);
    assert!(stamped_off(&mut flock, wrong, 2).abs() <= 500);
    assert_eq!(flock.replica(right).wall_ahead_ms(), 0);
    assert!(stamped_off(&mut flock, right, 3).abs() <= 500);
    flock.set_clock(wrong, 0);
    assert!(stamped_off(&mut flock, wrong, 4).abs() <= 500);
    assert_eq!(flock.replica(wrong).wall_ahead_ms(), 0);
}

#[test]
fn a_node_that_starts_a_day_behind_goes_on_from_its_last_stamp() {
    let mut flock = five(HintConfig::default());
    let [wrong, ..] = flock.nodes::<5>();
    assert_eq!(stamped_off(&mut flock, wrong, 1), 0);
    flock.set_clock(wrong, -DAY);
    flock.restart(wrong);
    assert_eq!(stamped_off(&mut flock, wrong, 2), 0, "nobody has told it");
    flock.pass(3);
    assert_eq!(flock.replica(wrong).wall_ahead_ms(), -DAY);
    assert!(stamped_off(&mut flock, wrong, 3).abs() <= 500);
}

#[test]
fn what_is_over_only_by_a_wrong_clock_stays() {
    let mut flock = five(HintConfig::default());
    let [wrong, ..] = flock.nodes::<5>();
    let mut command = command(1, Action::Put(Bytes::from_static(b"for an hour")));
    command.ttl_ms = Some(3_600_000);
    let written = flock.order(wrong, command, (1, 1), false);
    assert!(written.is_ok(), "{written:?}");
    flock.pass(2);
    let stored = |flock: &Flock| {
        let statistics = flock.engine(wrong).statistics();
        [Table::Data, Table::Records].map(|table| statistics.rows_of(table))
    };
    assert_eq!(stored(&flock), [1, 1]);
    // A day later by its own clock, both the version and the record would be over.
    flock.cut(wrong);
    flock.set_clock(wrong, DAY);
    flock.restart(wrong);
    flock.pass(10);
    assert_eq!(stored(&flock), [1, 1]);
    flock.heal();
    flock.pass(10);
    assert_eq!(flock.replica(wrong).wall_ahead_ms(), DAY);
    assert_eq!(stored(&flock), [1, 1]);
}

#[test]
fn a_clock_that_jumps_while_nobody_is_reached_moves_no_stamp() {
    let mut flock = five(HintConfig::default());
    let [node, ..] = flock.nodes::<5>();
    flock.pass(3);
    flock.cut(node);
    for (sequence, ahead) in (1..).zip([DAY, -DAY, 0]) {
        flock.set_clock(node, ahead);
        flock.pass(1);
        assert!(stamped_off(&mut flock, node, sequence).abs() <= 500);
    }
}
