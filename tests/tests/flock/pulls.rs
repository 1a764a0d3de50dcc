//! What replicas that differ send each other: as much as they differ, and not as much as they hold.

use ring::NodeId;
use starling_node::protocol::replica::ReplicaConfig;
use starling_node::protocol::vnode::Vnode;
use starling_tests::flock::Flock;

#[test]
fn one_missing_row_of_a_hundred_thousand_costs_a_few_kilobytes() {
    let (mut flock, [writer, late, _]) = apart(1);
    let bytes = caught_up(&mut flock, writer, late);
    println!("one row that is missing: {bytes} bytes");
    assert!(bytes < 16 << 10, "{bytes} bytes");
}

#[test]
fn a_thousand_missing_rows_cost_a_thousand_rows() {
    let (mut flock, [writer, late, _]) = apart(1_000);
    let bytes = caught_up(&mut flock, writer, late);
    println!("a thousand rows that are missing: {bytes} bytes");
    assert!(bytes < 1_000 * 512, "{bytes} bytes");
}

/// What only a busy node holds would be missing from reads, if others did without it.
#[test]
fn a_new_disk_counts_for_no_read_while_an_owner_that_may_hold_more_is_only_slow() {
    let (mut flock, [new, busy, other]) = bare();
    flock.hang(busy);
    flock.replace_disk(new);
    flock.pass(30);
    assert!(is_catching_up(&flock, new));
    assert_eq!(flock.clock(new), flock.clock(other));
    flock.heal();
    flock.pass(5);
    assert!(!is_catching_up(&flock, new));
    assert_eq!(flock.clock(new), flock.clock(busy));
}

#[test]
fn a_new_disk_goes_on_without_an_owner_that_is_away_and_at_last_without_a_silent_one() {
    let (mut flock, [new, away, _]) = bare();
    flock.cut(away);
    flock.replace_disk(new);
    flock.pass(15);
    assert!(!is_catching_up(&flock, new));

    let (mut flock, [new, silent, _]) = bare();
    flock.hang(silent);
    flock.replace_disk(new);
    flock.pass(90);
    assert!(!is_catching_up(&flock, new));
}

/// Three owners, of which the second has a write that the third lacks.
fn bare() -> (Flock, [NodeId; 3]) {
    let mut flock = Flock::new(3, 3, ReplicaConfig::default());
    flock.pass(5);
    let [new, busy, other] = flock.nodes();
    flock.cut_link(busy, other);
    flock.cut_link(busy, new);
    assert_eq!(flock.put(busy, "k"), Ok(()));
    flock.heal();
    (flock, [new, busy, other])
}

fn is_catching_up(flock: &Flock, node: NodeId) -> bool {
    let vnode = flock.replica(node).vnode(flock.vnode());
    vnode.is_none_or(Vnode::is_catching_up)
}

/// Three owners of the same rows, a hundred thousand or `STARLING_ROWS`, of which one lacks so many
/// more.
fn apart(rows: usize) -> (Flock, [NodeId; 3]) {
    let mut flock = Flock::with_rows(3, 3, ReplicaConfig::default(), super::rows());
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
