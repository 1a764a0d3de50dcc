//! `starling repair status --vnodes`: how long ago each vnode last agreed with its other owners.

use std::cmp::Reverse;

use serde_json::json;

use crate::cli::each::{Answer, ask_each, check_any};
use crate::cli::exit::Exit;
use crate::cli::node::span;
use crate::cli::output::{Output, Paint, Word};
use starling::Client;
use starling::wire::VnodeStatus;

/// A vnode, and the name of its node.
type Named = (String, VnodeStatus);

/// Asks every node for its vnodes, and shows them.
pub(super) async fn show(client: &Client, output: Output) -> anyhow::Result<Exit> {
    let answers = check_any(ask_each(client, Client::vnodes).await)?;
    let is_complete = answers.iter().all(|(_, answer)| answer.is_ok());
    let vnodes = worst_first(answers, output);
    if output.is_json() {
        let vnodes: Vec<_> = vnodes.iter().map(in_json).collect();
        output.json(&json!({ "v": 1, "vnodes": vnodes }))?;
    } else {
        let headings = ["NODE", "PARTITION", "N", "AGREED", "STATE"];
        output.table(&headings, vnodes.iter().map(row).collect())?;
    }
    Ok(if is_complete {
        Exit::Done
    } else {
        Exit::Degraded
    })
}

/// All that were told of: damaged ones first, then those that have agreed least recently.
fn worst_first(answers: Vec<Answer<Vec<VnodeStatus>>>, output: Output) -> Vec<Named> {
    let mut all = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(vnodes) => all.extend(vnodes.into_iter().map(|vnode| (name.clone(), vnode))),
            Err(error) => output.note(format_args!("{name} is not shown: {error}")),
        }
    }
    all.sort_by_key(|(_, vnode)| {
        let agreed = match vnode.agreed_ms_ago {
            _ if vnode.others == 0 => 0,
            Some(ago) => ago,
            None => u64::MAX,
        };
        (vnode.damage.is_empty(), Reverse(agreed))
    });
    all
}

fn row((name, vnode): &Named) -> Vec<Word> {
    vec![
        name.clone().into(),
        vnode.ring_partition.to_string().into(),
        vnode.n.to_string().into(),
        match vnode.agreed_ms_ago {
            _ if !vnode.damage.is_empty() => "".into(),
            _ if vnode.others == 0 => "no other owner".into(),
            Some(ago) => format!("{} ago", span(ago)).into(),
            None => Word::painted(Paint::Doubtful, "not since its start"),
        },
        if !vnode.damage.is_empty() {
            Word::painted(Paint::Bad, vnode.damage.clone())
        } else if vnode.catching_up {
            Word::painted(Paint::Doubtful, "catching up")
        } else {
            "".into()
        },
    ]
}

fn in_json((name, vnode): &Named) -> serde_json::Value {
    json!({
        "node": name,
        "partition": vnode.ring_partition,
        "n": vnode.n,
        "other_owners": vnode.others,
        "catching_up": vnode.catching_up,
        "damage": vnode.damage,
        "agreed_ms_ago": vnode.agreed_ms_ago,
    })
}
