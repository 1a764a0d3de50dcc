//! The rules about the tree as a whole: 13 (which crate may depend on which), 14 (what lies at the
//! top), 15 (every invariant is in its table) and 16 (the tests that the tables of types name).

use std::fs;
use std::path::Path;

use crate::source::words;
use crate::{Failure, entries, name_of};

/// Checks all of them.
pub fn check(root: &Path) -> Vec<Failure> {
    let mut found = top_level(root);
    for (krate, own, banned) in CRATES {
        let path = format!("{krate}/Cargo.toml");
        let manifest = fs::read_to_string(root.join(&path)).unwrap_or_default();
        found.extend(dependencies(&path, &manifest, own, banned));
    }
    found.extend(invariants(root));
    found.extend(semantics(root));
    found
}

/// Rule 13, for the dependencies of one manifest, development ones included.
fn dependencies(path: &str, manifest: &str, own: &[&str], banned: &[&str]) -> Vec<Failure> {
    let mut found = Vec::new();
    let mut section = "";
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if !section.ends_with("dependencies") || name.is_empty() {
            continue;
        }
        let is_foreign_family = FAMILY.contains(&name) && !own.contains(&name);
        if is_foreign_family || banned.contains(&name) {
            let why = format!("this crate must not depend on {name} (see ARCHITECTURE.md)");
            found.push(Failure::new(path, at, 13, why));
        }
    }
    found
}

/// Rule 14. Files that begin with a dot are free: they belong to tools.
fn top_level(root: &Path) -> Vec<Failure> {
    let mut found = Vec::new();
    for path in entries(root) {
        let name = name_of(&path);
        let allowed = if path.is_dir() {
            TOP_FOLDERS
        } else {
            TOP_FILES
        };
        if !name.starts_with('.') && !allowed.contains(&name.as_str()) {
            found.push(Failure::new(
                &name,
                0,
                14,
                "has no place at the top of the tree",
            ));
        }
    }
    found
}

/// Rule 15: `mod.rs` names each invariant once to declare it and once more in its table.
fn invariants(root: &Path) -> Vec<Failure> {
    let folder = "tests/src/invariants";
    let table = fs::read_to_string(root.join(folder).join("mod.rs")).unwrap_or_default();
    let mut found = Vec::new();
    for path in entries(&root.join(folder)) {
        let file = name_of(&path);
        let name = file.trim_end_matches(".rs");
        let is_listed = table.lines().any(|line| {
            let is_declaration = line.trim_end().ends_with(&format!("mod {name};"));
            !is_declaration && words(line).any(|(_, word, _)| word == name)
        });
        if name != "mod" && name != "tests" && !is_listed {
            let why = format!("is not in the table of {folder}/mod.rs, so nothing runs it");
            found.push(Failure::new(&format!("{folder}/{file}"), 0, 15, why));
        }
    }
    found
}

/// Rule 16: each row of the tables of `docs/types.md` names a test as `file::test`, which exists,
/// and every test of the semantics is named somewhere on that page.
fn semantics(root: &Path) -> Vec<Failure> {
    let page = "docs/types.md";
    let text = fs::read_to_string(root.join(page)).unwrap_or_default();
    let mut found = Vec::new();
    for (at, file, test) in named_tests(&text) {
        let is_there = SEMANTICS.iter().any(|folder| {
            let source = fs::read_to_string(root.join(format!("{folder}/{file}.rs")));
            source.is_ok_and(|source| source.contains(&format!("fn {test}(")))
        });
        if !is_there {
            let why = format!("there is no test {test} in a {file}.rs of {SEMANTICS:?}");
            found.push(Failure::new(page, at, 16, why));
        }
    }
    for at in rows_without_a_test(&text) {
        let why = "this row names no test that shows it";
        found.push(Failure::new(page, at, 16, why));
    }
    for path in entries(&root.join(SEMANTICS[0])) {
        let file = name_of(&path);
        let source = fs::read_to_string(&path).unwrap_or_default();
        for (at, test) in tests_of(&source) {
            let named = format!("`{}::{test}`", file.trim_end_matches(".rs"));
            if !text.contains(&named) {
                let path = format!("{}/{file}", SEMANTICS[0]);
                found.push(Failure::new(
                    &path,
                    at,
                    16,
                    format!("{page} does not name {test}"),
                ));
            }
        }
    }
    found
}

/// Each `file::test` that a page quotes, with its line.
fn named_tests(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    text.lines().enumerate().flat_map(|(at, line)| {
        let quoted = line.split('`').skip(1).step_by(2);
        let named = quoted.filter_map(|quoted| quoted.split_once("::"));
        named.map(move |(file, test)| (at, file, test))
    })
}

/// The lines of tables below the first heading of a section that name no test. What stands above it
/// is about the page.
fn rows_without_a_test(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("## "));
    let is_rule = |line: &str| line.starts_with("|---") || line.starts_with("| ---");
    let is_heading = |at: usize| lines.get(at + 1).is_some_and(|next| is_rule(next));
    (first.unwrap_or_default()..lines.len())
        .filter(|&at| lines[at].starts_with('|') && !is_rule(lines[at]) && !is_heading(at))
        .filter(|&at| named_tests(lines[at]).next().is_none())
        .collect()
}

/// The names of the tests in a source, with their lines.
fn tests_of(source: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = source.lines().collect();
    let pairs = lines.windows(2).enumerate();
    let tests = pairs.filter(|(_, pair)| pair[0] == "#[test]");
    tests
        .filter_map(|(at, pair)| Some((at + 1, pair[1].strip_prefix("fn ")?.split('(').next()?)))
        .collect()
}

#[test]
fn a_row_of_a_kinds_table_names_its_test() {
    let page = "| kind | for |\n|---|---|\n| `set` | tags |\n\n## set\n\n\
                | concurrent | gives | test |\n|---|---|---|\n| add, add | one | `set::adds` |\n\
                | add, clear | one | |\n\nAnd `set::more`.\n";
    assert_eq!(rows_without_a_test(page), [9]);
    let named: Vec<_> = named_tests(page).collect();
    assert_eq!(named, [(8, "set", "adds"), (11, "set", "more")]);
    let source = "#[test]\nfn adds() {}\n\nfn helps() {}\n\n#[test]\nfn more() {}\n";
    assert_eq!(tests_of(source), [(1, "adds"), (6, "more")]);
}

#[test]
fn leaves_depend_on_no_other_leaf_and_on_no_runtime() {
    let manifest = "[dependencies]\nring.workspace = true\nserde = \"1\"\n\n[dev-dependencies]\n\
                    tokio = { workspace = true }\n\n[lints]\nworkspace = true\n";
    let found = dependencies("crdt/Cargo.toml", manifest, &[], RUNTIME);
    let lines: Vec<usize> = found.iter().map(|failure| failure.line).collect();
    assert_eq!(lines, [2, 6]);
}

/// Each crate, the crates of ours that it may depend on, and what else it must not.
const CRATES: &[(&str, Names, Names)] = &[
    ("ring", &[], RUNTIME),
    ("crdt", &[], RUNTIME),
    ("client", &["ring"], &["rocksdb", "axum"]),
    ("node", &["ring", "crdt", "starling"], &[]),
    ("tests", FAMILY, &["rocksdb"]),
];
type Names = &'static [&'static str];

/// Where the tests are that the tables of types name. Those of the first one are all named.
const SEMANTICS: [&str; 3] = [
    "crdt/tests/semantics",
    "node/src/protocol/vnode/tests",
    "node/src/server/tests",
];

const FAMILY: &[&str] = &["ring", "crdt", "starling", "starling-node"];
const RUNTIME: &[&str] = &[
    "tokio",
    "tokio-util",
    "quinn",
    "rocksdb",
    "rustls",
    "getrandom",
    "libc",
    "axum",
];

const TOP_FOLDERS: &[&str] = &[
    "client", "crdt", "deploy", "docs", "node", "ring", "target", "tests",
];
const TOP_FILES: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "clippy.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
];
