//! Values of a type of your own: read, changed and written back, siblings merged.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use serde::{Deserialize, Serialize};

use starling::prelude::*;

#[derive(Debug, Default, Serialize, Deserialize)]
struct User {
    name: String,
    visits: u64,
}

/// What two people that did not see each other wrote is one user with the most visits.
fn merge(siblings: Vec<User>) -> User {
    let most = siblings.into_iter().max_by_key(|user| user.visits);
    most.unwrap_or_default()
}

fn visit(user: Option<User>) -> User {
    let mut user = user.unwrap_or_default();
    user.visits += 1;
    user
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client.create_bucket("example-users").await?;
    let users = client.typed::<User>("example-users");

    let before = users.get("ada").await?;
    let ada = User {
        name: "Ada".to_owned(),
        visits: 0,
    };
    users.put("ada", &ada).context(before.context()).await?;

    // Read, merge, change, write; and again if somebody else was faster.
    let (ada, _) = users.update("ada", merge, visit).await?;
    println!("{} was here {} times", ada.name, ada.visits);
    assert_eq!(ada.visits, 1);

    // Nobody has created this one: an empty context covers nothing, so what is there refuses it.
    let eve = User::default();
    let seen = users.get("eve").await?;
    users.delete("eve").context(seen.context()).await?;
    users.put("eve", &eve).only_if_current().await?;
    let again = users.put("eve", &eve).only_if_current().await;
    let error = again.expect_err("it is there now");
    println!("{error}");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::NotCurrent, Outcome::NotApplied)
    );

    // Several at a time, in the order in which they arrive.
    let mut reads = users.multi_get(["ada", "eve", "nobody"]);
    while let Some((key, read)) = reads.next().await {
        let visits = read?.resolve(|all| User {
            visits: all.iter().map(|user| user.visits).sum(),
            name: String::new(),
        });
        println!("{key}: {:?}", visits.map(|user| user.visits));
    }
    client.close().await;
    Ok(())
}
