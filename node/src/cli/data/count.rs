//! Counting what a collection holds, and printing how much that is.

use serde_json::{Value, json};

use super::Setting;
use crate::cli::exit::Exit;
use starling::Length;

/// Counts, page by page.
pub(super) async fn counted(
    setting: &Setting,
    mut length: Length,
    r: Option<u8>,
) -> anyhow::Result<u64> {
    if let Some(r) = r {
        length = length.r(r);
    }
    if let Some(timeout) = setting.timeout {
        length = length.timeout(timeout);
    }
    Ok(length.await?)
}

/// Prints a count; `answer` is the rest of what a program is told.
pub(super) fn show_count(setting: &Setting, mut answer: Value, count: u64) -> anyhow::Result<Exit> {
    if setting.output.is_json() {
        answer["count"] = json!(count);
        setting.output.json(&answer)?;
    } else {
        setting.output.line(count)?;
    }
    Ok(Exit::Done)
}
