//! Maps: fields of any kind, maps among them.

use super::answers::{Answer, Found, MapEntry, MapState};
use super::edits::{
    At, CounterEdits, FlagEdits, ListEdits, NumberEdits, RegisterEdits, SetEdits, SketchEdits,
    ValueEdits,
};
use super::kinds::{Counter, Extreme, Flag, Register, Sketch, Value};
use super::length::estimated_length;
use super::write::{Plain, Write};
use super::{Draft, GrowSet, Length, List, Query, Scan, Set, Target};
use crate::wire::{Kind, Mutation, Part, State};

/// A map: named fields of any kind. A field is there once something was written into it, and its
/// name and kind together say which one it is.
///
/// The handle of a field works like that of a key, and reads and writes that field alone:
///
/// ```no_run
/// # async fn run(profiles: starling::Bucket) -> Result<(), starling::Error> {
/// let ada = profiles.map("ada");
/// ada.update(|m| {
///     m.counter("logins").add(1);
///     m.set("emails").add("ada@example.org").remove("old@example.org");
///     m.register("name").set("Ada");
///     m.flag("vip").enable();
///     m.map("address").register("city").set("London");
///     m.remove("legacy");
/// })
/// .await?;
/// assert_eq!(ada.read().await?.value().counter("logins"), 1);
/// assert!(ada.set("emails").contains("ada@example.org").await?);
/// ada.map("address").register("city").set("Paris").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Map {
    target: Target,
}

/// Changes of a map, which make up one write.
#[derive(Debug)]
pub struct MapEdits<'a>(pub(super) At<'a>);

impl Map {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Reads all fields at once; a map that does not fit into 4 MiB is read by
    /// [pages](Map::scan).
    pub fn read(&self) -> Query<Found<MapState>> {
        self.target.read(Kind::Map, Answer::map)
    }

    /// Reads the fields by pages, in byte order of their names, each with all that it holds.
    ///
    /// A field of more than 4,096 rows (elements, items, and fields of its own, or 4 MiB of them)
    /// is not shown by halves: the page that begins with it is an error (`TooLarge`), which names
    /// it. It is read by itself, and the map from behind it on.
    pub fn scan(&self) -> Scan<MapEntry> {
        Scan::of_fields(self.target.clone())
    }

    /// Counts the names of the fields, of this map alone and not of those in it, without reading
    /// what they hold: see [`Length`].
    pub fn len(&self) -> Length {
        Length::new(self.target.clone(), Kind::Map)
    }

    /// Estimates how many names there are, at the same small cost however many there are and
    /// whatever they hold: see [`Length`].
    pub fn approximate_len(&self) -> Query<u64> {
        let target = self.target.clone();
        Query::new(target, Kind::Map, Part::Estimate, estimated_length)
    }

    /// Changes fields, all of them in one write: one atomic batch.
    pub fn update(&self, change: impl FnOnce(&mut MapEdits<'_>)) -> Write<Plain> {
        let mut draft = Draft::new(Vec::new());
        let at = At {
            edits: &mut draft.edits,
            path: self.target.path.clone(),
        };
        change(&mut MapEdits(at));
        Write::of_draft(self.target.clone(), draft)
    }

    /// Removes a field of whatever kind, and all below it: what the context covers, or without one
    /// what the coordinator sees.
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Write<Plain> {
        self.target.field(name).write(Kind::Map, Mutation::Delete)
    }

    /// Removes all fields, as far as the context covers them or the coordinator sees them.
    pub fn clear(&self) -> Write<Plain> {
        self.target.write(Kind::Map, Mutation::Delete)
    }

    /// Reads a field of any kind: for tools that know the kind only when they run.
    pub fn state(&self, name: impl AsRef<[u8]>, kind: Kind) -> Query<Found<State>> {
        self.target.field(name).read(kind, Answer::any)
    }

    /// Changes a field of any kind, as [`Bucket::change`](super::Bucket::change) does a key.
    pub fn change(&self, name: impl AsRef<[u8]>, kind: Kind, mutation: Mutation) -> Write<Plain> {
        self.target.field(name).write(kind, mutation)
    }

    /// A value in the map.
    pub fn value(&self, name: impl AsRef<[u8]>) -> Value {
        Value::new(self.target.field(name))
    }

    /// A counter in the map.
    pub fn counter(&self, name: impl AsRef<[u8]>) -> Counter {
        Counter::new(self.target.field(name))
    }

    /// A set in the map, in which an add wins over a removal at the same time.
    pub fn set(&self, name: impl AsRef<[u8]>) -> Set {
        Set::new(self.target.field(name), Kind::Set)
    }

    /// A set in the map, in which a removal wins over an add at the same time.
    pub fn remove_set(&self, name: impl AsRef<[u8]>) -> Set {
        Set::new(self.target.field(name), Kind::RemoveSet)
    }

    /// A set in the map, from which nothing is removed.
    pub fn grow_set(&self, name: impl AsRef<[u8]>) -> GrowSet {
        GrowSet::new(self.target.field(name))
    }

    /// A register in the map.
    pub fn register(&self, name: impl AsRef<[u8]>) -> Register {
        Register::new(self.target.field(name))
    }

    /// A number in the map that only grows.
    pub fn max(&self, name: impl AsRef<[u8]>) -> Extreme {
        Extreme::new(self.target.field(name), Kind::Max)
    }

    /// A number in the map that only shrinks.
    pub fn min(&self, name: impl AsRef<[u8]>) -> Extreme {
        Extreme::new(self.target.field(name), Kind::Min)
    }

    /// A flag in the map: enabling wins over disabling at the same time.
    pub fn flag(&self, name: impl AsRef<[u8]>) -> Flag {
        Flag::new(self.target.field(name), Kind::Flag)
    }

    /// A flag in the map: disabling wins over enabling at the same time.
    pub fn disable_flag(&self, name: impl AsRef<[u8]>) -> Flag {
        Flag::new(self.target.field(name), Kind::DisableFlag)
    }

    /// A sketch in the map.
    pub fn hll(&self, name: impl AsRef<[u8]>) -> Sketch {
        Sketch::new(self.target.field(name))
    }

    /// A list in the map.
    pub fn list(&self, name: impl AsRef<[u8]>) -> List {
        List::new(self.target.field(name))
    }

    /// A map in the map.
    pub fn map(&self, name: impl AsRef<[u8]>) -> Self {
        Self::new(self.target.field(name))
    }
}

impl MapEdits<'_> {
    /// Removes a field of whatever kind, and all below it. A write that removes a field and
    /// changes it too is refused.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        let mut field = self.0.field(name.as_ref());
        field.push(Kind::Map, Mutation::Delete);
        self
    }

    /// A change of a field of any kind, for tools that know the kind only when they run.
    pub fn change(&mut self, name: impl AsRef<[u8]>, kind: Kind, mutation: Mutation) -> &mut Self {
        self.0.field(name.as_ref()).push(kind, mutation);
        self
    }

    /// A value.
    pub fn value(&mut self, name: impl AsRef<[u8]>) -> ValueEdits<'_> {
        ValueEdits(self.0.field(name.as_ref()))
    }

    /// A counter.
    pub fn counter(&mut self, name: impl AsRef<[u8]>) -> CounterEdits<'_> {
        CounterEdits(self.0.field(name.as_ref()))
    }

    /// A set in which an add wins.
    pub fn set(&mut self, name: impl AsRef<[u8]>) -> SetEdits<'_> {
        SetEdits(self.0.field(name.as_ref()), Kind::Set)
    }

    /// A set in which a removal wins.
    pub fn remove_set(&mut self, name: impl AsRef<[u8]>) -> SetEdits<'_> {
        SetEdits(self.0.field(name.as_ref()), Kind::RemoveSet)
    }

    /// A set that only grows.
    pub fn grow_set(&mut self, name: impl AsRef<[u8]>) -> SetEdits<'_> {
        SetEdits(self.0.field(name.as_ref()), Kind::GrowSet)
    }

    /// A register.
    pub fn register(&mut self, name: impl AsRef<[u8]>) -> RegisterEdits<'_> {
        RegisterEdits(self.0.field(name.as_ref()))
    }

    /// A number that only grows.
    pub fn max(&mut self, name: impl AsRef<[u8]>) -> NumberEdits<'_> {
        NumberEdits(self.0.field(name.as_ref()), Kind::Max)
    }

    /// A number that only shrinks.
    pub fn min(&mut self, name: impl AsRef<[u8]>) -> NumberEdits<'_> {
        NumberEdits(self.0.field(name.as_ref()), Kind::Min)
    }

    /// A flag of which enabling wins.
    pub fn flag(&mut self, name: impl AsRef<[u8]>) -> FlagEdits<'_> {
        FlagEdits(self.0.field(name.as_ref()), Kind::Flag)
    }

    /// A flag of which disabling wins.
    pub fn disable_flag(&mut self, name: impl AsRef<[u8]>) -> FlagEdits<'_> {
        FlagEdits(self.0.field(name.as_ref()), Kind::DisableFlag)
    }

    /// A sketch.
    pub fn hll(&mut self, name: impl AsRef<[u8]>) -> SketchEdits<'_> {
        SketchEdits(self.0.field(name.as_ref()))
    }

    /// A list.
    pub fn list(&mut self, name: impl AsRef<[u8]>) -> ListEdits<'_> {
        ListEdits(self.0.field(name.as_ref()))
    }

    /// A map in the map.
    pub fn map(&mut self, name: impl AsRef<[u8]>) -> MapEdits<'_> {
        MapEdits(self.0.field(name.as_ref()))
    }
}
