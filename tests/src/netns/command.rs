//! Running the programs that Linux is set up with.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Runs a program to its end, and gives what it printed.
///
/// # Errors
/// If it is not there or does not succeed; the error has what it said.
pub(super) fn run(words: &[&str]) -> anyhow::Result<String> {
    feed(words, "")
}

/// Runs a program to its end with this as its input, and gives what it printed.
///
/// # Errors
/// As for [`run`].
pub(super) fn feed(words: &[&str], input: &str) -> anyhow::Result<String> {
    let (program, arguments) = words.split_first().context("a command has a word")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let what = words
        .join(" ")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut child = command.spawn().with_context(|| what.clone())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why by its status.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{what}` fails: {said}{input}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
