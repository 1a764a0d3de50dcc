//! Rule 10: up to three blocks of imports, in this order and separated by blank lines: the
//! standard library, other crates, this family of crates. Stable rustfmt keeps the order inside of
//! a block and does not know the blocks.

use crate::Failure;
use crate::source::{Source, words};

/// Whose code an import names; the order is the order of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Std,
    External,
    Own,
}

/// Checks the private imports at the top level of a file. Re-exports are part of its interface and
/// stand where they read best; imports inside of functions and test modules are few.
pub fn check(source: &Source) -> Vec<Failure> {
    let modules: Vec<&str> = source
        .code
        .iter()
        .filter_map(|code| declared_module(code))
        .collect();
    let mut found = Vec::new();
    let mut last: Option<Origin> = None;
    let mut is_new_block = true;
    let mut is_inside_import = false;
    for (at, code) in source.code.iter().enumerate() {
        if is_inside_import || is_reexport(code) {
            is_inside_import = !code.ends_with(';');
        } else if let Some(path) = code.strip_prefix("use ").filter(|path| path.contains("::")) {
            let origin = origin(path, &modules);
            if let Some(why) = last.and_then(|last| misplaced(last, origin, is_new_block)) {
                found.push(Failure::new(&source.path, at, 10, why));
            }
            last = Some(origin);
            is_new_block = false;
            is_inside_import = !code.ends_with(';');
        } else if !code.starts_with("#[") {
            is_new_block = true;
        }
    }
    found
}

fn is_reexport(code: &str) -> bool {
    code.starts_with("pub") && words(code).take(3).any(|(_, word, _)| word == "use")
}

fn misplaced(last: Origin, origin: Origin, is_new_block: bool) -> Option<&'static str> {
    if origin < last {
        Some("imports out of order: std, then other crates, then our own")
    } else if origin == last && is_new_block {
        Some("one block per origin: std, other crates, our own")
    } else if origin != last && !is_new_block {
        Some("a blank line separates std, other crates and our own")
    } else {
        None
    }
}

fn origin(path: &str, modules: &[&str]) -> Origin {
    let first = words(path).next().map_or("", |(_, word, _)| word);
    if ["std", "core", "alloc"].contains(&first) {
        Origin::Std
    } else if FAMILY.contains(&first) || modules.contains(&first) {
        Origin::Own
    } else {
        Origin::External
    }
}

/// `mod a;` and `pub(crate) mod a {` declare `a`, whose items `use a::..` may name.
fn declared_module(code: &str) -> Option<&str> {
    let (_, _, after) =
        words(code).find(|(_, word, after)| *word == "mod" && after.starts_with(' '))?;
    words(after).next().map(|(_, name, _)| name)
}

/// The crates of this workspace, and the ways to name the one at hand.
const FAMILY: &[&str] = &[
    "ring",
    "crdt",
    "starling",
    "starling_node",
    "starling_tests",
    "crate",
    "self",
    "super",
];
