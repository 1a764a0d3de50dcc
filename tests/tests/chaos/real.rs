//! Faults that do nothing would let every test pass: here each is seen at work by itself.

use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::is_inside;
use starling_tests::netns::{Clocks, Disk, End, Links, Network};

#[test]
fn a_cut_takes_the_packets_of_one_direction() -> anyhow::Result<()> {
    if !is_inside("real::a_cut_takes_the_packets_of_one_direction")? {
        return Ok(());
    }
    let mut network = Network::make(2)?;
    ensure!(is_heard(&network)?, "without a fault");
    let mut links = Links::default();
    links.cut(End::Clients, End::Node(0));
    links.cut(End::Node(1), End::Clients);
    network.set(&links)?;
    ensure!(
        is_heard(&network)?,
        "the other direction and the other node are cut"
    );
    links.cut(End::Node(0), End::Clients);
    network.set(&links)?;
    ensure!(!is_heard(&network)?, "a cut let a packet through");
    network.set(&Links::default())?;
    ensure!(is_heard(&network)?, "after the heal");
    Ok(())
}

#[test]
fn a_full_disk_takes_nothing_until_it_has_room_again() -> anyhow::Result<()> {
    if !is_inside("real::a_full_disk_takes_nothing_until_it_has_room_again")? {
        return Ok(());
    }
    let disk = Disk::make(Path::new("/run/disks/n1"))?;
    let (old, new) = (disk.path().join("old"), disk.path().join("new"));
    fs::write(&old, [1; 100_000])?;
    disk.fill()?;
    let error = fs::write(&new, [2; 100_000])
        .err()
        .context("there is room")?;
    ensure!(error.kind() == ErrorKind::StorageFull, "{error}");
    ensure!(fs::read(&old)? == [1; 100_000], "what was there is lost");
    disk.empty()?;
    fs::write(&new, [2; 100_000]).context("there is no room")
}

#[test]
fn a_wrong_clock_concerns_one_node() -> anyhow::Result<()> {
    if !is_inside("real::a_wrong_clock_concerns_one_node")? {
        return Ok(());
    }
    // The main test says that it goes without.
    let Some(clocks) = Clocks::find(Path::new("/run/clocks"))? else {
        return Ok(());
    };
    clocks.set("n1", 300)?;
    let ahead = seconds(&clocks, "n1")? - seconds(&clocks, "n2")?;
    ensure!((298..=302).contains(&ahead), "{ahead} s ahead");
    clocks.set("n1", -300)?;
    let ahead = seconds(&clocks, "n1")? - seconds(&clocks, "n2")?;
    ensure!((-302..=-298).contains(&ahead), "{ahead} s ahead");
    clocks.sweep()
}

/// Whether the clients hear the first node.
fn is_heard(network: &Network) -> anyhow::Result<bool> {
    let socket = UdpSocket::bind((End::Clients.address(), 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let address = socket.local_addr()?;
    let (to, port) = (address.ip(), address.port());
    let mut words = network.launcher(0);
    words.extend(["bash", "-c"].map(Into::into));
    words.push(format!("echo heard >/dev/udp/{to}/{port}").into());
    let (program, arguments) = words.split_first().context("a command has a word")?;
    ensure!(Command::new(program).args(arguments).status()?.success());
    Ok(socket.recv(&mut [0; 16]).is_ok())
}

/// What the time is at a node.
fn seconds(clocks: &Clocks, node: &str) -> anyhow::Result<i64> {
    let environment = clocks.environment(node);
    let output = Command::new("date").arg("+%s").envs(environment).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().context("date gives a number")
}
