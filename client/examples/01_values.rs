//! Values: write, read, write again with the context, delete.
//!
//! ```text
//! export STARLING_URL='starling://127.0.0.1:7401/?ca=ca.pem&cert=app.pem&key=app.key'
//! cargo run -p starling-client --example 01_values
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client.create_bucket("example-values").await?;
    let users = client.bucket("example-values");

    // A write over what is there begins with a read, which carries the context.
    let before = users.get("ada").await?;
    let first = users.put("ada", "Ada").context(before.context()).await?;
    println!(
        "written to {} replicas by node {}",
        first.acks(),
        first.node()
    );

    // The reply of a write carries the next context, so the next write needs no read.
    users
        .put("ada", "Ada Lovelace")
        .context(first.context())
        .w(2)
        .await?;
    let read = users.get("ada").r(2).await?;
    let value = read.single()?.ok_or("it was just written")?.clone();
    println!(
        "read {:?} from {} replicas",
        String::from_utf8_lossy(&value),
        read.answered()
    );
    assert_eq!(&value[..], b"Ada Lovelace");

    // Keys that share a partition key live together; the sort key tells them apart.
    let order = Key::new("customer-7", "2026-11-21");
    users
        .put(&order, "two books")
        .context(users.get(&order).await?.context())
        .await?;

    // A deleted key stays deleted. Reading it is no error.
    users.delete("ada").context(read.context()).await?;
    assert_eq!(users.get("ada").await?.single()?, None);
    println!("deleted");
    client.close().await;
    Ok(())
}
