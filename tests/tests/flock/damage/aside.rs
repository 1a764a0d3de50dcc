//! What cannot be read of one vnode, in each table: it costs who needs it, and no other vnode.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::five;
use crdt::{Actor, Context, OpId};
use ring::{NodeId, VnodeId};
use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::keys::{checkpoint_key, vnode_end, vnode_prefix};
use starling_node::protocol::messages::Refusal;
use starling_node::protocol::replica::{ReplicaConfig, WriteError};
use starling_node::protocol::vnode::{Action, Command};
use starling_node::store::Table;
use starling_tests::flock::Flock;

const REFUSED: Result<(), WriteError> = Err(WriteError::Refused(Refusal::Storage));

#[test]
fn a_search_for_expired_versions_leaves_what_it_cannot_read() {
    let (mut flock, first) = filled();
    spoil_row(&flock, first, "k5");
    // At its beginning a vnode looks for them everywhere.
    flock.restart(first);
    let before = lives(&flock, first);
    flock.pass(5);
    assert_eq!(lives(&flock, first), before, "all go on as they were");
    assert_eq!(flock.read(first, "k5"), Err(Refusal::Storage));
    assert!(flock.read(first, "k6").is_ok());
    flock.engine(first).heal();
    flock.pass(60);
    assert!(flock.read(first, "k5").is_ok());
    assert_eq!(costs(&flock, first), (0, 0));
}

#[test]
fn rows_that_stay_unreadable_are_found_by_the_walk_although_they_may_expire() {
    let (mut flock, first) = filled();
    spoil_row(&flock, first, "k5");
    flock.restart(first);
    flock.pass(120);
    assert_eq!(costs(&flock, first), (1, 1));
    assert_eq!(flock.read(first, "k6"), Err(Refusal::Quarantined));
}

#[test]
fn a_write_over_an_unreadable_row_is_refused_and_leaves_no_trace() {
    let (mut flock, first) = filled();
    spoil_row(&flock, first, "k5");
    let before = lives(&flock, first);
    assert_eq!(flock.put(first, "k5"), REFUSED);
    assert_eq!(flock.put(first, "k6"), Ok(()));
    assert_eq!(flock.put(first, "k5"), REFUSED);
    assert_eq!(
        flock.put(first, "k6"),
        REFUSED,
        "it begins twice a second at the most"
    );
    flock.pass(1);
    assert_eq!(others(lives(&flock, first), &flock), others(before, &flock));
    assert_eq!(flock.put(first, "k6"), Ok(()));
    flock.engine(first).heal();
    assert_eq!(flock.put(first, "k5"), Ok(()));
    flock.pass(10);
    is_one(&flock);
    assert_eq!(costs(&flock, first), (0, 0));
}

#[test]
fn an_event_that_cannot_be_read_for_a_moment_costs_its_vnode_that_moment() {
    let (mut flock, first) = logging();
    spoil_all(&flock, first, Table::Dotlog);
    let before = lives(&flock, first);
    flock.heal();
    flock.pass(5);
    assert_eq!(flock.put(first, "k6"), REFUSED, "it cannot be recovered");
    let unread: Vec<VnodeId> = flock.replica(first).unread().map(|(id, _)| id).collect();
    assert_eq!(unread, [flock.vnode()]);
    assert_eq!(others(lives(&flock, first), &flock), others(before, &flock));
    flock.engine(first).heal();
    flock.pass(10);
    assert_eq!(flock.replica(first).unread().count(), 0);
    assert_eq!(flock.put(first, "k6"), Ok(()));
    flock.pass(10);
    is_one(&flock);
    assert_eq!(costs(&flock, first), (0, 0));
}

#[test]
fn an_event_that_stays_unreadable_costs_one_batch_and_its_vnode() {
    let (mut flock, first) = logging();
    spoil_all(&flock, first, Table::Dotlog);
    flock.heal();
    flock.pass(120);
    assert_eq!(costs(&flock, first), (1, 1));
    assert_eq!(flock.read(first, "k6"), Err(Refusal::Quarantined));
}

#[test]
fn records_that_cannot_be_read_for_a_moment_cost_their_vnode_that_moment() {
    let (mut flock, first) = filled();
    spoil_all(&flock, first, Table::Records);
    let before = lives(&flock, first);
    flock.pass(3);
    assert_eq!(flock.put(first, "k6"), REFUSED);
    assert_eq!(others(lives(&flock, first), &flock), others(before, &flock));
    flock.engine(first).heal();
    flock.pass(10);
    assert_eq!(flock.put(first, "k6"), Ok(()));
    assert_eq!(costs(&flock, first), (0, 0));
}

#[test]
fn records_that_stay_unreadable_cost_one_batch_and_their_vnode() {
    let (mut flock, first) = filled();
    spoil_all(&flock, first, Table::Records);
    flock.pass(120);
    assert_eq!(costs(&flock, first), (1, 1));
    assert_eq!(flock.read(first, "k6"), Err(Refusal::Quarantined));
}

#[test]
fn a_checkpoint_that_stays_unreadable_costs_a_vnode_that_was_in_use() {
    let (mut flock, first) = filled();
    let key = checkpoint_key(flock.vnode());
    spoil(&flock, first, Table::Meta, &key);
    spoil_row(&flock, first, "k5");
    assert_eq!(flock.put(first, "k5"), REFUSED);
    flock.engine(first).heal();
    spoil(&flock, first, Table::Meta, &key);
    flock.pass(5);
    let unread: Vec<VnodeId> = flock.replica(first).unread().map(|(id, _)| id).collect();
    assert_eq!(unread, [flock.vnode()], "it cannot be recovered");
    flock.pass(60);
    assert_eq!(costs(&flock, first), (1, 1));
    assert_eq!(flock.read(first, "k6"), Err(Refusal::Quarantined));
    // Another process can read it, and fills the vnode from the other owners.
    flock.engine(first).heal();
    flock.restart(first);
    flock.pass(20);
    assert!(flock.read(first, "k6").is_ok());
    is_one(&flock);
}

#[test]
fn a_vnode_that_meets_trouble_time_and_again_begins_more_and_more_rarely() {
    let config = ReplicaConfig {
        // Nobody finds out that it lasts.
        verify_rows: 0,
        ..ReplicaConfig::default()
    };
    let mut flock = Flock::new(5, 3, config);
    let [first, _, _, _, _] = flock.nodes();
    assert_eq!(flock.put(first, "k5"), Ok(()));
    flock.pass(5);
    spoil_row(&flock, first, "k5");
    let mut actors = BTreeSet::new();
    for _ in 0..240 {
        assert_eq!(flock.put(first, "k5"), REFUSED);
        let vnode = flock.replica(first).vnode(flock.vnode());
        actors.extend(vnode.map(|vnode| vnode.actor()));
        flock.pass_in_steps(1, 500);
    }
    assert!(actors.len() <= 10, "{} lives in two minutes", actors.len());
    flock.engine(first).heal();
    flock.pass(130);
    assert_eq!(flock.put(first, "k5"), Ok(()));
    // After ten minutes without trouble it is forgiven.
    flock.pass(600);
    spoil_row(&flock, first, "k5");
    assert_eq!(flock.put(first, "k5"), REFUSED);
    assert_eq!(flock.put(first, "k6"), Ok(()));
}

#[test]
fn a_node_starts_without_the_vnode_whose_checkpoint_it_cannot_read() {
    let (mut flock, first) = filled();
    let key = checkpoint_key(flock.vnode());
    spoil(&flock, first, Table::Meta, &key);
    let owned = flock.replica(first).vnodes().count();
    flock.restart(first);
    flock.pass(120);
    assert_eq!(flock.replica(first).vnodes().count(), owned - 1);
    assert_eq!(flock.read(first, "k6"), Err(Refusal::Storage));
    flock.engine(first).heal();
    // It is tried again about every minute by now.
    flock.pass(70);
    assert_eq!(flock.replica(first).vnodes().count(), owned);
    assert!(flock.read(first, "k6").is_ok());
    is_one(&flock);
    assert_eq!(costs(&flock, first), (0, 0));
}

/// Five nodes, the owners of the same rows, some of which expire; and the first of them.
fn filled() -> (Flock, NodeId) {
    let mut flock = five(HintConfig::default());
    let [first, second, third, _, _] = flock.nodes();
    for key in 0..10 {
        let owner = [first, second, third][key % 3];
        assert_eq!(flock.put(owner, &format!("k{key}")), Ok(()));
    }
    let operation = OpId {
        client: 3,
        sequence: 1,
    };
    let value = Action::Put(Bytes::from_static(b"short"));
    let mut command = Command::single(flock.prefix("k5x"), value, Context::default(), operation);
    command.ttl_ms = Some(1_000);
    flock
        .enter(first, command, false)
        .expect("nothing is over a limit");
    flock.pass(10);
    (flock, first)
}

/// The same with an event that an owner has not seen, and that the others keep in their logs.
fn logging() -> (Flock, NodeId) {
    let (mut flock, first) = filled();
    let [_, _, third, _, _] = flock.nodes();
    flock.cut(third);
    assert_eq!(flock.put(first, "k4"), Ok(()));
    flock.pass(2);
    (flock, first)
}

fn spoil(flock: &Flock, node: NodeId, table: Table, key: &[u8]) {
    let end = [key, &[0]].concat();
    flock.engine(node).spoil(table, key, &end);
}

fn spoil_row(flock: &Flock, node: NodeId, key: &str) {
    let (key, _) = flock.row(node, key);
    spoil(flock, node, Table::Data, &key);
}

/// All that a table holds of the vnode.
fn spoil_all(flock: &Flock, node: NodeId, table: Table) {
    let (from, to) = (vnode_prefix(flock.vnode()), vnode_end(flock.vnode()));
    flock.engine(node).spoil(table, &from, &to);
}

/// Under which actor each vnode of a node goes on.
fn lives(flock: &Flock, node: NodeId) -> Vec<(VnodeId, Actor)> {
    let vnodes = flock.replica(node).vnodes();
    vnodes.map(|vnode| (vnode.id(), vnode.actor())).collect()
}

fn others(mut lives: Vec<(VnodeId, Actor)>, flock: &Flock) -> Vec<(VnodeId, Actor)> {
    lives.retain(|(id, _)| *id != flock.vnode());
    assert!(!lives.is_empty(), "it owns others");
    lives
}

/// Batches that came to nothing anywhere, and vnodes that this node put into quarantine.
fn costs(flock: &Flock, node: NodeId) -> (usize, u64) {
    (flock.failures(), flock.replica(node).quarantines())
}

/// All owners hold the same.
fn is_one(flock: &Flock) {
    let [first, others @ .., _, _] = flock.nodes::<5>();
    for other in others {
        assert_eq!(flock.clock(first), flock.clock(other));
        assert_eq!(flock.rows(first), flock.rows(other));
    }
}
