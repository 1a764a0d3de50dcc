//! Lines of a file, with their numbers.
//!
//! A file is read twice: once for its digest, which names the writes, and once for its lines. A
//! line over [`MAX_LINE`] is an error of that line; the rest of the file is read on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::Xxh3;

use crate::cli::exit::UsageError;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a line of headings.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The record in it, or what is wrong with it.
    pub(super) record: Result<Record, String>,
}

/// Fields by name, and the record as one piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) fields: Map<String, Value>,
    pub(super) text: String,
}

/// What identifies a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) hash: u128,
    pub(super) bytes: u64,
}

/// The lines of a file.
pub(super) enum Lines {
    Csv {
        reader: csv::Reader<File>,
        headings: csv::StringRecord,
    },
    Jsonl {
        reader: BufReader<File>,
        number: u64,
    },
}

impl Format {
    /// The form that a file's name says.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson" | "json") => Ok(Self::Jsonl),
            _ => {
                let why = format!("the name {} does not tell: give --format", path.display());
                bail!(UsageError(why))
            }
        }
    }
}

/// Reads a file for its digest.
pub(super) fn digest(path: &Path) -> anyhow::Result<Digest> {
    let mut file = open(path)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let length = file
            .read(&mut buffer)
            .with_context(|| path.display().to_string())?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        bytes += u64::try_from(length).unwrap_or(0);
    }
    Ok(Digest {
        hash: hasher.digest128(),
        bytes,
    })
}

impl Lines {
    pub(super) fn open(path: &Path, format: Format) -> anyhow::Result<Self> {
        let file = open(path)?;
        match format {
            Format::Jsonl => Ok(Self::Jsonl {
                reader: BufReader::new(file),
                number: 0,
            }),
            Format::Csv => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
                let headings = reader
                    .headers()
                    .with_context(|| format!("the headings of {}", path.display()))?
                    .clone();
                Ok(Self::Csv { reader, headings })
            }
        }
    }

    /// How far the file has been read.
    pub(super) fn position(&mut self) -> u64 {
        match self {
            Self::Csv { reader, .. } => reader.position().byte(),
            Self::Jsonl { reader, .. } => {
                let ahead = u64::try_from(reader.buffer().len()).unwrap_or(0);
                let read = io::Seek::stream_position(reader.get_mut()).unwrap_or(0);
                read.saturating_sub(ahead)
            }
        }
    }

    /// The next line that is not empty; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Csv { reader, headings } => next_csv(reader, headings),
            Self::Jsonl { reader, number } => next_json(reader, number),
        }
    }
}

fn next_csv(
    reader: &mut csv::Reader<File>,
    headings: &csv::StringRecord,
) -> io::Result<Option<Line>> {
    let mut record = csv::StringRecord::new();
    let more = reader.read_record(&mut record);
    let number = record
        .position()
        .map_or_else(|| reader.position().line(), |at| at.line());
    match more {
        Ok(false) => Ok(None),
        Ok(true) if record.len() != headings.len() => {
            let why = format!("{} fields under {} headings", record.len(), headings.len());
            Ok(Some(Line {
                number,
                record: Err(why),
            }))
        }
        Ok(true) => {
            let value = |text: &str| Value::String(text.to_owned());
            let fields = headings
                .iter()
                .zip(&record)
                .map(|(name, text)| (name.to_owned(), value(text)));
            let fields: Map<String, Value> = fields.collect();
            let text = Value::Object(fields.clone()).to_string();
            Ok(Some(Line {
                number,
                record: Ok(Record { fields, text }),
            }))
        }
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) => Err(error),
            other => Ok(Some(Line {
                number,
                record: Err(format!("no CSV: {other:?}")),
            })),
        },
    }
}

fn next_json(reader: &mut BufReader<File>, number: &mut u64) -> io::Result<Option<Line>> {
    loop {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        let length = reader.by_ref().take(limit).read_until(b'\n', &mut bytes)?;
        if length == 0 {
            return Ok(None);
        }
        *number += 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let record = if length > MAX_LINE && bytes.last() != Some(&b'\n') {
            reader.skip_until(b'\n')?;
            Err(format!("the line is longer than {MAX_LINE} bytes"))
        } else {
            parse_json(&bytes)
        };
        return Ok(Some(Line {
            number: *number,
            record,
        }));
    }
}

fn parse_json(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("no UTF-8: {error}"))?
        .trim();
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(Record {
            fields,
            text: text.to_owned(),
        }),
        Ok(_) => Err("the line is JSON and no object".to_owned()),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} could not be opened", path.display()))
}

/// Longest line of a JSON-lines file: 2 MiB, twice the largest value.
const MAX_LINE: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Digest, Format, Line, Lines, MAX_LINE, digest};

    fn lines(name: &str, content: &str) -> (Digest, Vec<Line>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        let mut lines = Lines::open(&path, Format::of(&path).unwrap()).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        let digest = digest(&path).unwrap();
        assert_eq!(lines.position(), digest.bytes);
        (digest, all)
    }

    #[test]
    fn json_lines_keep_their_numbers_and_text() {
        let (_, all) = lines("a.jsonl", "{\"a\": 1}\n\n[1]\n{\"a\":\n{\"b\":\"x\"}");
        let numbers: Vec<u64> = all.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 3, 4, 5]);
        assert_eq!(all[0].record.as_ref().unwrap().text, "{\"a\": 1}");
        assert!(all[1].record.as_ref().unwrap_err().contains("no object"));
        assert!(all[2].record.as_ref().unwrap_err().contains("no JSON"));
        assert_eq!(all[3].record.as_ref().unwrap().fields["b"], "x");
    }

    #[test]
    fn csv_records_have_the_headings_names() {
        let (_, all) = lines("a.csv", "name,count\nada,1\n\"b\nc\",2\nd\n");
        assert_eq!(all[0].number, 2);
        let text = &all[0].record.as_ref().unwrap().text;
        assert!(text.contains("\"name\":\"ada\""), "{text}");
        assert_eq!(all[1].record.as_ref().unwrap().fields["name"], "b\nc");
        assert_eq!(all[2].number, 5);
        assert!(
            all[2]
                .record
                .as_ref()
                .unwrap_err()
                .contains("1 fields under 2")
        );
    }

    #[test]
    fn an_endless_line_is_an_error_of_that_line_alone() {
        let (_, all) = lines("a.jsonl", &format!("{}\n{{}}\n", "x".repeat(MAX_LINE + 5)));
        assert!(all[0].record.as_ref().unwrap_err().contains("longer"));
        assert!(all[1].record.is_ok());
    }

    #[test]
    fn a_digest_names_the_content() {
        let (one, _) = lines("a.jsonl", "{}\n");
        let (other, _) = lines("a.jsonl", "{} \n");
        assert_ne!(one.hash, other.hash);
    }
}
