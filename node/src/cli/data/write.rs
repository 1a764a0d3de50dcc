//! Writing with options, and printing what came of it.

use serde_json::json;

use super::Setting;
use super::options::WriteOptions;
use super::place::Place;
use super::show::{lines, state_json};
use crate::cli::exit::Exit;
use starling::{FieldState, Write, Written};

/// Carries a write out as the options say.
pub(super) async fn run<M>(
    setting: &Setting,
    place: &Place,
    options: &WriteOptions,
    write: Write<M>,
) -> anyhow::Result<Exit> {
    let written = options.apply(setting, write)?.await?;
    print(setting, place, options, &written)?;
    Ok(Exit::Done)
}

fn print(
    setting: &Setting,
    place: &Place,
    options: &WriteOptions,
    written: &Written,
) -> anyhow::Result<()> {
    let output = setting.output;
    let state = written.state().cloned().map(FieldState::from);
    if output.is_json() {
        let mut answer = place.json();
        answer["acks"] = json!(written.acks());
        answer["stand_ins"] = json!(written.stand_ins());
        answer["owners"] = json!(written.owners());
        answer["repeated"] = json!(written.is_repeated());
        answer["node"] = json!(written.node().to_string());
        answer["context"] = json!(written.context().to_token());
        answer["state"] = json!(state.as_ref().map(state_json));
        output.json(&answer)?;
        return Ok(());
    }
    for line in state.as_ref().map(lines).unwrap_or_default() {
        output.bytes(&line)?;
    }
    if written.stand_ins() > 0 {
        output.note(reached(written));
    }
    if written.is_repeated() {
        output.note("this operation had been applied before; it counted once");
    }
    if options.show_context {
        output.note(format_args!("context: {}", written.context().to_token()));
    }
    Ok(())
}

/// What a write that leaned on stand-ins has reached.
fn reached(written: &Written) -> String {
    let (stand_ins, owners) = (written.stand_ins(), written.owners());
    let reached = written.acks() - stand_ins;
    let word = if stand_ins == 1 {
        "stand-in"
    } else {
        "stand-ins"
    };
    format!(
        "reached {reached} of {owners} owners, {stand_ins} {word}; it is handed over when the \
         others are back"
    )
}
