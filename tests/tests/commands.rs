//! The `starling` command against three real nodes: every kind of data, as a person or a script
//! has it, with what it prints and how it exits.

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
    expect(&cluster, &SIMPLE).await?;
    expect(&cluster, &SETS).await?;
    expect(&cluster, &MAPS).await?;
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
    expect(&cluster, &LISTS).await?;
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
    expect(&cluster, &SCANS).await?;
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
    expect(&cluster, &OPTIONS).await?;
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

const SIMPLE: [Case; 37] = [
    ("put value k one", 0, ""),
    ("get value k", 0, "one\n"),
    ("get value none", 1, ""),
    ("mget value none k", 1, "k\tone\n"),
    ("delete value k", 0, ""),
    ("get value k", 1, ""),
    ("incr counter k", 0, ""),
    ("incr counter k -5 --return-value", 0, "-4\n"),
    ("get counter k", 0, "-4\n"),
    ("reset counter k", 0, ""),
    ("get counter k", 0, "0\n"),
    ("incr value k", 1, ""),
    ("get bounded-counter k", 0, "0\n"),
    ("incr bounded-counter k -1", 1, ""),
    ("incr bounded-counter k 5 -w 3", 0, ""),
    ("get bounded-counter k", 0, "5\n"),
    ("reset bounded-counter k", 1, ""),
    ("register get register k", 1, ""),
    ("register set register k a -w 3", 0, ""),
    ("register set register k b -w 3", 0, ""),
    ("register get register k", 0, "b\n"),
    ("max get max k", 1, ""),
    ("max offer max k -7", 0, ""),
    ("max offer max k -9", 0, ""),
    ("max get max k", 0, "-7\n"),
    ("min offer min k -9", 0, ""),
    ("min offer min k -7 --return-value", 0, "-9\n"),
    ("get min k", 0, "-9\n"),
    ("flag get flag k", 0, "off\n"),
    ("flag on flag k", 0, ""),
    ("flag get flag k", 0, "on\n"),
    ("flag off flag k", 0, ""),
    ("get flag k", 0, "off\n"),
    ("flag on disable-flag k --return-value", 0, "on\n"),
    ("hll add hll k a b a", 0, ""),
    ("hll add hll k c b", 0, ""),
    ("hll count hll k", 0, "3\n"),
];

const SETS: [Case; 14] = [
    ("sadd set k b a c", 0, ""),
    ("srem set k b", 0, ""),
    ("smembers set k", 0, "a\nc\n"),
    ("sismember set k c", 0, "1\n"),
    ("sismember set k b", 0, "0\n"),
    ("scard set k", 0, "2\n"),
    ("scard set k --approximate", 0, "2\n"),
    ("sscan set k --from b", 0, "c\n"),
    ("sscan set k --reverse", 0, "c\na\n"),
    ("sadd grow-set k a b", 0, ""),
    ("srem grow-set k a", 1, ""),
    ("get grow-set k", 0, "a\nb\n"),
    ("sadd remove-set k a b --return-value", 0, "a\nb\n"),
    ("srem remove-set k a --return-value", 0, "b\n"),
];

const MAPS: [Case; 18] = [
    ("incr map k 2 --field logins", 0, ""),
    (
        "map update map k 'incr logins' 'register set home.city London' 'sadd tags a b'",
        0,
        "",
    ),
    ("get map k --field logins", 0, "3\n"),
    ("get map k -f home.city", 0, "London\n"),
    ("get map k -f home", 0, "city  register  London\n"),
    ("sismember map k b --field tags", 0, "1\n"),
    ("list push map k x --field tasks", 0, ""),
    ("flag on map k -f vip --kind disable-flag", 0, ""),
    (r"register set map k text -f v1\.\xff", 0, ""),
    (
        "map get map k",
        0,
        "home      map\n  city    register      London\n\
         logins    counter       3\n\
         tags      set           a\n                        b\n\
         tasks     list          x\n\
         v1\\.\\xff  register      text\n\
         vip       disable-flag  on\n",
    ),
    (r"map remove map k v1\.\xff home tasks", 0, ""),
    ("incr map k -f tags", 0, ""),
    ("get map k -f tags", 0, "1\na\nb\n"),
    ("get map k -f tags --kind set", 0, "a\nb\n"),
    ("delete map k -f tags", 0, ""),
    ("get map k -f tags", 1, ""),
    ("get map k -f none", 1, ""),
    ("incr map k -f logins --kind set", 64, ""),
];

const LISTS: [Case; 8] = [
    ("list push list k b c", 0, ""),
    ("list push list k --front a", 0, ""),
    ("list insert list k --at 3 e", 0, ""),
    ("list insert list k --at 2 'b and a half'", 0, ""),
    ("get list k", 0, "a\nb\nb and a half\nc\ne\n"),
    ("list insert list k --at 9 x", 1, ""),
    ("list remove list k --at 1 --at 3 --at 2", 0, ""),
    ("get list k", 0, "a\ne\n"),
];

const SCANS: [Case; 5] = [
    (
        "scan orders c7 --prefix 11-0 --limit 1",
        0,
        "11-01\torder-1\n",
    ),
    ("scan orders c7 --reverse --limit 1", 0, "11-05\torder-5\n"),
    (
        "scan orders c7 --from 11-02 --to 11-04",
        0,
        "11-02\torder-2\n11-03\torder-3\n",
    ),
    ("scan orders nobody", 0, ""),
    ("get orders c7 --sort 11-03", 0, "order-3\n"),
];

const OPTIONS: [Case; 12] = [
    ("bucket create users", 0, "*"),
    ("bucket create counts --kind counter", 0, "*"),
    ("put users ada Ada -w 3 --durability synced --ttl 1h", 0, ""),
    ("get users ada -r 3 --timeout 4s", 0, "Ada\n"),
    ("get users ada --local --node n1", 0, "Ada\n"),
    ("put users ada other --if-current", 1, ""),
    ("incr counts k 2 --ttl 1h", 1, ""),
    ("incr counts k 2 --idempotency-key once", 0, ""),
    ("incr counts k 2 --idempotency-key once", 0, ""),
    ("get counts k", 0, "2\n"),
    ("put users eve one -w 3", 0, ""),
    ("put users eve two -w 3", 0, ""),
];
