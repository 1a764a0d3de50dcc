//! Counters and sets: they merge by themselves, whoever changes them and where.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;

    client
        .create_bucket("example-hits")
        .kind(Kind::Counter)
        .await?;
    let hits = client.bucket("example-hits").counter("/home");
    let before = hits.read().await?.value();
    // Ten increments at once, from two handles; each counts once, also when it is retried.
    let (left, right) = (hits.clone(), hits.clone());
    let add = |counter: starling::Counter| async move {
        for _ in 0..5 {
            counter.add(1).await?;
        }
        Ok::<_, Error>(())
    };
    tokio::try_join!(add(left), add(right))?;
    hits.add(-3).await?;
    let after = hits.read().await?.value();
    println!("the counter went from {before} to {after}");
    assert_eq!(after - before, 7);

    client.create_bucket("example-tags").kind(Kind::Set).await?;
    let tags = client.bucket("example-tags").set("post-42");
    // All elements of one write arrive together.
    tags.add("rust").add("kv").add("draft").await?;
    tags.remove("draft").await?;
    let members = tags.members().await?;
    println!("the set has {} elements", members.len());
    assert!(members.contains("rust") && members.contains("kv") && !members.contains("draft"));
    assert!(tags.contains("kv").await?);
    client.close().await;
    Ok(())
}
