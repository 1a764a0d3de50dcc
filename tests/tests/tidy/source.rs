//! A file as tidy reads it: the lines as written, and the same lines with comments and the insides
//! of strings blanked out, so that a rule about code does not trip over prose.

use std::fs;
use std::path::Path;

/// One Rust file; `lines` and `code` have equal lengths.
#[derive(Debug)]
pub struct Source {
    /// The path from the root, with forward slashes.
    pub path: String,
    /// The lines as they are.
    pub lines: Vec<String>,
    /// The lines without comments and strings.
    pub code: Vec<String>,
}

impl Source {
    /// A source from text, for the checks of the checks.
    pub fn new(path: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut code: Vec<String> = blank(text).lines().map(str::to_owned).collect();
        code.resize(lines.len(), String::new());
        Self {
            path: path.to_owned(),
            lines,
            code,
        }
    }

    /// Reads a file below `root`.
    pub fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("sources are UTF-8 and readable");
        let relative = path
            .strip_prefix(root)
            .expect("the walk stays below the root");
        Self::new(&relative.to_string_lossy(), &text)
    }

    /// Whether the file lies below one of these folders.
    pub fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// The identifiers and keywords of a line of code, each with what stands right before and after.
pub fn words(code: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(is_word)?;
        let length = code[start..]
            .find(|c| !is_word(c))
            .unwrap_or(code.len() - start);
        at = start + length;
        Some((&code[..start], &code[start..at], &code[at..]))
    })
}

/// The text with comments removed and strings emptied, line breaks kept.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest, &out) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            rest[body..]
                .find(&close)
                .map_or(rest.len(), |end| body + end + close.len())
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' {
            char_literal(rest)
        } else {
            0
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// The number of hashes if a raw string starts here: `r"`, `r#"`, and so on.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let starts_a_word = !before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_');
    (after[hashes..].starts_with('"') && starts_a_word).then_some(hashes)
}

/// The length of a literal up to its closing quote; escaped quotes do not close it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `'x'` or `'\n'`; zero for a lifetime, which has no closing quote.
fn char_literal(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}
