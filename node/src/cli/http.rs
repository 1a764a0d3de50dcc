//! Just enough of HTTP to ask a node on this machine for its health.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    /// The text of the answer.
    pub(crate) body: String,
}

impl Answer {
    /// Whether the answer is a yes.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Asks for a path, and reads at most [`LONGEST`] bytes of the answer.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(LONGEST).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = tokio::time::timeout(PATIENCE, asked)
        .await
        .context("no answer")??;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> anyhow::Result<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    match status {
        Some(status) => Ok(Answer {
            status,
            body: body.to_owned(),
        }),
        None => bail!("the answer is no HTTP"),
    }
}

const LONGEST: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nno ring").unwrap();
        assert!(!answer.is_success());
        assert_eq!(answer.body, "no ring");
        assert!(parse("HTTP/1.1 200 OK\r\n\r\n").unwrap().is_success());
        assert!(parse("SSH-2.0").is_err());
    }
}
