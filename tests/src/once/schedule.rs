//! Every schedule of a few steps: one operation, tried at two owners, and what can come between.

use bytes::Bytes;

use super::asked::{Asked, edit};
use super::owner::prefix;
use super::world::{Setting, World};
use crdt::Context;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use starling_node::protocol::vnode::Action;

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduled {
    /// The operation is tried at this owner, by a client that finds a place of its own for what
    /// goes into a list.
    Try(usize),
    /// Somebody removes all that this owner shows of the key.
    Remove(usize),
    /// Somebody puts another value over all that this owner shows of the key.
    Overwrite(usize),
    /// The one owner pulls from the other.
    Pull(usize, usize),
    /// This owner begins anew.
    Crash(usize),
    /// All compare their clocks and do their housekeeping.
    Tend,
}

/// Runs every schedule of `depth` steps that begins with a try at the first owner. Returns how
/// many there were.
///
/// # Errors
/// The first schedule that departs from the oracle.
pub fn every_schedule(depth: usize) -> Result<usize, String> {
    let mut count = 0;
    let mut schedule = vec![0; depth.saturating_sub(1)];
    loop {
        let steps = schedule.iter().map(|&index| STEPS[index]);
        let steps: Vec<Scheduled> = [Scheduled::Try(0)].into_iter().chain(steps).collect();
        run(&steps).map_err(|what| format!("{steps:?}: {what}"))?;
        count += 1;
        let Some(place) = schedule.iter().position(|&index| index + 1 < STEPS.len()) else {
            return Ok(count);
        };
        schedule[place] += 1;
        schedule[..place].fill(0);
    }
}

fn run(steps: &[Scheduled]) -> Result<(), String> {
    let setting = Setting {
        owners: 2,
        loss: 100,
    };
    let mut world = World::new(0, setting);
    let all = vec![
        edit(&["count"], Action::Increment(1)),
        edit(&["value"], Action::Put(Bytes::from_static(b"first"))),
        edit(
            &["set"],
            Action::each(Leaf::Element, vec!["x".into()], &Update::Add),
        ),
        edit(
            &["list"],
            Action::each(
                Leaf::Item,
                vec!["x".into()],
                &Update::Insert("first".into()),
            ),
        ),
        edit(
            &["register"],
            Action::one(Leaf::Register, Update::Assign("first".into())),
        ),
    ];
    world
        .asked
        .push(Asked::new(1, KEY, Context::default(), all));
    for &step in steps {
        match step {
            Scheduled::Try(at) => {
                world.asked[0].insert_at(["x", "y"][at]);
                world.attempt(0, at)?;
            }
            Scheduled::Remove(at) => ask(&mut world, at, Action::Clear(None), &[])?,
            Scheduled::Overwrite(at) => {
                let put = Action::Put(Bytes::from_static(b"second"));
                ask(&mut world, at, put, &["value"])?;
            }
            Scheduled::Pull(to, from) => world.pull_at_once(to, from),
            Scheduled::Crash(at) => world.crash(at),
            Scheduled::Tend => {
                world.compare(0, 1);
                world.compare(1, 0);
                world.tend(0);
                world.tend(1);
            }
        }
        world.asked[0].command.age_ms = 1_000;
    }
    world.finish()
}

/// An operation of its own, over what its owner shows.
fn ask(world: &mut World, at: usize, action: Action, names: &[&'static str]) -> Result<(), String> {
    let seen = world.owners[at].seen(&prefix(KEY));
    let id = 1 + world.asked.len() as u64;
    let asked = Asked::new(id, KEY, seen, vec![edit(names, action)]);
    world.asked.push(asked);
    world.attempt(world.asked.len() - 1, at)
}

const STEPS: &[Scheduled] = &[
    Scheduled::Try(0),
    Scheduled::Try(1),
    Scheduled::Remove(0),
    Scheduled::Remove(1),
    Scheduled::Overwrite(1),
    Scheduled::Pull(0, 1),
    Scheduled::Pull(1, 0),
    Scheduled::Crash(0),
    Scheduled::Tend,
];
const KEY: u8 = 0;
