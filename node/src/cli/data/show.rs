//! What keys and fields hold, as lines for people and as JSON.

use serde_json::{Value, json};

use super::path::name_text;
use crate::cli::text::{bytes_json, hex, shown};
use starling::{FieldState, Kind, ListItem, MapState};

/// A piece of a map: how deep, the name and kind on its first line, and a line of what is there.
type Branch = (usize, String, Kind, Vec<Vec<u8>>);

/// The lines that a state is: a value, an element, an item each, and a map as a tree.
pub(super) fn lines(state: &FieldState) -> Vec<Vec<u8>> {
    match state {
        FieldState::Value(values) | FieldState::Set(values) => {
            values.iter().map(|value| value.to_vec()).collect()
        }
        FieldState::Counter(value) => vec![value.to_string().into_bytes()],
        FieldState::Register(value) => value.iter().map(|value| value.to_vec()).collect(),
        FieldState::Number(number) => number.iter().map(|n| n.to_string().into_bytes()).collect(),
        FieldState::Flag(true) => vec![b"on".to_vec()],
        FieldState::Flag(false) => vec![b"off".to_vec()],
        FieldState::Estimate(count) => vec![count.to_string().into_bytes()],
        FieldState::List(items) => items.iter().map(|item| item.value.to_vec()).collect(),
        FieldState::Map(map) => tree(map).into_iter().map(String::into_bytes).collect(),
    }
}

/// A map, one field or more lines each: names, kinds and contents in columns, fields of fields
/// moved in.
fn tree(map: &MapState) -> Vec<String> {
    let mut branches = Vec::new();
    collect(map, 0, &mut branches);
    let width = |of: fn(&Branch) -> usize| branches.iter().map(of).max().unwrap_or(0);
    let names = width(|(depth, name, ..)| INDENT * depth + name.chars().count());
    let kinds = width(|(_, _, kind, _)| kind.name().len());
    let mut text = Vec::new();
    for (depth, name, kind, lines) in branches {
        let head = format!("{:1$}{name}", "", INDENT * depth);
        let mut head = format!("{head:names$}  {:kinds$}", kind.name());
        let rest = " ".repeat(names + 2 + kinds);
        if lines.is_empty() {
            text.push(head.trim_end().to_owned());
        }
        for line in lines {
            text.push(format!("{head}  {}", shown(&line)));
            head.clone_from(&rest);
        }
    }
    text
}

/// How deep maps nest is bounded by the wire.
fn collect(map: &MapState, depth: usize, branches: &mut Vec<Branch>) {
    for (name, kind, state) in map.iter() {
        let name = name_text(name);
        if let FieldState::Map(below) = state {
            branches.push((depth, name, kind, Vec::new()));
            collect(below, depth + 1, branches);
        } else {
            branches.push((depth, name, kind, lines(state)));
        }
    }
}

/// A state in JSON; bytes that are no text are `{"hex": ..}`.
pub(super) fn state_json(state: &FieldState) -> Value {
    match state {
        FieldState::Value(values) | FieldState::Set(values) => {
            values.iter().map(|value| bytes_json(value)).collect()
        }
        FieldState::Counter(value) => json!(value),
        FieldState::Register(value) => json!(value.as_ref().map(|value| bytes_json(value))),
        FieldState::Number(number) => json!(number),
        FieldState::Flag(on) => json!(on),
        FieldState::Estimate(count) => json!(count),
        FieldState::List(items) => items.iter().map(item_json).collect(),
        FieldState::Map(map) => map
            .iter()
            .map(|(name, kind, state)| {
                json!({
                    "name": bytes_json(name),
                    "kind": kind.name(),
                    "state": state_json(state),
                })
            })
            .collect(),
    }
}

/// An item with its position as text that can be passed back.
pub(super) fn item_json(item: &ListItem) -> Value {
    json!({ "position": hex(item.position.as_bytes()), "item": bytes_json(&item.value) })
}

/// How far the fields of a map in a map are moved in.
const INDENT: usize = 2;

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;
    use serde_json::json;

    use super::{FieldState, Kind, lines, state_json};
    use starling::State;
    use starling::wire::Field;

    fn field(name: &str, kind: Kind, state: State) -> Field {
        Field {
            name: ByteBuf::from(name.as_bytes()),
            kind,
            state,
        }
    }

    fn bytes(texts: &[&str]) -> Vec<ByteBuf> {
        texts
            .iter()
            .map(|text| ByteBuf::from(text.as_bytes()))
            .collect()
    }

    fn profile() -> FieldState {
        let city = State::Register(Some(ByteBuf::from(b"London")));
        let address = State::Map(vec![field("city", Kind::Register, city)]);
        FieldState::from(State::Map(vec![
            field("address", Kind::Map, address),
            field("e.mails", Kind::Set, State::Set(bytes(&["a@b", "c\nd"]))),
            field("logins", Kind::Counter, State::Counter(2)),
            field("tasks", Kind::List, State::List(Vec::new())),
            field("vip", Kind::DisableFlag, State::Flag(true)),
        ]))
    }

    #[test]
    fn a_map_is_a_tree_in_columns() {
        let lines = lines(&profile());
        let lines: Vec<&str> = lines
            .iter()
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                "address   map",
                "  city    register      London",
                r"e\.mails  set           a@b",
                r"                        c\nd",
                "logins    counter       2",
                "tasks     list",
                "vip       disable-flag  on",
            ]
        );
    }

    #[test]
    fn json_says_name_and_kind_of_every_field() {
        let all = state_json(&profile());
        assert_eq!(all[0]["state"][0]["state"], "London");
        assert_eq!(
            all[1],
            json!({"name": "e.mails", "kind": "set", "state": ["a@b", "c\nd"]})
        );
        assert_eq!(
            (&all[2]["state"], &all[4]["state"]),
            (&json!(2), &json!(true))
        );
    }

    #[test]
    fn what_was_never_written_has_no_line() {
        for state in [
            State::Value(vec![]),
            State::Register(None),
            State::Number(None),
        ] {
            assert!(lines(&FieldState::from(state)).is_empty());
        }
        assert_eq!(lines(&FieldState::from(State::Flag(false))), [b"off"]);
    }
}
