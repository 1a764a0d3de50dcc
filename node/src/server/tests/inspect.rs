//! What an inspection says about replicas that agree, lack, lag and are away.

use super::{desk, dot, ordered, row, write};
use crate::protocol::coordinator::{Order, OrderFailed, Outcome};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{KeyedRow, Refusal, RowsRead, Selection};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::kinds::map::Path;
use crdt::{Clock, Row};
use ring::{NodeId, VnodeId};
use starling::wire::{FailureKind, InspectRequest, Inspection, Key, Mutation, Request, Response};

type Answer = Result<RowsRead, OrderFailed>;

fn asked(bucket: &str) -> (VnodeId, KeyPrefix, super::Shape) {
    let (bucket, key) = (bucket.to_owned(), Key::from("ada"));
    let request = Request::Inspect(InspectRequest {
        bucket,
        key,
        timeout_ms: 100,
    });
    match ordered(&desk(), &request) {
        (Order::Inspect(order), shape) => match order.selection {
            Selection::Key(prefix) => (order.vnode, prefix, shape),
            other => panic!("{other:?}"),
        },
        (order, _) => panic!("{order:?}"),
    }
}

fn holding(rows: impl IntoIterator<Item = Row>, clock: &[(u64, u64)]) -> Answer {
    let (_, prefix, _) = asked("values");
    let key = prefix.row(Leaf::Value, &[]);
    let rows = rows
        .into_iter()
        .map(|row| KeyedRow {
            key: key.clone(),
            row,
        })
        .collect();
    let mut seen = Clock::default();
    clock
        .iter()
        .for_each(|&(node, counter)| seen.insert(dot(node, counter)));
    Ok(RowsRead {
        rows,
        clock: seen,
        catching_up: false,
        until: None,
        sampled: None,
        left_out: DotSet::default(),
    })
}

fn inspect(answers: [Answer; 3]) -> Inspection {
    let (_, _, shape) = asked("values");
    let answers = (1..).map(NodeId).zip(answers).collect();
    match desk().respond(&shape, Outcome::Inspected(answers)) {
        Response::Inspection(inspection) => inspection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn equal_replicas_are_equal_whatever_else_their_clocks_hold() {
    let one = || row(dot(1, 1), "v");
    let inspection = inspect([
        holding([one()], &[(1, 1)]),
        holding([one()], &[(1, 1), (2, 1)]),
        holding([one()], &[(1, 1), (1, 2), (1, 4)]),
    ]);
    assert!(inspection.equal);
    assert_eq!(inspection.verdict, "all 3 replicas are equal");
    let shown = &inspection.replicas[2];
    assert_eq!(
        (&shown.name[..], shown.rows.len(), shown.lacks.len()),
        ("node-3", 1, 0)
    );
    assert_eq!(shown.clock, ["00000000.00000000 1-2 4"]);
    let version = &shown.rows[0].versions[0];
    assert_eq!(
        (&version.dot[..], version.hlc_ms),
        ("00000000.00000000·1", 1_000)
    );
    assert_eq!(version.body.as_ref(), b"v");
}

#[test]
fn a_replica_that_has_not_seen_a_write_lacks_its_dot() {
    let one = || row(dot(1, 1), "v");
    let inspection = inspect([
        holding([one()], &[(1, 1)]),
        holding([one()], &[(1, 1)]),
        holding([], &[]),
    ]);
    assert!(!inspection.equal);
    assert_eq!(inspection.replicas[2].lacks, [dot(1, 1).to_string()]);
    assert_eq!(
        inspection.verdict,
        "node-3 lacks 1 version that others hold"
    );
}

#[test]
fn a_replica_that_has_not_seen_a_delete_shows_what_others_have_seen_go() {
    let inspection = inspect([
        holding([], &[(1, 1), (1, 2)]),
        holding([], &[(1, 1), (1, 2)]),
        holding([row(dot(1, 1), "v")], &[(1, 1)]),
    ]);
    assert!(!inspection.equal);
    assert_eq!(
        inspection.verdict,
        "node-3 shows 1 version that others have seen overwritten or deleted"
    );
}

#[test]
fn a_replica_that_is_away_keeps_the_others_from_being_called_all() {
    let one = || holding([row(dot(1, 1), "v")], &[(1, 1)]);
    let away = OrderFailed::Unavailable {
        reachable: 0,
        required: 1,
    };
    let inspection = inspect([one(), Err(away), one()]);
    assert!(!inspection.equal);
    assert_eq!(inspection.replicas[1].error, "it cannot be reached");
    assert_eq!(
        inspection.verdict,
        "the replicas that answered are equal; node-2 did not answer"
    );
    let storage = inspect([one(), one(), Err(OrderFailed::Refused(Refusal::Storage))]);
    assert!(storage.replicas[2].error.contains("store failed"));
}

#[test]
fn different_payloads_under_one_dot_are_a_bug_that_is_named() {
    let with = |body: &'static str| holding([row(dot(1, 1), body)], &[(1, 1)]);
    let inspection = inspect([with("a"), with("a"), with("b")]);
    assert!(!inspection.equal && inspection.verdict.contains("report this"));
}

#[test]
fn a_counters_rows_are_shown_as_text() {
    let (_, prefix, shape) = asked("counts");
    let mut share = Share::default();
    share.add(7, 42);
    let key = prefix.share(&Path::root(), dot(1, 7).actor);
    let rows = vec![KeyedRow {
        key,
        row: row(dot(1, 7), share.encode()),
    }];
    let read = RowsRead {
        rows,
        clock: Clock::default(),
        catching_up: true,
        until: None,
        sampled: None,
        left_out: DotSet::default(),
    };
    let answers = vec![(NodeId(1), Ok(read))];
    let Response::Inspection(inspection) = desk().respond(&shape, Outcome::Inspected(answers))
    else {
        panic!("no inspection");
    };
    let replica = &inspection.replicas[0];
    assert!(replica.catching_up);
    assert_eq!(replica.rows[0].part.as_ref(), b"00000000.00000000");
    let body = str::from_utf8(&replica.rows[0].versions[0].body).unwrap();
    assert_eq!(body, "42 (added 42 up to 7, reset 0 up to 6, 0 void)");
}

#[test]
fn what_one_answer_cannot_hold_is_left_out_and_said_so() {
    let big = || holding([row(dot(1, 1), vec![7; 1 << 20])], &[(1, 1)]);
    let inspection = inspect([big(), big(), big()]);
    assert!(inspection.equal && inspection.verdict.contains("left out"));
    assert_eq!(
        inspection.replicas[0].rows[0].versions[0].body.len(),
        512 << 10
    );
}

#[test]
fn an_inspection_that_was_never_begun_fails() {
    let (_, _, shape) = asked("values");
    let answers = vec![(NodeId(1), Err(OrderFailed::Overloaded))];
    let response = desk().respond(&shape, Outcome::Inspected(answers));
    assert!(matches!(response, Response::Failed(f) if f.kind == FailureKind::Overloaded));
    // An outcome of another kind of order cannot happen, and is not taken for an answer.
    let (_, shape) = ordered(&desk(), &Request::Write(write("sets", Mutation::Delete)));
    let mixed = desk().respond(&shape, Outcome::Inspected(Vec::new()));
    assert!(matches!(mixed, Response::Failed(_)));
}
