//! What is wrong with a configuration file: where, what, and what was probably meant.

use std::fmt;
use std::path::PathBuf;

/// A configuration that cannot be used. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A key is not known.
    UnknownKey {
        /// The file, if there is one.
        file: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The known key that is most like it, if any is.
        meant: Option<String>,
    },
    /// A value is not what it must be, or the file is no TOML.
    Invalid {
        /// The file, if there is one.
        file: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl ConfigError {
    /// Names the line and guesses what was meant.
    pub(super) fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = text
            .bytes()
            .take(start)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1;
        let message = error.message();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let unknown = message
            .starts_with("unknown field")
            .then(|| quoted.next())
            .flatten();
        match unknown {
            Some(key) => Self::UnknownKey {
                file: None,
                line,
                key: key.to_owned(),
                meant: most_like(key, &quoted.collect::<Vec<_>>()),
            },
            None => Self::Invalid {
                file: None,
                line,
                reason: message.to_owned(),
            },
        }
    }

    /// The same, of this file.
    pub(super) fn in_file(mut self, path: PathBuf) -> Self {
        match &mut self {
            Self::Unreadable { file, .. } => *file = path,
            Self::UnknownKey { file, .. } | Self::Invalid { file, .. } => *file = Some(path),
        }
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |file: &Option<PathBuf>, line: &usize| match file {
            Some(file) => format!("{}:{line}", file.display()),
            None => format!("line {line}"),
        };
        match self {
            Self::Unreadable { file, reason } => write!(
                f,
                "the configuration {} cannot be read ({reason}); nothing was started: check path \
                 and permissions, or make one with `starling config example`",
                file.display()
            ),
            Self::UnknownKey {
                file,
                line,
                key,
                meant,
            } => {
                write!(f, "{}: the key `{key}` is not known", place(file, line))?;
                if let Some(meant) = meant {
                    write!(f, ", did you mean `{meant}`?")?;
                }
                f.write_str(
                    " Nothing was started: correct the file; `starling config example` shows all \
                     keys",
                )
            }
            Self::Invalid { file, line, reason } => write!(
                f,
                "{}: {}; nothing was started: correct the file; `starling config example` shows \
                 what each key takes",
                place(file, line),
                reason.trim_end()
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The candidate with the fewest changes of letters, if they are few enough to be a slip.
fn most_like(key: &str, candidates: &[&str]) -> Option<String> {
    candidates
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2)
        .min()
        .map(|(_, candidate)| (*candidate).to_owned())
}

/// The number of letters to insert, drop or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let change = diagonal + usize::from(x != y);
            diagonal = *slot;
            left = change.min(left + 1).min(*slot + 1);
            *slot = left;
        }
        row[0] = i + 1;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_slips() {
        assert_eq!(distance("quic", "quic"), 0);
        assert_eq!(distance("qiuc", "quic"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("datadir", "data_dir"), 1);
    }
}
