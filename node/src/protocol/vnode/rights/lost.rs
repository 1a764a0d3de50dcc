//! Applications of which only a record tells: those who held them have lost their disks.
//!
//! Nobody would ever take such a copy back, and of the others one has to count. It is gone for good
//! when the node that made it has begun anew and is whole: every other owner has been heard since,
//! none of them had it, and none takes it any more. (A disk that is put back after its node ran on
//! another one breaks this: see `docs/consistency.md`.)

use crate::protocol::vnode::Vnode;
use crate::protocol::vnode::records::{Increment, Record};
use crdt::Dot;
use ring::NodeId;

impl Vnode {
    /// The applications at a place of an operation, but for those that are lost.
    pub(super) fn left_at<'a>(
        &'a self,
        record: &'a Record,
        place: u64,
    ) -> impl Iterator<Item = Dot> + 'a {
        let has_heard_all = self.awaited().is_none() && self.covers_peers();
        let applied = record.applied.at(place);
        applied.filter(move |&dot| !(has_heard_all && self.is_lost(dot)))
    }

    /// Has no owner this application, if this vnode is whole and has seen all that it has heard of?
    fn is_lost(&self, dot: Dot) -> bool {
        if self.clock.contains(dot) {
            return false;
        }
        if dot.actor.node == self.actor.node {
            return dot.actor != self.actor;
        }
        let maker = self.peers.get(&NodeId(dot.actor.node));
        maker.is_some_and(|view| view.is_whole && view.incarnation != dot.actor.nonce)
    }

    /// Sets free what no copy stands against any more, although its entry went long ago.
    pub(super) fn free_the_last(&mut self, increment: &Increment, winner: Option<Dot>) {
        if let Some(dot) = winner
            && dot.actor.node == self.actor.node
            && self.unlogged.contains(dot)
        {
            let row = self.own_rights(&increment.share.prefix());
            self.set_free(&row, dot);
        }
    }
}
