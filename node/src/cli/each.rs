//! The same question to every node: each speaks for itself alone.

use std::future::IntoFuture;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::JoinSet;

use starling::{Ask, Client, Error};

/// What one node answered, or did not, by its name.
pub(crate) type Answer<T> = (String, Result<T, Error>);

/// Asks every node, and gives the answers by the order of their names.
pub(crate) async fn ask_each<T: Send + 'static>(
    client: &Client,
    question: impl Fn(&Client) -> Ask<T>,
) -> Vec<Answer<T>> {
    let mut asked = JoinSet::new();
    for node in client.topology().nodes() {
        let question = question(client).on_node(node.node).timeout(PATIENCE);
        let (name, answer) = (node.name.clone(), question.into_future());
        asked.spawn(async move { (name, answer.await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    answers
}

/// An error if no node has answered.
pub(crate) fn check_any<T>(answers: Vec<Answer<T>>) -> anyhow::Result<Vec<Answer<T>>> {
    if answers.iter().any(|(_, answer)| answer.is_ok()) {
        return Ok(answers);
    }
    let mut errors = answers.into_iter().filter_map(|(_, answer)| answer.err());
    let error = errors.next().map(anyhow::Error::from);
    Err(error.unwrap_or_else(|| anyhow!("the cluster has no nodes")))
}

/// A node that does not answer in this time is shown as one that does not.
const PATIENCE: Duration = Duration::from_secs(1);
