//! Every kind of error is in `docs/errors.md`, with what it means and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

#[test]
fn every_error_is_in_the_documentation() -> anyhow::Result<()> {
    let documentation = read("docs/errors.md")?;
    let mut missing = Vec::new();
    for (file, name) in ENUMS {
        let variants = variants(&read(file)?, name).with_context(|| format!("{name} in {file}"))?;
        ensure!(variants.len() > 1, "{name} has no variants in {file}");
        let section = section(&documentation, name);
        let section = section.with_context(|| format!("docs/errors.md has no section `{name}`"))?;
        let is_missing = |variant: &&String| !section.contains(&format!("| `{variant}` |"));
        missing.extend(
            variants
                .iter()
                .filter(is_missing)
                .map(|v| format!("{name}::{v}")),
        );
    }
    ensure!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    Ok(())
}

#[test]
fn variants_are_found_whatever_they_hold() -> anyhow::Result<()> {
    let text = "/// A.\npub enum A {\n    /// One.\n    One,\n    #[error(\"Two {x}\")]\n    Two \
                {\n        x: u8,\n    },\n    Three(Inner),\n}\n\npub enum B {\n    Four,\n}\n";
    ensure!(variants(text, "A").context("A")? == ["One", "Two", "Three"]);
    Ok(())
}

/// The names of an enum's variants, which formatting puts four columns in.
fn variants(text: &str, name: &str) -> Option<Vec<String>> {
    let start = text.find(&format!("pub enum {name} {{\n"))?;
    let body = text[start..]
        .lines()
        .skip(1)
        .take_while(|line| *line != "}");
    let variant = |line: &str| {
        let word = line.strip_prefix("    ")?;
        let is_name = word.starts_with(|first: char| first.is_ascii_uppercase());
        let end = word
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(word.len());
        is_name.then(|| word[..end].to_owned())
    };
    Some(body.filter_map(variant).collect())
}

/// The part of the page under the heading that names an enum.
fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let heading = page
        .lines()
        .find(|line| line.starts_with("## ") && line.contains(name))?;
    let start = page.find(heading)? + heading.len();
    let end = page[start..]
        .find("\n## ")
        .map_or(page.len(), |end| start + end);
    Some(&page[start..end])
}

fn read(path: &str) -> anyhow::Result<String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Where the errors are that people see.
const ENUMS: &[(&str, &str)] = &[
    ("client/src/wire/failure.rs", "FailureKind"),
    ("client/src/error.rs", "ErrorKind"),
    ("client/src/context.rs", "BadContextToken"),
    ("client/src/transport/error.rs", "TransportError"),
    ("client/src/transport/identity.rs", "IdentityError"),
    ("node/src/config/error.rs", "ConfigError"),
    ("node/src/runtime/start.rs", "StartError"),
    ("node/src/runtime/init.rs", "InitError"),
    ("node/src/store/directory/error.rs", "DirectoryError"),
    ("node/src/store/error.rs", "StoreError"),
    ("node/src/server/token.rs", "BadToken"),
];
