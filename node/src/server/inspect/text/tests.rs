//! Every sort of row is shown for itself and in words.

use bytes::Bytes;

use super::{body, part};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crdt::codec::Encoder;
use crdt::dots::DotSet;
use crdt::kinds::bounded::{self, Rights};
use crdt::kinds::cleared::{self, Scope};
use crdt::kinds::counter::Share;
use crdt::kinds::flag::{self, Wins};
use crdt::kinds::hll::Block;
use crdt::kinds::{Edit, Leaf, extremum, remove_wins};
use crdt::{Actor, Dot, Hlc, Row, Version};
use ring::{BucketId, Token};

/// What a row is stored as, and what is said of it: its part and its body.
struct Shown {
    part: Vec<u8>,
    part_said: &'static str,
    body: Bytes,
    body_said: &'static str,
}

const ACTOR: Actor = Actor {
    node: 1 << 32,
    nonce: 2 << 32,
};

/// A row without a part, or with one that is the user's own bytes.
fn plain(part: &'static str, body: impl Into<Bytes>, body_said: &'static str) -> Shown {
    Shown {
        part: part.into(),
        part_said: part,
        body: body.into(),
        body_said,
    }
}

fn numbered(edit: Result<Option<Edit>, crdt::codec::DecodeError>) -> Bytes {
    edited(edit.unwrap().unwrap())
}

fn edited(edit: Edit) -> Bytes {
    edit.body.unwrap()
}

/// What a row of each sort may hold.
fn examples(leaf: Leaf) -> Vec<Shown> {
    let empty = Row::default();
    match leaf {
        Leaf::Value | Leaf::Register => vec![plain("", "London", "London")],
        Leaf::Item => vec![plain("position", "item", "item")],
        Leaf::Element | Leaf::GrowElement => vec![plain("e", "", "in")],
        Leaf::RemoveWinsElement => vec![
            plain("e", edited(remove_wins::add(&empty)), "in"),
            plain("e", edited(remove_wins::remove(&empty)), "out"),
        ],
        Leaf::Max => vec![plain("", numbered(extremum::raise(&empty, -7)), "-7")],
        Leaf::Min => vec![plain("", numbered(extremum::lower(&empty, 9)), "9")],
        Leaf::Flag => vec![plain("", edited(flag::enable(&empty, Wins::Enable)), "on")],
        Leaf::DisableFlag => {
            let off = edited(flag::disable(&empty, Wins::Disable));
            vec![plain("", off, "off")]
        }
        Leaf::Share => vec![share()],
        Leaf::Sketch => vec![sketch()],
        Leaf::Rights => vec![rights()],
        Leaf::Cleared => clears(),
    }
}

fn share() -> Shown {
    let mut share = Share::default();
    share.add(3, 5);
    share.reset();
    share.add(4, 2);
    let mut encoder = Encoder::default();
    ACTOR.encode(&mut encoder);
    Shown {
        part: encoder.finish(),
        part_said: "00000001.00000002",
        body: share.encode(),
        body_said: "2 (added 7 up to 4, reset 5 up to 3, 0 void)",
    }
}

fn sketch() -> Shown {
    let mut block = Block::default();
    block.offer(7, 3);
    Shown {
        part: vec![12],
        part_said: "12",
        body: block.encode(),
        body_said: "1 of 256 registers set",
    }
}

fn rights() -> Shown {
    let rights = Rights {
        added: 9,
        used: 2,
        granted: [(255, 4)].into(),
    };
    Shown {
        part: bounded::part(10).to_vec(),
        part_said: "000000000000000a",
        body: rights.encode(),
        body_said: "added 9, used 2, granted 4 to 00000000000000ff",
    }
}

fn clears() -> Vec<Shown> {
    let mut seen = DotSet::default();
    seen.insert(Dot::new(ACTOR, 1));
    seen.insert(Dot::new(ACTOR, 2));
    let of = |part, part_said| Shown {
        part,
        part_said,
        body: edited(cleared::clear(&Row::default(), &seen).unwrap()),
        body_said: "whatever 2 events have written",
    };
    vec![
        of(Scope::Below.part(), "everything"),
        of(Scope::Leaf(Leaf::Element).part(), "every element"),
        of(b"??".to_vec(), "unknown"),
    ]
}

fn row_key(leaf: Leaf, part: &[u8]) -> RowKey {
    KeyPrefix::new(3, Token(1), BucketId(2), b"ada", b"").row(leaf, part)
}

fn version(body: Bytes) -> Version {
    Version::new(Hlc::at(0), None, body)
}

#[test]
fn every_part_and_version_is_shown_for_itself_and_in_words() {
    for leaf in Leaf::ALL {
        for shown in examples(leaf) {
            let said = part(&row_key(leaf, &shown.part));
            assert_eq!(String::from_utf8_lossy(&said), shown.part_said, "{leaf:?}");
            let said = body(leaf, Dot::new(ACTOR, 3), &version(shown.body));
            assert_eq!(String::from_utf8_lossy(&said), shown.body_said, "{leaf:?}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_called_damaged() {
    for leaf in [
        Leaf::Share,
        Leaf::Max,
        Leaf::Sketch,
        Leaf::Cleared,
        Leaf::Rights,
    ] {
        let said = body(leaf, Dot::new(ACTOR, 3), &version("?".into()));
        assert!(said.starts_with(b"damaged"), "{leaf:?}");
    }
    for leaf in [Leaf::Share, Leaf::Rights] {
        assert!(
            part(&row_key(leaf, b"?")).starts_with(b"damaged"),
            "{leaf:?}"
        );
    }
}
