//! The end of a run: all return, everything is exchanged until nothing changes, the oracle looks.

use super::owner::after_the_grace;
use super::world::{World, two};
use crdt::Hlc;

impl World {
    /// All return, late messages arrive, everything is exchanged; then the oracle looks.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        for (to, message) in std::mem::take(&mut self.network) {
            self.hand_over(to, &message);
        }
        self.now_ms = after_the_grace(self.now_ms);
        for _ in 0..ROUNDS {
            self.exchange();
            let before: Vec<_> = self
                .owners
                .iter()
                .map(|o| o.vnode.clock().clone())
                .collect();
            self.exchange();
            let is_still = before
                .iter()
                .zip(&self.owners)
                .all(|(b, o)| b == o.vnode.clock());
            if is_still && before.iter().all(|clock| *clock == before[0]) {
                break;
            }
        }
        let first = self.owners[0].vnode.clock().clone();
        if self
            .owners
            .iter()
            .any(|owner| *owner.vnode.clock() != first)
        {
            return Err("the clocks differ after everything was exchanged".to_owned());
        }
        for owner in &self.owners {
            let checked = self.facts.check(owner, &self.asked, self.now_ms);
            checked.map_err(|what| format!("at last: {what}"))?;
        }
        Ok(())
    }

    /// Everyone pulls from everyone, tells what it holds, and tidies up.
    fn exchange(&mut self) {
        let count = self.owners.len();
        for to in 0..count {
            for from in (0..count).filter(|&from| from != to) {
                self.pull_at_once(to, from);
                self.sync(to, from);
            }
        }
        for at in 0..count {
            self.owners[at].vnode.handle_synced();
        }
        for at in 0..count {
            (0..count).for_each(|other| self.compare(at, other));
        }
        for at in 0..count {
            self.tend(at);
            self.tally.expired += self.owners[at].sweep(self.now_ms);
        }
        self.network.clear();
    }

    /// Takes the pages of a full sync, if one is under way.
    fn sync(&mut self, to: usize, from: usize) {
        let hlc = Hlc::at(self.now_ms);
        loop {
            let Some((syncing, source)) = two(&mut self.owners, to, from) else {
                return;
            };
            let Some(page) = syncing.next_page(source) else {
                return;
            };
            let answers = syncing.take_page(hlc, &page);
            self.answer(to, answers);
        }
    }
}

/// After as many rounds everything must have come to rest.
const ROUNDS: usize = 12;
