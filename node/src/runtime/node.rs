//! A running node: two threads, and the handle by which it is stopped.
//!
//! The `network` thread runs the node loop, the connections and the HTTP server on one
//! current-thread runtime (more threads cost three times the CPU); the `committer`
//! thread owns the replica and writes the store. Several nodes can live in one process: nothing is
//! global.

use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc as threads;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::accept::Closing;
use super::assemble::{Network, Ports, open};
use super::event::Event;
use super::shell::Shell;
use super::start::{Opened, StartError};
use crate::config::Config;
use crate::store::{DirectoryError, StoreError};
use ring::NodeId;
use starling::transport::CloseCode;

/// A running node. Dropping the handle stops it like [`Node::shutdown`].
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    quic: SocketAddr,
    http: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), StopError>>>,
}

/// Tells a node to stop, from any thread and more than once if need be.
#[derive(Clone, Debug)]
pub struct Stopper {
    inbox: mpsc::UnboundedSender<Event>,
}

/// A node that did not end in order. What was acknowledged as `wal` or `synced` is on the disk; the
/// next start recovers as after a crash.
#[derive(Debug)]
pub enum StopError {
    /// The store could not be synced at the end.
    Store(StoreError),
    /// The directory could not be marked.
    Directory(DirectoryError),
    /// The network thread failed.
    Failed,
}

impl Node {
    /// Starts a node and returns when its ports are open.
    ///
    /// # Errors
    /// When anything that the configuration names cannot be used. Nothing runs then.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let opened = Opened::new(config)?;
        let id = opened.node();
        let (ready, started) = threads::sync_channel(1);
        let thread = thread::Builder::new().name("network".to_owned());
        let thread = thread.spawn(move || run(opened, &ready)).map_err(system)?;
        match started.recv() {
            Ok(Ok(Ports { quic, http, inbox })) => {
                let stopper = Stopper { inbox };
                Ok(Self {
                    id,
                    quic,
                    http,
                    stopper,
                    thread: Some(thread),
                })
            }
            Ok(Err(error)) => {
                // It ends by itself, with what it could not open.
                thread.join().ok();
                Err(error)
            }
            Err(threads::RecvError) => Err(StartError::System {
                reason: "the network thread failed".to_owned(),
            }),
        }
    }

    /// The node's number, from its certificate.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.id
    }

    /// Where clients and nodes connect.
    #[must_use]
    pub fn quic_address(&self) -> SocketAddr {
        self.quic
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// What tells this node to stop, for a signal handler.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops the node in order: it is not ready any more, takes no newcomers and no requests,
    /// finishes what is under way (for at most `limits.drain`), syncs its store and ends.
    ///
    /// # Errors
    /// When the end was not clean.
    pub fn shutdown(self) -> Result<(), StopError> {
        self.stopper.stop();
        self.wait()
    }

    /// Waits until the node has ended.
    ///
    /// # Errors
    /// When the end was not clean.
    pub fn wait(mut self) -> Result<(), StopError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), StopError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or(Err(StopError::Failed))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Err(error) = self.join() {
            tracing::error!(%error, "a node did not end in order");
        }
    }
}

impl Stopper {
    /// Begins the shutdown and returns at once.
    pub fn stop(&self) {
        // A node that has ended needs no telling.
        self.inbox.send(Event::Stop).ok();
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Directory(error) => error.fmt(f),
            Self::Failed => f.write_str(
                "the network thread failed; what was acknowledged as `wal` or `synced` is on the \
                 disk: start the node again, and report what its log says",
            ),
        }
    }
}

impl std::error::Error for StopError {}

/// The network thread.
fn run(
    opened: Opened,
    ready: &threads::SyncSender<Result<Ports, StartError>>,
) -> Result<(), StopError> {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // If nobody waits for it any more, nobody wants the node.
            ready.send(Err(system(error))).ok();
            return Ok(());
        }
    };
    match runtime.block_on(open(opened)) {
        Ok((network, ports)) => {
            ready.send(Ok(ports)).ok();
            drive(&runtime, network)
        }
        Err(error) => {
            ready.send(Err(error)).ok();
            Ok(())
        }
    }
}

/// Runs the loop until it ends, and then closes everything in order.
fn drive(runtime: &Runtime, network: Network) -> Result<(), StopError> {
    let Network {
        endpoint,
        accepting,
        closing,
        shell,
        inbox,
        words,
        directory,
    } = network;
    let shell = runtime.block_on(async {
        let shell = shell.run(inbox, words, &closing).await;
        closing.send_replace(Closing::All);
        // Connections that do not take their last answers in time are cut off.
        tokio::time::timeout(LAST_ANSWERS, accepting).await.ok();
        endpoint.close(CloseCode::SHUTDOWN, "the node stops").await;
        shell
    });
    let Shell {
        committer, store, ..
    } = shell;
    committer.stop().map_err(StopError::Store)?;
    drop(store);
    directory.mark_clean().map_err(StopError::Directory)?;
    tracing::info!("stopped in order");
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn system(error: std::io::Error) -> StartError {
    StartError::System {
        reason: error.to_string(),
    }
}

/// How long the connections may take to deliver their last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
