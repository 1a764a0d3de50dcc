//! Layouts as their readers see them: routing, succession, and what is refused.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::wire::LayoutRecord;
use super::{Layout, LayoutError, LayoutId, MalformedLayout};
use crate::claim::ClaimError;
use crate::count::ReplicaCount;
use crate::id::{ClusterId, NodeId};
use crate::partition::{PartitionId, QBits};
use crate::ring::Ring;
use crate::role::{NodeRole, NodeState, RoleStamp, Roles};
use crate::token::Token;
use crate::zone::Zone;

fn role(id: u64, counter: u64, state: NodeState) -> (NodeId, NodeRole) {
    let stamp = RoleStamp {
        counter,
        author: NodeId(1),
    };
    let zone = Zone::new(format!("z{}", id % 3)).unwrap();
    (
        NodeId(id),
        NodeRole {
            stamp,
            state,
            weight: 100,
            zone,
        },
    )
}

fn nodes(ids: impl IntoIterator<Item = u64>) -> Roles {
    ids.into_iter()
        .map(|id| role(id, 1, NodeState::Normal))
        .collect()
}

fn layout(count: u64) -> Layout {
    Layout::first(nodes(1..=count), QBits::DEMO, ReplicaCount::DEFAULT).unwrap()
}

fn n(n: u8) -> ReplicaCount {
    ReplicaCount::new(n).unwrap()
}

fn any_node() -> impl Strategy<Value = (NodeId, NodeRole)> {
    (0_u64..40).prop_map(|id| role(id, 1, NodeState::Normal))
}

proptest! {
    #[test]
    fn a_layout_does_not_depend_on_the_order_of_its_roles(
        roles in vec(any_node(), 1..=16),
        extra in any_node(),
    ) {
        let make = |roles: Vec<(NodeId, NodeRole)>| {
            let roles = roles.into_iter().collect();
            let first = Layout::first(roles, QBits::DEMO, ReplicaCount::DEFAULT).unwrap();
            first.next(&[extra.clone()].into_iter().collect()).unwrap()
        };
        let mut reversed = roles.clone();
        reversed.reverse();
        prop_assert_eq!(make(roles), make(reversed));
    }

    #[test]
    fn a_layout_survives_its_record(roles in vec(any_node(), 1..=16)) {
        let roles = roles.into_iter().collect();
        let layout = Layout::first(roles, QBits::DEMO, ReplicaCount::DEFAULT).unwrap();
        let next = layout.next(&Roles::new()).unwrap();
        for layout in [layout, next] {
            prop_assert_eq!(Layout::try_from(LayoutRecord::from(layout.clone())), Ok(layout));
        }
    }

    #[test]
    fn every_n_has_its_own_owners(count in 1_u64..=16, copies in 1_u8..=7, token in any::<u64>()) {
        let ring = Ring::new(ClusterId(5), layout(count));
        let list = ring.preference(n(copies), Token(token));
        let distinct: BTreeSet<_> = list.iter().collect();
        prop_assert_eq!(distinct.len() as u64, count.min(copies.into()));
        let partition = ring.partition(Token(token));
        prop_assert_eq!(ring.owners(n(copies), partition), Some(list));
        prop_assert_eq!(list.position(list.first()), Some(0));
        for node in ring.layout().roles().iter().map(|(node, _)| node) {
            let owns = ring.vnodes_of(node, &[n(copies)]).any(|v| v.partition == partition);
            prop_assert_eq!(owns, list.contains(node));
        }
    }

    #[test]
    fn stand_ins_come_from_other_zones_first(
        count in 1_u64..=12, copies in 1_u8..=7, token in any::<u64>(), wanted in 0_usize..14,
    ) {
        let ring = Ring::new(ClusterId(5), layout(count));
        let list = ring.preference(n(copies), Token(token));
        let stand_ins = ring.stand_ins(n(copies), Token(token), wanted);
        let left = usize::try_from(count).unwrap() - list.len();
        prop_assert_eq!(stand_ins.len(), wanted.min(left));
        prop_assert!(stand_ins.iter().all(|node| !list.contains(*node)));
        let zones: BTreeSet<u64> = list.iter().map(|node| node.0 % 3).collect();
        prop_assert!(stand_ins.is_sorted_by_key(|node| zones.contains(&(node.0 % 3))));
        prop_assert_eq!(stand_ins.iter().collect::<BTreeSet<_>>().len(), stand_ins.len());
    }
}

#[test]
fn layouts_do_not_change() {
    let first = layout(5);
    let expected = LayoutId {
        epoch: 1,
        digest: 0x0dc2_0033_109b_0239_0a0d_6af0_4e08_d24a,
    };
    assert_eq!(first.id(), expected);
    let next = first.next(&nodes([6])).unwrap();
    assert_eq!(
        next.id(),
        LayoutId {
            epoch: 2,
            digest: 0x22ac_23a0_f6ed_bfcb_d6d5_2dc4_7fae_1abb
        }
    );
    assert_eq!(next.parent(), Some(expected));
}

#[test]
fn vnodes_are_named_by_n_and_partition() {
    let layout = layout(4);
    let vnodes: Vec<_> = layout.vnodes_of(NodeId(1), &[n(3), n(4)]).collect();
    // Nodes 1 and 4 stand in one of three zones and share its copy of every partition.
    assert_eq!(vnodes.iter().filter(|vnode| vnode.n == n(3)).count(), 32);
    assert_eq!(vnodes.iter().filter(|vnode| vnode.n == n(4)).count(), 64);
    assert_eq!(layout.vnodes_of(NodeId(9), &[n(3)]).count(), 0);
    assert_eq!(layout.owners(n(3), PartitionId(64)), None);
}

#[test]
fn a_removed_node_loses_everything_and_never_returns() {
    let removal = [role(2, 1, NodeState::Removed)].into_iter().collect();
    let without = layout(4).next(&removal).unwrap();
    assert_eq!(without.vnodes_of(NodeId(2), &[n(3)]).count(), 0);
    let again = [role(2, 99, NodeState::Normal)].into_iter().collect();
    let still = without.next(&again).unwrap();
    assert_eq!(still.vnodes_of(NodeId(2), &[n(3)]).count(), 0);
    assert_eq!(still.id().epoch, 3);
}

#[test]
fn buckets_of_every_n_move_little_when_a_node_joins() {
    let before = layout(6);
    let after = before.next(&nodes([7])).unwrap();
    for copies in ReplicaCount::all().take(6) {
        let moved: usize = before
            .q_bits()
            .partitions()
            .map(|p| {
                let old = before.owners(copies, p).unwrap();
                let new = after.owners(copies, p).unwrap();
                new.iter().filter(|node| !old.contains(*node)).count()
            })
            .sum();
        // The new node's share of the copies, and zones that run full beside it.
        let share = 64 * usize::from(copies) / 7 + 1;
        assert!(
            moved <= share + share / 2,
            "n {copies}: {moved} moved, share {share}"
        );
    }
}

#[test]
fn a_layout_without_owners_is_not_made() {
    let none = Layout::first(Roles::new(), QBits::DEMO, ReplicaCount::DEFAULT);
    assert_eq!(none, Err(LayoutError::Claim(ClaimError::NoNodes)));
    let all = (1..=3).map(|id| role(id, 2, NodeState::Removed)).collect();
    assert_eq!(
        layout(3).next(&all),
        Err(LayoutError::Claim(ClaimError::NoNodes))
    );
    let crowd = Layout::first(nodes(0..=65_536), QBits::DEMO, ReplicaCount::DEFAULT);
    assert_eq!(crowd, Err(LayoutError::TooManyNodes { nodes: 65_537 }));
}

#[test]
fn a_record_that_was_tampered_with_is_refused() {
    let refusal = |tamper: fn(&mut LayoutRecord)| {
        let mut record = LayoutRecord::from(layout(4));
        tamper(&mut record);
        Layout::try_from(record).unwrap_err()
    };
    let p0 = PartitionId(0);
    assert_eq!(
        refusal(|r| r.format = 9),
        MalformedLayout::Format { found: 9 }
    );
    assert!(matches!(
        refusal(|r| r.id.epoch = 2),
        MalformedLayout::Epoch { .. }
    ));
    assert!(matches!(
        refusal(|r| r.parent = Some(r.id)),
        MalformedLayout::Epoch { .. }
    ));
    assert_eq!(refusal(|r| r.roles.reverse()), MalformedLayout::Roles);
    assert_eq!(
        refusal(|r| r.roles.push(r.roles[3].clone())),
        MalformedLayout::Roles
    );
    assert_eq!(refusal(|r| r.roles.clear()), MalformedLayout::NoOwners);
    let tables = refusal(|r| r.tables.truncate(3));
    assert_eq!(
        tables,
        MalformedLayout::Tables {
            expected: 4,
            found: 3
        }
    );
    let length = refusal(|r| r.tables[1].truncate(127));
    assert_eq!(
        length,
        MalformedLayout::Length {
            width: 2,
            found: 127
        }
    );
    let owners = MalformedLayout::Owners {
        width: 2,
        partition: p0,
    };
    assert_eq!(refusal(|r| r.tables[1][0] = 4), owners);
    assert_eq!(refusal(|r| r.tables[1][0] = r.tables[1][1]), owners);
    assert!(matches!(
        refusal(|r| r.id.digest ^= 1),
        MalformedLayout::Digest { .. }
    ));
    assert!(matches!(
        refusal(|r| r.tables[1].swap(0, 1)),
        MalformedLayout::Digest { .. }
    ));
    assert!(matches!(
        refusal(|r| r.roles[0].1.weight = 7),
        MalformedLayout::Digest { .. }
    ));
}

#[test]
fn owners_that_crowd_a_zone_are_refused() {
    // Nodes 1 and 4 share a zone, and with three zones for two copies that need not be.
    let mut record = LayoutRecord::from(layout(4));
    record.tables[1][..2].copy_from_slice(&[0, 3]);
    let refusal = Layout::try_from(record).unwrap_err();
    assert_eq!(
        refusal,
        MalformedLayout::Owners {
            width: 2,
            partition: PartitionId(0)
        }
    );
}
