//! `bounded_counter`: a counter that is never below 0, by rights that nodes hold and hand on.
//!
//! A node may spend only from *rights* that are its own: what it added, and what others granted to
//! it, less what it spent and granted. So it asks nobody, and no two nodes spend the same right.
//! There is one row for each node, and that node alone writes it.
//!
//! ```text
//!   node 1   added 10   used 2   granted {2: 5}      rights 10 - 2 - 5     = 3
//!   node 2   added  0   used 4   granted {}          rights  0 + 5 - 4     = 1
//!   value    10 - 2 - 4 = 4 = all rights together
//! ```
//!
//! Every number only grows, so rows join by the greater of each. A node sees the whole of its own
//! row, and of the others' perhaps less than they granted: it may refuse too early, and never
//! spends too much.
//!
//! *The row must be whole.* A node whose own row may be older than what it once wrote (its vnode is
//! catching up after a machine crash, or began anew from nothing) must not add, spend or grant
//! until it has caught up: it would spend the same rights again.
//!
//! | concurrent | gives |
//! |---|---|
//! | add a, add b | a + b |
//! | spend a, spend b at two nodes | both, each from rights of its own |
//! | spend a at a node whose rights are elsewhere | refused, although the value would allow it |
//! | spend a, grant b at two nodes | both |
//!
//! Source: Balegas et al., *Extending Eventually Consistent Cloud Databases for Enforcing Numeric
//! Invariants* (SRDS'15); the matrix of rights is kept by rows, with running totals.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::kinds::rules::{Rows, Rules, Said, Twice};
use crate::row::Row;

/// A change is no update of its row alone: what may be spent depends on the rows of all nodes.
pub const RULES: Rules = Rules {
    part: Some(|part| Ok(format!("{:016x}", node_of(part)?))),
    body: Some(said),
    ..Rules::new("rights", Rows::Parts, Twice::Sums)
};

/// What one node has done with a bounded counter. All numbers are running totals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// What the node added.
    pub added: u64,
    /// What the node spent.
    pub used: u64,
    /// What the node granted, by the node that got it.
    pub granted: BTreeMap<u64, u64>,
}

impl Rights {
    /// Joins the versions of a row.
    ///
    /// # Errors
    /// When a body is not encoded rights.
    pub fn of(row: &Row) -> Result<Self, DecodeError> {
        let mut rights = Self::default();
        for version in row.versions().values() {
            rights.join(&Self::decode(&version.body)?);
        }
        Ok(rights)
    }

    /// The least upper bound of two states of one node's rights.
    pub fn join(&mut self, other: &Self) {
        self.added = self.added.max(other.added);
        self.used = self.used.max(other.used);
        for (&node, &amount) in &other.granted {
            let here = self.granted.entry(node).or_default();
            *here = amount.max(*here);
        }
    }

    /// Canonical bytes: format 1, varints `added` and `used`, then the grants as a count and pairs
    /// of the node (8 bytes, ascending) and a varint above 0.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let grants = self.granted.iter().filter(|&(_, &amount)| amount > 0);
        let mut encoder = Encoder::with_capacity(24 + 12 * self.granted.len());
        encoder.u8(FORMAT);
        encoder.varint(self.added);
        encoder.varint(self.used);
        encoder.varint(grants.clone().count() as u64);
        for (&node, &amount) in grants {
            encoder.u64(node);
            encoder.varint(amount);
        }
        encoder.finish().into()
    }

    /// Reads what [`Rights::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of rights.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("format of rights")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "rights",
                    found,
                });
            }
        }
        let added = decoder.varint("rights added")?;
        let used = decoder.varint("rights used")?;
        let field = "rights granted";
        let mut granted = BTreeMap::new();
        for _ in 0..decoder.count(field)? {
            let node = decoder.u64(field)?;
            let amount = decoder.varint(field)?;
            let ordered = granted
                .last_key_value()
                .is_none_or(|(&last, _)| last < node);
            if amount == 0 || !ordered {
                return Err(DecodeError::Invalid { field });
            }
            granted.insert(node, amount);
        }
        decoder.finish()?;
        Ok(Self {
            added,
            used,
            granted,
        })
    }
}

/// Why a bounded counter refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The node's own rights are too few. Others may hold more and grant them.
    Insufficient {
        /// What the node may spend or grant now.
        available: u64,
    },
    /// A running total would not fit into 64 bits.
    Overflow,
    /// A node cannot grant to itself.
    ToItself,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { available } => {
                write!(f, "this node has rights to {available} and no more")
            }
            Self::Overflow => write!(f, "the counter's total would exceed 64 bits"),
            Self::ToItself => write!(f, "a node cannot grant rights to itself"),
        }
    }
}

impl Error for Refused {}

/// The rights of all nodes, as one replica knows them.
///
/// ```
/// use crdt::kinds::bounded::{Ledger, Refused};
///
/// let mut ledger = Ledger::default();
/// ledger.set(1, ledger.add(1, 10).unwrap());
/// ledger.set(1, ledger.grant(1, 2, 4).unwrap());
/// assert_eq!(ledger.spend(2, 5), Err(Refused::Insufficient { available: 4 }));
/// ledger.set(2, ledger.spend(2, 3).unwrap());
/// assert_eq!((ledger.value(), ledger.rights_of(1), ledger.rights_of(2)), (7, 6, 1));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    nodes: BTreeMap<u64, Rights>,
}

impl Ledger {
    /// Stores what is known of a node, instead of what was.
    pub fn set(&mut self, node: u64, rights: Rights) {
        self.nodes.insert(node, rights);
    }

    /// What is known of a node.
    #[must_use]
    pub fn rights(&self, node: u64) -> Rights {
        self.nodes.get(&node).cloned().unwrap_or_default()
    }

    /// The counter's value, at least 0.
    ///
    /// Replicas that hold what each spender knew never come below. A view that has a node's
    /// spending and not yet the grants it came from would: such a view shows 0.
    #[must_use]
    pub fn value(&self) -> i128 {
        self.balance().max(0)
    }

    /// What the node may spend or grant, as far as is known here.
    #[must_use]
    pub fn rights_of(&self, node: u64) -> u64 {
        let own = self.rights(node);
        let granted: i128 = own.granted.values().copied().map(i128::from).sum();
        let others = self.nodes.values();
        let got: i128 = others
            .filter_map(|rights| rights.granted.get(&node))
            .copied()
            .map(i128::from)
            .sum();
        let left = i128::from(own.added) + got - i128::from(own.used) - granted;
        u64::try_from(left.max(0)).unwrap_or(u64::MAX)
    }

    /// The rights of `node` after it added `amount`: what its row must say next.
    ///
    /// # Errors
    /// [`Refused::Overflow`].
    pub fn add(&self, node: u64, amount: u64) -> Result<Rights, Refused> {
        let mut rights = self.rights(node);
        rights.added = rights.added.checked_add(amount).ok_or(Refused::Overflow)?;
        Ok(rights)
    }

    /// The rights of `node` after it spent `amount`: what its row must say next.
    ///
    /// # Errors
    /// [`Refused::Insufficient`] with what the node could spend, and [`Refused::Overflow`].
    pub fn spend(&self, node: u64, amount: u64) -> Result<Rights, Refused> {
        let mut rights = self.afford(node, amount)?;
        rights.used = rights.used.checked_add(amount).ok_or(Refused::Overflow)?;
        Ok(rights)
    }

    /// The rights of `node` after it granted `amount` to the node `to`: what its row must say next.
    ///
    /// # Errors
    /// [`Refused::Insufficient`] with what the node could grant, [`Refused::ToItself`] and
    /// [`Refused::Overflow`].
    pub fn grant(&self, node: u64, to: u64, amount: u64) -> Result<Rights, Refused> {
        if node == to {
            return Err(Refused::ToItself);
        }
        let mut rights = self.afford(node, amount)?;
        let before = rights.granted.get(&to).copied().unwrap_or(0);
        let after = before.checked_add(amount).ok_or(Refused::Overflow)?;
        if after > 0 {
            rights.granted.insert(to, after);
        }
        Ok(rights)
    }

    fn afford(&self, node: u64, amount: u64) -> Result<Rights, Refused> {
        let available = self.rights_of(node);
        if amount > available {
            return Err(Refused::Insufficient { available });
        }
        Ok(self.rights(node))
    }

    fn balance(&self) -> i128 {
        let nodes = self.nodes.values();
        nodes
            .map(|rights| i128::from(rights.added) - i128::from(rights.used))
            .sum()
    }
}

/// What a replica knows of a bounded counter whose joined rows are these, each with its node.
///
/// # Errors
/// When a body is not encoded rights.
#[expect(
    single_use_lifetimes,
    reason = "an anonymous lifetime is not allowed here"
)]
pub fn ledger<'a>(rows: impl IntoIterator<Item = (u64, &'a Row)>) -> Result<Ledger, DecodeError> {
    let mut ledger = Ledger::default();
    for (node, row) in rows {
        ledger.set(node, Rights::of(row)?);
    }
    Ok(ledger)
}

/// The part of a node's row: its number, 8 bytes, big endian.
#[must_use]
pub fn part(node: u64) -> Bytes {
    Bytes::copy_from_slice(&node.to_be_bytes())
}

/// The node whose row has this part.
///
/// # Errors
/// When the part does not have 8 bytes.
pub fn node_of(part: &[u8]) -> Result<u64, DecodeError> {
    let mut decoder = Decoder::new(part);
    let node = decoder.u64("node of rights")?;
    decoder.finish()?;
    Ok(node)
}

fn said(row: &Row) -> Said {
    let rights = Rights::of(row)?;
    let grants = rights.granted.iter();
    let grants = grants.map(|(node, amount)| format!(", granted {amount} to {node:016x}"));
    let grants: String = grants.collect();
    let Rights { added, used, .. } = rights;
    Ok(format!("added {added}, used {used}{grants}"))
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests;
