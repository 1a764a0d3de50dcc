//! What the dependencies allow, and how often each is there: `cargo metadata` against two
//! committed lists. Every platform's crates are looked at, not only those built here, so
//! `cargo fetch --locked` (which `make setup` runs) must have brought them all.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use serde_json::Value;

#[test]
fn every_dependency_has_an_accepted_licence() {
    let mut refused = Vec::new();
    for package in packages() {
        let licence = package.licence.as_deref().unwrap_or("no licence field");
        if !is_accepted(licence) {
            refused.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(
        refused.is_empty(),
        "not in ACCEPTED (tests/tests/licences.rs): {refused:#?}"
    );
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let strangers: Vec<Package> = packages()
        .into_iter()
        .filter(|package| {
            package
                .source
                .as_deref()
                .is_some_and(|source| source != REGISTRY)
        })
        .collect();
    assert!(
        strangers.is_empty(),
        "git and private sources are not for others: {strangers:#?}"
    );
}

/// A crate in two versions costs compile time and, at worst, two types of one name. Both
/// directions are reported, so that the list does not outlive its reasons.
#[test]
fn duplicates_are_those_that_are_listed() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .push(package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let listed = |name: &str| DUPLICATES.iter().any(|(listed, _)| *listed == name);
    let new: Vec<_> = versions.iter().filter(|(name, _)| !listed(name)).collect();
    assert!(
        new.is_empty(),
        "in several versions, not in DUPLICATES: {new:?}"
    );
    let gone: Vec<_> = DUPLICATES
        .iter()
        .filter(|(name, _)| !versions.contains_key(*name))
        .collect();
    assert!(
        gone.is_empty(),
        "no longer in several versions, remove from DUPLICATES: {gone:?}"
    );
}

#[test]
fn or_needs_one_licence_and_and_needs_all() {
    assert!(is_accepted("GPL-3.0-only OR MIT"));
    assert!(is_accepted("Unlicense/MIT"));
    assert!(is_accepted("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_accepted(
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only"
    ));
    assert!(!is_accepted("MIT AND GPL-3.0-only"));
    assert!(!is_accepted(
        "Apache-2.0 AND (GPL-3.0-only OR AGPL-3.0-only)"
    ));
    assert!(!is_accepted("MIT WITH some-exception"));
    assert!(!is_accepted("MIT OR"));
    assert!(!is_accepted(""));
}

/// What is asked of one package in the lock file.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// None for the crates of this workspace.
    source: Option<String>,
}

fn packages() -> Vec<Package> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs this test, so it can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "run `cargo fetch --locked` first: {complaint}"
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("the format has a list of packages");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    packages
        .iter()
        .map(|package| Package {
            name: text(&package["name"]).expect("a package has a name"),
            version: text(&package["version"]).expect("a package has a version"),
            licence: text(&package["license"]),
            source: text(&package["source"]),
        })
        .collect()
}

/// Whether an SPDX expression can be satisfied by accepted licences. Old crates write `/` for OR.
fn is_accepted(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = Words {
        words: spaced.split_whitespace().collect(),
        at: 0,
    };
    let accepted = words.any();
    accepted && words.at == words.words.len()
}

/// `any = all (OR all)*`, `all = one (AND one)*`, `one = ( any ) | name [WITH exception]`.
struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn any(&mut self) -> bool {
        let mut accepted = self.all();
        while self.take("OR") {
            // Read to its end even if the answer is known: the place in the text must move on.
            accepted |= self.all();
        }
        accepted
    }

    fn all(&mut self) -> bool {
        let mut accepted = self.one();
        while self.take("AND") {
            accepted &= self.one();
        }
        accepted
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let accepted = self.any();
            return self.take(")") && accepted;
        }
        let mut name = self.next().to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next());
        }
        ACCEPTED.contains(&name.as_str())
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at) == Some(&word);
        self.at += usize::from(is_next);
        is_next
    }

    /// The next word; past the end a word that no list holds.
    fn next(&mut self) -> &'a str {
        self.at += 1;
        self.words.get(self.at - 1).copied().unwrap_or_default()
    }
}

/// Licences under which Starling, itself Apache-2.0, can be passed on as source and as a binary.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that are in the lock file more than once, and why that stands.
const DUPLICATES: &[(&str, &str)] = &[
    (
        "getrandom",
        "ring (the cryptography) has 0.2, all others 0.4",
    ),
    ("shlex", "bindgen has 1, cc has 2; build time only"),
    (
        "syn",
        "bindgen and the ASN.1 derives have 2, the other derives 3; build time only",
    ),
    (
        "windows-sys",
        "ring has 0.52, fd-lock 0.59, the rest 0.61; on Windows only",
    ),
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
