//! Handles on keys and fields of the simpler kinds.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::{Answer, Count, Found, Read};
use super::write::{Adding, Plain, Write, buffer, buffers};
use super::{Query, Target};
use crate::typed::{MessagePack, Typed};
use crate::wire::{Kind, Mutation};

/// A value: opaque bytes, with siblings if it was written concurrently.
#[derive(Debug, Clone)]
pub struct Value {
    pub(crate) target: Target,
}

/// A counter.
#[derive(Debug, Clone)]
pub struct Counter {
    target: Target,
}

/// A counter that is never below 0: what is spent was added before, whatever node takes the spend
/// and whoever it can reach.
///
/// Each owner spends from rights of its own, and asks another one when it has too few. So a spend
/// may fail as [`Insufficient`](crate::ErrorKind::Insufficient) although [`value`](Self::value)
/// would allow it: with a time to wait for, and the client tries again by itself within the
/// deadline. What was added can be spent when all owners hold it, usually after some seconds.
#[derive(Debug, Clone)]
pub struct BoundedCounter {
    target: Target,
}

/// A register: opaque bytes of which the latest assignment counts, by the clocks of the nodes that
/// took them. Of two at the same time one is lost; use a [`Value`] where that matters.
#[derive(Debug, Clone)]
pub struct Register {
    pub(crate) target: Target,
}

/// A number that only grows (a maximum), or only shrinks (a minimum).
#[derive(Debug, Clone)]
pub struct Extreme {
    target: Target,
    kind: Kind,
}

/// On or off. What wins when both happen at the same time, its kind says.
#[derive(Debug, Clone)]
pub struct Flag {
    target: Target,
    kind: Kind,
}

/// Counts about how many different things it was shown (`HyperLogLog`), within about a percent and
/// in a few kilobytes.
#[derive(Debug, Clone)]
pub struct Sketch {
    target: Target,
}

impl Value {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// The same value with contents of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack, Self> {
        Typed::new(self.clone())
    }

    /// Reads it, with its siblings and the context for the next write.
    pub fn get(&self) -> Query<Read> {
        self.target.read(Kind::Value, Read::new)
    }

    /// Writes it over what the context covers; without a context a sibling of what is there.
    pub fn put(&self, value: impl Into<Bytes>) -> Write<Plain> {
        let mutation = Mutation::Put(buffer(value));
        self.target.write(Kind::Value, mutation)
    }

    /// Removes what the context covers, or without one what the coordinator sees.
    pub fn delete(&self) -> Write<Plain> {
        self.target.write(Kind::Value, Mutation::Delete)
    }
}

impl Counter {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Adds; a negative amount subtracts. Automatic retries count once.
    pub fn add(&self, amount: i64) -> Write<Plain> {
        self.target
            .write(Kind::Counter, Mutation::Increment(amount))
    }

    /// Reads the counter; 0 if it was never written.
    pub fn read(&self) -> Query<Count> {
        self.target.read(Kind::Counter, Count::new)
    }

    /// Takes the counter back to zero, as far as the coordinator sees its increments. Increments at
    /// the same time count on. A context is refused: it cannot say how much of a counter was seen.
    pub fn reset(&self) -> Write<Plain> {
        self.target.write(Kind::Counter, Mutation::Delete)
    }
}

impl BoundedCounter {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Adds. Automatic retries count once. An amount beyond 2^63 - 1 is refused by the node.
    pub fn add(&self, amount: u64) -> Write<Plain> {
        self.change(i128::from(amount))
    }

    /// Spends, or fails and spends nothing. Automatic retries count once.
    pub fn spend(&self, amount: u64) -> Write<Plain> {
        self.change(-i128::from(amount))
    }

    /// Reads what is left; 0 if it was never written. At the moment of an answer it may be more
    /// than what can be spent, and after a retry through another node for a while too much or too
    /// little; it is never below 0.
    pub fn value(&self) -> Query<Count> {
        self.target.read(Kind::BoundedCounter, Count::new)
    }

    fn change(&self, amount: i128) -> Write<Plain> {
        let change = i64::try_from(amount);
        // Larger numbers are no amounts: a change of nothing is refused.
        let mutation = Mutation::Increment(change.unwrap_or(0));
        self.target.write(Kind::BoundedCounter, mutation)
    }
}

impl Register {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// The same register with contents of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack, Self> {
        Typed::new(self.clone())
    }

    /// Assigns.
    pub fn set(&self, value: impl Into<Bytes>) -> Write<Plain> {
        let mutation = Mutation::Put(buffer(value));
        self.target.write(Kind::Register, mutation)
    }

    /// Reads what was assigned last; `None` if nothing was.
    pub fn read(&self) -> Query<Found<Option<Bytes>>> {
        self.target.read(Kind::Register, Answer::register)
    }

    /// Removes what was assigned, as far as the context covers it or the coordinator sees it.
    pub fn delete(&self) -> Write<Plain> {
        self.target.write(Kind::Register, Mutation::Delete)
    }
}

impl Extreme {
    pub(super) fn new(target: Target, kind: Kind) -> Self {
        Self { target, kind }
    }

    /// Raises a maximum to at least this; lowers a minimum to at most this.
    pub fn offer(&self, number: i64) -> Write<Plain> {
        self.target.write(self.kind, Mutation::Offer(number))
    }

    /// Reads the largest or smallest number that was offered; `None` if none was.
    pub fn read(&self) -> Query<Found<Option<i64>>> {
        self.target.read(self.kind, Answer::number)
    }

    /// Removes what was offered, as far as the context covers it or the coordinator sees it.
    pub fn delete(&self) -> Write<Plain> {
        self.target.write(self.kind, Mutation::Delete)
    }
}

impl Flag {
    pub(super) fn new(target: Target, kind: Kind) -> Self {
        Self { target, kind }
    }

    /// Turns it on.
    pub fn enable(&self) -> Write<Plain> {
        self.target.write(self.kind, Mutation::Switch(true))
    }

    /// Turns it off.
    pub fn disable(&self) -> Write<Plain> {
        self.target.write(self.kind, Mutation::Switch(false))
    }

    /// Reads whether it is on; one that was never written is off.
    pub fn read(&self) -> Query<Found<bool>> {
        self.target.read(self.kind, Answer::flag)
    }
}

impl Sketch {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Counts a thing, unless it was counted before. More can be [added](Write::add) to the write.
    pub fn add(&self, thing: impl Into<Bytes>) -> Write<Adding> {
        self.add_all([thing])
    }

    /// Counts things, all of them in one write.
    pub fn add_all<E: Into<Bytes>>(&self, things: impl IntoIterator<Item = E>) -> Write<Adding> {
        let mutation = Mutation::Add(buffers(things));
        self.target.write(Kind::Sketch, mutation)
    }

    /// Reads about how many different things there were.
    pub fn estimate(&self) -> Query<Found<u64>> {
        self.target.read(Kind::Sketch, Answer::estimate)
    }

    /// Forgets what the context covers, or without one what the coordinator sees.
    pub fn clear(&self) -> Write<Plain> {
        self.target.write(Kind::Sketch, Mutation::Delete)
    }
}
