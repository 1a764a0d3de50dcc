//! What replicas that differ send each other: as much as they differ, and not as much as they hold.

use ring::NodeId;
use starling_node::protocol::replica::ReplicaConfig;
use starling_tests::flock::Flock;

#[test]
fn one_missing_row_of_a_hundred_thousand_costs_a_few_kilobytes() {
    let (mut flock, [writer, late, _]) = apart(1);
    let bytes = caught_up(&mut flock, writer, late);
    assert!(bytes < 16 << 10, "{bytes} bytes");
}

#[test]
fn a_thousand_missing_rows_cost_a_thousand_rows() {
    let (mut flock, [writer, late, _]) = apart(1_000);
    let bytes = caught_up(&mut flock, writer, late);
    assert!(bytes < 1_000 * 512, "{bytes} bytes");
}

/// Three owners of the same hundred thousand rows, of which one lacks so many more.
fn apart(rows: usize) -> (Flock, [NodeId; 3]) {
    let mut flock = Flock::with_rows(3, 3, ReplicaConfig::default(), 100_000);
    flock.pass(5);
    let [writer, other, late] = flock.nodes();
    flock.cut(late);
    for row in 0..rows {
        assert_eq!(flock.put(writer, &format!("new-{row}")), Ok(()));
    }
    flock.pass(5);
    assert_eq!(flock.clock(writer), flock.clock(other));
    (flock, [writer, late, other])
}

/// The bytes that all nodes send until the late one has everything, its scrub's and all others'.
fn caught_up(flock: &mut Flock, writer: NodeId, late: NodeId) -> usize {
    flock.heal();
    flock.take_bytes();
    for _ in 0..60 {
        flock.pass(1);
        if flock.clock(late) == flock.clock(writer) {
            assert_eq!(flock.rows(late), flock.rows(writer));
            return flock.take_bytes();
        }
    }
    panic!("it has not caught up in a minute")
}
