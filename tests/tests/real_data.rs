//! Real records in every other kind: each line of the C headers that a Debian with a compiler
//! ships is a record of its directory, which is a map of counters, extremes, a set and a sketch.
//!
//! Eight writers enter them while a node is killed and started again; every tenth write is sent
//! twice. In the end the cluster holds what `awk` counts in the same files, exactly, and of the
//! sketches within their error.
#![cfg(feature = "rocksdb")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;

use starling::{Bucket, Client, Kind, Map, Plain, Write};
use starling_tests::cluster::{Cluster, Options, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_c_headers_is_counted_once_through_a_kill() -> anyhow::Result<()> {
    let files = headers()?;
    if files.is_empty() {
        println!("skipped: dpkg knows no files of linux-libc-dev and libc6-dev here");
        return Ok(());
    }
    let expected = counted_by_awk(&files)?;
    let writes = Arc::new(writes(&files)?);
    let mut cluster = Cluster::start(Options::default()).await?;
    let client = cluster.client().await?;
    client.create_bucket("headers").kind(Kind::Map).await?;

    let next = Arc::new(AtomicUsize::new(0));
    let (done, mut progress) = watch::channel(0);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (writes, next) = (Arc::clone(&writes), Arc::clone(&next));
        writers.spawn(write_all(client.clone(), writes, next, done.clone()));
    }
    drop(done);
    progress.wait_for(|done| *done >= writes.len() / 3).await?;
    cluster.node(1).kill()?;
    progress
        .wait_for(|done| *done >= 2 * writes.len() / 3)
        .await?;
    cluster.node(1).start()?;
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    cluster.wait_ready().await?;

    let headers = client.bucket("headers");
    for (directory, expected) in &expected {
        compare(&headers, directory, expected)
            .await
            .with_context(|| directory.clone())?;
    }
    let lines: i64 = expected.values().map(|of| of.lines).sum();
    ensure!(lines > 100_000, "only {lines} records");
    println!("{lines} lines, {} writes, all as awk says", writes.len());
    clear_the_largest(&headers, &expected).await?;
    cluster.finish()
}

/// What is to be known of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    lines: i64,
    bytes: i64,
    longest: i64,
    shortest: i64,
    macros: BTreeSet<String>,
    words: u64,
}

/// Some lines of one file.
#[derive(Debug)]
struct Records {
    directory: String,
    lines: Vec<Vec<u8>>,
}

/// The headers of the kernel and of the C library.
fn headers() -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("dpkg")
        .args(["-L", "linux-libc-dev", "libc6-dev"])
        .output();
    let Ok(listed) = listed else {
        return Ok(Vec::new());
    };
    let listed = String::from_utf8(listed.stdout)?;
    let files = listed.lines().filter(|file| file.ends_with(".h"));
    Ok(files
        .map(PathBuf::from)
        .filter(|file| file.is_file())
        .collect())
}

/// The summaries as plain tools make them.
fn counted_by_awk(files: &[PathBuf]) -> anyhow::Result<BTreeMap<String, Summary>> {
    let mut awk = Command::new("awk")
        .arg(AWK)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut input = awk.stdin.take().context("awk has an input")?;
    // It reads all names before it prints anything.
    writeln!(input, "{}", names.join("\n"))?;
    drop(input);
    let output = awk.wait_with_output()?;
    ensure!(output.status.success(), "awk: {}", output.status);
    let mut summaries: BTreeMap<String, Summary> = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let directory = fields.get(1).copied().unwrap_or_default();
        let summary = summaries.entry(directory.to_owned()).or_default();
        match fields[..] {
            ["sum", _, lines, bytes, longest, shortest] => {
                summary.lines = lines.parse()?;
                summary.bytes = bytes.parse()?;
                summary.longest = longest.parse()?;
                summary.shortest = shortest.parse()?;
            }
            ["macro", _, name] => {
                summary.macros.insert(name.to_owned());
            }
            ["words", _, words] => summary.words = words.parse()?,
            _ => anyhow::bail!("awk says {line:?}"),
        }
    }
    Ok(summaries)
}

/// The same lines, a few in each write.
fn writes(files: &[PathBuf]) -> anyhow::Result<Vec<Records>> {
    let mut writes = Vec::new();
    for file in files {
        let directory = file.parent().context("a file is in a directory")?;
        let text = std::fs::read(file)?;
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        // What follows the last end of a line is no line.
        lines.pop_if(|line| line.is_empty());
        writes.extend(lines.chunks(LINES).map(|lines| Records {
            directory: directory.display().to_string(),
            lines: lines.iter().map(|line| line.to_vec()).collect(),
        }));
    }
    Ok(writes)
}

/// Enters one after the other of the writes that nobody has taken yet.
async fn write_all(
    client: Client,
    writes: Arc<Vec<Records>>,
    next: Arc<AtomicUsize>,
    done: watch::Sender<usize>,
) -> anyhow::Result<()> {
    let headers = client.bucket("headers");
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(records) = writes.get(at) else {
            return Ok(());
        };
        let operation = client.next_operation();
        let times = if at.is_multiple_of(10) { 2 } else { 1 };
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..times {
            while let Err(error) = enter(&headers, records).operation_id(operation).await {
                ensure!(Instant::now() < deadline, "{error}");
            }
        }
        done.send_modify(|done| *done += 1);
    }
}

/// The write of some records: one atomic change of their directory.
fn enter(headers: &Bucket, records: &Records) -> Write<Plain> {
    headers.map(&records.directory).update(|directory| {
        let lengths = records.lines.iter().map(|line| line.len() as i64);
        directory.counter("lines").add(records.lines.len() as i64);
        directory
            .counter("bytes")
            .add(lengths.clone().map(|length| length + 1).sum());
        for length in lengths {
            directory.max("longest").offer(length);
            directory.min("shortest").offer(length);
        }
        for line in &records.lines {
            if let Some(name) = defined(line) {
                directory.set("macros").add(name.to_vec());
            }
        }
        let lines = records.lines.iter();
        let different: BTreeSet<&[u8]> = lines.flat_map(|line| words(line)).collect();
        for word in different {
            directory.hll("words").add(word.to_vec());
        }
    })
}

/// The name that a line defines, if it defines one.
fn defined(line: &[u8]) -> Option<&[u8]> {
    let rest = line.trim_ascii_start().strip_prefix(b"#")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"define")?;
    if !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    let rest = rest.trim_ascii_start();
    words(rest).next().filter(|word| rest.starts_with(word))
}

/// The identifiers of a line: letters, digits and underscores that begin with no digit.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let runs = line.split(move |byte| !is_part(byte));
    let words = runs.map(|run| {
        let digits = run.iter().take_while(|byte| byte.is_ascii_digit()).count();
        &run[digits..]
    });
    words.filter(|word| !word.is_empty())
}

async fn compare(headers: &Bucket, directory: &str, expected: &Summary) -> anyhow::Result<()> {
    let held = headers.map(directory);
    // What two coordinators entered counts twice until every owner has it on its disk.
    let settled = until("the counters are exact", || async {
        let lines = held.counter("lines").read().r(3).await.ok()?;
        let bytes = held.counter("bytes").read().r(3).await.ok()?;
        (lines.value() == expected.lines && bytes.value() == expected.bytes).then_some(())
    });
    settled.await?;
    let longest = held.max("longest").read().r(3).await?.into_value();
    let shortest = held.min("shortest").read().r(3).await?.into_value();
    ensure!(longest == Some(expected.longest), "longest {longest:?}");
    ensure!(shortest == Some(expected.shortest), "shortest {shortest:?}");
    let macros = macros(&held).await?;
    let expects = &expected.macros;
    let odd = macros.symmetric_difference(expects).next();
    ensure!(odd.is_none(), "{odd:?} is in one of both");
    let estimate = held.hll("words").estimate().r(3).await?.into_value();
    let error = estimate.abs_diff(expected.words) as f64 / expected.words.max(1) as f64;
    ensure!(error < 0.04, "{estimate} words for {}", expected.words);
    Ok(())
}

async fn macros(held: &Map) -> anyhow::Result<BTreeSet<String>> {
    let mut scan = held.set("macros").scan().r(3);
    let mut names = BTreeSet::new();
    while let Some(name) = scan.try_next().await? {
        names.insert(String::from_utf8_lossy(&name).into_owned());
    }
    Ok(names)
}

/// One write clears a set of any size.
async fn clear_the_largest(
    headers: &Bucket,
    expected: &BTreeMap<String, Summary>,
) -> anyhow::Result<()> {
    let largest = expected.iter().max_by_key(|(_, of)| of.macros.len());
    let (directory, of) = largest.context("there are directories")?;
    ensure!(of.macros.len() > 10_000, "{} macros", of.macros.len());
    let held = headers.map(directory);
    held.set("macros").clear().await?;
    ensure!(macros(&held).await?.is_empty());
    held.set("macros").add("ANEW").await?;
    ensure!(macros(&held).await?.into_iter().eq(["ANEW"]));
    let lines = held.counter("lines").read().await?.value().to_owned();
    ensure!(lines == of.lines, "the other fields stay");
    Ok(())
}

const AWK: &str = r##"
{
    file = $0; dir = file; sub(/\/[^\/]*$/, "", dir)
    while ((getline line < file) > 0) {
        n = length(line); lines[dir]++; bytes[dir] += n + 1
        if (n > longest[dir]) longest[dir] = n
        if (!(dir in shortest) || n < shortest[dir]) shortest[dir] = n
        if (match(line, /^[ \t\f\r]*#[ \t\f\r]*define[ \t\f\r]+[A-Za-z_][A-Za-z_0-9]*/)) {
            name = substr(line, RSTART, RLENGTH)
            sub(/^[ \t\f\r]*#[ \t\f\r]*define[ \t\f\r]+/, "", name)
            macro[dir "\t" name]
        }
        while (match(line, /[A-Za-z_][A-Za-z_0-9]*/)) {
            word[dir "\t" substr(line, RSTART, RLENGTH)]
            line = substr(line, RSTART + RLENGTH)
        }
    }
    close(file)
}
END {
    for (d in lines)
        print "sum\t" d "\t" lines[d] "\t" bytes[d] "\t" longest[d] "\t" shortest[d]
    for (m in macro) print "macro\t" m
    for (w in word) { split(w, parts, "\t"); words[parts[1]]++ }
    for (d in words) print "words\t" d "\t" words[d]
}
"##;
const WRITERS: usize = 8;
/// Lines of one write.
const LINES: usize = 100;
/// How long one write is tried, through the kill and the start.
const PATIENCE: Duration = Duration::from_secs(60);
