//! `starling node`: what a node says of itself, and how the others hear it.
//!
//! Each node is asked, because each observes by itself: if one of them does not hear a node that
//! the others do, the fault is between those two.

use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;
use serde_json::{Value, json};

use super::connect::find_node;
use super::each::{Answer, ask_each, check_any};
use super::exit::Exit;
use super::output::{Output, Paint, Word};
use crdt::Hlc;
use ring::{MemberState, NodeId};
use starling::Client;
use starling::wire::{EdgeInfo, MemberInfo, MemberView, RecordInfo};

/// What the nodes think of each other.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum NodeCommand {
    /// What a node says of itself, what the others hold it for, and how regularly they hear it;
    /// exit code 0 if all that answer hold it for up, else 2.
    Info {
        /// Its name, or the first digits of its number.
        node: String,
    },
}

impl NodeCommand {
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        let Self::Info { node } = self;
        let id = find_node(client, &node)?;
        let answers = check_any(ask_each(client, |client| client.member_info(id)).await)?;
        if output.is_json() {
            output.json(&json!({
                "v": 1,
                "node": id.to_string(),
                "asked": answers.iter().map(answer_json).collect::<Vec<_>>(),
            }))?;
        } else {
            print(&answers, id, output)?;
        }
        let mut views = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok());
        let is_up = views.all(|info| info.view.state == MemberState::Alive);
        Ok(if is_up { Exit::Done } else { Exit::Degraded })
    }
}

fn print(answers: &[Answer<MemberInfo>], id: NodeId, output: Output) -> anyhow::Result<()> {
    let known = answers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok());
    let newest = known.max_by_key(|info| {
        let RecordInfo {
            boot,
            refutations,
            version,
            ..
        } = info.record;
        (boot, refutations, version)
    });
    if let Some(newest) = newest {
        print_record(&newest.record, id, output)?;
    }
    let rows = answers.iter().map(|answer| row(answer, id)).collect();
    output.table(&HEADINGS, rows)?;
    for (name, answer) in answers {
        if let Ok(MemberInfo {
            edge: Some(edge), ..
        }) = answer
        {
            print_history(name, edge, output)?;
        }
    }
    Ok(())
}

fn print_record(record: &RecordInfo, id: NodeId, output: Output) -> anyhow::Result<()> {
    let http = match &record.http[..] {
        "" => String::new(),
        http => format!("   http {http}"),
    };
    output.line(format_args!(
        "{}   {id}   zone {}   weight {}   {}{http}",
        output.paint(Paint::Strong, &record.name),
        record.zone,
        record.weight,
        record.addresses.join(" ")
    ))?;
    let began = match Hlc::from_bits(record.boot).milliseconds() {
        0 => "it has not spoken yet".to_owned(),
        ms => {
            let time = UNIX_EPOCH + Duration::from_millis(ms);
            format!("since {}", humantime::format_rfc3339_seconds(time))
        }
    };
    output.line(format_args!(
        "{began}   suspicions refuted since {}   its record's version {}",
        record.refutations, record.version
    ))?;
    Ok(())
}

fn row((name, answer): &Answer<MemberInfo>, id: NodeId) -> Vec<Word> {
    let mut row = vec![Word::from(name.clone())];
    let Ok(info) = answer else {
        row.push(Word::painted(Paint::Bad, "does not answer"));
        row.extend(std::iter::repeat_n(Word::from("-"), HEADINGS.len() - 2));
        return row;
    };
    let is_itself = info.asked == id.0;
    row.extend([
        if is_itself {
            Word::from("itself")
        } else {
            state(&info.view)
        },
        span(info.view.for_ms).into(),
        phi(&info.view, is_itself).into(),
    ]);
    match &info.edge {
        Some(edge) => row.extend([
            format!("{} ago", span(edge.heard_ms_ago)).into(),
            format!("{} ms", edge.mean_us / 1_000).into(),
            format!("{} ms", edge.sigma_us / 1_000).into(),
        ]),
        None => row.extend(std::iter::repeat_n(Word::from("-"), 3)),
    }
    row.push(match info.asked_health {
        0 => "good".into(),
        score => Word::painted(Paint::Doubtful, format!("doubts itself ({score} of 8)")),
    });
    let names = info.view.suspected_by.iter();
    let names: Vec<String> = names
        .map(|observer| format!("{} {}", observer.name, phi_text(observer.phi_hundredths)))
        .collect();
    row.push(match names.len() {
        0 => "-".into(),
        _ => Word::painted(Paint::Doubtful, names.join(", ")),
    });
    row
}

/// The last intervals, the newest first.
fn print_history(name: &str, edge: &EdgeInfo, output: Output) -> anyhow::Result<()> {
    let last = edge.intervals_us.iter().rev().take(SHOWN);
    let last: Vec<String> = last.map(|us| (us / 1_000).to_string()).collect();
    output.line(format_args!(
        "{name} heard it at intervals of (ms, the last first, {} of {}): {}",
        last.len(),
        edge.intervals_us.len(),
        last.join(" ")
    ))?;
    Ok(())
}

fn answer_json((name, answer): &Answer<MemberInfo>) -> Value {
    let Ok(info) = answer else {
        return json!({ "name": name, "error": "it does not answer" });
    };
    let RecordInfo {
        addresses,
        http,
        zone,
        weight,
        boot,
        refutations,
        version,
        ..
    } = &info.record;
    json!({
        "name": name,
        "node": format!("{:016x}", info.asked),
        "health": info.asked_health,
        "record": {
            "name": info.record.name,
            "addresses": addresses,
            "http": http,
            "zone": zone,
            "weight": weight,
            "boot": boot,
            "refutations": refutations,
            "version": version,
        },
        "state": state_name(info.view.state),
        "state_for_ms": info.view.for_ms,
        "phi": info.view.phi_hundredths.map(|phi| f64::from(phi) / 100.0),
        "suspected_by": suspecting_json(&info.view),
        "quarantined": info.view.is_quarantined,
        "edge": info.edge.as_ref().map(|edge| json!({
            "heard_ms_ago": edge.heard_ms_ago,
            "mean_us": edge.mean_us,
            "sigma_us": edge.sigma_us,
            "intervals_us": edge.intervals_us,
        })),
    })
}

fn state(view: &MemberView) -> Word {
    let name = state_name(view.state);
    match view.state {
        MemberState::Alive => Word::painted(Paint::Good, name),
        MemberState::Suspect => Word::painted(Paint::Doubtful, name),
        MemberState::Down => Word::painted(Paint::Bad, name),
        MemberState::Removed => Word::painted(Paint::Faint, name),
    }
}

/// What people and programs call a state.
pub(crate) fn state_name(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "up",
        MemberState::Suspect => "suspect",
        MemberState::Down => "down",
        MemberState::Removed => "removed",
    }
}

/// Those who suspect a member, for a program.
pub(crate) fn suspecting_json(view: &MemberView) -> Value {
    let observers = view.suspected_by.iter().map(|observer| {
        json!({
            "node": format!("{:016x}", observer.node),
            "name": observer.name,
            "phi": f64::from(observer.phi_hundredths) / 100.0,
            "age_ms": observer.age_ms,
        })
    });
    observers.collect()
}

/// The phi of a member in a table; none of a node that answers for itself.
pub(crate) fn phi(view: &MemberView, is_itself: bool) -> String {
    match view.phi_hundredths {
        Some(phi) if !is_itself => phi_text(phi),
        Some(_) | None => "-".to_owned(),
    }
}

/// A phi with one digit. Beyond 99 the number says nothing any more.
pub(crate) fn phi_text(hundredths: u32) -> String {
    if hundredths > 9_900 {
        return ">99".to_owned();
    }
    format!("{:.1}", f64::from(hundredths) / 100.0)
}

/// A time that has passed, in its largest unit.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        172_800_000.. => format!("{} d", ms / 86_400_000),
    }
}

const HEADINGS: [&str; 9] = [
    "ASKED",
    "STATE",
    "FOR",
    "PHI",
    "HEARD",
    "MEAN",
    "SIGMA",
    "HEALTH",
    "SUSPECTED BY",
];
/// How many of the last intervals are shown. JSON has all.
const SHOWN: usize = 16;
#[cfg(test)]
mod tests {
    use super::{phi_text, span};

    #[test]
    fn numbers_stay_short_enough_for_a_table() {
        for (hundredths, text) in [(0, "0.0"), (812, "8.1"), (9_900, "99.0"), (30_000, ">99")] {
            assert_eq!(phi_text(hundredths), text);
        }
        for (ms, text) in [
            (999, "999 ms"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
