//! A map as it was read: a tree of fields.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{ListItem, bytes, owned};
use crate::wire::{Field, Kind, State};

/// The fields of a map, by name and kind. A name may stand for one field of each kind, which two
/// writers that disagree bring about; each accessor looks at the field of its own kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapState {
    fields: BTreeMap<Bytes, OfName>,
}

/// A name in a map and the fields that it stands for: one, unless writers disagree on its kind.
///
/// ```no_run
/// # async fn run(carts: starling::Bucket) -> Result<(), starling::Error> {
/// let mut scan = carts.map("ada").scan().prefix("item-");
/// while let Some(entry) = scan.try_next().await? {
///     println!("{:?}: {}", entry.name, entry.fields.counter(&entry.name));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// The name.
    pub name: Bytes,
    /// The fields of this name, and no others.
    pub fields: MapState,
}

/// The fields of one name.
type OfName = Vec<(Kind, FieldState)>;

/// What a field of a map holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldState {
    /// The concurrent values of a `value`: one, or siblings.
    Value(Vec<Bytes>),
    /// A counter.
    Counter(i64),
    /// The elements of a set of any kind, in byte order.
    Set(Vec<Bytes>),
    /// What a register was assigned last.
    Register(Option<Bytes>),
    /// A maximum or minimum.
    Number(Option<i64>),
    /// Whether a flag is on.
    Flag(bool),
    /// About how many different things a sketch has seen.
    Estimate(u64),
    /// The items of a list, in order.
    List(Vec<ListItem>),
    /// The fields of a map in the map.
    Map(MapState),
}

impl MapEntry {
    /// The fields of a page by their names, in the order in which they came.
    pub(crate) fn all(read: Vec<Field>) -> Vec<Self> {
        let mut of_name: Vec<Vec<Field>> = Vec::new();
        for field in read {
            match of_name.last_mut() {
                Some(same) if same.first().is_some_and(|first| first.name == field.name) => {
                    same.push(field);
                }
                _ => of_name.push(vec![field]),
            }
        }
        let entry = |fields| {
            let fields = MapState::new(fields);
            let name = fields.fields.keys().next()?.clone();
            Some(Self { name, fields })
        };
        of_name.into_iter().filter_map(entry).collect()
    }
}

impl MapState {
    /// How deep they may nest is bounded by the wire, which refuses deeper messages.
    pub(crate) fn new(read: Vec<Field>) -> Self {
        let mut fields: BTreeMap<Bytes, OfName> = BTreeMap::new();
        for Field { name, kind, state } in read {
            let named = fields.entry(owned(name)).or_default();
            named.push((kind, FieldState::from(state)));
        }
        Self { fields }
    }

    /// All fields, in byte order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Kind, &FieldState)> {
        self.fields.iter().flat_map(|(name, states)| {
            let of_name = states.iter();
            of_name.map(move |(kind, state)| (name, *kind, state))
        })
    }

    /// The field of this name and kind.
    pub fn get(&self, name: impl AsRef<[u8]>, kind: Kind) -> Option<&FieldState> {
        let states = self.fields.get(name.as_ref())?;
        let found = states.iter().find(|(of, _)| *of == kind);
        found.map(|(_, state)| state)
    }

    /// Whether there is a field of this name, of whatever kind.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.fields.contains_key(name.as_ref())
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A counter; 0 if there is none.
    pub fn counter(&self, name: impl AsRef<[u8]>) -> i64 {
        match self.get(name, Kind::Counter) {
            Some(FieldState::Counter(value)) => *value,
            _ => 0,
        }
    }

    /// The elements of a set of any kind, in byte order; none if there is no such field. The kinds
    /// of sets are looked at in the order add-wins, grow-only, remove-wins.
    pub fn set(&self, name: impl AsRef<[u8]>) -> &[Bytes] {
        let name = name.as_ref();
        let mut kinds = [Kind::Set, Kind::GrowSet, Kind::RemoveSet].into_iter();
        match kinds.find_map(|kind| self.get(name, kind)) {
            Some(FieldState::Set(elements)) => elements,
            _ => &[],
        }
    }

    /// What a register was assigned last.
    pub fn register(&self, name: impl AsRef<[u8]>) -> Option<&Bytes> {
        match self.get(name, Kind::Register) {
            Some(FieldState::Register(value)) => value.as_ref(),
            _ => None,
        }
    }

    /// The siblings of a value; none if there is no such field.
    pub fn value(&self, name: impl AsRef<[u8]>) -> &[Bytes] {
        match self.get(name, Kind::Value) {
            Some(FieldState::Value(siblings)) => siblings,
            _ => &[],
        }
    }

    /// A maximum.
    pub fn max(&self, name: impl AsRef<[u8]>) -> Option<i64> {
        self.number(name.as_ref(), Kind::Max)
    }

    /// A minimum.
    pub fn min(&self, name: impl AsRef<[u8]>) -> Option<i64> {
        self.number(name.as_ref(), Kind::Min)
    }

    /// Whether a flag of either kind is on; one that is not there is off.
    pub fn flag(&self, name: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        let is_on = |kind| matches!(self.get(name, kind), Some(FieldState::Flag(true)));
        is_on(Kind::Flag) || is_on(Kind::DisableFlag)
    }

    /// About how many different things a sketch has seen.
    pub fn estimate(&self, name: impl AsRef<[u8]>) -> u64 {
        match self.get(name, Kind::Sketch) {
            Some(FieldState::Estimate(count)) => *count,
            _ => 0,
        }
    }

    /// The items of a list, in order; none if there is no such field.
    pub fn list(&self, name: impl AsRef<[u8]>) -> &[ListItem] {
        match self.get(name, Kind::List) {
            Some(FieldState::List(items)) => items,
            _ => &[],
        }
    }

    /// A map in the map.
    pub fn map(&self, name: impl AsRef<[u8]>) -> Option<&Self> {
        match self.get(name, Kind::Map) {
            Some(FieldState::Map(map)) => Some(map),
            _ => None,
        }
    }

    fn number(&self, name: &[u8], kind: Kind) -> Option<i64> {
        match self.get(name, kind) {
            Some(FieldState::Number(number)) => *number,
            _ => None,
        }
    }
}

/// What the wire has of a key or field of any kind.
impl From<State> for FieldState {
    fn from(state: State) -> Self {
        match state {
            State::Value(siblings) => Self::Value(bytes(siblings)),
            State::Counter(value) => Self::Counter(value),
            State::Set(elements) => Self::Set(bytes(elements)),
            State::Register(value) => Self::Register(value.map(owned)),
            State::Number(number) => Self::Number(number),
            State::Flag(is_on) => Self::Flag(is_on),
            State::Estimate(count) => Self::Estimate(count),
            State::List(items) => Self::List(items.into_iter().map(ListItem::new).collect()),
            State::Map(fields) => Self::Map(MapState::new(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Field, FieldState, Kind, MapEntry, MapState, State};

    fn field(name: &str, kind: Kind, state: State) -> Field {
        Field {
            name: ByteBuf::from(name.as_bytes()),
            kind,
            state,
        }
    }

    #[test]
    fn one_name_may_stand_for_fields_of_several_kinds() {
        let set = State::Set(vec![ByteBuf::from(b"a")]);
        let map = MapState::new(vec![
            field("x", Kind::Counter, State::Counter(3)),
            field("x", Kind::Set, set),
        ]);
        assert_eq!((map.counter("x"), map.set("x").len(), map.len()), (3, 1, 1));
        assert_eq!(map.iter().count(), 2);
        assert_eq!(map.get("x", Kind::Counter), Some(&FieldState::Counter(3)));
    }

    #[test]
    fn a_page_has_an_entry_for_each_name_in_its_order() {
        let counter = |name, value| field(name, Kind::Counter, State::Counter(value));
        let of_b = field("b", Kind::Set, State::Set(vec![ByteBuf::from(b"x")]));
        let entries = MapEntry::all(vec![counter("c", 1), of_b, counter("b", 2)]);
        let names: Vec<_> = entries.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(names, [b"c", b"b"]);
        let b = &entries[1].fields;
        assert_eq!((b.len(), b.counter("b"), b.set("b").len()), (1, 2, 1));
    }

    #[test]
    fn what_is_not_there_is_what_was_never_written() {
        let map = MapState::default();
        assert!(map.is_empty() && !map.contains("x") && map.map("x").is_none());
        assert_eq!(
            (map.counter("x"), map.estimate("x"), map.flag("x")),
            (0, 0, false)
        );
        assert_eq!(
            (map.register("x"), map.max("x"), map.min("x")),
            (None, None, None)
        );
        assert!(map.set("x").is_empty() && map.value("x").is_empty() && map.list("x").is_empty());
    }

    #[test]
    fn maps_nest() {
        let city = State::Register(Some(ByteBuf::from(b"London")));
        let city = field("city", Kind::Register, city);
        let map = MapState::new(vec![field("address", Kind::Map, State::Map(vec![city]))]);
        let city = map
            .map("address")
            .and_then(|address| address.register("city"));
        assert_eq!(city.map(AsRef::as_ref), Some(&b"London"[..]));
    }
}
