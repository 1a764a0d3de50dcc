//! `bounded_counter`: what concurrent additions, spendings and grants give.

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::Edit;
use crdt::kinds::bounded::{Ledger, Refused, Rights, ledger, node_of, part};

/// What was written, unless the node's rights were too few.
type Written = Result<Delta, Refused>;

fn view(replica: &Replica) -> Ledger {
    let rows = replica.rows.iter();
    let rows = rows.map(|(part, row)| (node_of(part).expect("every part is a node"), row));
    ledger(rows).expect("every row here holds rights")
}

/// Writes what the replica's own node wants its row to say.
fn writes(
    replica: &mut Replica,
    change: impl FnOnce(&Ledger, u64) -> Result<Rights, Refused>,
) -> Written {
    let node = replica.actor.node;
    let rights = change(&view(replica), node)?;
    let edit = Edit::put(&replica.row(&part(node)), rights.encode());
    Ok(apply(replica, &part(node), edit, 1))
}

fn adds(replica: &mut Replica, amount: u64) -> Written {
    writes(replica, |view, node| view.add(node, amount))
}

fn spends(replica: &mut Replica, amount: u64) -> Written {
    writes(replica, |view, node| view.spend(node, amount))
}

fn grants(replica: &mut Replica, to: u64, amount: u64) -> Written {
    writes(replica, |view, node| view.grant(node, to, amount))
}

#[track_caller]
fn all_show<const N: usize>(deltas: [Written; N], expected: i128) {
    let deltas: Result<Vec<Delta>, Refused> = deltas.into_iter().collect();
    for observer in observers(&deltas.expect("all of them were allowed")) {
        assert_eq!(view(&observer).value(), expected);
    }
}

/// Two replicas that both know of 10 of node 1, of which 4 were granted to node 2.
fn two_with_rights() -> (Replica, Replica, [Written; 2]) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let deltas = [adds(&mut a, 10), grants(&mut a, 2, 4)];
    deltas.iter().flatten().for_each(|delta| b.receive(delta));
    (a, b, deltas)
}

#[test]
fn concurrent_additions_add_up() {
    let (mut a, mut b, [x, y]) = two_with_rights();
    all_show([x, y, adds(&mut a, 3), adds(&mut b, 5)], 18);
}

#[test]
fn concurrent_spendings_come_from_rights_of_their_own() {
    let (mut a, mut b, [x, y]) = two_with_rights();
    all_show([x, y, spends(&mut a, 6), spends(&mut b, 4)], 0);
}

#[test]
fn rights_that_are_elsewhere_cannot_be_spent() {
    let (mut a, mut b, _) = two_with_rights();
    let refused = |available| Some(Refused::Insufficient { available });
    assert_eq!(spends(&mut a, 7).err(), refused(6));
    assert_eq!(spends(&mut b, 5).err(), refused(4));
}

#[test]
fn a_grant_beside_a_spending_changes_no_value() {
    let (mut a, mut b, [x, y]) = two_with_rights();
    all_show([x, y, grants(&mut a, 2, 6), spends(&mut b, 4)], 6);
}

#[test]
fn a_grant_can_be_handed_on() {
    let (_, mut b, [x, y]) = two_with_rights();
    let mut c = Replica::new(3);
    let handed = grants(&mut b, 3, 4);
    [&x, &y, &handed]
        .into_iter()
        .flatten()
        .for_each(|delta| c.receive(delta));
    all_show([x, y, handed, spends(&mut c, 4)], 6);
}
