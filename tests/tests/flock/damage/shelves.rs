//! Damage to what a stand-in keeps. No batch fails: a damaged shelf costs nobody but itself.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::five;
use crdt::dots::DotSet;
use crdt::{Clock, Dot};
use ring::NodeId;
use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::messages::{Kept, PeerReply, PeerRequest, Pull, Refusal};
use starling_node::protocol::replica::WriteError;
use starling_node::protocol::vnode::Action;
use starling_node::store::{Batch, Direction, Engine, KeyRange, MemoryEngine, Table, View};
use starling_tests::flock::{Flock, Stored, command};

#[test]
fn a_damaged_row_on_a_shelf_costs_that_shelf_and_no_batch() {
    let (mut flock, dot) = kept();
    let [first, second, third, stand_in, _] = flock.nodes();
    flip_a_bit_of_a_row(flock.engine(stand_in));
    let damaged = stored(flock.engine(stand_in));
    // Only the stand-in could bring it.
    flock.heal();
    flock.cut_link(first, third);
    flock.cut_link(second, third);
    flock.pass(10);
    assert!(!flock.holds(third, dot));
    let hints = flock.replica(stand_in).hints();
    assert!(hints.is_empty() && hints.damaged().count() == 1);
    assert_eq!(stored(flock.engine(stand_in)), damaged, "its bytes stay");
    // It takes nothing more for these owners, and says why.
    let changes = flock.write(first, 2, put());
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::Storage)));
    let refused = flock.enter(stand_in, command(3, put()), true);
    assert_eq!(refused, Err(WriteError::Refused(Refusal::Storage)));
    flock.heal();
    flock.pass(10);
    assert!(flock.holds(third, dot), "the other owners have it");
    assert_eq!(flock.failures(), 0);
}

#[test]
fn a_write_that_meets_damage_on_a_shelf_is_refused_and_fails_no_batch() {
    let (mut flock, _) = kept();
    let [first, _, _, stand_in, _] = flock.nodes();
    flip_a_bit_of_a_row(flock.engine(stand_in));
    let changes = flock.write(first, 2, put());
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::Storage)));
    assert_eq!(flock.replica(stand_in).hints().damaged().count(), 1);
    assert_eq!(flock.failures(), 0);
}

#[test]
fn a_shelf_that_cannot_be_read_for_a_moment_is_handed_over_afterwards() {
    let (mut flock, dot) = spoiled();
    let [_, _, third, stand_in, _] = flock.nodes();
    flock.pass(5);
    assert!(!flock.holds(third, dot));
    assert_eq!(set_aside(&flock, stand_in), (0, 0));
    flock.engine(stand_in).heal();
    flock.pass(5);
    assert!(flock.holds(third, dot));
    assert!(flock.replica(stand_in).hints().is_empty());
    assert_eq!(flock.failures(), 0);
}

#[test]
fn a_shelf_that_stays_unreadable_is_set_aside_and_taken_up_again_by_the_next_process() {
    let (mut flock, dot) = spoiled();
    let [_, _, third, stand_in, _] = flock.nodes();
    flock.pass(60);
    assert_eq!(set_aside(&flock, stand_in), (0, 1));
    flock.engine(stand_in).heal();
    flock.restart(stand_in);
    flock.pass(5);
    assert!(flock.holds(third, dot));
    assert_eq!(set_aside(&flock, stand_in), (0, 0));
    assert_eq!(flock.failures(), 0);
}

#[test]
fn a_shelf_that_was_unreadable_for_long_is_handed_over_when_it_can_be_read() {
    let (mut flock, dot) = spoiled();
    let [_, _, third, stand_in, _] = flock.nodes();
    flock.pass(300);
    assert_eq!(set_aside(&flock, stand_in), (0, 1));
    flock.engine(stand_in).heal();
    // It is tried about once a minute by now.
    flock.pass(65);
    assert_eq!(set_aside(&flock, stand_in), (0, 0));
    assert!(flock.holds(third, dot));
    assert_eq!(flock.failures(), 0);
}

/// The owner is away, and another one asks for what is kept, in vain every other time.
#[test]
fn a_shelf_that_is_read_in_between_is_not_set_aside() {
    let (mut flock, dot) = kept();
    let [first, _, _, stand_in, _] = flock.nodes();
    let mut want = DotSet::default();
    want.insert(dot);
    let pull = PeerRequest::Pull(Pull {
        vnode: flock.vnode(),
        incarnation: 0,
        want,
        have: Clock::default(),
    });
    for _ in 0..25 {
        spoil_a_row(flock.engine(stand_in));
        let reply = flock.ask(first, stand_in, pull.clone());
        assert_eq!(reply, Some(PeerReply::Refused(Refusal::Storage)));
        flock.engine(stand_in).heal();
        flock.pass(1);
        let reply = flock.ask(first, stand_in, pull.clone());
        assert!(matches!(reply, Some(PeerReply::Pulled(_))), "{reply:?}");
    }
    assert_eq!(set_aside(&flock, stand_in), (0, 0));
}

/// The owner is away, so that nothing else reads the shelf.
#[test]
fn a_write_that_meets_an_unreadable_row_on_a_shelf_costs_the_shelf_that_moment() {
    let (mut flock, dot) = kept();
    let [first, _, third, stand_in, _] = flock.nodes();
    spoil_a_row(flock.engine(stand_in));
    let changes = flock.write(first, 2, put());
    let keep = PeerRequest::Keep(Kept::Changes(changes));
    let reply = flock.ask(first, stand_in, keep.clone());
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::Storage)));
    assert_eq!(set_aside(&flock, stand_in), (0, 1));
    flock.engine(stand_in).heal();
    flock.pass(1);
    assert_eq!(set_aside(&flock, stand_in), (0, 0));
    assert!(flock.keeps(stand_in, dot));
    let reply = flock.ask(first, stand_in, keep);
    assert_eq!(reply, Some(PeerReply::Acked));
    flock.heal();
    flock.pass(5);
    assert!(flock.holds(third, dot));
    assert!(flock.replica(stand_in).hints().is_empty());
    assert_eq!(flock.failures(), 0);
}

/// Nothing of it was read before the process ended, so it does not know what lies there.
#[test]
fn a_process_that_cannot_read_a_shelf_takes_it_up_when_it_can() {
    let (mut flock, dot) = kept();
    let [first, _, third, stand_in, _] = flock.nodes();
    // All of it: not even whose it is can be told.
    flock.engine(stand_in).spoil(Table::Hints, &[0], &[u8::MAX]);
    flock.restart(stand_in);
    assert!(flock.replica(stand_in).hints().hidden().is_some());
    let changes = flock.write(first, 2, put());
    let keep = PeerRequest::Keep(Kept::Changes(changes));
    let reply = flock.ask(first, stand_in, keep);
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::Storage)));
    flock.engine(stand_in).heal();
    flock.pass(1);
    assert_eq!(flock.replica(stand_in).hints().hidden(), None);
    assert!(flock.keeps(stand_in, dot));
    flock.heal();
    flock.pass(5);
    assert!(flock.holds(third, dot));
    assert_eq!(flock.failures(), 0);
}

#[test]
fn shelves_that_were_hidden_for_long_are_found_when_they_can_be_read() {
    let (mut flock, dot) = kept();
    let [_, _, third, stand_in, _] = flock.nodes();
    flock.engine(stand_in).spoil(Table::Hints, &[0], &[u8::MAX]);
    flock.restart(stand_in);
    flock.pass(300);
    assert!(flock.replica(stand_in).hints().hidden().is_some());
    flock.engine(stand_in).heal();
    flock.pass(65);
    assert_eq!(flock.replica(stand_in).hints().hidden(), None);
    assert!(flock.keeps(stand_in, dot) && !flock.holds(third, dot));
}

/// How many shelves are set aside: damaged ones, and those that could not be read.
fn set_aside(flock: &Flock, node: NodeId) -> (usize, usize) {
    let hints = flock.replica(node).hints();
    (hints.damaged().count(), hints.unreadable().count())
}

/// A write that an owner lacks and only a stand-in can hand it, whose disk does not read it.
fn spoiled() -> (Flock, Dot) {
    let (mut flock, dot) = kept();
    let [first, second, third, stand_in, _] = flock.nodes();
    flock.heal();
    flock.cut_link(first, third);
    flock.cut_link(second, third);
    spoil_a_row(flock.engine(stand_in));
    (flock, dot)
}

fn spoil_a_row(engine: &MemoryEngine) {
    let (key, _) = rows(engine).remove(0);
    let end = [&key[..], &[0]].concat();
    engine.spoil(Table::Hints, &key, &end);
}

/// A write that an owner lacks and a stand-in keeps.
fn kept() -> (Flock, Dot) {
    let mut flock = five(HintConfig::default());
    let [first, second, third, stand_in, _] = flock.nodes();
    flock.cut(third);
    let changes = flock.write(first, 1, put());
    let dot = changes.changes[0].event.dot;
    flock.ask(first, second, PeerRequest::Replicate(changes.clone()));
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    assert_eq!(reply, Some(PeerReply::Acked));
    (flock, dot)
}

fn put() -> Action {
    Action::Put(Bytes::from_static(b"v"))
}

/// All that lies in the table of hints.
fn stored(engine: &MemoryEngine) -> Vec<Stored> {
    let mut stored = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        stored.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    engine
        .scan(
            Table::Hints,
            KeyRange::all(),
            Direction::Forward,
            &mut visit,
        )
        .expect("no fault is injected");
    stored
}

/// The rows among it: behind the vnode a key has the family.
fn rows(engine: &MemoryEngine) -> Vec<Stored> {
    let stored = stored(engine).into_iter();
    stored.filter(|(key, _)| key[5] == 1).collect()
}

fn flip_a_bit_of_a_row(engine: &MemoryEngine) {
    let (key, mut row) = rows(engine).remove(0);
    row[3] ^= 4;
    let mut batch = Batch::new();
    batch.put(Table::Hints, &key, &row);
    engine.write(&batch).expect("no fault is injected");
}
