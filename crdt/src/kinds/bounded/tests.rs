//! Rights: their bytes, and that nothing is ever spent twice.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Ledger, Refused, Rights, node_of, part};

fn rights() -> impl Strategy<Value = Rights> {
    let granted = btree_map(any::<u64>(), 1..u64::MAX, 0..4);
    (any::<u64>(), any::<u64>(), granted).prop_map(|(added, used, granted)| Rights {
        added,
        used,
        granted,
    })
}

/// One step of a run: who acts, what, with whom, how much.
type Step = (u64, u8, u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec((0_u64..3, 0_u8..5, 0_u64..3, 0_u64..20), 0..80)
}

/// Applies an operation of `node` to what it knows. A refusal changes nothing.
fn act(view: &mut Ledger, (node, what, other, amount): Step) {
    let changed = match what {
        0 => view.add(node, amount),
        1 | 2 => view.spend(node, amount),
        _ => view.grant(node, other, amount),
    };
    if let Ok(rights) = changed {
        view.set(node, rights);
    }
}

/// Joins what `from` knows of `node` into `to`.
fn deliver(to: &mut Ledger, from: &Ledger, node: u64) {
    let mut rights = to.rights(node);
    rights.join(&from.rights(node));
    to.set(node, rights);
}

fn joined(views: &[Ledger]) -> Ledger {
    let mut all = Ledger::default();
    for view in views {
        (0..3).for_each(|node| deliver(&mut all, view, node));
    }
    all
}

fn index(node: u64) -> usize {
    usize::try_from(node).unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(rights in rights()) {
        prop_assert_eq!(Rights::decode(&rights.encode()), Ok(rights));
    }

    #[test]
    fn any_bytes_are_rights_in_their_one_form_or_an_error(bytes in vec(0_u8..4, 0..30)) {
        if let Ok(rights) = Rights::decode(&bytes) {
            prop_assert_eq!(rights.encode(), bytes);
        }
    }

    #[test]
    fn rights_are_joined_in_any_order_and_any_number_of_times(
        a in rights(), b in rights(), c in rights(),
    ) {
        let join = |x: &Rights, y: &Rights| {
            let mut joined = x.clone();
            joined.join(y);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    /// Rows arrive one by one, in any order, old ones too: a partial view never spends too much.
    #[test]
    fn whatever_arrives_the_truth_is_never_negative(steps in steps(), moves in steps()) {
        let mut views = vec![Ledger::default(); 3];
        let mut moves = moves.into_iter();
        for step in steps {
            act(&mut views[index(step.0)], step);
            if let Some((to, _, node, from)) = moves.next() {
                let source = views[index(from % 3)].clone();
                deliver(&mut views[index(to)], &source, node);
            }
            let truth = joined(&views);
            prop_assert!(truth.balance() >= 0);
            let held: u64 = (0..3).map(|node| truth.rights_of(node)).sum();
            prop_assert_eq!(i128::from(held), truth.value());
        }
    }

    /// Whole views arrive: every observer holds what each spender knew.
    #[test]
    fn no_consistent_observer_sees_less_than_nothing(steps in steps(), moves in steps()) {
        let mut views = vec![Ledger::default(); 4];
        let mut moves = moves.into_iter();
        for step in steps {
            act(&mut views[index(step.0)], step);
            if let Some((to, what, _, from)) = moves.next() {
                let source = views[index(from % 4)].clone();
                // The fourth only watches.
                let to = if what == 0 { 3 } else { to };
                (0..3).for_each(|node| deliver(&mut views[index(to)], &source, node));
            }
            for view in &views {
                prop_assert!(view.balance() >= 0);
                prop_assert_eq!(view.balance(), view.value());
            }
        }
    }
}

#[test]
fn the_bytes_of_format_1_stay() {
    let mut ledger = Ledger::default();
    ledger.set(1, ledger.add(1, 300).unwrap());
    ledger.set(1, ledger.spend(1, 2).unwrap());
    let rights = ledger.grant(1, 9, 5).unwrap();
    let bytes = [1, 0xac, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 9, 5];
    assert_eq!(rights.encode()[..], bytes);
}

#[test]
fn a_view_that_lacks_the_grant_shows_nothing_and_no_debt() {
    let mut view = Ledger::default();
    view.set(
        2,
        Rights {
            used: 4,
            ..Rights::default()
        },
    );
    assert_eq!((view.value(), view.rights_of(2)), (0, 0));
}

#[test]
fn refusals_say_what_would_have_been_allowed() {
    let mut ledger = Ledger::default();
    ledger.set(1, ledger.add(1, 7).unwrap());
    let refused = Err(Refused::Insufficient { available: 7 });
    assert_eq!(ledger.spend(1, 8), refused);
    assert_eq!(ledger.grant(1, 2, 8), refused);
    assert_eq!(ledger.grant(1, 1, 1), Err(Refused::ToItself));
    assert_eq!(ledger.add(1, u64::MAX), Err(Refused::Overflow));
    assert_eq!(ledger.spend(1, 7).map(|rights| rights.used), Ok(7));
}

#[test]
fn totals_that_would_overflow_are_refused() {
    let mut ledger = Ledger::default();
    let full = Rights {
        added: u64::MAX,
        used: u64::MAX,
        granted: [(1, u64::MAX)].into(),
    };
    ledger.set(2, full);
    assert_eq!(ledger.add(2, 1), Err(Refused::Overflow));
    ledger.set(1, ledger.spend(1, u64::MAX).unwrap());
    ledger.set(3, ledger.add(3, 5).unwrap());
    ledger.set(3, ledger.grant(3, 1, 5).unwrap());
    assert_eq!(ledger.spend(1, 5), Err(Refused::Overflow));
}

#[test]
fn parts_are_in_the_order_of_nodes() {
    assert!(part(1) < part(256));
    assert_eq!(node_of(&part(77)), Ok(77));
    assert!(node_of(b"short").is_err() && node_of(b"ninebytes").is_err());
}
