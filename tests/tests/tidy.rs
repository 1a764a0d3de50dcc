//! Style as a test: what can be checked about how the tree reads is checked, in one pass.
//!
//! Each failure prints `path:line: rule N — why`; N is the number in CONTRIBUTING.md, which has
//! the reasons. What rustfmt and clippy check already is left to them. Only std is used and code
//! is read line by line, which formatting makes reliable: `cargo fmt --check` runs first.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/lines.rs"]
mod lines;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use source::Source;

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Failure {
    path: String,
    line: usize,
    rule: usize,
    why: String,
}

impl Failure {
    /// `line` counts from 0, as iterators do; people count from 1.
    fn new(path: &str, line: usize, rule: usize, why: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: line + 1,
            rule,
            why: why.into(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: rule {} — {}",
            self.path, self.line, self.rule, self.why
        )
    }
}

#[test]
fn the_tree_is_tidy() {
    let root = root();
    let mut failures = tree::check(&root);
    for path in rust_files(&root) {
        failures.extend(check_file(&Source::read(&root, &path)));
    }
    failures.sort();
    let report: String = failures
        .iter()
        .map(|failure| format!("\n  {failure}"))
        .collect();
    assert!(
        failures.is_empty(),
        "{} places (see CONTRIBUTING.md):{report}",
        failures.len()
    );
}

/// The number of the highest rule that the checks name must be in CONTRIBUTING.md, like all below.
#[test]
fn every_rule_is_explained() {
    let guide = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the guide is there");
    for rule in 1..=RULES {
        let heading = format!("\n{rule}. **");
        assert!(
            guide.contains(&heading),
            "CONTRIBUTING.md has no rule {rule}"
        );
    }
}

#[test]
fn each_rule_finds_what_it_is_about() {
    for (path, body, rule) in CASES {
        assert_broken(path, &format!("//! Doc.\n{body}\n"), *rule);
    }
    assert_broken("client/src/a.rs", "fn no_doc() {}\n", 4);
}

#[test]
fn sizes_have_limits() {
    let path = "ring/src/a.rs";
    assert_broken(path, &"//! Doc.\n".repeat(401), 1);
    let long_tests = "    // Why.\n".repeat(121);
    assert_broken(
        path,
        &format!("//! Doc.\nmod tests {{\n{long_tests}}}\n"),
        1,
    );
    let long_body = "    g();\n".repeat(61);
    assert_broken(path, &format!("//! Doc.\nfn f(\n) {{\n{long_body}}}\n"), 2);
    assert_broken(path, &format!("//! {}\n", "x".repeat(100)), 3);
}

#[test]
fn words_in_comments_and_strings_are_not_code() {
    let text = r##"//! No async here.

use std::fs;
use std::io;

use bytes::Bytes;

pub use crate::b;
use ring::b;

/// tokio is elsewhere: `'a` is no literal.
const A: &'a str = "async \
    tokio \" quinn";
const B: &str = r#"a "tokio" "#;
const C: char = '"';
/* async */ const D: u8 = b'\'';
"##;
    assert_eq!(check_file(&Source::new("ring/src/a.rs", text)), []);
}

fn assert_broken(path: &str, text: &str, rule: usize) {
    let found = check_file(&Source::new(path, text));
    let rules: Vec<usize> = found.iter().map(|failure| failure.rule).collect();
    assert_eq!(rules, [rule], "{path}: {text}");
}

/// Everything that is checked of one file by itself.
fn check_file(source: &Source) -> Vec<Failure> {
    let mut failures = lines::check(source);
    failures.extend(imports::check(source));
    failures
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All `.rs` files, skipping what cargo or git keep; sorted, so that reports are stable.
fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = name_of(&path);
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.is_file() && name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// What a folder holds; nothing if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// How many rules CONTRIBUTING.md numbers.
const RULES: usize = 15;

/// A path, what follows the first line, and the rule that it breaks.
const CASES: &[(&str, &str, usize)] = &[
    ("ring/src/a.rs", concat!("// TO", "DO: later."), 5),
    ("ring/src/a.rs", "fn test_it() {}", 6),
    ("ring/src/a.rs", "async fn f() {}", 7),
    (
        "node/src/protocol/a.rs",
        "let s = std::net::UdpSocket::bind(a);",
        7,
    ),
    ("node/src/server/a.rs", "let now = Instant::now();", 8),
    ("client/src/a.rs", "struct RemoteNode;", 9),
    ("client/src/a.rs", "enum Status {\n    Dead,\n}", 9),
    ("client/src/a.rs", "use std::fs;\nuse bytes::Bytes;", 10),
    ("client/src/a.rs", "use crate::a;\n\nuse bytes::Bytes;", 10),
    ("client/src/a.rs", "use std::fs;\n\nuse std::io;", 10),
    ("client/src/a.rs", "#[allow(dead_code)]\nfn f() {}", 11),
    ("client/src/wire/mod.rs", "mod a;", 12),
    ("node/src/protocol/a.rs", "use crate::store::Engine;", 13),
];
