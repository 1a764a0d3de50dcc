//! Where words go: data to stdout, notes to stderr, colour only for people.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, CellAlignment, Color as CellColor, Table, presets};
use serde::Serialize;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The way a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    is_json: bool,
    is_colored: bool,
}

/// How a word is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Bad,
    Doubtful,
    Strong,
    Faint,
}

/// A cell of a table. Its colour is kept apart from its text, whose width counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    text: String,
    paint: Option<Paint>,
}

impl Output {
    pub(crate) fn new(is_json: bool, color: Color) -> Self {
        let is_colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && io::stdout().is_terminal()
            }
        };
        Self {
            is_json,
            is_colored,
        }
    }

    /// The same way, for a program.
    pub(crate) fn in_json(self) -> Self {
        Self {
            is_json: true,
            ..self
        }
    }

    /// Whether the answer is for a program.
    pub(crate) fn is_json(self) -> bool {
        self.is_json
    }

    /// A line of data.
    pub(crate) fn line(self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Bytes as they are, and a line's end.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.write_all(b"\n")
    }

    /// Data for a program, in one line.
    pub(crate) fn json(self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(text)
    }

    /// A table under its headings; numbers stand right. Without borders, so that it can be cut.
    pub(crate) fn table(self, headings: &[&str], rows: Vec<Vec<Word>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let heading = |text: &&str| {
            let cell = Cell::new(text);
            if self.is_colored {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        };
        if self.is_colored {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headings.iter().map(heading).collect::<Vec<_>>());
        for row in rows {
            let cell = |word: Word| {
                let is_number = word.text.starts_with(|first: char| first.is_ascii_digit());
                let side = if is_number {
                    CellAlignment::Right
                } else {
                    CellAlignment::Left
                };
                let cell = Cell::new(word.text).set_alignment(side);
                match word.paint.filter(|_| self.is_colored) {
                    Some(Paint::Good) => cell.fg(CellColor::Green),
                    Some(Paint::Bad) => cell.fg(CellColor::Red),
                    Some(Paint::Doubtful) => cell.fg(CellColor::DarkYellow),
                    Some(Paint::Strong) => cell.add_attribute(Attribute::Bold),
                    Some(Paint::Faint) => cell.add_attribute(Attribute::Dim),
                    None => cell,
                }
            };
            table.add_row(row.into_iter().map(cell).collect::<Vec<_>>());
        }
        self.line(table.trim_fmt())
    }

    /// Something to know, which is no data. Nobody minds if it cannot be printed.
    pub(crate) fn note(self, text: impl Display) {
        writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
    }

    /// The text, set off if there is colour.
    pub(crate) fn paint(self, paint: Paint, text: impl Display) -> String {
        if !self.is_colored {
            return text.to_string();
        }
        let code = match paint {
            Paint::Good => "32",
            Paint::Bad => "31;1",
            Paint::Doubtful => "33",
            Paint::Strong => "1",
            Paint::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Word {
    /// A word that is set off.
    pub(crate) fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            paint: Some(paint),
        }
    }
}

impl<T: Into<String>> From<T> for Word {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            paint: None,
        }
    }
}
