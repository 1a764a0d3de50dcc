//! `starling inspect`: every replica of a key, and who lacks what.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::data::{Target, path_text};
use super::exit::Exit;
use super::output::{Output, Paint};
use super::text::{bytes_json, excerpt, hex};
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
    let label = label(row);
    for version in &row.versions {
        let dot = output.paint(Paint::Good, &version.dot);
        let body = excerpt(&version.body, 60);
        let stamps = output.paint(Paint::Faint, stamps(&row.leaf, version));
        // A counter's share mostly names its actor itself.
        let is_named = row.leaf == SHARE && version.dot.as_bytes().starts_with(&row.part);
        let label = if is_named && row.path.is_empty() {
            ""
        } else {
            label.as_str()
        };
        output.line(format_args!("   {dot}   {label}{body}{stamps}"))?;
    }
    if row.versions.is_empty() {
        output.line(format_args!("   {label}no version alive"))?;
    }
    if !row.context.is_empty() {
        output.line(output.paint(Paint::Faint, format_args!("     context {}", row.context)))?;
    }
    Ok(())
}

/// Which row it is: the field and what it is of the field, if the key is a map, and the part.
fn label(row: &RowState) -> String {
    let mut label = String::new();
    if !row.path.is_empty() {
        label = format!("{} ({})  ", path_text(&row.path), row.leaf);
    }
    if row.part.is_empty() {
        return label;
    }
    label
        + &match row.leaf.as_str() {
            // That of its dot, as the line shows.
            SHARE if !row.path.is_empty() => String::new(),
            "sketch" => format!("block {}: ", excerpt(&row.part, 40)),
            ITEM => format!("{}: ", hex(&row.part)),
            _ => format!("{}: ", excerpt(&row.part, 40)),
        }
}

/// When a register was assigned, which decides which one counts, and when a version ends.
fn stamps(leaf: &str, version: &VersionState) -> String {
    let mut text = String::new();
    if leaf == "register" {
        text = format!("   assigned {}", time(version.hlc_ms));
    }
    if let Some(end) = version.expires_ms {
        text = format!("{text}   until {}", time(end));
    }
    text
}

fn time(unix_ms: u64) -> String {
    match SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)) {
        Some(time) if unix_ms < LAST_MS => humantime::format_rfc3339_millis(time).to_string(),
        _ => format!("{unix_ms} ms"),
    }
}

fn to_json(inspection: &Inspection) -> Value {
    let version = |version: &VersionState| {
        json!({
            "dot": version.dot,
            "hlc_ms": version.hlc_ms,
            "operation": version.operation,
            "expires_ms": version.expires_ms,
            "body": bytes_json(&version.body),
        })
    };
    let row = |row: &RowState| {
        let part = match row.leaf.as_str() {
            // As everywhere where a position can be passed back.
            ITEM => json!(hex(&row.part)),
            _ => bytes_json(&row.part),
        };
        json!({
            "field": path_text(&row.path),
            "leaf": row.leaf,
            "part": part,
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
/// The leaves whose rows are shown in a way of their own.
const SHARE: &str = "share";
const ITEM: &str = "item";
/// The end of the year 9999, behind which times have no text.
const LAST_MS: u64 = 253_402_300_800_000;

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{RowState, VersionState, label, stamps};

    fn row(path: &[&str], leaf: &str, part: &[u8]) -> RowState {
        RowState {
            path: path
                .iter()
                .map(|name| ByteBuf::from(name.as_bytes()))
                .collect(),
            leaf: leaf.to_owned(),
            part: ByteBuf::from(part),
            versions: Vec::new(),
            context: String::new(),
        }
    }

    #[test]
    fn a_row_is_named_by_its_field_and_part() {
        for (row, named) in [
            (row(&[], "value", b""), ""),
            (row(&[], "element", b"rust"), "rust: "),
            (row(&[], "sketch", b"12"), "block 12: "),
            (row(&[], "item", &[0, 0xff]), "00ff: "),
            (row(&["a", "b.c"], "register", b""), "a.b\\.c (register)  "),
            (row(&["logins"], "share", b"01.02"), "logins (share)  "),
        ] {
            assert_eq!(label(&row), named);
        }
    }

    #[test]
    fn a_register_says_when_it_was_assigned_and_everything_when_it_ends() {
        let mut version = VersionState {
            dot: String::new(),
            hlc_ms: 1_500,
            operation: String::new(),
            expires_ms: None,
            body: ByteBuf::new(),
        };
        assert_eq!(stamps("value", &version), "");
        assert_eq!(
            stamps("register", &version),
            "   assigned 1970-01-01T00:00:01.500Z"
        );
        version.expires_ms = Some(u64::MAX);
        assert_eq!(stamps("item", &version), "   until 18446744073709551615 ms");
    }
}
