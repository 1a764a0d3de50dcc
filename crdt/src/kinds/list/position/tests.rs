//! Positions: order, uniqueness, runs that stay together, and how long they get.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{MAX_POSITION, Position, PositionError, push_number, take_number};
use crate::codec::Decoder;
use crate::{Actor, Dot};

/// One replica's list and the actor that inserts there.
#[derive(Clone)]
struct Editor {
    node: u64,
    events: u64,
    list: Vec<Position>,
}

impl Editor {
    fn new(node: u64) -> Self {
        Self {
            node,
            events: 0,
            list: Vec::new(),
        }
    }

    fn maker(&mut self) -> Dot {
        self.events += 1;
        let actor = Actor {
            node: self.node,
            nonce: u64::MAX / 3,
        };
        Dot::new(actor, self.events)
    }

    /// The neighbours of the gap before the `at`-th item.
    fn gap(&self, at: usize) -> (Option<Position>, Option<Position>) {
        let left = at.checked_sub(1).and_then(|before| self.list.get(before));
        (left.cloned(), self.list.get(at).cloned())
    }

    fn insert(&mut self, at: usize, count: u16) -> Vec<Position> {
        let (left, right) = self.gap(at);
        let maker = self.maker();
        let run = Position::run(left.as_ref(), right.as_ref(), maker, count).unwrap();
        self.list.splice(at..at, run.iter().cloned());
        run
    }

    /// Types items one by one from one gap on, forward or backward, and returns them.
    fn typed(&self, at: usize, count: usize, backward: bool, node: u64) -> BTreeSet<Position> {
        let mut other = self.clone();
        other.node = node;
        let places = (0..count).map(|i| if backward { at } else { at + i });
        places.flat_map(|at| other.insert(at, 1)).collect()
    }

    fn longest(&self) -> usize {
        let lengths = self.list.iter().map(|position| position.as_bytes().len());
        lengths.max().unwrap_or(0)
    }

    fn mean(&self) -> usize {
        let lengths = self.list.iter().map(|position| position.as_bytes().len());
        lengths.sum::<usize>() / self.list.len()
    }
}

/// A list that was edited by three actors at places drawn from `edits`: where, by whom, how many.
fn edited(edits: &[(usize, u64, u16)]) -> Editor {
    let mut editor = Editor::new(1);
    for &(at, node, count) in edits {
        editor.node = node;
        let at = at % (editor.list.len() + 1);
        editor.insert(at, count);
        if at % 5 == 4 {
            editor.list.remove(at - 1);
        }
    }
    editor
}

/// Does the list hold the items as one stretch?
fn is_contiguous(list: &BTreeSet<Position>, run: &BTreeSet<Position>) -> bool {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return true;
    };
    list.range(first..=last).count() == run.len()
}

proptest! {
    #[test]
    fn positions_are_strictly_in_order_and_never_the_same(
        edits in vec((any::<usize>(), 1_u64..4, 1_u16..4), 1..120),
    ) {
        let editor = edited(&edits);
        prop_assert!(editor.list.is_sorted_by(|left, right| left < right));
        for position in &editor.list {
            prop_assert_eq!(&Position::decode(position.as_bytes()).unwrap(), position);
        }
    }

    #[test]
    fn any_two_positions_have_room_between_them(
        edits in vec((any::<usize>(), 1_u64..4, 1_u16..4), 2..40),
        (a, b, node) in (any::<usize>(), any::<usize>(), 1_u64..5),
    ) {
        let mut editor = edited(&edits);
        editor.node = node;
        let (a, b) = (a % editor.list.len(), b % editor.list.len());
        let (left, right) = (editor.list[a.min(b)].clone(), editor.list[a.max(b)].clone());
        let maker = editor.maker();
        let made = Position::between(Some(&left), Some(&right), maker);
        if a == b {
            prop_assert_eq!(made, Err(PositionError::OutOfOrder));
        } else {
            let made = made.unwrap();
            prop_assert!(left < made && made < right);
        }
    }

    #[test]
    fn different_makers_never_make_one_position(
        edits in vec((any::<usize>(), 1_u64..4, 1_u16..3), 0..30), at in any::<usize>(),
    ) {
        let editor = edited(&edits);
        let (left, right) = editor.gap(at % (editor.list.len() + 1));
        let mut made = BTreeSet::new();
        for node in 1..5 {
            for nonce in 0..3 {
                for counter in [100, 101, 1_000_000, u64::MAX] {
                    let maker = Dot::new(Actor { node, nonce }, counter);
                    made.extend(Position::run(left.as_ref(), right.as_ref(), maker, 3).unwrap());
                }
            }
        }
        prop_assert_eq!(made.len(), 4 * 3 * 4 * 3);
    }

    #[test]
    fn concurrent_runs_are_not_interleaved(
        edits in vec((any::<usize>(), 1_u64..6, 1_u16..4), 0..30),
        at in any::<usize>(), directions in vec(any::<bool>(), 3), counts in vec(1_usize..6, 3),
    ) {
        let editor = edited(&edits);
        let at = at % (editor.list.len() + 1);
        let typed = (1_u64..4).zip(directions.into_iter().zip(counts));
        let runs: Vec<BTreeSet<Position>> = typed
            .map(|(node, (backward, count))| editor.typed(at, count, backward, node))
            .collect();
        let all: BTreeSet<Position> = runs.iter().flatten().chain(&editor.list).cloned().collect();
        for run in &runs {
            prop_assert!(is_contiguous(&all, run));
        }
    }

    #[test]
    fn any_bytes_are_a_position_or_an_error(
        bytes in vec(any::<u8>(), 0..60), small in vec(0_u8..5, 0..60),
    ) {
        for bytes in [bytes, small] {
            if let Ok(position) = Position::decode(&bytes) {
                prop_assert_eq!(&position.as_bytes()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn numbers_have_the_order_of_their_bytes(a in any::<u64>(), b in any::<u64>(), by in 0..64) {
        let (a, b) = (a >> by, b >> (by / 2));
        let bytes = |number| {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            bytes
        };
        prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
        let turned: Vec<u8> = bytes(a).iter().map(|byte| !byte).collect();
        for (bytes, mask) in [(bytes(a), 0), (turned, 0xff)] {
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(take_number(&mut decoder, mask), Ok(a));
            prop_assert_eq!(decoder.finish(), Ok(()));
        }
    }
}

#[test]
fn ten_thousand_items_at_the_end_or_the_start_stay_short() {
    for backward in [false, true] {
        let mut editor = Editor::new(1);
        let mut ends = (None, None);
        for _ in 0..10_000 {
            let maker = editor.maker();
            let (left, right): &(Option<Position>, Option<Position>) = &ends;
            let made = Position::between(left.as_ref(), right.as_ref(), maker).unwrap();
            ends = if backward {
                (None, Some(made.clone()))
            } else {
                (Some(made.clone()), None)
            };
            editor.list.push(made);
        }
        // A branch with its actor, a counter of up to 3 bytes, an index; one more step backward.
        assert!(
            editor.longest() <= if backward { 24 } else { 20 },
            "{}",
            editor.longest()
        );
    }
}

#[test]
fn ten_thousand_items_in_the_middle_stay_short() {
    for backward in [false, true] {
        let mut editor = Editor::new(1);
        editor.insert(0, 2);
        let (mut left, mut right) = (editor.list[0].clone(), editor.list[1].clone());
        for _ in 0..10_000 {
            let maker = editor.maker();
            let made = Position::between(Some(&left), Some(&right), maker).unwrap();
            assert!(left < made && made < right);
            assert!(made.as_bytes().len() <= 40, "{}", made.as_bytes().len());
            *if backward { &mut right } else { &mut left } = made;
        }
    }
}

/// Measured: 1 actor: mean 49, longest 100 bytes; 3 actors: mean 100, longest 168 bytes.
#[test]
fn ten_thousand_random_insertions_grow_with_the_logarithm() {
    for (actors, mean, longest) in [(1_u64, 60, 130), (3, 120, 220)] {
        let mut random = fastrand::Rng::with_seed(7);
        let mut editor = Editor::new(1);
        for _ in 0..10_000 {
            editor.node = random.u64(1..=actors);
            let at = random.usize(0..=editor.list.len());
            editor.insert(at, 1);
        }
        let found = (editor.mean(), editor.longest());
        assert!(found.0 <= mean && found.1 <= longest, "{actors}: {found:?}");
    }
}

#[test]
fn where_no_room_is_left_the_list_still_grows_elsewhere() {
    let mut editor = Editor::new(1);
    editor.insert(0, 2);
    let (mut left, mut right) = (editor.list[0].clone(), editor.list[1].clone());
    let mut depth = 0;
    // Each insertion turns round: the worst there is.
    let refused = loop {
        let maker = editor.maker();
        match Position::between(Some(&left), Some(&right), maker) {
            Ok(made) if depth % 2 == 0 => left = made,
            Ok(made) => right = made,
            Err(refused) => break refused,
        }
        depth += 1;
    };
    assert!(matches!(refused, PositionError::TooLong { length } if length > MAX_POSITION));
    assert!(depth > 600, "{depth}");
    let maker = editor.maker();
    let beside = Position::between(Some(&right), Some(&editor.list[1]), maker);
    assert!(beside.is_ok() || Position::between(Some(&editor.list[1]), None, maker).is_ok());
    assert!(Position::decode(left.as_bytes()).is_ok());
}

#[test]
fn a_run_of_many_is_in_order_on_either_branch() {
    let mut editor = Editor::new(1);
    editor.insert(0, 300);
    editor.insert(0, 300);
    editor.insert(0, 300);
    editor.insert(450, 300);
    assert_eq!(editor.list.len(), 1_200);
    assert!(editor.list.is_sorted_by(|left, right| left < right));
}

#[test]
fn an_actor_beyond_those_with_numbers_is_spelled_out() {
    let mut editor = Editor::new(1);
    let nodes = (1..=140).chain([1, 127, 128, 140]);
    for (at, node) in nodes.enumerate() {
        editor.node = node;
        editor.insert(at, 1);
    }
    assert!(editor.list.is_sorted_by(|left, right| left < right));
    for position in &editor.list {
        assert_eq!(Position::decode(position.as_bytes()).as_ref(), Ok(position));
    }
}

#[test]
fn the_bytes_stay() {
    let actor = |node| Actor { node, nonce: 2 };
    let named = |node: u8| [[0; 7].as_slice(), &[node], &[0; 7], &[2]].concat();
    let x = Position::between(None, None, Dot::new(actor(1), 7)).unwrap();
    let y = Position::between(Some(&x), None, Dot::new(actor(1), 300)).unwrap();
    let z = Position::between(Some(&x), Some(&y), Dot::new(actor(3), 1)).unwrap();
    let first = Position::between(None, Some(&x), Dot::new(actor(1), 9)).unwrap();
    assert_eq!(x.as_bytes()[..], [&[0][..], &named(1), &[7, 1]].concat());
    assert_eq!(
        y.as_bytes()[..],
        [&[0][..], &named(1), &[0x81, 0x2c, 1]].concat()
    );
    assert_eq!(
        z.as_bytes()[..],
        [
            &[0][..],
            &named(1),
            &[0x81, 0x2c, 0, 1],
            &named(3),
            &[0xfe, 1]
        ]
        .concat()
    );
    assert_eq!(
        first.as_bytes()[..],
        [&[0][..], &named(1), &[7, 0, 3, 0xf6, 1]].concat()
    );
}

#[test]
fn what_no_step_makes_is_refused() {
    let good = {
        let actor = Actor { node: 1, nonce: 2 };
        let position = Position::between(None, None, Dot::new(actor, 7)).unwrap();
        position.as_bytes().to_vec()
    };
    let left_side = [&good[..18], &[0]].concat();
    let counter_0 = [&good[..17], &[0, 1]].concat();
    let longer_form = [&good[..17], &[0x80, 7, 1]].concat();
    let spelled_twice = [&good[..], &good].concat();
    let unknown_number = [&good[..], &[4, 7, 1]].concat();
    let wide_index = [&good[..18], &[0xc2, 0, 1]].concat();
    let bad = [
        left_side,
        counter_0,
        longer_form,
        spelled_twice,
        unknown_number,
        wide_index,
    ];
    assert!(bad.iter().all(|bytes| Position::decode(bytes).is_err()));
    assert!(Position::decode(b"").is_err() && Position::decode(&good[..18]).is_err());
    assert!(Position::decode(&good.repeat(MAX_POSITION)).is_err());
}
