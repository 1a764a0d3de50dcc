//! The `starling` command against three real nodes: every kind of data, as a person or a script
//! has it, with what it prints and how it exits.

mod tables;

use anyhow::{Context, ensure};
use serde_json::Value;

use starling_tests::cluster::{Cluster, Engine, Options};

/// A command line, its exit code and what it must print.
type Case = (&'static str, i32, &'static str);

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_written_and_read_from_the_command_line() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    for kind in [
        "value",
        "counter",
        "bounded-counter",
        "set",
        "grow-set",
        "remove-set",
        "register",
        "max",
        "min",
        "flag",
        "disable-flag",
        "hll",
        "list",
        "map",
    ] {
        let line = format!("bucket create {kind} --kind {kind}");
        ensure!(run(&cluster, &line).await?.code == 0, "{line}");
    }
    expect(&cluster, tables::SIMPLE).await?;
    expect(&cluster, tables::SETS).await?;
    expect(&cluster, tables::MAPS).await?;
    expect(&cluster, tables::ENDS).await?;
    expect(&cluster, tables::LEFT).await?;
    inspected(&cluster, tables::INSPECTED).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_scrub_every_vnode_of_every_node_has_agreed() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    let scrubbed = run(&cluster, "repair scrub --wait 1min").await?;
    ensure!(scrubbed.code == 0, "{}{}", scrubbed.out, scrubbed.err);
    let shown = run(&cluster, "repair status --vnodes --json").await?;
    let shown: Value = serde_json::from_str(&shown.out)?;
    let vnodes = shown["vnodes"].as_array().context("vnodes")?;
    ensure!(vnodes.len() == 3 * 16, "{shown}");
    for vnode in vnodes {
        let is_sound = vnode["damage"] == "" && vnode["catching_up"] == false;
        let has_agreed = vnode["other_owners"] == 2 && vnode["agreed_ms_ago"].is_u64();
        ensure!(is_sound && has_agreed, "{vnode}");
    }
    let table = run(&cluster, "repair status --vnodes").await?;
    ensure!(table.out.lines().count() == 1 + 3 * 16, "{}", table.out);
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_changed_by_index_and_by_position() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    expect(
        &cluster,
        &[("bucket create list --kind list --json", 0, "*")],
    )
    .await?;
    expect(&cluster, tables::LISTS).await?;
    let shown = run(&cluster, "list show list k --json").await?;
    let last = shown.out.lines().last().context("a list with items")?;
    let position = serde_json::from_str::<Value>(last)?["position"].to_string();
    for (line, list) in [
        (
            format!("list insert list k --before {position} y"),
            "a\ny\ne\n",
        ),
        (
            format!("list insert list k --after {position} z"),
            "a\ny\ne\nz\n",
        ),
        (format!("list remove list k {position}"), "a\ny\nz\n"),
    ] {
        let line = line.replace('"', "");
        let said = run(&cluster, &line).await?;
        ensure!(said.code == 0, "{line}: {}", said.err);
        let now = run(&cluster, "get list k").await?.out;
        ensure!(now == list, "{line}: {now}");
    }
    cluster.finish()
}

/// In memory nothing is ever on a disk, and what was added could never be spent.
#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_added_to_a_bounded_counter_is_spent_and_no_more() -> anyhow::Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let create = ("bucket create tickets --kind bounded-counter", 0, "*");
    expect(&cluster, &[create, ("incr tickets k 5", 0, "")]).await?;
    // Until every owner holds it on its disk it cannot be spent, and nothing is.
    let mut said = run(&cluster, "incr tickets k -3").await?;
    for _ in 0..100 {
        if said.code == 0 {
            break;
        }
        ensure!(said.err.contains("nothing was"), "{}", said.err);
        said = run(&cluster, "incr tickets k -3").await?;
    }
    ensure!(said.code == 0, "{}", said.err);
    expect(&cluster, &[("get tickets k -r 3", 0, "2\n")]).await?;
    let said = run(&cluster, "incr tickets k -3").await?;
    ensure!(
        said.code == 1 && said.err.contains("nothing was spent: add to it first"),
        "{}",
        said.err
    );
    expect(&cluster, &[("delete tickets k", 1, "")]).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_are_read_by_pages_and_cursors_go_on() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    expect(&cluster, &[("bucket create orders", 0, "*")]).await?;
    for day in 1..=5 {
        let line = format!("put orders c7 order-{day} --sort 11-0{day}");
        ensure!(run(&cluster, &line).await?.code == 0, "{line}");
    }
    expect(&cluster, tables::SCANS).await?;
    let mut seen = String::new();
    let mut line = "scan orders c7 --limit 2".to_owned();
    loop {
        let page = run(&cluster, &line).await?;
        seen.push_str(&page.out);
        let Some(cursor) = page.err.trim().strip_prefix("more with --cursor ") else {
            break;
        };
        line = format!("scan orders c7 --limit 2 --cursor {cursor}");
    }
    let all = run(&cluster, "scan orders c7").await?.out;
    ensure!(seen == all && all.lines().count() == 5, "{seen}");
    let (first, mut rest) = (run(&cluster, "keys orders --limit 1").await?, String::new());
    if let Some(cursor) = first.err.trim().strip_prefix("more with --cursor ") {
        rest = run(&cluster, &format!("keys orders --cursor {cursor}"))
            .await?
            .out;
    }
    let keys = [first.out, rest].concat();
    ensure!(keys.lines().count() == 5, "{keys}");
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_writes_say_what_must_be_true() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    expect(&cluster, tables::OPTIONS).await?;
    expect(&cluster, tables::SIBLINGS).await?;
    let said = run(&cluster, "get users eve --json").await?;
    ensure!(said.code == 4, "two siblings: {}", said.err);
    let read: Value = serde_json::from_str(&said.out)?;
    ensure!(read["state"].as_array().map(Vec::len) == Some(2), "{read}");
    let context = read["context"].as_str().context("a context")?;
    let line = format!("put users eve Eva --context {context} --if-current");
    let said = run(&cluster, &line).await?;
    ensure!(said.code == 0, "{}", said.err);
    expect(&cluster, &[("get users eve", 0, "Eva\n")]).await?;
    let said = run(&cluster, &line).await?;
    ensure!(
        said.code == 1 && said.err.contains("nothing was written"),
        "{}",
        said.err
    );
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_with_one_session_file_build_on_each_other() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    expect(&cluster, &[("bucket create words --kind counter", 0, "*")]).await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("session");
    let with = |command: &str| format!("{command} --session {}", file.display());
    // Any one of the owners answers, and none shows less than the increments before.
    for count in 1..=20 {
        let said = run(&cluster, &with("incr words the -w 1")).await?;
        ensure!(said.code == 0, "{}", said.err);
        let said = run(&cluster, &with("get words the -r 1")).await?;
        ensure!(said.out == format!("{count}\n"), "{}{}", said.out, said.err);
    }
    ensure!(std::fs::read_to_string(&file)?.len() > 50);
    let said = run(&cluster, &with("keys words")).await?;
    ensure!(
        said.code == 1 && said.err.contains("no session"),
        "{}",
        said.err
    );
    let said = run(&cluster, &with("status")).await?;
    ensure!(
        said.code == 64 && said.err.contains("--session"),
        "{}",
        said.err
    );

    std::fs::write(&file, "no token")?;
    let said = run(&cluster, &with("incr words the")).await?;
    let names_it = said.err.contains("session holds no session");
    ensure!(
        names_it && said.err.contains("nothing was sent"),
        "{}",
        said.err
    );
    let nowhere = format!("incr words the --session {}", directory.path().display());
    let said = run(&cluster, &nowhere).await?;
    ensure!(
        said.code == 1 && said.err.contains("nothing was sent"),
        "{}",
        said.err
    );
    expect(&cluster, &[("get words the", 0, "20\n")]).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspect_names_fields_and_decodes_what_they_hold() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    expect(&cluster, &[("bucket create map --kind map", 0, "*")]).await?;
    let changes = "'incr a.logins 2' 'register set city London' 'flag on vip' 'sadd tags x' \
                   'max offer best -7' 'hll add seen one'";
    let line = format!("map update map k {changes} -w 3");
    ensure!(run(&cluster, &line).await?.code == 0, "{line}");
    let said = run(&cluster, "inspect map k").await?;
    ensure!(said.code == 0, "{}", said.err);
    for words in [
        "a.logins (share)  2 (added 2 up to",
        "city (register)  London   assigned 20",
        "vip (flag)  on",
        "tags (element)  x: in",
        "best (max)  -7",
        "seen (sketch)  block",
        ": 1 of 256 registers set",
        "all 3 replicas are equal",
    ] {
        ensure!(said.out.contains(words), "{words}: {}", said.out);
    }
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_into_any_kind_that_a_line_fits() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    let file = cluster.directory().join("people.csv");
    std::fs::write(
        &file,
        "name,city,best,vip\nada,London,7,true\nada,Paris,9,maybe\n",
    )?;
    let file = file.display();
    for (kind, field, errors, state) in [
        ("register", "city", 0, ""),
        ("max", "best", 0, "9\n"),
        ("min", "best", 0, "7\n"),
        ("flag", "vip", 1, "on\n"),
        ("hll", "city", 0, "2\n"),
        ("grow-set", "city", 0, "London\nParis\n"),
    ] {
        let line = format!(
            "import {file} --bucket {kind} --kind {kind} --key-field name --value-field {field} \
             --progress-file {file}.{kind}"
        );
        let said = run(&cluster, &line).await?;
        ensure!(said.code == errors, "{line}: {} {}", said.out, said.err);
        ensure!(
            errors == 0 || said.err.contains(":3: \"maybe\" is no flag"),
            "{}",
            said.err
        );
        let held = run(&cluster, &format!("get {kind} ada")).await?;
        ensure!(
            held.code == 0 && held.out.contains(state),
            "{kind}: {}",
            held.out
        );
    }
    let line = format!("import {file} --bucket lists --kind list --key-field name");
    ensure!(
        run(&cluster, &line).await?.code == 64,
        "lines have no order"
    );
    cluster.finish()
}

async fn expect(cluster: &Cluster, cases: &[Case]) -> anyhow::Result<()> {
    for (line, code, out) in cases {
        let said = run(cluster, line).await?;
        let is_right = *out == "*" || said.out == *out;
        ensure!(
            said.code == *code && is_right,
            "{line}\nexits with {}, prints {:?} and says {}",
            said.code,
            said.out,
            said.err
        );
    }
    Ok(())
}

/// What `inspect` says of a key must hold these words.
async fn inspected(cluster: &Cluster, all: &[(&str, &[&str])]) -> anyhow::Result<()> {
    for (bucket, words) in all {
        let said = run(cluster, &format!("inspect {bucket} k")).await?;
        ensure!(said.code == 0, "{bucket}: {}", said.err);
        for words in *words {
            ensure!(said.out.contains(words), "{words}: {}", said.out);
        }
    }
    Ok(())
}

/// Runs a command line, in which single quotes hold words together.
async fn run(cluster: &Cluster, line: &str) -> anyhow::Result<Said> {
    let mut words = vec!["--seed".to_owned(), cluster.url()];
    for (at, piece) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    let output = cluster.run(&words).await?;
    Ok(Said {
        code: output.status.code().context("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

fn in_memory() -> Options {
    Options {
        engine: Engine::Memory,
        ..Options::default()
    }
}
