//! The state is a join-semilattice with canonical bytes; buckets in it.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{node, plan};
use crate::protocol::cluster::{
    BucketError, BucketProperties, BucketStamp, Buckets, ClusterState, Creation, InitPlan,
    MAX_BUCKETS, PlanError, Secret, StateError,
};
use ring::{BucketId, ClusterId, NodeRole, NodeState, ReplicaCount, RoleStamp, Roles};
use starling::wire::Kind;

fn n(count: u8) -> ReplicaCount {
    ReplicaCount::new(count).unwrap()
}

fn stamp(wall_ms: u64, by: u64) -> BucketStamp {
    BucketStamp {
        wall_ms,
        node: node(by),
    }
}

fn first() -> ClusterState {
    ClusterState::from_plan(&plan([1, 2, 3])).unwrap()
}

/// A state that some node may have come to from the first one.
fn states() -> impl Strategy<Value = ClusterState> {
    let bucket = (0_u8..3, 0_usize..3, 1_u8..4, 0_u64..4, 1_u64..4);
    let weights = vec((1_u64..4, 1_u32..4), 0..2);
    (vec(bucket, 0..4), vec((1_u64..4, 0_u64..4), 0..4), weights).prop_map(
        |(buckets, versions, weights)| {
            let mut state = first();
            for (name, kind, count, wall, by) in buckets {
                let kind = [Kind::Value, Kind::Counter, Kind::Set][kind];
                let name = format!("b{name}");
                let created = state.buckets.create(
                    &name,
                    BucketProperties::new(kind, n(count)),
                    stamp(wall, by),
                );
                assert!(matches!(created, Ok(_) | Err(BucketError::Conflict { .. })));
            }
            for (id, version) in versions {
                let mut record = state.members.member(node(id)).unwrap().clone();
                record.version = version;
                state.members.insert(record).unwrap();
            }
            for (id, weight) in weights {
                let layout = state.layout.as_ref().unwrap();
                let role: NodeRole = NodeRole {
                    stamp: RoleStamp {
                        counter: 2 + u64::from(weight),
                        author: node(id),
                    },
                    state: NodeState::Normal,
                    weight,
                    ..layout.roles().role(node(id)).unwrap().clone()
                };
                let staged: Roles = [(node(id), role)].into_iter().collect();
                state.layout = Some(layout.next(&staged).unwrap());
            }
            state
        },
    )
}

fn joined(a: &ClusterState, b: &ClusterState) -> ClusterState {
    let mut joined = a.clone();
    joined.join(b).unwrap();
    joined
}

proptest! {
    #[test]
    fn joining_is_associative_commutative_and_idempotent(
        a in states(), b in states(), c in states()
    ) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(&joined(&a, &a), &a);
        prop_assert_eq!(joined(&a, &b).encode(), joined(&b, &a).encode());
    }

    #[test]
    fn a_join_tells_whether_it_changed_anything(a in states(), b in states()) {
        let mut state = a.clone();
        let changed = state.join(&b).unwrap();
        prop_assert_eq!(changed.is_nothing(), state == a);
        prop_assert!(state.join(&b).unwrap().is_nothing());
    }

    #[test]
    fn a_state_comes_back_from_its_bytes(state in states(), cut in 0_usize..2_000) {
        let bytes = state.encode().unwrap();
        let back = ClusterState::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &state);
        prop_assert_eq!(back.encode().unwrap(), bytes.clone());
        let cut = cut % bytes.len();
        prop_assert!(ClusterState::decode(&bytes[..cut]).is_err());
        prop_assert!(ClusterState::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn any_bytes_give_a_state_or_an_error(
        mut bytes in vec(any::<u8>(), 0..200), format in 0_u8..3
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = format;
        }
        prop_assert!(ClusterState::decode(&bytes).is_err());
    }
}

#[test]
fn the_bytes_of_format_1_stay() {
    let mut plan = plan([1]);
    plan.q_bits = ring::QBits::new(0).unwrap();
    let mut state = ClusterState::from_plan(&plan).unwrap();
    state
        .buckets
        .create("b", BucketProperties::new(Kind::Set, n(3)), stamp(5, 1))
        .unwrap();
    let bytes = state.encode().unwrap();
    let text: String = bytes.escape_ascii().to_string();
    assert_eq!(text, GOLDEN);
}

#[test]
fn states_of_other_clusters_and_secrets_are_refused_whole() {
    let ours = first();
    let other = |change: fn(&mut InitPlan)| {
        let mut plan = plan([1, 2, 3, 4]);
        change(&mut plan);
        let mut state = ours.clone();
        let error = state
            .join(&ClusterState::from_plan(&plan).unwrap())
            .unwrap_err();
        assert_eq!(state, ours);
        error
    };
    let cluster = other(|plan| plan.cluster = ClusterId(8));
    assert_eq!(
        cluster,
        StateError::OtherCluster {
            here: ClusterId(7),
            there: ClusterId(8)
        }
    );
    assert_eq!(
        other(|plan| plan.secret = Secret::new([1; 16])),
        StateError::OtherSecret
    );
}

#[test]
fn a_plan_makes_one_state_in_whatever_order_it_names_the_members() {
    let state = ClusterState::from_plan(&plan([1, 2, 3])).unwrap();
    assert_eq!(ClusterState::from_plan(&plan([3, 1, 2])), Ok(state.clone()));
    assert_eq!(state.layout.unwrap().roles().len(), 3);
    assert_eq!(
        ClusterState::from_plan(&plan([])),
        Err(PlanError::NoMembers)
    );
    let twice = ClusterState::from_plan(&plan([1, 2, 1]));
    assert_eq!(twice, Err(PlanError::Repeated { node: node(1) }));
    let mut huge = plan([1, 2, 3, 4, 5, 6, 7]);
    huge.q_bits = ring::QBits::new(18).unwrap();
    assert!(matches!(
        ClusterState::from_plan(&huge),
        Err(PlanError::State(_))
    ));
}

#[test]
fn a_bucket_is_made_once_and_confirmed_afterwards() {
    let mut buckets = Buckets::default();
    let made = buckets.create(
        "words",
        BucketProperties::new(Kind::Counter, n(3)),
        stamp(1, 1),
    );
    assert_eq!(made, Ok(Creation::Created));
    let again = buckets.create(
        "words",
        BucketProperties::new(Kind::Counter, n(3)),
        stamp(9, 2),
    );
    assert_eq!(again, Ok(Creation::Exists));
    for (kind, count) in [(Kind::Set, 3), (Kind::Counter, 2)] {
        let other = buckets.create("words", BucketProperties::new(kind, n(count)), stamp(9, 2));
        assert!(
            matches!(other, Err(BucketError::Conflict { .. })),
            "{kind:?} {count}"
        );
    }
    assert!(matches!(
        buckets.create("a b", BucketProperties::new(Kind::Set, n(3)), stamp(1, 1)),
        Err(BucketError::Name(_))
    ));
    let record = buckets.of_name("words").unwrap();
    assert_eq!(
        (record.id, record.stamp),
        (BucketId::of_name("words"), stamp(1, 1))
    );
    assert_eq!(buckets.counts(), [n(3)]);
}

#[test]
fn of_two_buckets_made_at_once_the_earlier_stays_everywhere() {
    let with = |kind, wall, by| {
        let mut state = first();
        state
            .buckets
            .create("words", BucketProperties::new(kind, n(3)), stamp(wall, by))
            .unwrap();
        state
    };
    let (early, late) = (with(Kind::Set, 5, 1), with(Kind::Counter, 5, 2));
    let mut state = late.clone();
    let changed = state.join(&early).unwrap();
    assert_eq!(state, early);
    assert_eq!(
        changed.displaced,
        [late.buckets.of_name("words").unwrap().clone()]
    );
    let mut state = early.clone();
    assert!(state.join(&late).unwrap().is_nothing());
    assert_eq!(state, early);
}

#[test]
fn there_are_at_most_ten_thousand_buckets() {
    let full = |prefix: &str| {
        let mut buckets = Buckets::default();
        for index in 0..MAX_BUCKETS {
            let name = format!("{prefix}{index}");
            buckets
                .create(&name, BucketProperties::new(Kind::Value, n(3)), stamp(0, 1))
                .unwrap();
        }
        buckets
    };
    let mut buckets = full("a");
    let one_more = buckets.create("z", BucketProperties::new(Kind::Value, n(3)), stamp(0, 1));
    assert_eq!(
        one_more,
        Err(BucketError::Full {
            buckets: MAX_BUCKETS + 1
        })
    );
    let before = buckets.clone();
    assert!(matches!(
        buckets.join(&full("b")),
        Err(BucketError::Full { .. })
    ));
    assert_eq!(buckets, before);
    let mut state = first();
    state.buckets = buckets;
    assert!(state.encode().unwrap().len() < 1 << 20);
}

const GOLDEN: &str = concat!(
    r"\x01\x95\x92\x00\x07\xc4\x10\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t",
    r"\x91\x9d\x01\x01\x92\x00\x00\xa5alive\x00\xa6node-1\x91\xae127.0.0.1:7401\xc0\xa6zone-1",
    r"d\xc0\x92\x00\x00\x00",
    r"\x97\x01\x92\x01\x92\xcf\xafo\x89\xae\xc4\xb3\x98]\xcf\xcc\x15\xb5\xddi\xe7\xf10\xc0\x00",
    r"\x03\x91\x92\x01\x94\x92\x01\x01\xa6normald\xa6zone-1\x91\x91\x00",
    r"\x91\x97\xcfWZ\x0b\x1cD\xd8\x84?\xa1b\xa3Set\x03\x81\xa4Keep@\x92\x05\x01\xc2",
);
