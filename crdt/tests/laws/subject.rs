//! What a kind tells the laws about itself.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use fastrand::Rng;

use crdt::kinds::Edit;
use crdt::{Dot, Row};

/// The rows of one key.
pub(crate) type Rows = BTreeMap<Bytes, Row>;

/// What an operation writes: into which row what.
pub(crate) type Edits = Vec<(Bytes, Edit)>;

/// A kind under test, and the plain type that one replica alone behaves like.
pub(crate) trait Subject {
    /// What a user asks for.
    type Operation: Debug;
    /// What a reader sees.
    type Shown: Debug + PartialEq;
    /// The plain type.
    type Plain: Default;

    /// Any operation.
    fn random(rng: &mut Rng) -> Self::Operation;

    /// What a replica with these rows writes; the first of the edits is written under `dot`.
    fn edits(rows: &Rows, dot: Dot, operation: &Self::Operation) -> Edits;

    /// What a reader of joined rows sees.
    fn shown(rows: &Rows) -> Self::Shown;

    /// Does the same to the plain type.
    fn apply(plain: &mut Self::Plain, operation: &Self::Operation);

    /// What a reader of the plain type sees.
    fn plainly(plain: &Self::Plain) -> Self::Shown;
}

/// The row of a part, empty if there is none.
pub(crate) fn row(rows: &Rows, part: &[u8]) -> Row {
    rows.get(part).cloned().unwrap_or_default()
}
