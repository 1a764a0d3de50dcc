//! What the demo prints: each step with a tick and its seconds.

use std::fmt::Display;
use std::time::Duration;

use super::Output;
use super::check::Differences;
use crate::cli::clock::Stopwatch;
use crate::cli::output::Paint;
use crate::cli::text::{grouped, seconds};

/// Prints the steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    output: Output,
    watch: Stopwatch,
}

impl Steps {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            watch: Stopwatch::start(),
        }
    }

    /// The way to print.
    pub(super) fn output(&self) -> Output {
        self.output
    }

    /// A heading.
    pub(super) fn title(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.output.line(self.output.paint(Paint::Strong, text))?)
    }

    /// A step that is done, with how long it took.
    pub(super) fn done(&self, text: impl Display, took: Duration) -> anyhow::Result<()> {
        let (tick, took) = (self.tick(), self.output.paint(Paint::Faint, seconds(took)));
        Ok(self.output.line(format_args!("{tick} {text}   {took}"))?)
    }

    /// Something that happened.
    pub(super) fn event(&self, text: impl Display) -> anyhow::Result<()> {
        let mark = self.output.paint(Paint::Doubtful, "!");
        Ok(self.output.line(format_args!("{mark} {text}"))?)
    }

    /// A line as it is.
    pub(super) fn plain(&self, text: impl Display) -> anyhow::Result<()> {
        Ok(self.output.line(text)?)
    }

    /// The end: all is equal, or the first differences.
    pub(super) fn verdict(&self, differences: &Differences) -> anyhow::Result<()> {
        let took = seconds(self.watch.elapsed());
        if differences.is_empty() {
            let word = self.output.paint(Paint::Good, "Everything is equal.");
            return self.plain(format_args!("{word} {took} in all."));
        }
        let count = grouped(differences.count());
        let word = self
            .output
            .paint(Paint::Bad, format_args!("{count} differences."));
        self.plain(format_args!("{word} The first of them:"))?;
        for difference in differences.first() {
            self.plain(format_args!("  {difference}"))?;
        }
        Ok(())
    }

    fn tick(&self) -> String {
        self.output.paint(Paint::Good, "✓")
    }
}
