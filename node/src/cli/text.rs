//! Bytes, sizes and durations as people write and read them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::exit::UsageError;

/// A value from the command line: the text itself, `@FILE`, or `-` for standard input.
pub(crate) fn read_value(argument: &str) -> anyhow::Result<Vec<u8>> {
    if argument == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("standard input")?;
        return Ok(bytes);
    }
    match argument.strip_prefix('@') {
        Some(path) => {
            fs::read(path).with_context(|| format!("{path} could not be read; nothing was sent"))
        }
        None => Ok(argument.as_bytes().to_vec()),
    }
}

/// Bytes in JSON: a string if they are text, else `{"hex": ..}`.
pub(crate) fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal digits, two a byte; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |letter: u8| char::from(letter).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

/// The bytes in one line, whole, what is not printable escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().flat_map(printable).collect(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// At most `width` characters of the bytes in one line, what is not printable escaped.
pub(crate) fn excerpt(bytes: &[u8], width: usize) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().flat_map(printable).take(width + 1).collect(),
        Err(_) => bytes
            .escape_ascii()
            .map(char::from)
            .take(width + 1)
            .collect::<String>(),
    };
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A whole number with its thousands apart: `60,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds with one digit behind the point.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Splits a line as a shell would: spaces separate, single and double quotes hold together, a
/// backslash takes the next character as it is (not between single quotes).
pub(crate) fn split_line(line: &str) -> Result<Vec<String>, UsageError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') if !is_shell_command(&words, word.as_deref()) => {
                let Some(next) = rest.next() else {
                    return Err(UsageError("the line ends after a backslash".to_owned()));
                };
                word.get_or_insert_default().push(next);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(UsageError("a quote is not closed".to_owned()));
    }
    words.extend(word);
    Ok(words)
}

/// The operating system's generator failed, which is no error type that could be passed on.
pub(crate) fn no_randomness(error: getrandom::Error) -> anyhow::Error {
    anyhow::anyhow!("the operating system gives no randomness: {error}")
}

/// Whether the file exists and is no directory.
pub(crate) fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// A backslash at the beginning of a line is a command of the shell, no escape.
fn is_shell_command(words: &[String], word: Option<&str>) -> bool {
    words.is_empty() && word.is_none()
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes_json, excerpt, grouped, json, split_line};

    #[test]
    fn a_line_is_split_as_a_shell_would() {
        for (line, words) in [
            ("put users ada Ada", vec!["put", "users", "ada", "Ada"]),
            (
                r#"put users ada '{"name": "Ada"}'"#,
                vec!["put", "users", "ada", r#"{"name": "Ada"}"#],
            ),
            (
                r#"put u a "a \"b\" c""#,
                vec!["put", "u", "a", r#"a "b" c"#],
            ),
            ("put u a ''", vec!["put", "u", "a", ""]),
            (r"\kill 2", vec![r"\kill", "2"]),
            (r"get u a\ b", vec!["get", "u", "a b"]),
            ("  ", vec![]),
        ] {
            assert_eq!(split_line(line).unwrap(), words, "{line}");
        }
        assert!(split_line("put 'a").is_err());
        assert!(split_line("put a\\").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hex() {
        assert_eq!(bytes_json(b"Ada"), json!("Ada"));
        assert_eq!(bytes_json(b"\xff\x00"), json!({ "hex": "ff00" }));
    }

    #[test]
    fn an_excerpt_fits_in_its_line() {
        assert_eq!(excerpt(b"Ada", 3), "Ada");
        assert_eq!(excerpt("größer".as_bytes(), 5), "größ…");
        assert_eq!(excerpt(b"a\nb", 9), "a\\nb");
        assert_eq!(excerpt(b"\xff", 9), "\\xff");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
