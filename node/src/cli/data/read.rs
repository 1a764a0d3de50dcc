//! Reading a key or field of any kind, and printing it.

use serde_json::{Value, json};

use super::options::ReadOptions;
use super::place::{Home, Place};
use super::show::{lines, state_json};
use super::{Setting, kinds};
use crate::cli::exit::Exit;
use starling::{FieldState, Found, Kind};

/// Reads what is at a place, which is of one of these kinds, and prints it.
pub(super) async fn run(
    setting: &Setting,
    place: &Place,
    of: &[Kind],
    options: &ReadOptions,
) -> anyhow::Result<Exit> {
    let kind = place.kind(setting, of).await?;
    let query = options.apply(setting, place.home(setting).state(kind))?;
    let found = query.await?;
    let state = FieldState::from(found.value().clone());
    show(setting, place, options, (kind, &state), &found)
}

/// Reads whatever is at a place. Of a field whose kind nobody has said, the map around it is read,
/// which knows.
pub(super) async fn run_any(
    setting: &Setting,
    place: &Place,
    options: &ReadOptions,
) -> anyhow::Result<Exit> {
    let Home::Field(map, name) = place.home(setting) else {
        return run(setting, place, &kinds(), options).await;
    };
    if place.kind.is_some() {
        return run(setting, place, &kinds(), options).await;
    }
    let found = options.apply(setting, map.read())?.await?;
    let all: Vec<(Kind, &FieldState)> = found
        .value()
        .iter()
        .filter(|(own, ..)| own.as_ref() == name)
        .map(|(_, kind, state)| (kind, state))
        .collect();
    if all.is_empty() {
        if setting.output.is_json() {
            setting.output.json(&answer(place, None, &found))?;
        }
        setting.output.note("there is no such field");
        return Ok(Exit::Failed);
    }
    let mut exit = Exit::Done;
    for (kind, state) in &all {
        if all.len() > 1 {
            setting
                .output
                .note(format_args!("as a {kind} (--kind {kind} reads it alone):"));
        }
        exit = exit.max(show(setting, place, options, (*kind, state), &found)?);
    }
    Ok(exit)
}

fn show<T>(
    setting: &Setting,
    place: &Place,
    options: &ReadOptions,
    (kind, state): (Kind, &FieldState),
    found: &Found<T>,
) -> anyhow::Result<Exit> {
    let output = setting.output;
    if output.is_json() {
        output.json(&answer(place, Some((kind, state)), found))?;
    } else {
        for line in lines(state) {
            output.bytes(&line)?;
        }
        if options.show_context {
            output.note(format_args!("context: {}", found.context().to_token()));
        }
    }
    Ok(verdict(setting, state))
}

fn answer<T>(place: &Place, state: Option<(Kind, &FieldState)>, found: &Found<T>) -> Value {
    let mut all = place.json();
    all["kind"] = json!(state.map(|(kind, _)| kind.name()));
    all["state"] = json!(state.map(|(_, state)| state_json(state)));
    all["context"] = json!(found.context().to_token());
    all["answered"] = json!(found.answered());
    all["node"] = json!(found.node().to_string());
    all
}

/// A missing value fails, so that a script notices; siblings are an exit code of their own.
fn verdict(setting: &Setting, state: &FieldState) -> Exit {
    let exit = exit_of(state);
    match state {
        _ if exit == Exit::Failed => setting.output.note("there is no value"),
        FieldState::Value(siblings) if exit == Exit::Conflict => setting.output.note(format_args!(
            "{} siblings, written at the same time; all are kept. Merge them and put the result \
             with --context (get --show-context prints it)",
            siblings.len()
        )),
        _ => {}
    }
    exit
}

/// What a state means for the exit code of whoever asked for it.
pub(super) fn exit_of(state: &FieldState) -> Exit {
    match state {
        FieldState::Value(siblings) => match siblings.len() {
            0 => Exit::Failed,
            1 => Exit::Done,
            _ => Exit::Conflict,
        },
        FieldState::Register(None) | FieldState::Number(None) => Exit::Failed,
        _ => Exit::Done,
    }
}
