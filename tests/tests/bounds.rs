//! What must not grow: siblings under interleaved and stale writers, and what deletes leave behind.
//!
//! `STARLING_DELETES` sets how many keys are made and deleted (default 20,000), `STARLING_PUTS` how
//! many puts are tried over one stale context (default 100,000).

use bytes::Bytes;
use fastrand::Rng;

use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, hll, value};
use crdt::{Context, Hlc, OpId};
use ring::{BucketId, NodeId, Token};
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::Change;
use starling_node::protocol::stage::Family;
use starling_node::protocol::vnode::{
    Action, Command, FieldEdit, Limits, Rejected, Sending, Written,
};
use starling_tests::asked::number;
use starling_tests::once::Owner;

/// Each client writes over what it has read and what it wrote before, at any owner, while deltas
/// are late or lost.
#[test]
fn two_interleaved_clients_never_see_more_than_two_siblings() {
    let mut flock = Flock::new(3);
    let mut random = Rng::with_seed(7);
    let mut contexts = [Context::default(), Context::default()];
    let mut on_their_way: Vec<(usize, Vec<Change>)> = Vec::new();
    let mut most = 0;
    for _ in 0..3_000 {
        let (client, at) = (random.usize(..2), random.usize(..3));
        if random.bool() {
            contexts[client].join(&flock.owners[at].seen(&key(0)));
        } else {
            let put = Action::Put("x".into());
            let written = flock.write(at, 0, put, &contexts[client]);
            let written = written.expect("there are never many siblings");
            contexts[client] = written.contexts[0].clone();
            for to in (0..3).filter(|&to| to != at && random.u32(..10) < 7) {
                on_their_way.push((to, changes(&written).to_vec()));
            }
        }
        if !on_their_way.is_empty() && random.u32(..3) > 0 {
            let (to, late) = on_their_way.swap_remove(random.usize(..on_their_way.len()));
            flock.owners[to].receive(flock.now, &late);
        }
        if random.u32(..50) == 0 {
            flock.exchange();
        }
        let shown = flock.owners.iter().map(|owner| siblings(owner, 0));
        most = shown.max().unwrap_or(0).max(most);
        assert!(most <= 2);
    }
    assert_eq!(most, 2, "the clients were never concurrent");
    flock.exchange();
    let context = flock.owners[0].seen(&key(0));
    let last = flock.write(0, 0, Action::Put("last".into()), &context);
    last.expect("there are never many siblings");
    assert_eq!(siblings(&flock.owners[0], 0), 1);
}

#[test]
fn puts_over_one_stale_context_stay_within_the_limit_of_siblings() {
    let mut flock = Flock::new(3);
    let first = flock.write(0, 0, Action::Put("first".into()), &Context::default());
    let first = first.expect("the row is empty");
    flock.replicate(0, changes(&first));
    let stale = first.contexts[0].clone();
    let limit = Limits::default().siblings;
    let mut refused = 0;
    for turn in 0..count("STARLING_PUTS", 100_000) {
        let at = turn % 3;
        match flock.write(at, 0, Action::Put("again".into()), &stale) {
            Ok(written) => flock.replicate(at, changes(&written)),
            Err(Rejected::TooManySiblings { .. }) => refused += 1,
            Err(rejected) => panic!("{rejected:?}"),
        }
    }
    assert!(refused > 0);
    for owner in &flock.owners {
        assert_eq!(siblings(owner, 0), limit);
        assert_eq!(owner.vnode.records(), 1 + limit as u64);
        assert_eq!(owner.stored(Family::Dotlog), 1 + limit);
    }
    // One read and write brings it down to one.
    let context = flock.owners[1].seen(&key(0));
    let merged = flock.write(1, 0, Action::Put("merged".into()), &context);
    flock.replicate(
        1,
        changes(&merged.expect("the context covers all siblings")),
    );
    assert!(flock.owners.iter().all(|owner| siblings(owner, 0) == 1));
}

/// Of each kind in turn, a key is made at one owner and deleted at another.
#[test]
fn deletes_leave_nothing() {
    let mut flock = Flock::new(3);
    let made = flock.write(0, 0, Action::Put("stays".into()), &Context::default());
    flock.replicate(0, changes(&made.expect("the row is empty")));
    flock.settle();
    let before: Vec<usize> = flock.owners.iter().map(size_of_clock).collect();
    let keys = count("STARLING_DELETES", 20_000);
    for index in 1..=keys {
        let (making, deleting) = (index % 3, (index / 3) % 3);
        let name = u32::try_from(index).expect("there are fewer keys");
        let (make, delete) = of_some_kind(index);
        let made = flock.edit(making, name, make);
        flock.replicate(making, changes(&made.expect("the row is empty")));
        let deleted = flock.edit(deleting, name, vec![delete]);
        flock.replicate(
            deleting,
            changes(&deleted.expect("a delete is never refused")),
        );
        if index % 1_000 == 0 {
            flock.settle();
        }
    }
    flock.settle();
    let window = 2 * Limits::default().retry_window_ms;
    let later = flock.now.milliseconds() + window + 1;
    for (owner, before) in flock.owners.iter_mut().zip(before) {
        assert_eq!(owner.stored(Family::Data), 1, "the one key that stays");
        assert_eq!(owner.stored(Family::Dotlog), 0);
        assert_eq!(owner.stored(Family::Meta), 1, "the checkpoint");
        let size = owner.vnode.clock().size();
        assert_eq!((size.actors, size.beyond_bases), (3, 0));
        // A clock holds a number for each actor, whose bytes grow with its logarithm.
        assert!(size_of_clock(owner) <= before + 3 * 4 + 3 * 24);
        assert_eq!(owner.vnode.records(), 1 + 2 * keys as u64);
        while owner.sweep_records(later) > 0 {}
        assert_eq!(owner.stored(Family::Records), 0);
        assert_eq!(owner.vnode.records(), 0);
    }
}

/// What makes a key of the kind whose turn it is, and what deletes it.
fn of_some_kind(turn: usize) -> (Vec<FieldEdit>, FieldEdit) {
    let parts = || vec![Bytes::from("x"), Bytes::from("y")];
    let one = |leaf, update| (Action::one(leaf, update), leaf);
    let each = |leaf, update| (Action::each(leaf, parts(), &update), leaf);
    let (make, leaf) = match turn % 12 {
        0 => (Action::Put("x".into()), Leaf::Value),
        1 => (Action::Increment(5), Leaf::Share),
        2 => each(Leaf::Element, Update::Add),
        3 => each(Leaf::GrowElement, Update::Add),
        4 => each(Leaf::RemoveWinsElement, Update::Add),
        5 => one(Leaf::Register, Update::Assign("x".into())),
        6 => one(Leaf::Max, Update::Offer(7)),
        7 => one(Leaf::Min, Update::Offer(-7)),
        8 => one(Leaf::Flag, Update::Switch(true)),
        9 => one(Leaf::DisableFlag, Update::Switch(true)),
        10 => {
            let seen = hll::updates([1, 2 << 40, 3 << 60]);
            (Action::Update(Leaf::Sketch, seen), Leaf::Sketch)
        }
        _ => each(Leaf::Item, Update::Insert("item".into())),
    };
    if turn.is_multiple_of(5) {
        // As a field of a map, beside a counter that is nested deeper.
        let fields = vec![at(&["a"], make), at(&["b", "c"], Action::Increment(3))];
        return (fields, at(&[], Action::Clear(None)));
    }
    (vec![at(&[], make)], at(&[], Action::Clear(Some(leaf))))
}

fn at(names: &[&'static str], action: Action) -> FieldEdit {
    let names = names.iter().map(|name| Bytes::from(*name));
    let path = Path::new(names.collect()).expect("these names are short");
    FieldEdit { path, action }
}

/// The owners of one partition.
struct Flock {
    owners: Vec<Owner>,
    now: Hlc,
    operations: u64,
}

impl Flock {
    fn new(count: u64) -> Self {
        let mut owners: Vec<Owner> = (1..=count).map(|node| Owner::begin(node, node)).collect();
        for owner in &mut owners {
            let here = owner.node;
            let others = (1..=count).filter(|&node| node != here);
            owner.vnode.set_owners(others.map(NodeId));
        }
        Self {
            owners,
            now: Hlc::at(1_700_000_000_000),
            operations: 0,
        }
    }

    /// A new operation at one owner; the others do not hear of it.
    fn write(
        &mut self,
        at: usize,
        name: u32,
        action: Action,
        context: &Context,
    ) -> Result<Written, Rejected> {
        let operation = self.next_operation();
        let command = Command::single(key(name), action, context.clone(), operation);
        self.owners[at].write(self.now, &command)
    }

    /// The same without a context, with changes of one key or of its fields.
    fn edit(&mut self, at: usize, name: u32, edits: Vec<FieldEdit>) -> Result<Written, Rejected> {
        let operation = self.next_operation();
        let put = Action::Put(Bytes::new());
        let mut command = Command::single(key(name), put, Context::default(), operation);
        command.targets[0].edits = edits;
        self.owners[at].write(self.now, &command)
    }

    fn next_operation(&mut self) -> OpId {
        self.operations += 1;
        self.now = Hlc::at(self.now.milliseconds() + 1);
        OpId {
            client: 1,
            sequence: self.operations,
        }
    }

    fn replicate(&mut self, from: usize, changes: &[Change]) {
        let others = self.owners.iter_mut().enumerate();
        for (_, owner) in others.filter(|(at, _)| *at != from) {
            owner.receive(self.now, changes);
        }
    }

    /// Everyone pulls from everyone.
    fn exchange(&mut self) {
        for to in 0..self.owners.len() {
            for from in 0..self.owners.len() {
                let Ok([to, from]) = self.owners.get_disjoint_mut([to, from]) else {
                    continue;
                };
                if let Some(pulled) = to.ask(from) {
                    to.take(self.now, from.node, &pulled);
                }
            }
        }
    }

    /// Everyone tells what it holds durably, and trims, until that makes no events any more: those
    /// that remove the shares of counters.
    fn settle(&mut self) {
        let mut is_still = false;
        while !is_still {
            is_still = true;
            self.owners
                .iter_mut()
                .for_each(|owner| owner.vnode.handle_synced());
            self.compare();
            for at in 0..self.owners.len() {
                let answers = self.owners[at].tend(self.now);
                is_still &= answers.is_empty();
                self.replicate(at, &answers);
            }
        }
    }

    fn compare(&mut self) {
        for to in 0..self.owners.len() {
            for from in 0..self.owners.len() {
                if let Ok([to, from]) = self.owners.get_disjoint_mut([to, from]) {
                    to.compare(from);
                }
            }
        }
    }
}

fn changes(written: &Written) -> &[Change] {
    match &written.sending {
        Sending::Changes(changes) => changes,
        other => panic!("a new operation was taken for {other:?}"),
    }
}

fn siblings(owner: &Owner, name: u32) -> usize {
    value::siblings(&owner.row(&key(name).row(Leaf::Value, &[]))).len()
}

fn size_of_clock(owner: &Owner) -> usize {
    owner.vnode.clock().encode().len()
}

fn key(name: u32) -> KeyPrefix {
    let name = Bytes::copy_from_slice(&name.to_be_bytes());
    KeyPrefix::new(3, Token(7), BucketId(1), &name, b"")
}

/// How often something is done.
fn count(variable: &str, default: u64) -> usize {
    let asked = number(variable).unwrap_or(default);
    usize::try_from(asked).expect("so many steps can be counted")
}
