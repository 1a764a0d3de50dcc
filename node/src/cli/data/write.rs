//! Writing with options, and printing what came of it.

use serde_json::{Value, json};

use super::{Target, WriteOptions};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::text::bytes_json;
use starling::wire::State;
use starling::{Context, Write, Written};

impl WriteOptions {
    /// Carries a write out as the options say.
    pub(super) async fn run<M>(
        &self,
        mut write: Write<M>,
        target: &Target,
        output: Output,
    ) -> anyhow::Result<Exit> {
        if let Some(w) = self.w {
            write = write.w(w);
        }
        if let Some(durability) = self.durability {
            write = write.durability(durability.into());
        }
        if let Some(token) = &self.context {
            write = write.context(&Context::from_token(token)?);
        }
        if let Some(operation) = self.operation {
            write = write.operation_id(operation);
        }
        if let Some(name) = &self.idempotency_key {
            write = write.idempotency_key(name);
        }
        if self.return_value {
            write = write.return_value();
        }
        let written = write.await?;
        self.print(&written, target, output)?;
        Ok(Exit::Done)
    }

    fn print(&self, written: &Written, target: &Target, output: Output) -> anyhow::Result<()> {
        if output.is_json() {
            output.json(&json!({
                "v": 1,
                "bucket": target.bucket,
                "key": bytes_json(&target.key().partition),
                "sort": bytes_json(&target.key().sort),
                "acks": written.acks(),
                "repeated": written.is_repeated(),
                "node": written.node().to_string(),
                "context": written.context().to_token(),
                "state": written.state().map(state_json),
            }))?;
            return Ok(());
        }
        for line in written.state().map(state_lines).unwrap_or_default() {
            output.bytes(&line)?;
        }
        if written.is_repeated() {
            output.note("this operation had been applied before; it counted once");
        }
        if self.show_context {
            output.note(format_args!("context: {}", written.context().to_token()));
        }
        Ok(())
    }
}

fn state_json(state: &State) -> Value {
    match state {
        State::Value(values) | State::Set(values) => {
            values.iter().map(|value| bytes_json(value)).collect()
        }
        State::Counter(value) => json!(value),
        State::Register(value) => json!(value.as_ref().map(|value| bytes_json(value))),
        State::Number(number) => json!(number),
        State::Flag(on) => json!(on),
        State::Estimate(count) => json!(count),
        State::List(items) => items
            .iter()
            .map(|item| json!({"position": hex(&item.position), "item": bytes_json(&item.item)}))
            .collect(),
        State::Map(fields) => fields
            .iter()
            .map(|field| {
                json!({
                    "name": bytes_json(&field.name),
                    "kind": field.kind.name(),
                    "state": state_json(&field.state),
                })
            })
            .collect(),
    }
}

fn state_lines(state: &State) -> Vec<Vec<u8>> {
    match state {
        State::Value(values) | State::Set(values) => {
            values.iter().map(|value| value.to_vec()).collect()
        }
        State::Counter(value) => vec![value.to_string().into_bytes()],
        State::Register(value) => value.iter().map(|value| value.to_vec()).collect(),
        State::Number(number) => number.iter().map(|n| n.to_string().into_bytes()).collect(),
        State::Flag(on) => vec![if *on { b"on".to_vec() } else { b"off".to_vec() }],
        State::Estimate(count) => vec![count.to_string().into_bytes()],
        State::List(items) => items.iter().map(|item| item.item.to_vec()).collect(),
        State::Map(fields) => fields.iter().flat_map(field_lines).collect(),
    }
}

/// A field of a map: its name and kind before each line of what it holds.
fn field_lines(field: &starling::wire::Field) -> Vec<Vec<u8>> {
    let name = [&field.name[..], format!(" ({}) ", field.kind).as_bytes()].concat();
    let lines = state_lines(&field.state).into_iter();
    lines.map(|line| [&name[..], &line[..]].concat()).collect()
}

/// A position as text that can be passed back.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
