//! The semantics tables of the kinds: one test for each cell, named by what it claims.
//!
//! Each cell is tried on small replicas. Whatever was written concurrently reaches further
//! replicas in every order, twice, and by pulls, and all of them must show the same.

mod bounded;
#[path = "../common/mod.rs"]
mod common;
mod counter;
mod extremum;
mod flag;
mod hll;
mod list;
mod map;
mod register;
mod remove_wins;
mod set;
mod value;

use bytes::Bytes;

use common::{Delta, Replica};
use crdt::kinds::Edit;
use crdt::{Hlc, OpId, Version};

/// Replicas that got the deltas in every order and twice, and one that pulled from the last.
fn observers(deltas: &[Delta]) -> Vec<Replica> {
    let mut observers: Vec<Replica> = permutations(deltas)
        .into_iter()
        .map(|order| {
            let mut observer = Replica::new(90);
            for delta in order.iter().chain(order.iter().rev()) {
                observer.receive(delta);
            }
            observer
        })
        .collect();
    let mut puller = Replica::new(91);
    if let Some(last) = observers.last() {
        puller.pull(last, b"");
    }
    observers.push(puller);
    observers
}

/// Every order of the items.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for at in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(at, first.clone());
            all.push(longer);
        }
    }
    all
}

/// Coordinates what a kind wants written, stamped `stamp`.
fn apply(replica: &mut Replica, part: &Bytes, edit: Edit, stamp: u64) -> Delta {
    let version = |body| Version::new(Hlc::at(stamp), None, body);
    replica.write(part.clone(), edit.body.map(version), edit.context)
}

fn version(body: &'static str, op: Option<OpId>) -> Version {
    Version {
        hlc: Hlc::at(1),
        op,
        expires_ms: None,
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn op(sequence: u64) -> OpId {
    OpId {
        client: 1,
        sequence,
    }
}
