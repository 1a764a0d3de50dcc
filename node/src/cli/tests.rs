//! The whole command line: what it takes, and that its examples are true.

use clap::{Command as Grammar, CommandFactory};

use super::examples::{self, GROUPS};
use super::text::split_line;
use super::{Cli, Command};

fn read(line: &str) -> Result<Cli, clap::Error> {
    let words = split_line(line).expect("quotes are closed");
    Cli::read(["starling".to_owned()].into_iter().chain(words))
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_key_of_a_row_is_not_the_key_of_a_certificate() {
    let cli = read("--key our.key get users ada").expect("both keys have a place");
    assert_eq!(cli.global.key, Some("our.key".into()));
}

#[test]
fn options_of_all_commands_do_not_hide_arguments_of_one() {
    for line in [
        "get users ada --sort 1 -r 2 --local --node n1 --json",
        "get carts ada --field items.milk --kind counter",
        "put users ada Ada -w 3 --durability synced --context 00 --timeout 1s --return-value",
        "put users ada Ada --if-current --ttl 90s --show-context",
        "incr words the --operation 000000000000000000000000000000000000000000000001",
        "incr words the -5 --idempotency-key order-42 --key k.pem --cert c.pem --ca ca.pem",
        "incr carts ada -f items.milk -5",
        "sadd tags post rust kv --seed 127.0.0.1:7401 -s 127.0.0.1:7402",
        "sadd carts ada red --field colours --kind grow-set",
        "min offer lows berlin -12 --return-value",
        "list insert tasks ada --after 00ff x y",
        "list remove tasks ada 00ff 00fe",
        "list show tasks ada --reverse --limit 3 --cursor 00 -r 1",
        "inspect words the",
        "ring owners words the",
        "bucket create words --kind counter --n 3",
        "init -c a.toml --member name=n1,id=00000000000000ff,addr=127.0.0.1:7401,zone=a",
        "import a.csv --bucket b --key-template {a}:{b} --value-field c --kind value",
        "bench --workload put --value-size 1KiB --keys 10 --concurrency 1 --pids 1,2",
        "bench --workload members --elements 1000 --page-size 500 -r 1",
        "demo --nodes 3 --no-shell --job none",
        "cert client shop --admin --directory certs",
        "server -c a.toml --exit-with-parent",
        "status",
        "node info n2",
    ] {
        if let Err(error) = read(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    for line in [
        "get carts ada --kind counter",
        "get carts ada --field a..b",
        "list insert tasks ada x",
        "list insert tasks ada --at 1 --after 00 x",
        "list remove tasks ada",
        "list remove tasks ada nonsense",
        "map update carts ada",
        "map update carts ada 'get logins'",
        "incr words the --operation 00-1",
        "incr words the --idempotency-key x --operation \
         000000000000000000000000000000000000000000000001",
        "scan users ada --prefix a --from b",
        "scan users ada --limit 0",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn every_example_is_a_command_and_stands_in_the_documentation() {
    let documentation = include_str!("../../../docs/cli.md");
    for row in GROUPS.iter().flat_map(|group| group.rows) {
        if let Err(error) = read(row) {
            panic!("{row}: {error}");
        }
        assert!(
            documentation.contains(row),
            "docs/cli.md does not show: {row}"
        );
    }
}

#[test]
fn every_command_on_data_has_one_example() {
    let grammar = examples::add(Cli::command());
    let data = <super::DataCommand as clap::Subcommand>::augment_subcommands(Grammar::new("data"));
    for command in data.get_subcommands() {
        let command = grammar
            .find_subcommand(command.get_name())
            .expect("it is there");
        let leaves: Vec<&Grammar> = match command.has_subcommands() {
            true => command.get_subcommands().collect(),
            false => vec![command],
        };
        for leaf in leaves {
            let words = format!("{} {}", command.get_name(), leaf.get_name());
            assert!(leaf.get_after_help().is_some(), "{words} has no example");
        }
    }
}

#[test]
fn a_wrong_line_is_explained_with_its_usage() {
    let error = read("incr words").expect_err("the key is missing");
    let text = error.to_string();
    assert!(
        text.contains("<KEY>") && text.contains("Usage: starling incr"),
        "{text}"
    );
    assert!(matches!(
        read("status").expect("it is a command").command,
        Command::Status
    ));
}
