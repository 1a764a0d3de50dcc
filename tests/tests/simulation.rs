//! Simulation: whole clusters in virtual time, seed after seed.

use starling_tests::sim;

#[test]
fn replay() {
    let Ok(seed) = std::env::var("STARLING_SEED") else {
        return;
    };
    let seed = seed.parse().expect("a seed is a number");
    match sim::replay(seed) {
        Ok(report) => println!(
            "seed {seed} passes, trace {:x}\n{}",
            report.trace, report.tally
        ),
        Err(failure) => {
            failure.lines.iter().for_each(|line| println!("{line}"));
            panic!("{failure}");
        }
    }
}

#[test]
fn dev() {
    let n: u64 = std::env::var("STARLING_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let from: u64 = std::env::var("FROM")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut tally = sim::Tally::default();
    let mut bad = 0;
    let began = std::time::Instant::now();
    for seed in from..from + n {
        match sim::run(seed) {
            Ok(report) => tally.join(&report.tally),
            Err(failure) => {
                bad += 1;
                println!("{failure}\n");
            }
        }
    }
    println!(
        "{tally}\nmissing {:?}\n{bad} of {n} bad, {:?}",
        tally.missing(),
        began.elapsed()
    );
}
