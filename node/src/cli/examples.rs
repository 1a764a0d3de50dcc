//! One example for each command, by groups: `--help` shows a command's own, the shell's `\help` all
//! of them, and the documentation has them too. What a command does is said where clap reads it.

use std::fmt::Write;
use std::str::Split;

use clap::Command;

use super::output::{Output, Paint};

/// Commands that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    /// What they have in common.
    pub(crate) title: &'static str,
    /// An example of each.
    pub(crate) rows: &'static [&'static str],
}

/// The commands that the command line and the shell have in common.
pub(crate) const GROUPS: [Group; 10] = [
    Group {
        title: "Buckets",
        rows: &["bucket create carts --kind map", "bucket list"],
    },
    Group {
        title: "Any kind",
        rows: &[
            "get users ada",
            "mget users ada eve",
            "delete users ada",
            "scan orders customer-7 --prefix 2026-11- --reverse --limit 10",
            "keys users --limit 100",
            "inspect users ada",
            "ring owners users ada",
        ],
    },
    Group {
        title: "Values",
        rows: &["put users ada '{\"name\":\"Ada\"}' -w 3 --ttl 1h"],
    },
    Group {
        title: "Counters (counter, bounded-counter)",
        rows: &[
            "incr words the 2 --idempotency-key order-42",
            "reset words the",
        ],
    },
    Group {
        title: "Sets (set, grow-set, remove-set)",
        rows: &[
            "sadd tags post-42 rust kv",
            "srem tags post-42 kv",
            "smembers tags post-42",
            "sismember tags post-42 rust",
            "scard tags post-42",
            "sscan tags post-42 --from k --to s",
        ],
    },
    Group {
        title: "Registers and numbers",
        rows: &[
            "register set cities ada London",
            "register get cities ada",
            "max offer records jump 895",
            "max get records jump",
            "min offer lows berlin -12",
            "min get lows berlin",
        ],
    },
    Group {
        title: "Flags (flag, disable-flag)",
        rows: &[
            "flag on features dark-mode",
            "flag off features dark-mode",
            "flag get features dark-mode",
        ],
    },
    Group {
        title: "How many different things",
        rows: &["hll add visitors today ada eve", "hll count visitors today"],
    },
    Group {
        title: "Lists",
        rows: &[
            "list push tasks ada 'buy milk' 'call eve'",
            "list insert tasks ada --at 1 'in between'",
            "list remove tasks ada --at 0",
            "list show tasks ada",
        ],
    },
    Group {
        title: "Maps; the commands above work on a field with --field NAME.NAME",
        rows: &[
            "map update carts ada 'incr items.milk 2' 'register set city London' 'flag on gift'",
            "map get carts ada",
            "map len carts ada",
            "map scan carts ada --prefix item",
            "map remove carts ada items.milk gift",
        ],
    },
];

/// Puts each example behind the help of its command.
pub(crate) fn add(command: Command) -> Command {
    let rows = GROUPS.iter().flat_map(|group| group.rows);
    rows.fold(command, |command, row| add_to(command, row.split(' '), row))
}

/// All examples with what their commands do, by groups.
pub(crate) fn list(command: &Command, output: Output) -> String {
    let mut text = String::new();
    for Group { title, rows } in &GROUPS {
        let title = output.paint(Paint::Strong, title);
        // Writing to a string does not fail.
        writeln!(text, "\n{title}").unwrap_or_default();
        for row in *rows {
            let about = about(command, row.split(' '));
            let about = output.paint(Paint::Faint, about);
            writeln!(text, "  {row}\n      {about}").unwrap_or_default();
        }
    }
    text
}

fn add_to(command: Command, mut words: Split<'_, char>, row: &str) -> Command {
    match words.next() {
        Some(word) if command.find_subcommand(word).is_some() => {
            command.mut_subcommand(word, |below| add_to(below, words, row))
        }
        _ => command.after_help(format!("Example: starling {row}")),
    }
}

/// What the command of an example does, in its own words.
fn about(command: &Command, mut words: Split<'_, char>) -> String {
    match words.next().and_then(|word| command.find_subcommand(word)) {
        Some(below) => about(below, words),
        None => command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}
