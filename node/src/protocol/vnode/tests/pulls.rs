//! What a pull costs the owner that answers it.

use bytes::Bytes;

use super::{ID, NODES, Owner};
use crate::protocol::messages::Pull;
use crate::protocol::stage::Stage;
use crate::protocol::vnode::Action;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use crdt::{Clock, Context};

#[test]
fn a_pull_of_a_wide_operation_reads_each_event_a_few_times_and_not_once_for_each_other() {
    const ELEMENTS: usize = 500;
    let mut owner = Owner::new(NODES[0]);
    let elements = (0..ELEMENTS).map(|i| Bytes::from(i.to_string())).collect();
    let add = Action::each(Leaf::Element, elements, &Update::Add);
    owner.write(1, &Context::default(), add).unwrap();
    let pull = Pull {
        vnode: ID,
        incarnation: 7,
        want: owner.vnode.clock().missing_from(&Clock::default()),
        have: Clock::default(),
    };
    owner.disk.1.set(0);
    let stage = Stage::new(&owner.disk);
    let pulled = owner.vnode.answer_pull(&pull, &owner.limits, &stage);
    assert_eq!(pulled.unwrap().bundle.events.len(), ELEMENTS);
    assert!(
        owner.disk.1.get() <= 4 * ELEMENTS,
        "{} reads",
        owner.disk.1.get()
    );
}
