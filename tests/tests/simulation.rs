//! Simulation: whole clusters in virtual time, seed after seed.
//!
//! | variable | what it does |
//! |---|---|
//! | `STARLING_SEEDS=n` | runs n fresh seeds; without it none |
//! | `STARLING_FIRST=n` | begins the fresh seeds at n instead of at random |
//! | `STARLING_GO_ON=1` | runs all seeds and fails at the end, to see how many fail and how |
//! | `STARLING_SEED=n` | what [`replay`] runs, with every step printed should it fail |

use std::time::Instant;

use starling_tests::asked::number;
use starling_tests::sim;

#[test]
fn fixed_seeds_keep_every_promise() {
    let tally = run(0..FIXED);
    assert_eq!(
        tally.missing(),
        [""; 0],
        "these paths were never walked:\n{tally}"
    );
}

#[test]
fn seeds_that_once_failed_keep_every_promise() {
    run(ONCE_FAILED.iter().copied());
}

/// Runs only when asked for, by `make sim`: what must pass has to repeat.
#[test]
fn fresh_seeds_keep_every_promise() {
    let Some(count) = number("STARLING_SEEDS") else {
        return;
    };
    let first = number("STARLING_FIRST").unwrap_or_else(|| u64::from(fastrand::u32(..)) << 16);
    run(first..first.saturating_add(count));
}

#[test]
fn equal_seeds_have_equal_traces() {
    for seed in 0..25 {
        let traces = [sim::run(seed), sim::run(seed)].map(|run| match run {
            Ok(report) => report.trace,
            Err(failure) => failure.trace,
        });
        assert_eq!(traces[0], traces[1], "seed {seed} took two ways");
    }
}

#[test]
fn replay() {
    let Some(seed) = number("STARLING_SEED") else {
        return;
    };
    match sim::replay(seed) {
        Ok(report) => println!(
            "seed {seed} passes, trace {:016x}\n{}",
            report.trace, report.tally
        ),
        Err(failure) => {
            failure.lines.iter().for_each(|line| println!("{line}"));
            panic!("{failure}");
        }
    }
}

/// Runs seeds, and says which and how fast.
fn run(seeds: impl IntoIterator<Item = u64>) -> sim::Tally {
    let began = Instant::now();
    let mut tally = sim::Tally::default();
    let (mut first, mut last, mut failures) = (None, 0, 0);
    let goes_on = number("STARLING_GO_ON").is_some();
    for seed in seeds {
        match sim::run(seed) {
            Ok(report) => tally.join(&report.tally),
            Err(failure) if goes_on => {
                println!("{failure}");
                failures += 1;
            }
            Err(failure) => panic!("{failure}"),
        }
        first.get_or_insert(seed);
        last = seed;
    }
    let (runs, took) = (tally.of("a run ended"), began.elapsed().as_secs_f64());
    println!(
        "{runs} seeds from {} to {last} in {took:.0} s:\n{tally}",
        first.unwrap_or(0)
    );
    assert_eq!(failures, 0, "so many seeds failed");
    tally
}

/// How many seeds run every time, from 0.
const FIXED: u64 = 3_000;

/// Seeds that found something while the simulator and the vnode grew up.
const ONCE_FAILED: &[u64] = &[
    333,
    353,
    413,
    417,
    473,
    478,
    513,
    1_206,
    1_363,
    1_667,
    2_094,
    2_211,
    2_373,
    2_509,
    2_613,
    2_717,
    2_897,
    3_311,
    3_862,
    3_920,
    4_623,
    4_634,
    6_770,
    8_884,
    21_968,
    22_441,
    23_654,
    24_310,
    25_141,
    27_457,
    27_469,
    27_870,
    304_535,
    7_006_202,
    910_003_771,
    910_006_136,
    940_011_282,
    970_007_107,
    700_000_004_621,
    700_000_010_014,
    800_000_010_066,
    215_008_035_147_251,
    1_200_001_747,
    3_000_032_265,
    3_000_047_697,
    3_000_055_423,
    3_000_094_428,
    3_000_114_160,
    3_000_117_068,
];
