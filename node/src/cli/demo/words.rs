//! The second job: every word of the licence texts is one increment, while a node is killed.
//!
//! Eight clients, each with connections of its own, count their share of the words one by one. At
//! a third of the way one node is killed with SIGKILL, at two thirds it is started again. An
//! increment whose fate an error leaves open is sent again under its name, so it counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::steps::Steps;
use crate::cli::clock::Stopwatch;
use crate::cli::import::per_second;
use crate::cli::text::grouped;
use starling::{Bucket, Client, Kind};

/// The counters that must be in the cluster when the job is done, as plain tools count them.
pub(super) type Words = BTreeMap<String, i64>;

/// Counts the words and has plain tools count them too.
pub(super) async fn count(
    client: &Client,
    cluster: &mut Cluster,
    steps: &Steps,
) -> anyhow::Result<Words> {
    let watch = Stopwatch::start();
    let text = collect()?;
    let file = cluster.directory().join("words.txt");
    fs::write(&file, &text).context("writing the words")?;
    let expected = plain_tools(&file)?;
    let words = Arc::new(split(&text));
    let total = u64::try_from(words.len())?;
    let distinct = u64::try_from(expected.len())?;
    steps.done(
        format_args!(
            "tr, sort and uniq count {} words, {} different ones",
            grouped(total),
            grouped(distinct)
        ),
        watch.elapsed(),
    )?;
    client.create_bucket(WORDS).kind(Kind::Counter).await?;
    let watch = Stopwatch::start();
    let done = Arc::new(AtomicU64::new(0));
    let mut clients = start_clients(&cluster.url(), &words, &done).await?;
    disturb(cluster, &mut clients, &done, total, steps).await?;
    while let Some(ended) = clients.join_next().await {
        ended.context("a client was interrupted")??;
    }
    let rate = per_second(total, watch.elapsed());
    steps.done(
        format_args!(
            "{} increments by {CLIENTS} clients, {rate} a second",
            grouped(total)
        ),
        watch.elapsed(),
    )?;
    Ok(expected)
}

async fn start_clients(
    url: &str,
    words: &Arc<Vec<String>>,
    done: &Arc<AtomicU64>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut clients = JoinSet::new();
    for first in 0..CLIENTS {
        let client = Client::connect_url(url).await?;
        let (words, done) = (Arc::clone(words), Arc::clone(done));
        clients.spawn(async move {
            let bucket = client.bucket(WORDS);
            for word in words.iter().skip(first).step_by(CLIENTS) {
                increment(&client, &bucket, word).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            client.close().await;
            Ok(())
        });
    }
    Ok(clients)
}

/// One increment, under one name however often it is sent.
async fn increment(client: &Client, bucket: &Bucket, word: &str) -> anyhow::Result<()> {
    let operation = client.next_operation();
    let watch = Stopwatch::start();
    loop {
        match bucket.counter(word).add(1).operation_id(operation).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_retryable() && watch.elapsed() < PATIENCE => {
                tokio::time::sleep(error.retry_after().unwrap_or(PAUSE)).await;
            }
            Err(error) => return Err(error).with_context(|| format!("counting {word:?}")),
        }
    }
}

/// Kills a node at a third and starts it at two thirds, unless a client gives up before.
async fn disturb(
    cluster: &mut Cluster,
    clients: &mut JoinSet<anyhow::Result<()>>,
    done: &AtomicU64,
    total: u64,
    steps: &Steps,
) -> anyhow::Result<()> {
    let Some(victim) = cluster.len().checked_sub(2) else {
        return steps.event("a single node is not killed: nobody could take its place");
    };
    let name = cluster.name(victim).to_owned();
    reach(clients, done, total / 3).await?;
    cluster.kill(victim).await?;
    let at = grouped(done.load(Ordering::Relaxed));
    steps.event(format_args!(
        "{name} killed with SIGKILL after {at} increments"
    ))?;
    reach(clients, done, total / 3 * 2).await?;
    let at = grouped(done.load(Ordering::Relaxed));
    let watch = Stopwatch::start();
    cluster.start(victim).await?;
    steps.done(
        format_args!("{name} started again after {at} increments"),
        watch.elapsed(),
    )
}

/// Waits until so many increments are done. An error of a client ends the wait.
async fn reach(
    clients: &mut JoinSet<anyhow::Result<()>>,
    done: &AtomicU64,
    count: u64,
) -> anyhow::Result<()> {
    while done.load(Ordering::Relaxed) < count {
        if let Some(ended) = clients.try_join_next() {
            ended.context("a client was interrupted")??;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// The licence texts one after the other, again from the first, until there are words enough.
fn collect() -> anyhow::Result<Vec<u8>> {
    let mut texts = Vec::new();
    for path in files(Path::new(LICENCES))? {
        let mut text = fs::read(&path).with_context(|| path.display().to_string())?;
        // The last word of a text and the first of the next are two.
        text.push(b'\n');
        texts.push((split(&text).len(), text));
    }
    if texts.iter().all(|(words, _)| *words == 0) {
        bail!("there are no licence texts in {LICENCES}: the job needs a Debian; try --job none");
    }
    let (mut all, mut words) = (Vec::new(), 0);
    for (count, text) in texts.iter().cycle() {
        all.extend_from_slice(text);
        words += count;
        if words >= ENOUGH {
            break;
        }
    }
    Ok(all)
}

/// The files, each once: a name that only points to another file is not another text.
fn files(directory: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{LICENCES} is not there: the job needs a Debian"))?;
    let mut files = BTreeSet::new();
    for entry in entries {
        let path = fs::canonicalize(entry?.path())?;
        if crate::cli::text::is_file(&path) {
            files.insert(path);
        }
    }
    Ok(files)
}

/// Runs of the letters A to Z, large and small: what `tr -cs A-Za-z '\n'` makes lines of.
fn split(text: &[u8]) -> Vec<String> {
    let words = text
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    words
        .map(|word| word.iter().copied().map(char::from).collect())
        .collect()
}

/// The same words as tools count them that know nothing of Starling.
fn plain_tools(file: &Path) -> anyhow::Result<Words> {
    let counted = Command::new("sh")
        .arg("-c")
        .arg(PIPELINE)
        .arg("sh")
        .arg(file)
        .output();
    let counted = counted.context("sh does not run")?;
    if !counted.status.success() {
        bail!(
            "the plain tools failed: {}",
            String::from_utf8_lossy(&counted.stderr).trim()
        );
    }
    parse(&String::from_utf8_lossy(&counted.stdout))
}

/// Lines of `uniq -c`; a text that begins with no letter gives one without a word.
fn parse(counted: &str) -> anyhow::Result<Words> {
    let mut words = Words::new();
    for line in counted.lines() {
        let mut parts = line.split_whitespace();
        let (Some(count), word) = (parts.next(), parts.next()) else {
            continue;
        };
        let count = count
            .parse()
            .with_context(|| format!("uniq printed {line:?}"))?;
        if let Some(word) = word {
            words.insert(word.to_owned(), count);
        }
    }
    Ok(words)
}

pub(super) const WORDS: &str = "words";
const LICENCES: &str = "/usr/share/common-licenses";
const PIPELINE: &str = "export LC_ALL=C; tr -cs 'A-Za-z' '\\n' < \"$1\" | sort | uniq -c";
const ENOUGH: usize = 60_000;
const CLIENTS: usize = 8;
/// How long an increment may be refused before the demo fails.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::{Words, fs, parse, plain_tools, split};

    #[test]
    fn words_are_runs_of_letters() {
        assert_eq!(
            split(b"The GPL-3, isn't\xff it?"),
            ["The", "GPL", "isn", "t", "it"]
        );
    }

    #[test]
    fn plain_tools_count_the_same_words() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("words.txt");
        let text = b"  The cat; the Cat\nthe end 42 \xc3\xa9t\xc3\xa9";
        fs::write(&file, text).unwrap();
        let mut ours = Words::new();
        for word in split(text) {
            *ours.entry(word).or_default() += 1;
        }
        assert_eq!(plain_tools(&file).unwrap(), ours);
    }

    #[test]
    fn a_line_without_a_word_counts_nothing() {
        assert_eq!(
            parse("      1 \n      2 a\n").unwrap(),
            Words::from([("a".to_owned(), 2)])
        );
    }
}
