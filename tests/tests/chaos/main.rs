//! Five real nodes, each in a network namespace with a disk and a clock of its own, under cuts,
//! loss, SIGSTOP, `kill -9`, full disks and wrong clocks, while clients write; then everything is
//! healed, and the history is checked (`docs/testing.md`, "Real faults" and "Histories").
//!
//! A run is rounds. Each draws its faults from a seed, heals, waits until the replicas are equal,
//! and is judged by itself. `STARLING_CHAOS_SECONDS` makes the run longer; `STARLING_CHAOS_SEED`
//! is the seed of the first round, so that of a failed round makes it the first. It repeats what
//! was done when; what the kernel and the clocks made of it does not repeat.
//!
//! With `STARLING_CHAOS_CARELESS=1` the nodes keep their data in memory, and the test must fail:
//! that shows that the checker finds what is lost.
//!
//! Where network namespaces cannot be made the tests say why, and pass.
#![cfg(feature = "rocksdb")]

mod ballast;
mod full;
mod nemesis;
mod plan;
mod real;
mod summary;

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use nemesis::Nemesis;
use plan::{Fault, Plan};
use starling::{Client, Kind};
use starling_tests::asked::number;
use starling_tests::cluster::Engine;
use starling_tests::netns::{Sandbox, enter};
use starling_tests::workload::{BUCKETS, Session, Shared, Verdict, clients, judge, make_bucket};
use summary::Summary;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_counts_twice_under_real_faults() -> anyhow::Result<()> {
    let name = "nothing_acknowledged_is_lost_and_nothing_counts_twice_under_real_faults";
    if !is_inside(name)? {
        return Ok(());
    }
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

/// Whether the test of this name is in its sandbox; outside there is nothing left to do for it.
fn is_inside(name: &str) -> anyhow::Result<bool> {
    let place = enter(name)?;
    if let Sandbox::Missing(reason) = &place {
        // Who says for how long wants real faults.
        let is_wanted = number("STARLING_CHAOS_SECONDS").is_some();
        ensure!(!is_wanted, "{name} cannot be run here: {reason}");
        say(&format!("SKIPPED {name}: {reason}"))?;
    }
    Ok(place == Sandbox::Inside)
}

/// Rounds until the time is up.
async fn run() -> anyhow::Result<()> {
    let time = Duration::from_secs(number("STARLING_CHAOS_SECONDS").unwrap_or(25));
    let first = number("STARLING_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("STARLING_CHAOS_SEED={first}, {time:?}");
    let began = Instant::now();
    let engine = match env::var_os("STARLING_CHAOS_CARELESS") {
        Some(_) => Engine::Memory,
        None => Engine::Rocks,
    };
    let mut nemesis = Nemesis::start(engine).await?;
    if !nemesis.has_clocks() {
        say("chaos: no wrong clocks, because libfaketime is not installed (apt: libfaketime)")?;
    }
    let client = nemesis.cluster.client().await?;
    for (bucket, kind) in BUCKETS {
        make_bucket(&nemesis.cluster, &client, bucket, *kind).await?;
    }
    make_bucket(&nemesis.cluster, &client, ballast::BUCKET, Kind::Value).await?;
    let mut summary = Summary::default();
    for seed in (0..).map(|round| first.wrapping_add(round)) {
        let plan = Plan::draw(seed);
        let verdict = round(&mut nemesis, &client, seed, &plan).await;
        let verdict =
            verdict.with_context(|| format!("the round of STARLING_CHAOS_SEED={seed}"))?;
        summary.add(&plan, &verdict);
        if began.elapsed() >= time {
            break;
        }
    }
    println!(
        "\nSTARLING_CHAOS_SEED={first}, {:.0?}\n\n{summary}",
        began.elapsed()
    );
    // A run in which nothing goes through shows nothing.
    let tally = summary.tally();
    ensure!(tally.acknowledged > 200, "too few writes: {tally}");
    nemesis.cluster.finish()
}

/// Faults under load, the heal, and the judgement.
async fn round(
    nemesis: &mut Nemesis,
    client: &Client,
    seed: u64,
    plan: &Plan,
) -> anyhow::Result<Verdict> {
    println!("\nround of seed {seed}, {:.1?}:", plan.window);
    for episode in &plan.episodes {
        let (begin, end) = (episode.begin.as_secs_f64(), episode.end.as_secs_f64());
        println!("  {begin:>4.1} s to {end:>4.1} s  {}", episode.fault);
    }
    let shared = Arc::new(Shared::new(&format!("{seed:016x}-")));
    let mut work = JoinSet::new();
    for number in 0..SESSIONS {
        let clients = clients(&nemesis.cluster).await?;
        work.spawn(Session::new(number, seed, clients, Arc::clone(&shared)).run());
    }
    if plan.fills_a_disk() {
        let [_, once] = clients(&nemesis.cluster).await?;
        work.spawn(ballast::press(once, Arc::clone(&shared)));
    }
    let outcome = torment(nemesis, plan).await;
    shared.stop();
    while let Some(ended) = work.join_next().await {
        ended?;
    }
    outcome?;
    let verdict = judge(&nemesis.cluster, client, &shared).await?;
    let (equal, settled) = (verdict.equal_after, verdict.settled_after);
    println!("  {}", verdict.tally);
    println!("  equal after {equal:.1?}, checked after {settled:.1?}");
    print!("{}", shared.failures());
    verdict.ensure_sound(seed)?;
    let may_be_refused = plan.fills_a_disk();
    ensure!(
        may_be_refused || shared.refused_retries() == 0,
        "a retry was refused for good"
    );
    Ok(verdict)
}

/// Carries a plan out, and heals.
async fn torment(nemesis: &mut Nemesis, plan: &Plan) -> anyhow::Result<()> {
    let start = tokio::time::Instant::now();
    let mut filled = BTreeSet::new();
    for moment in plan.moments() {
        tokio::time::sleep_until(start + moment).await;
        let active = plan.active_at(moment);
        nemesis.enact(&active)?;
        filled.extend(active.iter().filter_map(|fault| match fault {
            Fault::FullDisk { node } => Some(*node),
            _ => None,
        }));
    }
    tokio::time::sleep_until(start + plan.window).await;
    nemesis.heal(&filled).await
}

/// Says something to whoever runs the tests, who does not see what a test that passes prints.
fn say(message: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{message}").context("stderr")
}

const SESSIONS: usize = 8;
