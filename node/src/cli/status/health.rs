//! How much of the ring can be served, from the layout and from who is reachable.

use std::collections::BTreeSet;

use ring::{Layout, NodeId};
use starling::wire::MemberStatus;

/// How many partitions have how many of their owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Health {
    /// All partitions.
    pub(super) partitions: u32,
    /// All owners are there and have everything.
    pub(super) complete: u32,
    /// An owner is away or catching up, and a majority is there.
    pub(super) below_n: u32,
    /// Less than a majority is there, and somebody is.
    pub(super) below_quorum: u32,
    /// Nobody is there.
    pub(super) unavailable: u32,
    /// The worst of it in a word.
    pub(super) verdict: Verdict,
}

/// The cluster in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Everything is there and equal.
    Well,
    /// It works, with less than it should have.
    Degraded,
    /// Some keys cannot be read or written with a majority.
    Unavailable,
}

impl Health {
    pub(super) fn of(layout: &Layout, members: &[MemberStatus]) -> Self {
        let named = |is_in: fn(&MemberStatus) -> bool| -> BTreeSet<NodeId> {
            members
                .iter()
                .filter(|member| is_in(member))
                .map(|m| NodeId(m.node))
                .collect()
        };
        let here = named(|member| member.reachable);
        let counting = named(|member| member.reachable && away(member) == 0);
        let mut health = Self {
            partitions: layout.q_bits().partition_count(),
            complete: 0,
            below_n: 0,
            below_quorum: 0,
            unavailable: 0,
            verdict: Verdict::Well,
        };
        for partition in layout.q_bits().partitions() {
            let Some(owners) = layout.owners(layout.n(), partition) else {
                continue;
            };
            let among = |set: &BTreeSet<NodeId>| owners.iter().filter(|o| set.contains(o)).count();
            let majority = owners.len() / 2 + 1;
            match (among(&here), among(&counting)) {
                (0, _) => health.unavailable += 1,
                (here, _) if here < majority => health.below_quorum += 1,
                (_, counting) if counting < owners.len() => health.below_n += 1,
                _ => health.complete += 1,
            }
        }
        health.verdict = health.judge(members);
        health
    }

    fn judge(&self, members: &[MemberStatus]) -> Verdict {
        let is_apart = |member: &MemberStatus| {
            !member.reachable
                || away(member) > 0
                || member.missing_here > 0
                || member.missing_there > 0
        };
        if self.unavailable + self.below_quorum > 0 {
            Verdict::Unavailable
        } else if self.below_n > 0 || members.iter().any(is_apart) {
            Verdict::Degraded
        } else {
            Verdict::Well
        }
    }
}

/// Its vnodes that do not count for reads.
fn away(member: &MemberStatus) -> u32 {
    member.catching_up.saturating_add(member.vnodes_quarantined)
}

#[cfg(test)]
mod tests {
    use ring::{NodeRole, NodeState, QBits, ReplicaCount, RoleStamp, Roles, Zone};

    use super::{Health, Layout, NodeId, Verdict};
    use crate::cli::status::tests::member;

    fn layout() -> Layout {
        let mut roles = Roles::new();
        for node in 1..=3 {
            let role = NodeRole {
                stamp: RoleStamp {
                    counter: 1,
                    author: NodeId(1),
                },
                state: NodeState::Normal,
                weight: 100,
                zone: Zone::new(format!("z{node}")).expect("a zone"),
            };
            roles.insert(NodeId(node), &role);
        }
        let n = ReplicaCount::new(3).expect("three");
        Layout::first(roles, QBits::new(4).expect("sixteen"), n).expect("a layout")
    }

    #[test]
    fn the_verdict_follows_the_majorities() {
        for (here, verdict) in [
            ([true, true, true], Verdict::Well),
            ([true, true, false], Verdict::Degraded),
            ([true, false, false], Verdict::Unavailable),
            ([false, false, false], Verdict::Unavailable),
        ] {
            let members: Vec<_> = (1..)
                .zip(here)
                .map(|(node, here)| member(node, here))
                .collect();
            let health = Health::of(&layout(), &members);
            assert_eq!(health.verdict, verdict, "{here:?}");
            let Health {
                complete,
                below_n,
                below_quorum,
                unavailable,
                ..
            } = health;
            assert_eq!(complete + below_n + below_quorum + unavailable, 16);
        }
    }

    #[test]
    fn what_is_lacking_somewhere_is_no_health() {
        let mut members: Vec<_> = (1..=3).map(|node| member(node, true)).collect();
        members[1].missing_there = 1;
        assert_eq!(Health::of(&layout(), &members).verdict, Verdict::Degraded);
        members[1].missing_there = 0;
        members[2].catching_up = 1;
        let health = Health::of(&layout(), &members);
        assert_eq!((health.verdict, health.below_n), (Verdict::Degraded, 16));
    }
}
