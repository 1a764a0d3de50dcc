//! Errors: what happened, was it applied, may I send it again?
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client
        .create_bucket("example-orders")
        .kind(Kind::Counter)
        .await?;
    let orders = client.bucket("example-orders").counter("total");

    // Some mistakes are found before anything is sent, some by a node. Neither is retried.
    let missing = client
        .bucket("no-such-bucket")
        .get("x")
        .await
        .expect_err("it does not exist");
    println!("{missing}");
    assert_eq!(
        (missing.kind(), missing.is_retryable()),
        (ErrorKind::UnknownBucket, false)
    );
    let wrong = client.bucket("example-orders").put("total", "text").await;
    let wrong = wrong.expect_err("the bucket holds counters");
    println!("{wrong}");
    assert_eq!(
        (wrong.kind(), wrong.outcome()),
        (ErrorKind::WrongKind, Outcome::NotApplied)
    );

    // A name of our own makes an operation the same one even after this process was restarted.
    let operation = client.next_operation();
    let before = orders.read().await?.value();
    for attempt in 1..=2 {
        let written = orders.add(1).operation_id(operation).await?;
        println!("attempt {attempt}: repeated = {}", written.is_repeated());
    }
    assert_eq!(orders.read().await?.value() - before, 1, "it counts once");

    // What the client has retried in vain comes as one error, which says what is known.
    match orders.add(1).timeout(Duration::from_millis(500)).await {
        Ok(written) => println!("applied at {} replicas", written.acks()),
        Err(error) => match (error.outcome(), error.operation()) {
            (Outcome::NotApplied, _) => println!("nothing happened: {error}"),
            (Outcome::MaybeApplied | Outcome::AppliedBelowQuorum { .. }, Some(operation)) => {
                // The same name again: safe, however often.
                orders.add(1).operation_id(operation).await?;
            }
            (Outcome::MaybeApplied | Outcome::AppliedBelowQuorum { .. }, None) => {
                return Err(error.into());
            }
        },
    }
    client.close().await;
    Ok(())
}
