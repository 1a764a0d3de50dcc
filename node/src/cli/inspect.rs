//! `starling inspect`: every replica of a key, and who lacks what.

use serde_json::{Value, json};

use super::data::Target;
use super::exit::Exit;
use super::output::{Output, Paint};
use super::text::{bytes_json, excerpt};
use starling::wire::{ReplicaState, RowState, VersionState};
use starling::{Client, Inspection};

/// Asks for all replicas and prints them; degraded if they are not equal.
pub(crate) async fn run(client: &Client, target: &Target, output: Output) -> anyhow::Result<Exit> {
    let inspection = client.inspect(&target.bucket, target.key()).await?;
    if output.is_json() {
        output.json(&to_json(&inspection))?;
    } else {
        print(&inspection, target, output)?;
    }
    Ok(if inspection.equal {
        Exit::Done
    } else {
        Exit::Degraded
    })
}

fn print(inspection: &Inspection, target: &Target, output: Output) -> anyhow::Result<()> {
    let Inspection {
        bucket,
        token,
        partition,
        replicas,
        ..
    } = inspection;
    output.line(format_args!(
        "{} {}   {}   n={}   token {token:016x}   partition {partition}",
        bucket.name,
        target.key(),
        bucket.kind.name(),
        bucket.n
    ))?;
    for (place, replica) in replicas.iter().enumerate() {
        print_replica(place, replica, output)?;
    }
    let paint = if inspection.equal {
        Paint::Good
    } else {
        Paint::Doubtful
    };
    let mark = if inspection.equal { "✓" } else { "→" };
    output.line(output.paint(paint, format_args!("{mark} {}", inspection.verdict)))?;
    if let Some(replica) = replicas.iter().find(|replica| !replica.error.is_empty()) {
        output.line(format_args!(
            "  Next: starling status   (why does {} not answer?)",
            replica.name
        ))?;
    } else if !inspection.equal {
        output.line(
            "  Next: the same command again, in a second: the dot pull fills what is lacking",
        )?;
    }
    Ok(())
}

fn print_replica(place: usize, replica: &ReplicaState, output: Output) -> anyhow::Result<()> {
    let ReplicaState {
        name,
        error,
        catching_up,
        rows,
        clock,
        lacks,
        ..
    } = replica;
    let name = output.paint(Paint::Strong, format_args!("{name:<8}"));
    let owner = match place {
        0 => "first owner".to_owned(),
        place => format!("owner {}", place + 1),
    };
    if !error.is_empty() {
        let error = output.paint(Paint::Bad, error);
        output.line(format_args!(" {name} {owner}   {error}"))?;
        return Ok(());
    }
    let catching = if *catching_up {
        "   catching up, does not count for reads"
    } else {
        ""
    };
    let catching = output.paint(Paint::Doubtful, catching);
    output.line(format_args!(" {name} {owner}{catching}"))?;
    if rows.is_empty() {
        output.line("   no row")?;
    }
    for row in rows.iter().take(MAX_ROWS) {
        print_row(row, output)?;
    }
    if let Some(more) = rows.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        output.line(format_args!("   and {more} more rows (--json shows all)"))?;
    }
    let clock = if clock.is_empty() {
        "empty".to_owned()
    } else {
        clock.join("  ")
    };
    output.line(output.paint(Paint::Faint, format_args!("   clock    {clock}")))?;
    if !lacks.is_empty() {
        let lacks = lacks.join("  ");
        output.line(output.paint(Paint::Doubtful, format_args!("   lacks    {lacks}")))?;
    }
    Ok(())
}

fn print_row(row: &RowState, output: Output) -> anyhow::Result<()> {
    let part = match row.part.as_slice() {
        [] => String::new(),
        part => format!("{}: ", excerpt(part, 40)),
    };
    for VersionState { dot, body, .. } in &row.versions {
        // A counter's share names its actor itself.
        let part = if body.starts_with(&row.part) {
            ""
        } else {
            part.as_str()
        };
        let dot = output.paint(Paint::Good, dot);
        output.line(format_args!("   {dot}   {part}{}", excerpt(body, 60)))?;
    }
    if row.versions.is_empty() {
        output.line(format_args!("   {part}no version alive"))?;
    }
    if !row.context.is_empty() {
        output.line(output.paint(Paint::Faint, format_args!("     context {}", row.context)))?;
    }
    Ok(())
}

fn to_json(inspection: &Inspection) -> Value {
    let version = |version: &VersionState| {
        json!({
            "dot": version.dot,
            "hlc_ms": version.hlc_ms,
            "operation": version.operation,
            "body": bytes_json(&version.body),
        })
    };
    let row = |row: &RowState| {
        json!({
            "part": bytes_json(&row.part),
            "versions": row.versions.iter().map(version).collect::<Vec<_>>(),
            "context": row.context,
        })
    };
    let replica = |replica: &ReplicaState| {
        json!({
            "node": format!("{:016x}", replica.node),
            "name": replica.name,
            "error": replica.error,
            "catching_up": replica.catching_up,
            "rows": replica.rows.iter().map(row).collect::<Vec<_>>(),
            "clock": replica.clock,
            "lacks": replica.lacks,
        })
    };
    json!({
        "v": 1,
        "bucket": inspection.bucket.name,
        "kind": inspection.bucket.kind.name(),
        "n": inspection.bucket.n,
        "token": format!("{:016x}", inspection.token),
        "partition": inspection.partition,
        "equal": inspection.equal,
        "verdict": inspection.verdict,
        "replicas": inspection.replicas.iter().map(replica).collect::<Vec<_>>(),
    })
}

/// A large set has a row for each element; the screen shows the first of them.
const MAX_ROWS: usize = 20;
