//! The laws of the member map, and what it refuses.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Just;

use super::{
    Address, Incarnation, InvalidMember, Load, Member, MemberMap, MemberMapError, MemberName,
    MemberState,
};
use crate::id::NodeId;
use crate::layout::LayoutId;
use crate::zone::Zone;

fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation::at(1),
        state: MemberState::Alive,
        version: 1,
        name: MemberName::new(format!("node-{id}")).unwrap(),
        addresses: vec![Address::new("10.0.0.1:7401").unwrap()],
        http: Some(Address::new("10.0.0.1:7480").unwrap()),
        zone: Zone::new("a").unwrap(),
        weight: 100,
        layout: Some(LayoutId {
            epoch: 1,
            digest: 7,
        }),
        load: Load {
            vnodes: 64,
            rows: 0,
        },
        hlc_offset_ms: -3,
    }
}

fn any_member() -> impl Strategy<Value = Member> {
    let state = prop_oneof![
        4 => Just(MemberState::Alive),
        1 => Just(MemberState::Suspect),
        1 => Just(MemberState::Down),
        1 => Just(MemberState::Removed),
    ];
    let layout = option::of((0_u64..3, 0_u128..3));
    (
        (0_u64..5, 0_u64..3, 0_u64..2, 0_u64..3),
        state,
        layout,
        0_u64..2,
    )
        .prop_map(
            |((id, boot, refutations, version), state, layout, rows)| Member {
                incarnation: Incarnation { boot, refutations },
                state,
                version,
                layout: layout.map(|(epoch, digest)| LayoutId { epoch, digest }),
                load: Load { vnodes: 1, rows },
                ..member(id)
            },
        )
}

fn any_map() -> impl Strategy<Value = MemberMap> {
    vec(any_member(), 0..12).prop_map(map)
}

fn map(members: Vec<Member>) -> MemberMap {
    let mut map = MemberMap::new();
    for member in members {
        map.insert(member).unwrap();
    }
    map
}

fn joined(mut a: MemberMap, b: &MemberMap) -> MemberMap {
    a.join(b).unwrap();
    a
}

proptest! {
    #[test]
    fn maps_join_in_any_order(a in any_map(), b in any_map(), c in any_map()) {
        prop_assert_eq!(joined(a.clone(), &b), joined(b.clone(), &a));
        let left = joined(joined(a.clone(), &b), &c);
        prop_assert_eq!(&left, &joined(a.clone(), &joined(b, &c)));
        prop_assert_eq!(joined(left.clone(), &a), left);
    }

    #[test]
    fn a_join_names_exactly_what_changed(a in any_map(), b in any_map()) {
        let mut after = a.clone();
        let changed = after.join(&b).unwrap();
        for member in after.iter() {
            let differs = a.member(member.id) != Some(member);
            prop_assert_eq!(differs, changed.contains(&member.id));
        }
        prop_assert_eq!(after.join(&b).unwrap(), vec![]);
    }

    #[test]
    fn digests_are_equal_exactly_when_maps_are(a in any_map(), b in any_map()) {
        prop_assert_eq!(a.digest() == b.digest(), a == b);
    }

    #[test]
    fn a_map_survives_its_record(a in any_map()) {
        let members: Vec<Member> = a.clone().into();
        prop_assert_eq!(MemberMap::try_from(members), Ok(a));
    }

    #[test]
    fn a_live_node_can_always_refute(
        own in (any::<u64>(), any::<u64>()),
        said in (0..u64::MAX, any::<u64>()),
    ) {
        let own = Incarnation { boot: own.0.min(u64::MAX - 1), refutations: own.1 };
        let said = Incarnation { boot: said.0, refutations: said.1 };
        let answer = own.refute(said);
        prop_assert!(answer > own && answer > said);
    }
}

#[test]
fn newer_words_count() {
    let count = |newer: Member, older: Member| {
        let joined = map(vec![newer.clone(), older]);
        assert_eq!(joined.member(newer.id), Some(&newer));
    };
    let base = member(1);
    let version = Member {
        version: 2,
        ..base.clone()
    };
    let suspect = Member {
        state: MemberState::Suspect,
        ..base.clone()
    };
    let refuted = Member {
        incarnation: base.incarnation.refute(base.incarnation),
        ..base.clone()
    };
    let restarted = Member {
        incarnation: Incarnation::at(2),
        version: 0,
        ..base.clone()
    };
    let removed = Member {
        state: MemberState::Removed,
        ..base.clone()
    };
    count(version.clone(), base);
    count(suspect.clone(), version);
    count(refuted.clone(), suspect);
    count(restarted.clone(), refuted);
    count(removed, restarted);
}

#[test]
fn a_full_map_refuses_and_stays_as_it_is() {
    let mut full = map((0..10_000).map(member).collect());
    let before = full.digest();
    let error = Err(MemberMapError::Full { members: 10_001 });
    assert_eq!(full.insert(member(10_000)), error);
    assert_eq!(
        full.join(&map(vec![member(3), member(10_000)]))
            .map(|_| true),
        error
    );
    assert_eq!(
        full.insert(Member {
            version: 2,
            ..member(3)
        }),
        Ok(true)
    );
    assert_eq!(full.len(), 10_000);
    assert_ne!(full.digest(), before);
}

#[test]
fn records_out_of_order_or_bounds_are_refused() {
    let swapped = MemberMap::try_from(vec![member(2), member(1)]);
    assert_eq!(swapped, Err(MemberMapError::Order));
    let twice = MemberMap::try_from(vec![member(1), member(1)]);
    assert_eq!(twice, Err(MemberMapError::Order));
    let address = member(1).addresses[0].clone();
    let many = Member {
        addresses: vec![address; 65],
        ..member(1)
    };
    let refusal = InvalidMember::Addresses {
        id: NodeId(1),
        found: 65,
    };
    assert_eq!(
        MemberMap::new().insert(many),
        Err(MemberMapError::Member(refusal))
    );
}

#[test]
fn digests_do_not_change() {
    let digest = map(vec![member(1), member(2)]).digest();
    assert_eq!(digest, 0x1301_50f3_6fca_950e_fa0c_762b_eaab_11e7);
}
