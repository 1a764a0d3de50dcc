//! The cluster seen from outside: its nodes, the owners of a key, and what each of them holds.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client.create_bucket("example-cluster").await?;
    let bucket = client.bucket("example-cluster");
    let seen = bucket.get("key").await?;
    // All owners have it before this returns, so each of them can be asked alone.
    let owners = client.owners("example-cluster", "key");
    bucket
        .put("key", "value")
        .context(seen.context())
        .w(u8::try_from(owners.len())?)
        .await?;

    for member in &client.status().await?.members {
        println!(
            "{} {} reachable: {}",
            member.name, member.address, member.reachable
        );
    }
    for owner in &owners {
        let read = bucket.get("key").local().on_node(owner.node).await?;
        println!("{} has {:?}", owner.name, read.single()?);
        assert_eq!(read.single()?.map(AsRef::as_ref), Some(&b"value"[..]));
    }
    let inspection = client.inspect("example-cluster", "key").await?;
    println!("{}", inspection.verdict);
    client.close().await;
    Ok(())
}
