//! The rules about lines, functions and words of one file: 1 to 9, and 11 to 13 as far as they
//! concern a file by itself.

use crate::Failure;
use crate::source::{Source, words};

/// Checks one file against all of them.
pub fn check(source: &Source) -> Vec<Failure> {
    let mut found = size(source);
    found.extend(long_functions(source));
    for (at, (line, code)) in source.lines.iter().zip(&source.code).enumerate() {
        let whys = [
            wide(line),
            unfinished(line),
            misnamed_test(code),
            impure(source, code),
        ];
        let more = [
            clock(source, code),
            glossary(code),
            silent(code),
            upward(source, code),
        ];
        let all = whys.into_iter().chain(more).flatten();
        found.extend(all.map(|(rule, why)| Failure::new(&source.path, at, rule, why)));
    }
    for lint in LOCAL_LINTS
        .iter()
        .filter(|(path, _)| *path == source.path)
        .map(|(_, lint)| lint)
    {
        if !source.code.iter().any(|code| code.contains(lint)) {
            found.push(Failure::new(
                &source.path,
                0,
                12,
                format!("`#![deny({lint})]` is missing"),
            ));
            break;
        }
    }
    found
}

/// Why a line breaks a rule, and which.
type Why = Option<(usize, String)>;

/// Rules 1 and 4.
fn size(source: &Source) -> Vec<Failure> {
    let mut found = Vec::new();
    let length = source.lines.len();
    if length > MAX_FILE {
        let why = format!("{length} lines, at most {MAX_FILE}: one idea per file");
        found.push(Failure::new(&source.path, MAX_FILE, 1, why));
    }
    let tests = source.lines.iter().position(|line| line == "mod tests {");
    if let Some(start) = tests.filter(|start| length - start > MAX_TESTS + 2) {
        let why = format!("tests of over {MAX_TESTS} lines go to a sibling tests.rs");
        found.push(Failure::new(&source.path, start, 1, why));
    }
    if !source
        .lines
        .first()
        .is_some_and(|line| line.starts_with("//!"))
    {
        found.push(Failure::new(
            &source.path,
            0,
            4,
            "starts without `//!` (what, why, source)",
        ));
    }
    found
}

/// Rule 2, counted as clippy does: lines of the body that hold code. Clippy spares this package.
fn long_functions(source: &Source) -> Vec<Failure> {
    let mut found = Vec::new();
    for (at, code) in source.code.iter().enumerate() {
        let indent = code.len() - code.trim_start().len();
        if !words(code).any(|(_, word, after)| word == "fn" && after.starts_with(' ')) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let mut body = source.code[at..]
            .iter()
            .skip_while(|line| !line.ends_with(['{', ';', '}']));
        if !body.next().is_some_and(|line| line.ends_with('{')) {
            continue; // A declaration, or a body on the same line.
        }
        let inside = body.take_while(|line| **line != closing);
        let length = inside.filter(|line| !line.trim().is_empty()).count();
        if length > MAX_FN {
            let why = format!("a function of {length} lines, at most {MAX_FN}");
            found.push(Failure::new(&source.path, at, 2, why));
        }
    }
    found
}

fn wide(line: &str) -> Why {
    let columns = line.chars().count();
    because(columns > MAX_COLUMNS, 3, || {
        format!("{columns} columns, at most {MAX_COLUMNS}")
    })
}

fn unfinished(line: &str) -> Why {
    let (_, mark, _) = words(line).find(|(_, word, _)| UNFINISHED.contains(word))?;
    because(true, 5, || {
        format!("{mark}: finish it, or open an issue and say what holds today")
    })
}

fn misnamed_test(code: &str) -> Why {
    let is_misnamed = code.trim_start().split("fn ").nth(1)?.starts_with("test_");
    because(is_misnamed, 6, || {
        "a test is named by its claim: `dots_are_never_reused`".to_owned()
    })
}

fn impure(source: &Source, code: &str) -> Why {
    let is_banned = |word: &str| IMPURE.contains(&word) || word.starts_with("Udp");
    let (_, word, _) = words(code).find(|(_, word, _)| is_banned(word))?;
    because(source.is_under(PURE), 7, || {
        format!("`{word}` in a pure place: time, randomness and I/O are arguments")
    })
}

fn clock(source: &Source, code: &str) -> Why {
    // In a pure place the name of the type is refused already, by rule 7.
    let exempt = CLOCKS.contains(&source.path.as_str())
        || source.is_under(PURE)
        || source.path.split('/').any(|part| part == "tests");
    let (call, instead) = CLOCK_CALLS.iter().find(|(call, _)| code.contains(call))?;
    because(!exempt, 8, || {
        format!("`{call}` outside of {}: {instead}", CLOCKS.join(" and "))
    })
}

fn glossary(code: &str) -> Why {
    for (before, word, after) in words(code) {
        // What follows a dot or a path is declared elsewhere, perhaps in a crate that is not ours.
        if before.ends_with(['.', ':']) {
            continue;
        }
        let keyword = words(before)
            .last()
            .filter(|(_, _, gap)| gap.trim().is_empty());
        let is_declared = keyword.is_some_and(|(_, word, _)| DECLARES.contains(&word))
            || (after.starts_with(':') && !after.starts_with("::"));
        let parts = if is_declared {
            parts(word)
        } else {
            vec![word.to_lowercase()]
        };
        let mut never = NEVER_SAY
            .iter()
            .filter(|(never, _)| parts.iter().any(|p| p == never));
        if let Some((never, say)) = never.next() {
            return because(true, 9, || {
                format!("`{word}`: never say {never}, say {say}")
            });
        }
    }
    None
}

/// `RemoteNode` and `remote_node` are both remote and node.
fn parts(word: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !spaced.ends_with(char::is_uppercase) {
            spaced.push('_');
        }
        spaced.push(c);
    }
    spaced.split('_').map(str::to_lowercase).collect()
}

fn silent(code: &str) -> Why {
    let is_silent = code.contains("#[allow(") || code.contains("#![allow(");
    because(is_silent, 11, || {
        "put a lint aside by `#[expect(.., reason = \"..\")]`".to_owned()
    })
}

fn upward(source: &Source, code: &str) -> Why {
    let path = ABOVE_PROTOCOL.iter().find(|path| code.contains(*path))?;
    because(source.is_under(&["node/src/protocol/"]), 13, || {
        format!("protocol imports `{path}`: it stands on ring and crdt only")
    })
}

fn because(is_broken: bool, rule: usize, why: impl FnOnce() -> String) -> Why {
    is_broken.then(|| (rule, why()))
}

const MAX_FILE: usize = 400;
const MAX_FN: usize = 60;
const MAX_TESTS: usize = 120;
const MAX_COLUMNS: usize = 100;

/// Spelt in halves, because this file is checked too.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Where machines and data live.
const PURE: &[&str] = &["ring/src/", "crdt/src/", "node/src/protocol/"];
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "quinn",
    "rocksdb",
    "Instant",
    "SystemTime",
    "getrandom",
];

/// The only files that read a clock; all others are handed the time.
const CLOCKS: &[&str] = &["node/src/runtime/clock.rs", "client/src/clock.rs"];
const CLOCK_CALLS: &[(&str, &str)] = &[
    (
        "Instant::now",
        "take the time as an argument or ask the clock",
    ),
    (
        "SystemTime::now",
        "take the time as an argument or ask the clock",
    ),
    ("rand::rng", "take a seeded generator as an argument"),
    ("thread_rng", "take a seeded generator as an argument"),
];

/// What stands right before a name that the line declares.
const DECLARES: &[&str] = &[
    "fn", "struct", "enum", "trait", "mod", "const", "static", "type", "let", "mut", "for", "ref",
];

/// The glossary's last column. "Failed" is missing: an operation may fail, only a member may not.
const NEVER_SAY: &[(&str, &str)] = &[
    ("aae", "dot pull or scrub"),
    ("dead", "down or removed"),
    ("diff", "delta"),
    ("generation", "incarnation"),
    ("host", "node or member"),
    ("migration", "transfer"),
    ("patch", "delta"),
    ("rebalance", "transfer"),
    ("reconcile", "join"),
    ("remote", "peer"),
    ("slop", "sloppy quorum or hint"),
    ("streaming", "transfer"),
    ("vclock", "version vector or clock"),
];

/// Lints that are too strict for everywhere and right for one place.
const LOCAL_LINTS: &[(&str, &str)] = &[
    ("ring/src/lib.rs", "clippy::wildcard_enum_match_arm"),
    (
        "node/src/protocol/mod.rs",
        "clippy::wildcard_enum_match_arm",
    ),
    ("client/src/wire/mod.rs", "clippy::indexing_slicing"),
    ("client/src/wire/mod.rs", "clippy::arithmetic_side_effects"),
];

/// The modules of the node, and the part of the client, that drive or serve the machines.
const ABOVE_PROTOCOL: &[&str] = &[
    "crate::store",
    "crate::runtime",
    "crate::server",
    "crate::admin",
    "crate::cli",
    "starling::transport",
];
