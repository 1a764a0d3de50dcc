//! Sizes and times as people write them: `"64MiB"`, `"30s"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes, written as `"64MiB"` or `"500kB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

impl Size {
    /// This many mebibytes.
    #[must_use]
    pub const fn mebibytes(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The number of bytes; what does not fit into memory's addresses counts as the most that does.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(Self(size.as_u64())),
            Err(_) => Err(format!("`{text}` is no size; write one as \"64MiB\"")),
        }
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

/// How many rows one operation may touch: 1 to 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct RowCount(u32);

impl RowCount {
    /// What it is unless something else is asked for.
    pub const DEFAULT: Self = Self(10_000);

    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for RowCount {
    type Error = String;

    fn try_from(rows: u32) -> Result<Self, Self::Error> {
        match rows {
            1..=MOST_ROWS => Ok(Self(rows)),
            _ => Err(format!("{rows} rows are not from 1 to {MOST_ROWS}")),
        }
    }
}

impl From<RowCount> for u32 {
    fn from(rows: RowCount) -> Self {
        rows.0
    }
}

/// The events of one operation must stay below [`MAX_SPAN`](crate::protocol::event::MAX_SPAN).
const MOST_ROWS: u32 = 100_000;

/// A stretch of time, written as `"30s"` or `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// This many seconds.
    #[must_use]
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// The time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match humantime::parse_duration(&text) {
            Ok(duration) => Ok(Self(duration)),
            Err(_) => Err(format!(
                "`{text}` is no time; write one as \"30s\" or \"15m\""
            )),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, Span};

    #[test]
    fn units_are_read_as_people_write_them() {
        let size = |text: &str| Size::try_from(text.to_owned());
        assert_eq!(size("64MiB"), Ok(Size::mebibytes(64)));
        assert_eq!(size("1000").map(Size::bytes), Ok(1000));
        assert!(size("many").is_err());
        let span = |text: &str| Span::try_from(text.to_owned());
        assert_eq!(span("15m"), Ok(Span::seconds(900)));
        assert_eq!(span("250ms").map(Span::milliseconds), Ok(250));
        assert!(span("soon").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for size in [Size::mebibytes(3), Size(1234)] {
            assert_eq!(Size::try_from(size.to_string()), Ok(size));
        }
        let span = Span::seconds(5400);
        assert_eq!(Span::try_from(span.to_string()), Ok(span));
    }
}
