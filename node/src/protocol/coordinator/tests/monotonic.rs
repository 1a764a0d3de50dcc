//! Monotonic reads: the answer leaves when enough owners hold what it shows.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Desk, HERE, OTHERS, Pull, Serving, moment};
use crate::protocol::coordinator::OrderFailed;
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{KeyedRow, PeerReply};
use crate::protocol::replica::{Held, Output};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
use ring::{BucketId, NodeId, Token};
use starling::wire::Durability;

const ACTOR: Actor = Actor { node: 1, nonce: 1 };

/// The first so many events of one actor.
fn events(upto: u64) -> Clock {
    let mut dots = DotSet::default();
    dots.insert_range(ACTOR, 1, upto);
    Clock::of(dots)
}

/// The row of the key with the version of its first event, which may have an end.
fn row(expires_ms: Option<u64>) -> Vec<KeyedRow> {
    let version = Version {
        expires_ms,
        ..Version::new(Hlc::at(1), None, Bytes::from_static(b"v"))
    };
    let key = KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"").row(Leaf::Value, b"");
    let row = Row::write(Dot::new(ACTOR, 1), version, Context::default());
    vec![KeyedRow { key, row }]
}

impl Desk {
    fn monotonic() -> Self {
        Self {
            monotonic: Some(Durability::Wal),
            ..Self::new()
        }
    }

    fn knows(&mut self, node: NodeId, upto: u64) {
        self.clocks.insert(node, events(upto));
    }

    /// Those who were told to pull have pulled, if whom they were to pull from has it.
    fn pull(&mut self, ms: u64) {
        for Pull {
            node,
            call,
            from,
            dots,
        } in std::mem::take(&mut self.pulls)
        {
            let source = self.clocks.get(&from).cloned().unwrap_or_default();
            assert!(source.dots().covers(&dots), "{from} has what is asked for");
            self.clocks.insert(node, source);
            match call {
                Some(call) => {
                    let reply = Some(PeerReply::Acked);
                    self.coordinator.handle_reply(moment(ms), call, reply);
                }
                None => {
                    let held = Held {
                        from: Some(from),
                        is_held: true,
                        has_answered: true,
                    };
                    let ticket = self.orders;
                    let output = Output::Held { ticket, held };
                    self.coordinator.handle_output(moment(ms), output);
                }
            }
            self.drain(ms);
        }
    }

    /// Who has been told to pull.
    fn told(&self) -> BTreeSet<NodeId> {
        self.pulls.iter().map(|pull| pull.node).collect()
    }
}

#[test]
fn what_enough_owners_show_already_is_answered_at_once() {
    let mut desk = Desk::monotonic();
    desk.knows(HERE, 5);
    OTHERS.iter().for_each(|&peer| desk.knows(peer, 7));
    desk.clocks.insert(HERE, events(7));
    desk.begin(0, 2, None);
    desk.answer(1, &OTHERS);
    assert_eq!((desk.answered, desk.pulls.len()), (1, 0));
}

#[test]
fn an_answer_waits_until_another_owner_has_pulled_what_it_shows() {
    let mut desk = Desk::monotonic();
    desk.knows(HERE, 5);
    OTHERS.iter().for_each(|&peer| desk.knows(peer, 4));
    desk.begin(0, 2, None);
    desk.answer(1, &OTHERS);
    assert_eq!(desk.answered, 0);
    assert_eq!(
        desk.pulls.len(),
        1,
        "one more is needed, and two are not asked"
    );
    let told = desk.pulls[0].node;
    desk.pull(2);
    assert_eq!(desk.answered, 0, "that it has pulled is shown by its rows");
    desk.answer(3, &[told]);
    assert_eq!((desk.answered, desk.pulls.len()), (1, 0));
}

#[test]
fn this_node_pulls_first_and_then_the_others_pull_from_it() {
    let mut desk = Desk::monotonic();
    [HERE, OTHERS[1]]
        .iter()
        .for_each(|&node| desk.knows(node, 4));
    desk.knows(OTHERS[0], 5);
    desk.begin(0, 3, None);
    desk.answer(1, &OTHERS);
    assert_eq!((desk.answered, desk.told()), (0, [HERE].into()));
    desk.pull(2);
    assert_eq!((desk.answered, desk.told()), (0, [OTHERS[1]].into()));
    desk.pull(3);
    desk.answer(4, &OTHERS);
    assert_eq!((desk.answered, desk.pulls.len()), (1, 0));
}

#[test]
fn a_pull_that_may_still_come_is_not_asked_for_again_and_others_are() {
    let mut desk = Desk::monotonic();
    desk.knows(HERE, 5);
    OTHERS.iter().for_each(|&peer| desk.knows(peer, 4));
    desk.begin(0, 2, None);
    desk.answer(1, &OTHERS);
    (2..900).for_each(|ms| desk.pass(ms));
    assert_eq!((desk.pulls.len(), desk.told()), (2, OTHERS.into()));
}

#[test]
fn a_node_that_serves_no_read_gives_up_as_soon_as_it_cannot_pull() {
    let mut desk = Desk::monotonic();
    desk.serving = Serving::Not;
    desk.knows(OTHERS[0], 5);
    desk.knows(OTHERS[1], 4);
    desk.begin(0, 2, None);
    desk.answer(1, &OTHERS);
    assert_eq!((desk.answered, desk.told()), (0, [HERE].into()));
    let held = Held {
        from: Some(desk.pulls[0].from),
        is_held: false,
        has_answered: false,
    };
    let ticket = desk.orders;
    let output = Output::Held { ticket, held };
    desk.coordinator.handle_output(moment(2), output);
    desk.drain(2);
    let (holding, required) = (1, 2);
    assert_eq!(
        desk.failed,
        [OrderFailed::Unconfirmed { holding, required }]
    );
}

#[test]
fn a_node_that_is_only_slow_pulls_from_another_peer_when_one_cannot_be_asked() {
    let mut desk = Desk::monotonic();
    desk.serving = Serving::Slow;
    desk.knows(OTHERS[0], 5);
    desk.knows(OTHERS[1], 4);
    desk.begin(0, 2, None);
    // It has not answered itself: a third owner was asked in its place.
    (1..200).for_each(|ms| desk.pass(ms));
    desk.answer(200, &OTHERS);
    let unreached = desk.pulls[0].from;
    let held = Held {
        from: Some(unreached),
        is_held: false,
        has_answered: false,
    };
    let ticket = desk.orders;
    let output = Output::Held { ticket, held };
    desk.coordinator.handle_output(moment(201), output);
    (201..1_500).for_each(|ms| desk.pass(ms));
    assert_eq!(desk.failed, []);
    assert!(desk.pulls.iter().any(|pull| pull.from != unreached));
}

#[test]
fn whoever_is_not_heard_is_told_again_until_the_deadline_and_then_the_read_says_so() {
    let mut desk = Desk::monotonic();
    desk.knows(HERE, 5);
    desk.begin(0, 2, None);
    desk.answer(1, &OTHERS);
    let first = desk.pulls.len();
    (2..4_000).for_each(|ms| desk.pass(ms));
    assert!(desk.pulls.len() > 2 * first, "{}", desk.pulls.len());
    assert_eq!((desk.answered, desk.failed.len()), (0, 0));
    desk.pass(5_000);
    let (holding, required) = (1, 2);
    assert_eq!(
        desk.failed,
        [OrderFailed::Unconfirmed { holding, required }]
    );
}

#[test]
fn an_owner_that_shows_what_is_gone_holds_nothing_unless_it_has_ended() {
    for (end, answered) in [(None, 0), (Some(500), 0), (Some(50), 1)] {
        let mut desk = Desk::monotonic();
        desk.knows(HERE, 5);
        for peer in OTHERS {
            desk.knows(peer, 5);
            desk.rows.insert(peer, row(end));
        }
        desk.begin(100, 2, None);
        desk.answer(101, &OTHERS);
        assert_eq!(desk.answered, answered, "{end:?}");
    }
}
