//! How old an operation says that it is: nothing before an attempt may have been applied.

use crate::fake::Action;
use crate::retries::troubled;
use ring::NodeId;
use starling::Outcome;
use starling::wire::{Failure, FailureKind, Response};

/// The ages that the attempts of an increment say, of which the first fails so, the least first.
async fn ages_after(trouble: fn(NodeId) -> Action) -> Result<Vec<u64>, starling::Error> {
    let fake = troubled(1, trouble);
    let client = fake.client().await;
    let counter = client.bucket("counters").counter("home");
    counter.add(1).await?;
    let writes = fake.writes().into_iter();
    let mut ages: Vec<u64> = writes.map(|(_, write)| write.age_ms).collect();
    ages.sort_unstable();
    Ok(ages)
}

fn refused_for_a_while(outcome: Outcome) -> Action {
    Action::Reply(Response::Failed(Failure {
        kind: FailureKind::Overloaded,
        outcome,
        message: String::new(),
        retry_after_ms: 60,
    }))
}

#[tokio::test]
async fn a_node_that_asks_for_time_gets_it_and_the_operation_grows_older() {
    let ages = ages_after(|_| refused_for_a_while(Outcome::MaybeApplied))
        .await
        .unwrap();
    assert!(ages.len() == 2 && ages[0] == 0 && ages[1] >= 60, "{ages:?}");
}

#[tokio::test]
async fn an_operation_begins_when_it_may_first_have_been_applied() {
    let ages = ages_after(|_| refused_for_a_while(Outcome::NotApplied))
        .await
        .unwrap();
    assert_eq!(ages, [0, 0]);
    let ages = ages_after(|_| Action::Hangup).await.unwrap();
    assert!(ages.len() == 2 && ages[0] == 0 && ages[1] > 0, "{ages:?}");
}
