//! A test in a sandbox: it starts itself again, alone, as the first process of new namespaces.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

use anyhow::{Context, ensure};

use super::command::run;
use crate::cluster::starling;

/// Where a test is.
#[derive(Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// Inside: it may do as it likes.
    Inside,
    /// Outside, and the same test has succeeded inside.
    Done,
    /// Outside, and there can be no sandbox here, for this reason.
    Missing(String),
}

/// Runs the test of this name (with its modules, as `cargo test` prints it) in a sandbox of its
/// own, and shows what it prints. The test must call this first, and only go on if it is told that
/// it is inside.
///
/// # Errors
/// If the test fails inside, or has another name.
pub fn enter(test: &str) -> anyhow::Result<Sandbox> {
    if env::var_os(INSIDE).is_some() {
        return inside();
    }
    let namespaces = match namespaces() {
        Ok(namespaces) => namespaces,
        Err(error) => return Ok(Sandbox::Missing(format!("{error:#}"))),
    };
    // Here, because there is no cargo to ask without the outer network and processes.
    let binary = starling()?;
    // Removed here, for the sandbox may end without notice.
    let directory = tempfile::Builder::new()
        .prefix("starling-netns-")
        .tempdir()?;
    let mut command = Command::new("unshare");
    command
        .args(namespaces)
        .arg(env::current_exe().context("this test has no path")?)
        .args([test, "--exact", "--nocapture", "--test-threads", "1"])
        .env(INSIDE, "1")
        .env("STARLING_BINARY", binary)
        .env("TMPDIR", directory.path())
        // Held open by this process, so that it closes with it.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = Process(command.spawn().context("unshare")?);
    let mut has_run = false;
    if let Some(output) = process.0.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            has_run |= line.starts_with("running 1 test");
            println!("{line}");
        }
    }
    let status = process.0.wait()?;
    ensure!(has_run, "there is no test of the name {test}");
    ensure!(status.success(), "the test failed in its sandbox: {status}");
    Ok(Sandbox::Done)
}

/// Prepares the sandbox, in its first process.
fn inside() -> anyhow::Result<Sandbox> {
    let watch = || {
        let mut input = std::io::stdin().lock();
        // Ends when the outer process does; an error is an end too.
        while input.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        std::process::exit(1);
    };
    thread::Builder::new()
        .name("parent".to_owned())
        .spawn(watch)?;
    run(&["mount", "-t", "tmpfs", "tmpfs", "/run"])?;
    fs::create_dir("/run/netns").context("the directory of namespaces")?;
    // `libfaketime` names what it keeps there by numbers of processes, and those repeat.
    run(&["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"])?;
    Ok(Sandbox::Inside)
}

/// Arguments of `unshare` with which everything can be done that a sandbox is for.
fn namespaces() -> anyhow::Result<Vec<&'static str>> {
    let mut outcome = Ok(Vec::new());
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let arguments = [user, NAMESPACES].concat();
        let words = [&["unshare"], &arguments[..], &["sh", "-euc", PROBE]].concat();
        match run(&words) {
            Ok(_) => return Ok(arguments),
            Err(error) => outcome = Err(error),
        }
    }
    outcome.context(NEEDED)
}

/// A process that does not outlive us; what it has started inside of the sandbox goes with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // If it has ended already, all is well.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What is said where there can be no sandbox, before the reason.
const NEEDED: &str = "there are no network namespaces to be had; they take Linux, root or user \
                      namespaces, and unshare, mount, ip (iproute2) and nft (nftables); on Debian: \
                      apt-get install iproute2 nftables libfaketime";
const INSIDE: &str = "STARLING_SANDBOX";
const NAMESPACES: &[&str] = &[
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];
/// One of each thing that a test may do: not every kernel has all of them, nor every container.
const PROBE: &str = "
    mount -t tmpfs tmpfs /run
    mount -t tmpfs -o remount,size=1m tmpfs /run
    mount -t tmpfs tmpfs /dev/shm
    mkdir /run/netns
    ip netns add probe
    ip link add bridge type bridge
    ip link add here type veth peer name there netns probe
    ip link set here master bridge
    ip netns exec probe nft -f - <<'RULES'
table inet probe {
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr 10.77.0.1 meta l4proto udp numgen random mod 100 < 30 drop
  }
}
RULES
";
