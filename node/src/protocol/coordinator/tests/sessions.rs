//! What a session has seen is held against who answers its reads.

use super::{Desk, HERE, OTHERS};
use crate::protocol::coordinator::OrderFailed;
use crdt::dots::DotSet;
use crdt::{Actor, Clock};
use ring::NodeId;

/// The first so many events of a node.
fn events(node: NodeId, upto: u64) -> DotSet {
    let mut dots = DotSet::default();
    let actor = Actor {
        node: node.0,
        nonce: 1,
    };
    dots.insert_range(actor, 1, upto);
    dots
}

impl Desk {
    fn holds(&mut self, node: NodeId, dots: DotSet) {
        self.clocks.insert(node, Clock::of(dots));
    }

    /// Everybody answers at once what is asked from now until then.
    fn run(&mut self, from: u64, to: u64) {
        for ms in from..=to {
            self.pass(ms);
            self.answer(ms, &OTHERS);
        }
    }
}

#[test]
fn a_read_of_one_owner_that_holds_what_the_session_has_seen_asks_nobody_else() {
    let mut desk = Desk::new();
    desk.holds(HERE, events(HERE, 5));
    desk.begin(0, 1, Some(events(HERE, 5)));
    assert_eq!((desk.answered, desk.open.len()), (1, 0));
    desk.begin(0, 1, Some(DotSet::default()));
    assert_eq!((desk.answered, desk.open.len()), (2, 0));
}

#[test]
fn a_read_goes_on_to_the_owner_that_holds_what_the_session_has_seen() {
    let mut desk = Desk::new();
    desk.holds(HERE, events(HERE, 4));
    desk.holds(OTHERS[1], events(OTHERS[1], 2));
    let mut seen = events(HERE, 4);
    seen.join(&events(OTHERS[1], 2));
    desk.begin(0, 1, Some(seen));
    assert_eq!(desk.answered, 0);
    desk.answer(1, &OTHERS);
    desk.answer(2, &OTHERS);
    assert_eq!(desk.answered, 1, "both together hold all of it");
}

#[test]
fn a_read_waits_for_what_is_on_its_way() {
    let mut desk = Desk::new();
    desk.begin(0, 1, Some(events(HERE, 1)));
    desk.run(0, 300);
    assert_eq!(desk.answered, 0);
    desk.holds(OTHERS[0], events(HERE, 1));
    desk.run(301, 700);
    assert_eq!(desk.answered, 1);
}

#[test]
fn a_read_that_waits_in_vain_says_so_and_what_no_owner_holds_is_lost() {
    let mut desk = Desk::new();
    desk.begin(0, 1, Some(events(HERE, 1)));
    desk.run(0, 2_000);
    assert_eq!(desk.failed, [OrderFailed::SessionLost]);

    // Who is away may hold it.
    let mut desk = Desk::new();
    desk.coordinator.handle_reachable(OTHERS[0], false);
    desk.begin(0, 1, Some(events(HERE, 1)));
    desk.run(0, 5_000);
    assert_eq!(desk.failed, [OrderFailed::SessionBehind]);

    // And so may a stand-in that made it.
    let mut desk = Desk::new();
    desk.begin(0, 1, Some(events(NodeId(9), 1)));
    desk.run(0, 5_000);
    assert_eq!(desk.failed, [OrderFailed::SessionBehind]);
}
