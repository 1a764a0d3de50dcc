//! The shell on the running cluster: data commands as on the command line, and a few about nodes.
//!
//! Lines are read on a thread of their own, so that the client's connections stay alive while
//! somebody thinks.

use std::io::IsTerminal;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use reedline::{DefaultPrompt, DefaultPromptSegment, Reedline, Signal};
use tokio::sync::mpsc;

use super::cluster::Cluster;
use crate::cli::bucket::BucketCommand;
use crate::cli::connect::Asking;
use crate::cli::data::{DataCommand, Target};
use crate::cli::exit::UsageError;
use crate::cli::output::Output;
use crate::cli::owners::RingCommand;
use crate::cli::text::split_line;
use crate::cli::{examples, inspect, report, status};
use starling::Client;

/// A line of the shell.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    name = "",
    disable_help_flag = true,
    max_term_width = 100
)]
struct Line {
    #[command(flatten)]
    asking: Asking,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Data(Box<DataCommand>),
    /// Make and list buckets.
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Every replica of a key.
    Inspect {
        #[command(flatten)]
        target: Target,
    },
    /// Who owns what.
    #[command(subcommand)]
    Ring(RingCommand),
    /// Kill a node with SIGKILL.
    #[command(name = r"\kill")]
    Kill {
        /// Its number or name.
        node: String,
    },
    /// Start a node again.
    #[command(name = r"\start")]
    Start {
        /// Its number or name.
        node: String,
    },
    /// The cluster at a glance.
    #[command(name = r"\status", alias = "status")]
    Status,
    /// Stop the nodes and leave.
    #[command(name = r"\quit", alias = r"\q")]
    Quit,
    /// This list.
    #[command(name = r"\help", aliases = [r"\h", r"\?"])]
    Help,
}

/// Reads and runs lines until `\quit` or the end of the input.
pub(super) async fn run(
    client: &Client,
    cluster: &mut Cluster,
    output: Output,
) -> anyhow::Result<()> {
    output.line(INVITATION)?;
    let (mut lines, ready) = read_lines();
    while ready.send(()).is_ok() {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = terminal_gone() => None,
        };
        let Some(line) = line else {
            break;
        };
        match execute(&line, client, cluster, output).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => report(&error, output),
        }
    }
    Ok(())
}

/// Waits until the terminal that lines come from is no more, where there was one: the editor would
/// ask it for the next key for ever.
async fn terminal_gone() {
    let was_there = std::io::stdin().is_terminal();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if was_there && !std::io::stdin().is_terminal() {
            return;
        }
    }
}

/// Runs one line; says whether to go on.
async fn execute(
    line: &str,
    client: &Client,
    cluster: &mut Cluster,
    output: Output,
) -> anyhow::Result<bool> {
    let words = split_line(line)?;
    if words.is_empty() {
        return Ok(true);
    }
    let Line { asking, command } = match Line::try_parse_from(words) {
        Ok(line) => line,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let text = text.trim_start_matches("error: ").trim_end().to_owned();
            return Err(UsageError(text).into());
        }
        Err(help) => {
            output.line(help)?;
            return Ok(true);
        }
    };
    let output = if asking.json {
        output.in_json()
    } else {
        output
    };
    if !matches!(command, Command::Data(_)) {
        asking.refuse_session()?;
    }
    match command {
        Command::Data(command) => {
            command.run(client, &asking, output).await?;
        }
        Command::Bucket(command) => {
            command.run(client, output).await?;
        }
        Command::Inspect { target } => {
            inspect::run(client, &target, output).await?;
        }
        Command::Ring(command) => {
            command.run(client, output).await?;
        }
        Command::Kill { node } => {
            let node = cluster.find(&node)?;
            cluster.kill(node).await?;
            output.line(format_args!("{} is killed", cluster.name(node)))?;
        }
        Command::Start { node } => {
            let node = cluster.find(&node)?;
            cluster.start(node).await?;
            output.line(format_args!("{} runs", cluster.name(node)))?;
        }
        Command::Status => {
            status::run(client, output).await?;
        }
        Command::Quit => return Ok(false),
        Command::Help => output.line(help(output))?,
    }
    Ok(true)
}

/// The commands by groups, each with an example.
fn help(output: Output) -> String {
    examples::list(&Line::command(), output) + HELP
}

/// A thread that reads a line whenever it is told to. It ends at the end of the input, or when
/// nobody tells it any more.
fn read_lines() -> (mpsc::UnboundedReceiver<String>, std_mpsc::Sender<()>) {
    let (sender, lines) = mpsc::unbounded_channel();
    let (ready, told) = std_mpsc::channel();
    std::thread::spawn(move || {
        let mut editor = Reedline::create();
        let prompt = DefaultPrompt::new(
            DefaultPromptSegment::Basic("demo".to_owned()),
            DefaultPromptSegment::Empty,
        );
        while told.recv().is_ok() {
            let line = match editor.read_line(&prompt) {
                Ok(Signal::Success(line)) => line,
                // Ctrl-C takes back what was typed.
                Ok(Signal::CtrlC) => String::new(),
                Ok(_) | Err(_) => break,
            };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (lines, ready)
}

/// How often to look whether the terminal is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const INVITATION: &str = r"
Try:  get packages bash:amd64   ·   get words the   ·   inspect words the   ·   \kill 2   ·
      incr words the   ·   \start 2   ·   \status   ·   \help";

const HELP: &str = r#"
Nodes
  \kill N   \start N   \status   \help   \quit

All options of the command line work here too; 'quotes' and "quotes" hold words together."#;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Command, Line, Parser, help};
    use crate::cli::examples::GROUPS;
    use crate::cli::output::{Color, Output};
    use crate::cli::text::split_line;

    #[test]
    fn the_lines_grammar_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn lines_are_read_like_the_command_line() {
        let parse = |line: &str| {
            Line::try_parse_from(split_line(line).unwrap())
                .unwrap()
                .command
        };
        assert!(matches!(parse(r"\kill 2"), Command::Kill { node } if node == "2"));
        assert!(matches!(
            parse("put users ada '{\"a\": 1}' -w 3"),
            Command::Data(_)
        ));
        assert!(matches!(parse("incr words the -5"), Command::Data(_)));
        assert!(matches!(
            parse("inspect words the"),
            Command::Inspect { .. }
        ));
        assert!(matches!(parse(r"\q"), Command::Quit));
    }

    #[test]
    fn the_help_shows_lines_that_the_shell_takes_and_what_they_do() {
        let help = help(Output::new(false, Color::Never));
        for row in GROUPS.iter().flat_map(|group| group.rows) {
            let (_, behind) = help.split_once(&format!("  {row}\n")).unwrap();
            let about = behind.lines().next().unwrap();
            assert!(about.trim().len() > 10, "{row}: {about:?}");
            if let Err(error) = Line::try_parse_from(split_line(row).unwrap()) {
                panic!("{row}: {error}");
            }
        }
    }
}
