//! The row: the unit of state, of storage and of repair, and the join.
//!
//! ```text
//!   row = versions {dot -> version}  and  context (kills that the clock does not yet explain)
//!   join(x, y): a dot stays if both have it, or if the side that lacks it has not seen it
//! ```
//!
//! A write is a *delta*, itself a row: one version (none for a delete) and the context of the
//! client that wrote it. It is joined into the stored row as it is, at the coordinator and at every
//! replica. The version's own dot is not in its context: alive in `versions` says it.
//!
//! *Invariant I2*: a dot of this key that the vnode's clock holds is at or below a base of the
//! clock, or alive in `versions`, or in `context`. So contexts are stripped by bases alone, and a
//! *filled* row (its context joined with the clock's bases) speaks for the whole vnode. A row and
//! the clock it is filled with must be one atomic pair: a clock newer than the row turns a fresh
//! write into a delete.
//!
//! The join drops by dots only. What chooses among versions (last-writer-wins, equal operation
//! ids, caps) chooses when reading, in [`crate::kinds`]; a loser goes when a dotted write covers
//! it.
//! Sources: as in the crate's root, and the delta form checked by the model in `tests/`.

mod versions;

use bytes::Bytes;

use crate::clock::Clock;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::context::Context;
use crate::dot::Dot;
use crate::dots::DotSet;
use crate::hlc::Hlc;
use crate::operation::OpId;
pub use versions::{Iter, Versions};

/// What one event left in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The coordinator's stamp. It orders nothing but what says so.
    pub hlc: Hlc,
    /// The client's operation, if it named one.
    pub op: Option<OpId>,
    /// When it ends, in milliseconds since the Unix epoch by the coordinator's stamp: part of the
    /// version, so that every replica hides it alike. `None` for never.
    pub expires_ms: Option<u64>,
    /// What the kind of the bucket makes of it: a value, a counter's share, nothing.
    pub body: Bytes,
}

impl Version {
    /// A version that never ends.
    #[must_use]
    pub fn new(hlc: Hlc, op: Option<OpId>, body: Bytes) -> Self {
        Self {
            hlc,
            op,
            expires_ms: None,
            body,
        }
    }

    /// Is it hidden from a reader whose clock says `now_ms`?
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }
}

/// The versions of one `(key, part)` that nothing known here has overwritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    versions: Versions,
    context: Context,
}

impl Row {
    /// The delta of a write: one version under `dot`, over all that `context` covers.
    #[must_use]
    pub fn write(dot: Dot, version: Version, context: Context) -> Self {
        Self {
            versions: Versions::one(dot, version),
            context,
        }
    }

    /// The delta of a delete: nothing, over all that `context` covers.
    #[must_use]
    pub fn delete(context: Context) -> Self {
        Self {
            versions: Versions::default(),
            context,
        }
    }

    /// The least upper bound of two rows: associative, commutative, idempotent.
    ///
    /// ```
    /// use crdt::{Actor, Context, Dot, Hlc, Row, Version};
    ///
    /// let version = |body: &'static str| Version::new(Hlc::at(0), None, body.into());
    /// let (a, b) = (Actor { node: 1, nonce: 1 }, Actor { node: 2, nonce: 2 });
    /// let old = Row::write(Dot::new(a, 1), version("old"), Context::default());
    /// let new = Row::write(Dot::new(b, 1), version("new"), old.seen());
    /// let mut joined = new.clone();
    /// joined.join(&old);
    /// assert_eq!(joined, new);
    /// ```
    pub fn join(&mut self, other: &Self) {
        self.join_filled(&Context::default(), other, &Context::default());
    }

    /// Joins two rows of which each speaks for a whole vnode, as if both were filled: each goes
    /// with what its vnode's bases cover. What comes of it goes with what either covers, and keeps
    /// a context of its own that is no larger for it.
    pub fn join_filled(&mut self, here: &Context, other: &Self, there: &Context) {
        let seen_there = |dot| other.context.contains(dot) || there.contains(dot);
        self.versions
            .retain(|dot, _| other.versions.contains_key(&dot) || !seen_there(dot));
        for (&dot, version) in &other.versions {
            if !self.context.contains(dot) && !here.contains(dot) {
                self.versions.insert_missing(dot, version.clone());
            }
        }
        self.context.join(&other.context);
    }

    /// Makes the row speak for the whole vnode whose `clock` it was read with.
    pub fn fill(&mut self, clock: &Clock) {
        self.context.fill(clock);
    }

    /// Stores another context instead: after a join of filled rows, what of theirs must be kept.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Drops from the context what the vnode's clock already explains.
    pub fn strip(&mut self, clock: &Clock) {
        self.context.strip(clock);
    }

    /// The same row with other bodies.
    #[must_use]
    pub fn map_bodies(&self, mut change: impl FnMut(&Bytes) -> Bytes) -> Self {
        let mut row = self.clone();
        for version in row.versions.values_mut() {
            version.body = change(&version.body);
        }
        row
    }

    /// Leaves out the versions that are over at `now_ms` (milliseconds since the Unix epoch): what
    /// a reader must not see.
    pub fn hide_expired(&mut self, now_ms: u64) {
        self.versions
            .retain(|_, version| !version.is_expired(now_ms));
    }

    /// Leaves out the versions under these dots: another row says that they are gone
    /// ([`crate::kinds::cleared`]).
    pub fn hide(&mut self, gone: &DotSet) {
        self.versions.retain(|dot, _| !gone.contains(dot));
    }

    /// Takes out the versions that were over at `now_ms`, and remembers their dots as kills until
    /// the clock explains them (I2). True if there were any.
    pub fn remove_expired(&mut self, now_ms: u64) -> bool {
        let before = self.versions.len();
        let context = &mut self.context;
        self.versions.retain(|dot, version| {
            let is_over = version.is_expired(now_ms);
            if is_over {
                context.insert(dot);
            }
            !is_over
        });
        self.versions.len() < before
    }

    /// The context that a reader of this row takes away: the row's, and the versions it saw as
    /// exact dots.
    #[must_use]
    pub fn seen(&self) -> Context {
        let mut context = self.context.clone();
        self.versions.keys().for_each(|&dot| context.insert(dot));
        context
    }

    /// Is there neither a version nor a context? Such a row is not stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.context.is_empty()
    }

    /// The versions by their dots.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The kills that the clock does not explain (all of them in a filled row).
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The version that carries an operation id, with its dot.
    #[must_use]
    pub fn version_of(&self, op: OpId) -> Option<(Dot, &Version)> {
        let mut versions = self.versions.iter();
        versions
            .find(|(_, version)| version.op == Some(op))
            .map(|(&dot, version)| (dot, version))
    }

    /// Canonical bytes.
    ///
    /// ```text
    ///   u8 format = 1 | varint versions | each: dot, u64 hlc, u8 marks, [24 B op], [u64 end],
    ///                 bytes body | context
    ///   marks: 1 an operation is named, 2 it expires
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bodies: usize = self
            .versions
            .values()
            .map(|version| version.body.len() + 64)
            .sum();
        let mut encoder = Encoder::with_capacity(bodies + 16);
        encoder.u8(FORMAT);
        encoder.varint(self.versions.len() as u64);
        for (dot, version) in &self.versions {
            dot.encode(&mut encoder);
            encoder.u64(version.hlc.to_bits());
            let named = if version.op.is_some() { NAMED } else { 0 };
            let expires = if version.expires_ms.is_some() {
                EXPIRES
            } else {
                0
            };
            encoder.u8(named | expires);
            if let Some(op) = version.op {
                op.encode(&mut encoder);
            }
            if let Some(end) = version.expires_ms {
                encoder.u64(end);
            }
            encoder.bytes(&version.body);
        }
        self.context.encode(&mut encoder);
        encoder.finish()
    }

    /// Reads what [`Row::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("row's format")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "row",
                    found,
                });
            }
        }
        let count = decoder.count("versions of a row")?;
        let mut versions = Versions::with_room_for(count);
        for _ in 0..count {
            let (dot, version) = decode_version(&mut decoder)?;
            if !versions.push(dot, version) {
                return Err(DecodeError::Invalid {
                    field: "order of versions",
                });
            }
        }
        let context = Context::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(Self { versions, context })
    }
}

fn decode_version(decoder: &mut Decoder<'_>) -> Result<(Dot, Version), DecodeError> {
    let dot = Dot::decode(decoder)?;
    let hlc = Hlc::from_bits(decoder.u64("version's stamp")?);
    let marks = decoder.u8("version's marks")?;
    if marks & !(NAMED | EXPIRES) != 0 {
        return Err(DecodeError::Invalid {
            field: "version's marks",
        });
    }
    let op = if marks & NAMED == 0 {
        None
    } else {
        Some(OpId::decode(decoder)?)
    };
    let expires_ms = if marks & EXPIRES == 0 {
        None
    } else {
        Some(decoder.u64("version's end")?)
    };
    let body = decoder.owned_bytes("version's body")?;
    let version = Version {
        hlc,
        op,
        expires_ms,
        body,
    };
    Ok((dot, version))
}

const FORMAT: u8 = 1;
const NAMED: u8 = 1;
const EXPIRES: u8 = 2;

#[cfg(test)]
mod tests;
