//! Directed tests: each rule of the vnode on the smallest history that needs it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Action, Beginning, Command, Limits, Rejected, Sending, Vnode, Written};
use crate::protocol::keys::{KeyPrefix, Tag};
use crate::protocol::messages::{Change, Pull, Selection};
use crate::protocol::stage::{Family, Source, SourceError, Stage, Visit};
use crate::protocol::time::Time;
use crdt::kinds::{counter, value};
use crdt::{Context, Hlc, OpId};
use ring::{BucketId, NodeId, PartitionId, QBits, ReplicaCount, Token, VnodeId};

#[derive(Default)]
struct Disk(BTreeMap<Place, Vec<u8>>);

type Place = (Family, Vec<u8>);

impl Source for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.get(&(family, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        for ((_, key), value) in self.0.range((family, from.to_vec())..(family, to.to_vec())) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A vnode on its own disk.
struct Owner {
    vnode: Vnode,
    disk: Disk,
    limits: Limits,
}

const ID: VnodeId = VnodeId {
    n: ReplicaCount::DEFAULT,
    partition: PartitionId(0),
};
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

impl Owner {
    fn new(node: NodeId) -> Self {
        let disk = Disk::default();
        let mut vnode = Vnode::recover(ID, beginning(node, 7), &disk).unwrap();
        vnode.set_owners(NODES.into_iter().filter(|&other| other != node));
        Self {
            vnode,
            disk,
            limits: Limits::default(),
        }
    }

    fn restart(&mut self, nonce: u64) {
        let node = NodeId(self.vnode.actor().node);
        self.vnode = Vnode::recover(ID, beginning(node, nonce), &self.disk).unwrap();
        self.vnode
            .set_owners(NODES.into_iter().filter(|&other| other != node));
    }

    fn commit<T>(&mut self, act: impl FnOnce(&mut Vnode, &mut Stage<'_>, &Limits) -> T) -> T {
        let mut stage = Stage::new(&self.disk);
        let result = act(&mut self.vnode, &mut stage, &self.limits);
        for (family, key, value) in stage.into_changes().iter() {
            match value {
                Some(value) => self.disk.0.insert((family, key.to_vec()), value.to_vec()),
                None => self.disk.0.remove(&(family, key.to_vec())),
            };
        }
        result
    }

    fn write(&mut self, op: u64, context: &Context, action: Action) -> Result<Written, Rejected> {
        let operation = OpId {
            client: 1,
            sequence: op,
        };
        let context = context.clone();
        let command = Command {
            prefix: key(),
            action,
            context,
            operation,
            age_ms: 0,
        };
        self.commit(|vnode, stage, limits| {
            vnode
                .write(Hlc::at(1_000 + op), &command, limits, stage)
                .unwrap()
        })
    }

    fn receive(&mut self, changes: &[Change]) -> Vec<Change> {
        self.commit(|vnode, stage, _| vnode.receive(Hlc::at(2_000), changes, stage).unwrap())
    }

    fn trim(&mut self) -> (usize, Vec<Change>) {
        self.commit(|vnode, stage, limits| vnode.trim(Hlc::at(3_000), limits, stage).unwrap())
    }

    /// Pulls all that `from` has and this vnode lacks.
    fn pull(&mut self, from: &Self) {
        let want = from.vnode.clock().missing_from(self.vnode.clock());
        let pull = Pull {
            vnode: ID,
            incarnation: self.vnode.actor().nonce,
            want,
            have: self.vnode.clock().clone(),
        };
        let stage = Stage::new(&from.disk);
        let pulled = from.vnode.answer_pull(&pull, &from.limits, &stage).unwrap();
        self.commit(|vnode, stage, _| vnode.absorb(Hlc::at(2_000), &pulled.bundle, stage).unwrap());
    }

    fn values(&self) -> Vec<Bytes> {
        let row = Stage::new(&self.disk)
            .row(&key().row(Tag::Value, b""))
            .unwrap();
        value::siblings(&row)
            .into_iter()
            .map(|sibling| sibling.value)
            .collect()
    }

    fn counter(&self) -> i128 {
        let read = super::read_rows(&self.disk, &Selection::Key(key()), &self.limits);
        let rows = read.unwrap().unwrap();
        counter::value(rows.iter().map(|keyed| &keyed.row)).unwrap()
    }

    fn stored(&self, family: Family) -> usize {
        self.disk.0.keys().filter(|(of, _)| *of == family).count()
    }
}

/// All write their logs to the disk and tell the others what they hold.
fn exchange_clocks(owners: &mut [Owner]) {
    owners
        .iter_mut()
        .for_each(|owner| owner.vnode.handle_synced());
    for asking in 0..3 {
        for answering in (0..3).filter(|&other| other != asking) {
            let fingerprint = owners[asking].vnode.fingerprint(NODES[answering]).unwrap();
            let difference = owners[answering].vnode.difference(&fingerprint).unwrap();
            let vnode = &mut owners[asking].vnode;
            vnode.handle_difference(Time::default(), NODES[answering], difference);
        }
    }
}

fn pull_all(owners: &mut [Owner]) {
    for asking in 0..3 {
        let mut pulling = std::mem::replace(&mut owners[asking], Owner::new(NODES[asking]));
        owners.iter().for_each(|from| pulling.pull(from));
        owners[asking] = pulling;
    }
}

fn beginning(node: NodeId, nonce: u64) -> Beginning {
    Beginning {
        node,
        bits: QBits::new(0).unwrap(),
        nonce,
        behind: false,
    }
}

fn key() -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(9), b"k", b"")
}

fn put(value: &'static str) -> Action {
    Action::Put(Bytes::from(value))
}

fn changes(written: &Written) -> &[Change] {
    match &written.sending {
        Sending::Changes(changes) => changes,
        Sending::Again(_) | Sending::Held(_) | Sending::Nothing => panic!("{written:?} is not new"),
    }
}

#[test]
fn a_write_over_its_context_replaces_and_one_without_is_a_sibling() {
    let mut owner = Owner::new(NodeId(1));
    let first = owner.write(1, &Context::default(), put("a")).unwrap();
    owner.write(2, &first.context, put("b")).unwrap();
    assert_eq!(owner.values(), ["b"]);
    owner.write(3, &Context::default(), put("c")).unwrap();
    assert_eq!(owner.values(), ["b", "c"]);
}

#[test]
fn two_interleaved_writers_never_see_more_than_two_siblings() {
    let mut owner = Owner::new(NodeId(1));
    let (mut left, mut right) = (Context::default(), Context::default());
    for round in 0..50 {
        left = owner.write(2 * round, &left, put("l")).unwrap().context;
        right = owner
            .write(2 * round + 1, &right, put("r"))
            .unwrap()
            .context;
        assert!(owner.values().len() <= 2);
    }
}

#[test]
fn the_sibling_limit_refuses_and_drops_nothing() {
    let mut owner = Owner::new(NodeId(1));
    for op in 0..64 {
        owner.write(op, &Context::default(), put("x")).unwrap();
    }
    let refused = owner.write(64, &Context::default(), put("y")).unwrap_err();
    assert_eq!(refused, Rejected::TooManySiblings { limit: 64 });
    assert_eq!(owner.values().len(), 64);
}

#[test]
fn a_retried_put_is_one_version_and_goes_out_again() {
    let mut owner = Owner::new(NodeId(1));
    let first = owner.write(1, &Context::default(), put("a")).unwrap();
    let again = owner.write(1, &Context::default(), put("a")).unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!(again.context, first.context);
    let Sending::Again(bundle) = again.sending else {
        panic!("nothing goes out again")
    };
    assert_eq!(bundle.events[0], changes(&first)[0].event);
    assert_eq!(owner.values(), ["a"]);
}

#[test]
fn deletes_leave_nothing_once_all_hold_them_durably() {
    let mut owners: Vec<Owner> = NODES.into_iter().map(Owner::new).collect();
    let written = owners[0].write(1, &Context::default(), put("a")).unwrap();
    let deleted = owners[0]
        .write(2, &written.context, Action::DeleteValue)
        .unwrap();
    for change in [changes(&deleted), changes(&written)] {
        owners[1].receive(change);
        owners[2].receive(change);
    }
    assert!(owners.iter().all(|owner| owner.values().is_empty()));
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        assert_eq!(owner.trim().0, 2);
        assert_eq!(
            (owner.stored(Family::Data), owner.stored(Family::Dotlog)),
            (0, 0)
        );
        let clock = owner.vnode.clock().clone();
        owner.restart(8);
        assert_eq!(owner.vnode.clock(), &clock);
    }
}

#[test]
fn a_restarted_vnode_counts_under_a_new_actor() {
    let mut owner = Owner::new(NodeId(1));
    let before = owner.write(1, &Context::default(), put("a")).unwrap();
    owner.restart(8);
    let after = owner.write(2, &before.context, put("b")).unwrap();
    assert_ne!(
        changes(&before)[0].event.dot.actor,
        changes(&after)[0].event.dot.actor
    );
    assert_eq!(owner.values(), ["b"]);
}

#[test]
fn an_increment_applied_at_two_coordinators_counts_once() {
    let mut owners: Vec<Owner> = NODES.into_iter().map(Owner::new).collect();
    owners[0]
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    owners[1]
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    owners[0]
        .write(2, &Context::default(), Action::Increment(1))
        .unwrap();
    pull_all(&mut owners);
    // Nobody may take one away before all hold the other durably.
    assert!(owners.iter().all(|owner| owner.counter() == 11));
    exchange_clocks(&mut owners);
    owners
        .iter_mut()
        .for_each(|owner| assert!(!owner.trim().1.is_empty()));
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| owner.counter() == 6));
}

#[test]
fn a_retried_increment_is_known_after_a_restart_and_at_another_coordinator() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let written = a
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    b.receive(changes(&written));
    a.restart(8);
    assert!(
        a.write(1, &Context::default(), Action::Increment(5))
            .unwrap()
            .repeated
    );
    assert!(
        b.write(1, &Context::default(), Action::Increment(5))
            .unwrap()
            .repeated
    );
    assert_eq!((a.counter(), b.counter()), (5, 5));
    let reused = b
        .write(1, &Context::default(), Action::Increment(6))
        .unwrap_err();
    assert_eq!(reused, Rejected::OperationReused);
}

#[test]
fn a_retried_delete_removes_no_more_than_the_first_saw() {
    let mut owner = Owner::new(NodeId(1));
    owner.write(1, &Context::default(), put("a")).unwrap();
    owner
        .write(2, &Context::default(), Action::DeleteValue)
        .unwrap();
    owner.write(3, &Context::default(), put("b")).unwrap();
    assert!(
        owner
            .write(2, &Context::default(), Action::DeleteValue)
            .unwrap()
            .repeated
    );
    assert_eq!(owner.values(), ["b"]);
}

#[test]
fn a_span_of_elements_is_pulled_whole() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let elements = vec![Bytes::from("x"), Bytes::from("y"), Bytes::from("x")];
    let added = a
        .write(1, &Context::default(), Action::Add(elements))
        .unwrap();
    assert_eq!(changes(&added).len(), 2);
    let mut want = crdt::dots::DotSet::default();
    want.insert(changes(&added)[0].event.dot);
    let pull = Pull {
        vnode: ID,
        incarnation: 7,
        want,
        have: b.vnode.clock().clone(),
    };
    let stage = Stage::new(&a.disk);
    let pulled = a.vnode.answer_pull(&pull, &a.limits, &stage).unwrap();
    assert_eq!(
        (pulled.bundle.events.len(), pulled.bundle.rows.len()),
        (2, 2)
    );
    b.commit(|vnode, stage, _| vnode.absorb(Hlc::at(0), &pulled.bundle, stage).unwrap());
    assert_eq!(b.vnode.clock(), a.vnode.clock());
}

#[test]
fn an_operation_past_its_window_is_refused() {
    let mut owner = Owner::new(NodeId(1));
    let command = Command {
        prefix: key(),
        action: Action::Increment(1),
        context: Context::default(),
        operation: OpId {
            client: 1,
            sequence: 1,
        },
        age_ms: 15 * 60 * 1_000 + 1,
    };
    let refused = owner
        .commit(|vnode, stage, limits| vnode.write(Hlc::at(0), &command, limits, stage).unwrap());
    assert_eq!(refused, Err(Rejected::TooLate { window_ms: 900_000 }));
}
