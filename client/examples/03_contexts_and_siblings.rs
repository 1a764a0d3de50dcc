//! Concurrent writes become siblings; a context says what a write has seen, in any process.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client.create_bucket("example-carts").await?;
    let carts = client.bucket("example-carts");
    let seen = carts.get("cart").await?;
    carts.put("cart", "milk").context(seen.context()).await?;

    // Two writers read the same state, and neither sees the other's write.
    let both = carts.get("cart").await?;
    carts
        .put("cart", "milk,bread")
        .context(both.context())
        .await?;
    carts
        .put("cart", "milk,eggs")
        .context(both.context())
        .await?;

    // Nothing was lost, and `single` does not choose for us.
    let read = carts.get("cart").await?;
    let conflict = read.single().expect_err("there are two values");
    println!("{} siblings: {:?}", conflict.siblings, read.siblings());
    assert_eq!(conflict.siblings, 2);

    // A context can travel as text, for instance in a form. It fits only its own key.
    let token = read.context().to_token();
    let context = Context::from_token(&token)?;
    let other = carts.put("another cart", "x").context(&context).await;
    assert_eq!(
        other.expect_err("it is another key's").kind(),
        ErrorKind::BadContext
    );

    // Merge, and write over both.
    let merged = read.resolve(union).ok_or("there are values")?;
    carts.put("cart", merged).context(&context).await?;
    let read = carts.get("cart").await?;
    assert_eq!(
        read.single()?.map(AsRef::as_ref),
        Some(&b"bread,eggs,milk"[..])
    );

    // The same in one step: read, merge, change, write.
    carts
        .update("cart", |siblings| [&union(siblings)[..], b",tea"].concat())
        .await?;
    println!("merged: {:?}", carts.get("cart").await?.single()?);
    client.close().await;
    Ok(())
}

/// All items of all carts, each once, in order.
fn union(carts: &[bytes::Bytes]) -> Vec<u8> {
    let items = carts
        .iter()
        .flat_map(|cart| cart.split(|byte| *byte == b','));
    let items: std::collections::BTreeSet<&[u8]> = items.collect();
    items.into_iter().collect::<Vec<_>>().join(&b',')
}
