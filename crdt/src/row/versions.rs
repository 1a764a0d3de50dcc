//! The versions of a row by their dots.
//!
//! Nearly every row has one version, and many rows are read at a time: a sorted list takes the
//! memory of what is in it, where a tree takes that of a node for eleven.

use super::Version;
use crate::dot::Dot;

/// Versions by their dots, in the order of the dots; each dot once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(Vec<(Dot, Version)>);

impl Versions {
    pub(super) fn one(dot: Dot, version: Version) -> Self {
        Self(vec![(dot, version)])
    }

    /// Room for so many, as far as that is a number that a row usually has.
    pub(super) fn with_room_for(count: usize) -> Self {
        Self(Vec::with_capacity(count.min(USUAL)))
    }

    /// Appends a version whose dot is behind all that are there; false if it is not.
    pub(super) fn push(&mut self, dot: Dot, version: Version) -> bool {
        let is_next = self.0.last().is_none_or(|(last, _)| *last < dot);
        if is_next {
            self.0.push((dot, version));
        }
        is_next
    }

    /// Puts a version in where there is none of its dot.
    pub(super) fn insert_missing(&mut self, dot: Dot, version: Version) {
        if let Err(place) = self.place(dot) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, (dot, version));
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(Dot, &Version) -> bool) {
        self.0.retain(|(dot, version)| keep(*dot, version));
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Version> {
        self.0.iter_mut().map(|(_, version)| version)
    }

    fn place(&self, dot: Dot) -> Result<usize, usize> {
        self.0.binary_search_by_key(&dot, |&(known, _)| known)
    }

    /// The version of a dot.
    #[must_use]
    pub fn get(&self, dot: &Dot) -> Option<&Version> {
        let place = self.place(*dot).ok()?;
        self.0.get(place).map(|(_, version)| version)
    }

    /// Is there a version of this dot?
    #[must_use]
    pub fn contains_key(&self, dot: &Dot) -> bool {
        self.place(*dot).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The dots and their versions.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|(dot, version)| (dot, version))
    }

    /// The dots.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Dot> + Clone {
        self.0.iter().map(|(dot, _)| dot)
    }

    /// The versions.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Version> + Clone {
        self.0.iter().map(|(_, version)| version)
    }
}

impl<'a> IntoIterator for &'a Versions {
    type Item = (&'a Dot, &'a Version);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<(Dot, Version)> for Versions {
    /// Of two versions of one dot the first stays.
    fn from_iter<I: IntoIterator<Item = (Dot, Version)>>(versions: I) -> Self {
        let mut all = Self::default();
        for (dot, version) in versions {
            all.insert_missing(dot, version);
        }
        all
    }
}

/// Dots and their versions, in the order of the dots.
pub type Iter<'a> = std::iter::Map<std::slice::Iter<'a, (Dot, Version)>, Split>;

/// Takes an entry apart.
type Split = fn(&(Dot, Version)) -> (&Dot, &Version);

/// More versions than rows usually have.
const USUAL: usize = 8;
