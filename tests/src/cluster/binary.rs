//! Where the `starling` binary is, and the client's examples.
//!
//! Cargo tells only the node's own package where its binary is, and the clusters here are of
//! another one. So cargo itself is asked to build it, in the profile, with the features and into
//! the target directory of this test, which is quick if that is done already. `STARLING_BINARY`
//! names another one instead.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};
use serde_json::Value;

/// The path of the `starling` binary, built at the first call.
///
/// # Errors
/// If cargo cannot build it; the error has what cargo said.
pub fn starling() -> anyhow::Result<PathBuf> {
    match env::var_os("STARLING_BINARY") {
        Some(binary) => Ok(PathBuf::from(binary)),
        None => executable("starling"),
    }
}

/// The path of one of the client's examples, built at the first call.
///
/// # Errors
/// If cargo cannot build it, or there is none of that name.
pub fn example(name: &str) -> anyhow::Result<PathBuf> {
    executable(name)
}

fn executable(name: &str) -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let built = built.as_ref().map_err(anyhow::Error::msg)?;
    let found = built.iter().find(|(built, _)| built == name);
    let (_, path) = found.with_context(|| format!("cargo did not build {name}"))?;
    Ok(path.clone())
}

/// What cargo built: the names of targets and their files.
type Built = Vec<(String, PathBuf)>;

/// Builds the binary and the examples. Both at once and of the whole workspace, because then the
/// crates beneath have the features with which `cargo test --workspace` has built them already.
fn build() -> anyhow::Result<Built> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--workspace", "--locked", "--message-format=json"])
        .args(["--bin", "starling", "--examples"]);
    if !cfg!(feature = "rocksdb") {
        command.arg("--no-default-features");
    }
    let profile = profile_directory()?;
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let target = profile.parent().context("a profile is in a target")?;
    command.env("CARGO_TARGET_DIR", target);
    // Set for this test by the cargo that runs it; that one would not set them for a build.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command.output().context("cargo cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cargo cannot build the binary and the examples: {said}");
    }
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// The executables in cargo's messages, one message a line.
fn executables(messages: &str) -> Built {
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let file = message.get("executable")?.as_str()?;
        let name = message.get("target")?.get("name")?.as_str()?;
        Some((name.to_owned(), PathBuf::from(file)))
    };
    messages.lines().filter_map(executable).collect()
}

/// `target/debug` or `target/release`: two above this test, which is in `deps`.
fn profile_directory() -> anyhow::Result<PathBuf> {
    let test = env::current_exe().context("this test has no path")?;
    let directory = test.ancestors().nth(2);
    Ok(directory.context("tests are in target/*/deps")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{PathBuf, executables};

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"starling\"},\
                        \"executable\":\"/t/starling\"}\nnot json\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":null}\n";
        let expected = vec![("starling".to_owned(), PathBuf::from("/t/starling"))];
        assert_eq!(executables(messages), expected);
    }
}
