//! Three owners and two others: what a stand-in keeps, when it drops it, and what a sloppy write
//! counts.

use bytes::Bytes;

use crate::five;
use starling_node::protocol::coordinator::OrderFailed;
use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::messages::{Kept, PeerReply, PeerRequest, Refusal};
use starling_node::protocol::replica::WriteError;
use starling_node::protocol::vnode::Action;
use starling_tests::flock::{Flock, command, dots_of, increment, put};

#[test]
fn a_stand_in_hands_over_under_the_same_dot_and_drops_it_when_all_owners_are_sure() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, stand_in, _] = flock.nodes();
    flock.cut(third);
    let changes = flock.write(first, 1, Action::Put(Bytes::from_static(b"v")));
    let dot = changes.changes[0].event.dot;
    flock.ask(first, second, PeerRequest::Replicate(changes.clone()));
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    assert_eq!(reply, Some(PeerReply::Acked));
    flock.pass(10);
    assert!(flock.keeps(stand_in, dot), "an owner is still away");
    let kept = flock.replica(stand_in).hints().kept();
    assert_eq!(kept.get(&third).map(|kept| kept.events), Some(1));
    assert!(!kept.contains_key(&first) && !kept.contains_key(&second));

    // It is the stand-in that brings it: the owners do not reach each other.
    flock.heal();
    flock.cut_link(first, third);
    flock.cut_link(second, third);
    flock.pass(10);
    assert!(flock.holds(third, dot));
    assert!(flock.replica(stand_in).hints().is_empty());
    assert_eq!(flock.replica(stand_in).hints().delivered(), 1);
}

#[test]
fn what_a_stand_in_keeps_outlives_its_process() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, stand_in, _] = flock.nodes();
    flock.cut(third);
    let changes = flock.write(first, 1, Action::Put(Bytes::from_static(b"v")));
    let dot = changes.changes[0].event.dot;
    flock.ask(first, second, PeerRequest::Replicate(changes.clone()));
    flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    flock.restart(stand_in);
    assert!(flock.keeps(stand_in, dot));
    assert_eq!(flock.replica(stand_in).hints().total().0, 1);
    flock.heal();
    flock.pass(10);
    assert!(flock.holds(third, dot) && flock.replica(stand_in).hints().is_empty());
    flock.restart(stand_in);
    assert!(
        flock.replica(stand_in).hints().is_empty(),
        "nothing is left"
    );
}

#[test]
fn a_write_that_no_owner_can_be_reached_for_is_entered_by_a_stand_in_and_reaches_all() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, stand_in, _] = flock.nodes();
    for owner in [first, second, third] {
        flock.cut(owner);
    }
    let mut dots = Vec::new();
    for sequence in 1..=3 {
        let written = flock.enter(stand_in, command(sequence, Action::Increment(2)), true);
        let written = written.expect("nothing is over a limit");
        assert!(!written.repeated);
        dots.extend(dots_of(&written));
    }
    let again = flock.enter(stand_in, command(2, Action::Increment(2)), true);
    assert!(
        again.expect("it is known").repeated,
        "a retry is known again"
    );
    flock.heal();
    flock.pass(10);
    for owner in [first, second, third] {
        assert!(dots.iter().all(|&dot| flock.holds(owner, dot)));
    }
    assert_eq!(dots.len(), 3);
    assert!(flock.replica(stand_in).hints().is_empty());
}

#[test]
fn a_stand_in_takes_an_increment_with_all_that_it_builds_on() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, stand_in, _] = flock.nodes();
    flock.cut(third);
    let mut dots = Vec::new();
    let mut last = None;
    for sequence in 1..=3 {
        let changes = flock.write(first, sequence, Action::Increment(1));
        flock.ask(first, second, PeerRequest::Replicate(changes.clone()));
        dots.extend(changes.changes.iter().map(|change| change.event.dot));
        last = Some(changes);
    }
    let last = last.expect("there were three");
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(last)));
    assert_eq!(reply, Some(PeerReply::Acked));
    assert!(dots.iter().all(|&dot| flock.keeps(stand_in, dot)));
    flock.heal();
    flock.cut_link(first, third);
    flock.cut_link(second, third);
    flock.pass(10);
    assert!(dots.iter().all(|&dot| flock.holds(third, dot)));
}

#[test]
fn a_stand_in_refuses_more_than_its_limits_and_goes_on_when_it_has_handed_over() {
    for limits in [
        HintConfig {
            events: 2,
            ..HintConfig::default()
        },
        HintConfig {
            bytes: 1,
            ..HintConfig::default()
        },
    ] {
        let most = if limits.bytes == 1 { 1 } else { 2 };
        let mut flock = five(limits);
        let [first, second, third, stand_in, _] = flock.nodes();
        flock.cut(third);
        for sequence in 1..=3 {
            let value = Action::Put(Bytes::from_static(b"v"));
            let changes = flock.write(first, sequence, value);
            flock.ask(first, second, PeerRequest::Replicate(changes.clone()));
            let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
            let full = PeerReply::Refused(Refusal::HintsFull);
            let expected = if sequence <= most {
                PeerReply::Acked
            } else {
                full
            };
            assert_eq!(reply, Some(expected));
        }
        flock.heal();
        flock.pass(10);
        assert!(flock.replica(stand_in).hints().is_empty());
        let written = flock.enter(stand_in, command(9, Action::Put(Bytes::new())), true);
        assert!(written.is_ok());
    }
}

#[test]
fn while_something_is_kept_for_too_long_no_more_is_taken_and_nothing_is_thrown_away() {
    let mut flock = five(HintConfig {
        age_ms: 5_000,
        ..HintConfig::default()
    });
    let [first, _, third, stand_in, _] = flock.nodes();
    flock.cut(third);
    let keep = |flock: &mut Flock, sequence| {
        let changes = flock.write(first, sequence, Action::Put(Bytes::from_static(b"v")));
        let dot = changes.changes[0].event.dot;
        let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
        (dot, reply)
    };
    let (dot, reply) = keep(&mut flock, 1);
    assert_eq!(reply, Some(PeerReply::Acked));
    flock.pass(10);
    let (_, reply) = keep(&mut flock, 2);
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::HintsFull)));
    assert!(flock.keeps(stand_in, dot));
}

#[test]
fn a_node_that_keeps_no_hints_says_so() {
    let mut flock = five(HintConfig {
        events: 0,
        ..HintConfig::default()
    });
    let [first, .., stand_in] = flock.nodes::<5>();
    let changes = flock.write(first, 1, Action::Put(Bytes::new()));
    let reply = flock.ask(first, stand_in, PeerRequest::Keep(Kept::Changes(changes)));
    assert_eq!(reply, Some(PeerReply::Refused(Refusal::HintsFull)));
    let refused = flock.enter(stand_in, command(2, Action::Put(Bytes::new())), true);
    assert_eq!(refused, Err(WriteError::Refused(Refusal::HintsFull)));
}

#[test]
fn a_sloppy_write_counts_stand_ins_for_w_and_not_for_pw() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, ..] = flock.nodes::<5>();
    flock.cut(second);
    flock.cut(third);
    let unavailable = |reachable, required| {
        Err(OrderFailed::Unavailable {
            reachable,
            required,
        })
    };
    assert_eq!(flock.order(first, put(1), (2, 0), false), unavailable(1, 2));
    assert_eq!(flock.order(first, put(2), (2, 2), true), unavailable(1, 2));
    let done = flock
        .order(first, put(3), (3, 1), true)
        .expect("two stand in");
    assert_eq!((done.acks, done.stand_ins, done.owners), (3, 2, 3));
    let too_few = OrderFailed::TooFewStandIns {
        owners: 1,
        stand_ins: 2,
        required: 4,
    };
    assert_eq!(flock.order(first, put(4), (4, 0), true), Err(too_few));
}

#[test]
fn a_node_that_owns_nothing_of_a_key_coordinates_only_while_it_reaches_no_owner() {
    let mut flock = five(HintConfig::default());
    let [first, second, third, fourth, _] = flock.nodes();
    assert_eq!(
        flock.order(fourth, put(1), (1, 0), true),
        Err(OrderFailed::NotOwner)
    );
    for owner in [first, second, third] {
        flock.cut(owner);
    }
    assert_eq!(
        flock.order(fourth, put(2), (1, 0), false),
        Err(OrderFailed::NotOwner)
    );
    let done = flock
        .order(fourth, put(3), (2, 0), true)
        .expect("two stand in");
    assert_eq!((done.acks, done.stand_ins, done.owners), (2, 2, 3));
    let both = |flock: &mut Flock, sequence| {
        let done = flock.order(fourth, increment(sequence), (2, 0), true);
        let done = done.expect("two stand in");
        (done.acks, done.stand_ins)
    };
    let counted = [11, 12, 13].map(|sequence| both(&mut flock, sequence));
    assert_eq!(counted, [(2, 2); 3], "the other takes what each builds on");
    let no_owner = OrderFailed::Unavailable {
        reachable: 0,
        required: 1,
    };
    assert_eq!(flock.order(fourth, put(4), (1, 1), true), Err(no_owner));
    flock.heal();
    flock.pass(10);
    assert!(flock.replica(fourth).hints().is_empty());
}
