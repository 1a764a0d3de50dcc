//! Positions: byte strings whose order is the order of a list, and between any two of which there
//! is room for more.
//!
//! A position is a path in a tree that all replicas share without ever speaking of it. It never
//! changes and is never given twice. Each step of the path names a *branch*, which belongs to one
//! actor, and a place on it, named by the dot that made it:
//!
//! ```text
//!   step      u8 tag | [16 B actor] | counter | index and side
//!   tag       bit 0: the branch grows forward (0) or backward (1)
//!             bits 1-7: 0 the actor follows, n it is the n-th that the path spelled out
//!   counter   of the dot that made the place; its complement on a backward branch
//!   index     2 * index in the batch + side: 0 what is left of the place, 1 the place itself
//!   numbers   as many leading 1 bits as bytes follow, then the value, big endian, shortest form
//!
//!   x         F,A 7 0        A's 7th event
//!   y         F,A 9 0        typed behind x by A: the same branch, one place on, no longer than x
//!   z         F,A 9 0' B,B 4 0   put before y by B: a branch left of y (0' is its left side)
//!   order     x < z < y
//! ```
//!
//! Between two neighbours a position is made as in Fugue: as a left child of the right one if that
//! one is below the left one, else as a right child of the left one. Each place of a forward branch
//! is a right child of the one before it, of a backward branch a left child; so if the neighbour's
//! branch is the maker's and grows that way, the new place is the next on it. Runs in either
//! direction cost no length, and all that an actor types into one gap stays below one place: runs
//! of two actors are never mixed. Length grows with each change of actor or direction on the way to
//! a place, about with the logarithm of the number of random insertions; the tests say how long.
//!
//! *Why two dots never make one position*: the last step names the actor and the counter, and equal
//! paths resolve the actor alike.
//!
//! Sources: Weidner and Kleppmann, *The Art of the Fugue: Minimizing Interleaving in Collaborative
//! Text Editing* (2023); Weidner's library `position-strings` for paths as strings. Branches that
//! grow backward, and dots for its counters, are ours: no state beside the list is needed.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder};
use crate::dot::Dot;

/// The longest position, in bytes: a part's limit. Two neighbours that are so deep take nothing
/// more between them; everywhere else the list goes on growing.
pub const MAX_POSITION: usize = 4_096;

/// What tells one insertion from all others: a dot that makes one item or one run, and never again
/// another.
pub type Maker = Dot;

/// Where an item is in its list. Positions are ordered as their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    bytes: Bytes,
}

impl Position {
    /// A position between two others, or at an end of the list where there is none.
    ///
    /// ```
    /// use crdt::kinds::list::Position;
    /// use crdt::{Actor, Dot};
    ///
    /// let actor = Actor { node: 1, nonce: 7 };
    /// let first = Position::between(None, None, Dot::new(actor, 1)).unwrap();
    /// let last = Position::between(Some(&first), None, Dot::new(actor, 2)).unwrap();
    /// let middle = Position::between(Some(&first), Some(&last), Dot::new(actor, 3)).unwrap();
    /// assert!(first < middle && middle < last);
    /// ```
    ///
    /// # Errors
    /// When `left` is not before `right`, or the position would be over [`MAX_POSITION`] bytes.
    pub fn between(
        left: Option<&Self>,
        right: Option<&Self>,
        maker: Maker,
    ) -> Result<Self, PositionError> {
        branch_between(left, right, maker)?.place(maker, 0)
    }

    /// `count` positions in their order, all between two others: a run that nothing concurrent can
    /// be mixed into.
    ///
    /// # Errors
    /// As for [`Position::between`]; then there is none of them.
    pub fn run(
        left: Option<&Self>,
        right: Option<&Self>,
        maker: Maker,
        count: u16,
    ) -> Result<Vec<Self>, PositionError> {
        let branch = branch_between(left, right, maker)?;
        (0..count).map(|index| branch.place(maker, index)).collect()
    }

    /// Reads a position that was given out earlier.
    ///
    /// # Errors
    /// When the bytes are not a position.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_POSITION {
            return Err(invalid());
        }
        let last = walk(bytes)?.last;
        if last.is_some_and(|step| step.is_place) {
            let bytes = Bytes::copy_from_slice(bytes);
            Ok(Self { bytes })
        } else {
            Err(invalid())
        }
    }

    /// The bytes: the part of the item's row.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Why there is no position. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionError {
    /// The left neighbour is not before the right one.
    OutOfOrder,
    /// The position would be longer than [`MAX_POSITION`]: actors or directions changed too often
    /// on the way to this place. Items inserted anew elsewhere are short again.
    TooLong {
        /// How many bytes it would have.
        length: usize,
    },
}

impl fmt::Display for PositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder => write!(f, "the left position is not before the right one"),
            Self::TooLong { length } => write!(
                f,
                "the position would have {length} bytes, allowed are {MAX_POSITION}"
            ),
        }
    }
}

impl Error for PositionError {}

/// A branch that the maker may put places on: what their positions begin with.
struct Branch {
    prefix: Vec<u8>,
    backward: bool,
}

impl Branch {
    fn place(&self, maker: Maker, index: u16) -> Result<Position, PositionError> {
        let mut bytes = Vec::with_capacity(self.prefix.len() + 12);
        bytes.extend_from_slice(&self.prefix);
        let start = bytes.len();
        push_number(&mut bytes, maker.counter);
        if self.backward {
            bytes.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
        }
        push_number(&mut bytes, u64::from(index) * 2 + PLACE);
        match bytes.len() {
            length if length > MAX_POSITION => Err(PositionError::TooLong { length }),
            _ => Ok(Position {
                bytes: bytes.into(),
            }),
        }
    }
}

fn branch_between(
    left: Option<&Position>,
    right: Option<&Position>,
    maker: Maker,
) -> Result<Branch, PositionError> {
    if left.zip(right).is_some_and(|(left, right)| left >= right) {
        return Err(PositionError::OutOfOrder);
    }
    let left = left.map_or(&[][..], |left| &left.bytes);
    let walk = walk(left).unwrap_or_default();
    match right {
        Some(right) if right.bytes.starts_with(walk.above(left)) => Ok(left_of(right, maker)),
        _ => Ok(right_of(left, &walk, maker)),
    }
}

/// On the right neighbour's branch if it is the maker's and grows backward, else left of its place.
///
/// All of the branch is behind the left neighbour, which is higher up on the way to it.
fn left_of(right: &Position, maker: Maker) -> Branch {
    let walk = walk(&right.bytes).unwrap_or_default();
    let last = walk.last_of(maker).filter(|last| last.backward);
    if let Some(prefix) = last.and_then(|last| right.bytes.get(..last.branch)) {
        return Branch {
            prefix: prefix.to_vec(),
            backward: true,
        };
    }
    let mut prefix = right.bytes.to_vec();
    if let Some(side) = prefix.last_mut() {
        *side &= !SIDE;
    }
    new_branch(prefix, &walk, maker, true)
}

/// On the left neighbour's branch if it is the maker's and grows forward, else right of its place.
///
/// The right neighbour is not on that branch, or it would be below the left one.
fn right_of(left: &[u8], walk: &Walk, maker: Maker) -> Branch {
    let last = walk.last_of(maker).filter(|last| !last.backward);
    match last.and_then(|last| left.get(..last.branch)) {
        Some(prefix) => Branch {
            prefix: prefix.to_vec(),
            backward: false,
        },
        None => new_branch(left.to_vec(), walk, maker, false),
    }
}

fn new_branch(mut prefix: Vec<u8>, walk: &Walk, maker: Maker, backward: bool) -> Branch {
    let direction = if backward { BACKWARD } else { 0 };
    let known = walk.actors.iter().take(MAX_NAMED);
    let named = (1_u8..)
        .zip(known)
        .find(|&(_, &actor)| actor == maker.actor);
    if let Some((number, _)) = named {
        prefix.push(number << 1 | direction);
    } else {
        prefix.push(direction);
        prefix.extend(maker.actor.node.to_be_bytes());
        prefix.extend(maker.actor.nonce.to_be_bytes());
    }
    Branch { prefix, backward }
}

/// What a path was found to hold.
#[derive(Default)]
struct Walk {
    /// The actors that it spells out, in their order.
    actors: Vec<Actor>,
    last: Option<Step>,
}

/// One step of a path.
#[derive(Clone, Copy)]
struct Step {
    actor: Actor,
    backward: bool,
    counter: u64,
    /// Does it end at the place itself, and not at the left of it?
    is_place: bool,
    /// How long the path is up to and with the branch.
    branch: usize,
}

fn walk(bytes: &[u8]) -> Result<Walk, DecodeError> {
    let mut walk = Walk::default();
    let mut decoder = Decoder::new(bytes);
    while !decoder.rest().is_empty() {
        let tag = decoder.u8(FIELD)?;
        let actor = walk.actor(tag >> 1, &mut decoder)?;
        let branch = bytes.len() - decoder.rest().len();
        let backward = tag & BACKWARD != 0;
        let counter = take_number(&mut decoder, if backward { 0xff } else { 0 })?;
        let index = take_number(&mut decoder, 0)?;
        if counter == 0 || index >> 1 > u64::from(u16::MAX) {
            return Err(invalid());
        }
        walk.last = Some(Step {
            actor,
            backward,
            counter,
            is_place: index & PLACE != 0,
            branch,
        });
    }
    Ok(walk)
}

impl Walk {
    /// What everything begins with that is behind the path's end and below it: the end itself, and
    /// the places further on the same branch, each of which is a right child of the one before. The
    /// left end of the list is the path of no steps, and above everything.
    fn above<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let forward = self.last.filter(|last| !last.backward);
        let branch = forward.and_then(|last| path.get(..last.branch));
        branch.unwrap_or(path)
    }

    /// The last step, if the maker may go on from it.
    fn last_of(&self, maker: Maker) -> Option<Step> {
        let last = self.last?;
        (last.actor == maker.actor && last.counter < maker.counter).then_some(last)
    }

    /// The actor that a tag names. One that has a number is never spelled out again.
    fn actor(&mut self, number: u8, decoder: &mut Decoder<'_>) -> Result<Actor, DecodeError> {
        if let Some(before) = usize::from(number).checked_sub(1) {
            return self.actors.get(before).copied().ok_or_else(invalid);
        }
        let actor = Actor::decode(decoder)?;
        if self
            .actors
            .iter()
            .take(MAX_NAMED)
            .any(|&known| known == actor)
        {
            return Err(invalid());
        }
        self.actors.push(actor);
        Ok(actor)
    }
}

/// Appends a number so that the order of bytes is the order of numbers, of whatever lengths.
fn push_number(bytes: &mut Vec<u8>, number: u64) {
    // Each byte that follows takes one bit of the first for itself; with eight, none is left.
    let bits = u64::BITS - number.leading_zeros();
    let more = (bits.saturating_sub(1) / 7).min(8);
    let marks = 0xff & !(0xff_u128 >> more);
    let wide = (u128::from(number) | marks << (8 * more)).to_be_bytes();
    let shortest = wide.iter().skip(15 - more as usize);
    bytes.extend(shortest);
}

/// Takes what [`push_number`] wrote, each byte turned by `mask`.
fn take_number(decoder: &mut Decoder<'_>, mask: u8) -> Result<u64, DecodeError> {
    let first = decoder.u8(FIELD)? ^ mask;
    let more = first.leading_ones();
    let mut number = u64::from(first) & (0x7f_u64 >> more);
    for _ in 0..more {
        number = number << 8 | u64::from(decoder.u8(FIELD)? ^ mask);
    }
    let least = if more == 0 { 0 } else { 1 << (7 * more) };
    if number < least {
        return Err(invalid());
    }
    Ok(number)
}

fn invalid() -> DecodeError {
    DecodeError::Invalid { field: FIELD }
}

const FIELD: &str = "position of an item";
const BACKWARD: u8 = 1;
const SIDE: u8 = 1;
const PLACE: u64 = 1;
/// How many of a path's actors have numbers.
const MAX_NAMED: usize = 127;

#[cfg(test)]
mod tests;
