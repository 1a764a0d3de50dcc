//! What becomes of a record: which key, which write, under which name.

use std::num::ParseIntError;
use std::time::Duration;

use anyhow::bail;
use serde_bytes::ByteBuf;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::source::{Digest, Record};
use crate::cli::exit::UsageError;
use starling::wire::Mutation;
use starling::{Bucket, Durability, Error, Kind, OperationId, Plain, Write, Written};

/// How records become writes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Into which bucket.
    pub(crate) bucket: String,
    /// What the bucket holds.
    pub(crate) kind: Kind,
    /// The key.
    pub(crate) key: KeySpec,
    /// The value, amount or element.
    pub(crate) value: ValueSpec,
    /// Writes over what is there.
    pub(crate) replaces: bool,
    /// How many replicas must have each write.
    pub(crate) w: Option<u8>,
    /// How durable at each of them.
    pub(crate) durability: Option<Durability>,
    /// How long what is written lasts.
    pub(crate) ttl: Option<Duration>,
}

/// How a record's key is made: texts and fields in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySpec(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueSpec {
    /// The record as it stands.
    Record,
    /// One field of it.
    Field(String),
    /// The amount 1.
    One,
}

/// One write to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    key: String,
    mutation: Mutation,
}

impl KeySpec {
    /// The key is a field.
    pub(crate) fn field(name: &str) -> Self {
        Self(vec![Piece::Field(name.to_owned())])
    }

    /// The key is a text with `{fields}` in it; `{{` and `}}` are braces.
    pub(crate) fn template(template: &str) -> anyhow::Result<Self> {
        let wrong = |why: &str| UsageError(format!("--key-template {template}: {why}"));
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => text.extend(rest.next()),
                '{' => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    let field: String = rest.by_ref().take_while(|c| *c != '}').collect();
                    pieces.push(Piece::Field(field));
                }
                '}' => bail!(wrong("a } closes nothing; write }} for a brace")),
                _ => text.push(c),
            }
        }
        pieces.push(Piece::Text(text));
        let named = |piece: &Piece| matches!(piece, Piece::Field(name) if !name.is_empty());
        if !pieces.iter().any(named) {
            bail!(wrong(
                "it names no {field}, so all records would have one key"
            ));
        }
        Ok(Self(pieces))
    }

    fn key(&self, record: &Record) -> Result<String, String> {
        let mut key = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Field(name) => key.push_str(&field(record, name)?),
            }
        }
        if key.is_empty() {
            Err("the key is empty".to_owned())
        } else {
            Ok(key)
        }
    }
}

impl Plan {
    /// The write that a record becomes, or what is wrong with the record.
    pub(super) fn step(&self, record: &Record) -> Result<Step, String> {
        let key = self.key.key(record)?;
        let value = match &self.value {
            ValueSpec::Record => record.text.clone(),
            ValueSpec::Field(name) => field(record, name)?,
            ValueSpec::One => "1".to_owned(),
        };
        let bytes = || ByteBuf::from(value.as_bytes());
        let mutation = match self.kind {
            Kind::Counter => Mutation::Increment(number(&value)?),
            Kind::Max | Kind::Min => Mutation::Offer(number(&value)?),
            Kind::Set | Kind::GrowSet | Kind::RemoveSet | Kind::Sketch => {
                Mutation::Add(vec![bytes()])
            }
            Kind::Flag | Kind::DisableFlag => Mutation::Switch(switch(&value)?),
            // Lists, maps and bounded counters are refused when a plan is made.
            Kind::Value | Kind::Register | Kind::List | Kind::Map | Kind::BoundedCounter => {
                Mutation::Put(bytes())
            }
        };
        Ok(Step { key, mutation })
    }

    /// The upper part of the names of all writes of this plan from this file.
    pub(super) fn operations(&self, digest: Digest) -> (u64, u64) {
        let mut hasher = Xxh3::new();
        hasher.update(&digest.hash.to_be_bytes());
        hasher
            .update(format!("{:?}", (&self.bucket, self.kind, &self.key, &self.value)).as_bytes());
        let hash = hasher.digest128();
        let low = u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(0);
        (u64::try_from(hash >> 64).unwrap_or(0), low)
    }

    /// Carries a step out under its name.
    pub(super) async fn write(
        &self,
        bucket: &Bucket,
        step: &Step,
        operation: OperationId,
    ) -> Result<Written, Error> {
        let key = step.key.as_str();
        let mut write = bucket.change(key, self.kind, step.mutation.clone());
        if self.replaces && self.kind == Kind::Value {
            write = write.context(bucket.get(key).await?.context());
        }
        self.with_options(write, operation).await
    }

    fn with_options(&self, mut write: Write<Plain>, operation: OperationId) -> Write<Plain> {
        if let Some(w) = self.w {
            write = write.w(w);
        }
        if let Some(durability) = self.durability {
            write = write.durability(durability);
        }
        if let Some(ttl) = self.ttl {
            write = write.ttl(ttl);
        }
        write.operation_id(operation)
    }
}

fn number(text: &str) -> Result<i64, String> {
    let wrong = |error: ParseIntError| format!("{text:?} is no whole number: {error}");
    text.trim().parse().map_err(wrong)
}

fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(format!(
            "{text:?} is no flag: on, true, yes, 1 or off, false, no, 0"
        )),
    }
}

/// A field as text: strings as they are, everything else as JSON writes it.
fn field(record: &Record, name: &str) -> Result<String, String> {
    match record.fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Null) | None => Err(format!("there is no field {name}")),
        Some(value) => Ok(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Digest, KeySpec, Kind, Mutation, Plan, Record, Step, ValueSpec};

    fn record(text: &str) -> Record {
        Record {
            fields: serde_json::from_str(text).unwrap(),
            text: text.to_owned(),
        }
    }

    fn plan(kind: Kind, template: &str, value: ValueSpec) -> Plan {
        Plan {
            bucket: "b".to_owned(),
            kind,
            key: KeySpec::template(template).unwrap(),
            value,
            replaces: false,
            w: None,
            durability: None,
            ttl: None,
        }
    }

    #[test]
    fn a_template_names_fields() {
        let plan = plan(Kind::Value, "{{{name}:{arch}}}", ValueSpec::Record);
        let text = r#"{"name":"bash","arch":"amd64","size":7}"#;
        let step = plan.step(&record(text)).unwrap();
        let mutation = Mutation::Put(ByteBuf::from(text));
        assert_eq!(
            step,
            Step {
                key: "{bash:amd64}".to_owned(),
                mutation
            }
        );
        assert!(
            plan.step(&record(r#"{"name":"bash"}"#))
                .unwrap_err()
                .contains("arch")
        );
        assert!(KeySpec::template("all").is_err());
        assert!(KeySpec::template("{a}}").is_err());
    }

    #[test]
    fn an_amount_must_be_a_number() {
        let plan = plan(Kind::Counter, "{name}", ValueSpec::Field("size".to_owned()));
        let step = plan
            .step(&record(r#"{"name":"bash","size":"-7"}"#))
            .unwrap();
        assert_eq!(step.mutation, Mutation::Increment(-7));
        let wrong = plan.step(&record(r#"{"name":"bash","size":1.5}"#));
        assert!(wrong.unwrap_err().contains("no whole number"));
    }

    #[test]
    fn every_kind_takes_what_its_writes_take() {
        let record = record(r#"{"k":"a","text":"Ada","number":7,"flag":true,"off":"OFF"}"#);
        let ada = || ByteBuf::from("Ada");
        for (kind, name, mutation) in [
            (Kind::Register, "text", Some(Mutation::Put(ada()))),
            (Kind::Max, "number", Some(Mutation::Offer(7))),
            (Kind::Min, "text", None),
            (Kind::GrowSet, "text", Some(Mutation::Add(vec![ada()]))),
            (Kind::Flag, "flag", Some(Mutation::Switch(true))),
            (Kind::DisableFlag, "off", Some(Mutation::Switch(false))),
            (Kind::Flag, "text", None),
            (Kind::Sketch, "text", Some(Mutation::Add(vec![ada()]))),
        ] {
            let plan = plan(kind, "{k}", ValueSpec::Field(name.to_owned()));
            let step = plan.step(&record).ok();
            assert_eq!(step.map(|step| step.mutation), mutation, "{kind} of {name}");
        }
    }

    #[test]
    fn other_plans_and_other_files_have_other_names() {
        let names = |plan: &Plan, hash| plan.operations(Digest { hash, bytes: 1 });
        let one = plan(Kind::Counter, "{name}", ValueSpec::One);
        let mut other = one.clone();
        other.bucket = "c".to_owned();
        assert_eq!(names(&one, 1), names(&one.clone(), 1));
        assert_ne!(names(&one, 1), names(&one, 2));
        assert_ne!(names(&one, 1), names(&other, 1));
    }
}
