//! Counting what a collection holds, and printing how much that is.

use clap::Args;
use serde_json::{Value, json};

use super::Setting;
use crate::cli::exit::Exit;
use starling::{Length, Query};

/// How to count what a collection holds.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CountOptions {
    /// Estimate instead, at the same small cost for any size: exact up to 4,096,
    /// usually within 6 % beyond, and within 3 % from 16,000 on.
    #[arg(long)]
    approximate: bool,
    /// How many replicas must answer, for each page of what is counted.
    #[arg(short, long, value_name = "COUNT")]
    r: Option<u8>,
}

impl CountOptions {
    /// Counts or estimates, and prints how many; `answer` is the rest of what a program is told.
    pub(super) async fn show(
        self,
        setting: &Setting,
        (length, estimate): (Length, Query<u64>),
        mut answer: Value,
    ) -> anyhow::Result<Exit> {
        let count = if self.approximate {
            let estimate = self.r.into_iter().fold(estimate, Query::r);
            let timeout = setting.timeout.into_iter();
            timeout.fold(estimate, Query::timeout).await?
        } else {
            counted(setting, length, self.r).await?
        };
        answer["approximate"] = json!(self.approximate);
        show_count(setting, answer, count)
    }
}

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
