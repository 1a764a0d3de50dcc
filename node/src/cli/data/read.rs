//! Reading and printing a key of any kind.

use serde_json::{Value, json};

use super::{ReadOptions, Target};
use crate::cli::connect::find_node;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::text::bytes_json;
use starling::{Bucket, Client, Context, Kind};

/// What was read, in the words that all kinds share.
struct Answer {
    state: Value,
    lines: Vec<Vec<u8>>,
    siblings: usize,
    context: Context,
    answered: u8,
    node: ring::NodeId,
}

/// Reads the key as what its bucket holds, and prints it.
pub(super) async fn run(
    client: &Client,
    kind: Kind,
    target: &Target,
    options: &ReadOptions,
    output: Output,
) -> anyhow::Result<Exit> {
    let bucket = client.bucket(&target.bucket);
    let node = options
        .node
        .as_deref()
        .map(|node| find_node(client, node))
        .transpose()?;
    let answer = match kind {
        Kind::Value => value(&bucket, target, options, node).await?,
        Kind::Counter => counter(&bucket, target, options, node).await?,
        Kind::Set => set(&bucket, target, options, node).await?,
        kind => anyhow::bail!("a {kind} is not read this way"),
    };
    if output.is_json() {
        output.json(&json!({
            "v": 1,
            "bucket": target.bucket,
            "key": bytes_json(&target.key().partition),
            "sort": bytes_json(&target.key().sort),
            "kind": kind.name(),
            "state": answer.state,
            "context": answer.context.to_token(),
            "answered": answer.answered,
            "node": answer.node.to_string(),
        }))?;
    } else {
        for line in &answer.lines {
            output.bytes(line)?;
        }
        if options.show_context {
            output.note(format_args!("context: {}", answer.context.to_token()));
        }
    }
    Ok(verdict(kind, &answer, output))
}

/// A missing value fails, so that a script notices; siblings are an exit code of their own.
fn verdict(kind: Kind, answer: &Answer, output: Output) -> Exit {
    match (kind, answer.siblings) {
        (Kind::Value, 0) => {
            output.note("there is no value");
            Exit::Failed
        }
        (Kind::Value, siblings @ 2..) => {
            output.note(format_args!(
                "{siblings} siblings, written at the same time; all are kept. Merge them and put \
                 the result with --context (get --show-context prints it)"
            ));
            Exit::Conflict
        }
        _ => Exit::Done,
    }
}

/// Applies the options that all reads have.
macro_rules! with_options {
    ($query:expr, $options:expr, $node:expr) => {{
        let mut query = $query;
        if let Some(r) = $options.r {
            query = query.r(r);
        }
        if $options.local {
            query = query.local();
        }
        if let Some(node) = $node {
            query = query.on_node(node);
        }
        query
    }};
}

async fn value(
    bucket: &Bucket,
    target: &Target,
    options: &ReadOptions,
    node: Option<ring::NodeId>,
) -> Result<Answer, starling::Error> {
    let read = with_options!(bucket.get(target.key()), options, node).await?;
    Ok(Answer {
        state: read
            .siblings()
            .iter()
            .map(|value| bytes_json(value))
            .collect(),
        lines: read.siblings().iter().map(|value| value.to_vec()).collect(),
        siblings: read.siblings().len(),
        context: read.context().clone(),
        answered: read.answered(),
        node: read.node(),
    })
}

async fn counter(
    bucket: &Bucket,
    target: &Target,
    options: &ReadOptions,
    node: Option<ring::NodeId>,
) -> Result<Answer, starling::Error> {
    let count = with_options!(bucket.counter(target.key()).read(), options, node).await?;
    Ok(Answer {
        state: json!(count.value()),
        lines: vec![count.value().to_string().into_bytes()],
        siblings: 1,
        context: count.context().clone(),
        answered: count.answered(),
        node: count.node(),
    })
}

async fn set(
    bucket: &Bucket,
    target: &Target,
    options: &ReadOptions,
    node: Option<ring::NodeId>,
) -> Result<Answer, starling::Error> {
    let members = with_options!(bucket.set(target.key()).members(), options, node).await?;
    Ok(Answer {
        state: members
            .elements()
            .iter()
            .map(|element| bytes_json(element))
            .collect(),
        lines: members
            .elements()
            .iter()
            .map(|element| element.to_vec())
            .collect(),
        siblings: 1,
        context: members.context().clone(),
        answered: members.answered(),
        node: members.node(),
    })
}
