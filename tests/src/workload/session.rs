//! A client under faults: it writes, reads, deletes and counts, and keeps a record of all of it.
//!
//! Values and the elements that are removed again are sent once and never retried, so that a
//! context covers the only version there is (`history::Tries`). Increments, and elements that stay,
//! are retried under their name until the answer is definite: those must be there exactly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{COUNTS, SETS, Shared, VALUES};
use crate::history::{Action, EventId, Observed, Subject, Tries};
use starling::{Client, Context, Durability, Error, Plain, Write, Written};

/// One client, doing one thing after the other.
#[derive(Debug)]
pub struct Session {
    number: usize,
    /// Retries by itself.
    client: Client,
    /// Sends everything once.
    once: Client,
    shared: Arc<Shared>,
    random: fastrand::Rng,
    /// The newest context of each key, and whose answer it is from.
    seen: BTreeMap<Subject, Seen>,
    items: usize,
}

/// What a session knows of a key.
#[derive(Debug, Clone)]
struct Seen {
    by: EventId,
    context: Context,
    items: Vec<String>,
}

impl Session {
    /// A session with these clients, the first of which retries by itself. Its number is its own
    /// among the sessions that share; its choices follow from the seed and that.
    pub fn new(number: usize, seed: u64, [client, once]: [Client; 2], shared: Arc<Shared>) -> Self {
        let offset = u64::try_from(number).unwrap_or(0) + 1;
        Self {
            number,
            client,
            once,
            shared,
            random: fastrand::Rng::with_seed(seed.wrapping_add(offset)),
            seen: BTreeMap::new(),
            items: 0,
        }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) {
        while !self.shared.is_over() {
            match self.random.u8(..10) {
                0..5 => self.use_value().await,
                5..8 => self.use_set().await,
                _ => self.count().await,
            }
            self.shared.count_attempt();
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn use_value(&mut self) {
        let subject = self.pick(VALUES, 40);
        match self.random.u8(..100) {
            0..35 => {
                self.read_value(&subject).await;
                self.put(&subject).await;
            }
            35..50 => self.put(&subject).await,
            50..58 => {
                self.seen.remove(&subject);
                self.put(&subject).await;
            }
            58..70 => {
                self.read_value(&subject).await;
                self.delete(&subject).await;
            }
            70..76 => {
                self.seen.remove(&subject);
                self.delete(&subject).await;
            }
            _ => self.read_value(&subject).await,
        }
    }

    async fn use_set(&mut self) {
        let subject = self.pick(SETS, 25);
        match self.random.u8(..100) {
            0..45 => self.add_once(&subject).await,
            45..60 => self.add_until_definite(&subject).await,
            60..80 => {
                self.read_set(&subject).await;
                self.remove(&subject, true).await;
            }
            80..86 => self.remove(&subject, false).await,
            _ => self.read_set(&subject).await,
        }
    }

    async fn read_value(&mut self, subject: &Subject) {
        let event = self.begin(subject, Action::Read, None, Tries::Once);
        let read = self.client.bucket(VALUES).get(&subject.key).await;
        let observed = read
            .as_ref()
            .ok()
            .map(|read| Observed::items(read.siblings()));
        self.finish_read(
            event,
            subject,
            observed,
            read.map(|read| read.context().clone()),
        );
    }

    async fn read_set(&mut self, subject: &Subject) {
        let event = self.begin(subject, Action::Read, None, Tries::Once);
        let read = self.client.bucket(SETS).set(&subject.key).members().await;
        let observed = read
            .as_ref()
            .ok()
            .map(|read| Observed::items(read.elements()));
        self.finish_read(
            event,
            subject,
            observed,
            read.map(|read| read.context().clone()),
        );
    }

    async fn put(&mut self, subject: &Subject) {
        let value = self.new_item();
        let seen = self.seen.get(subject).cloned();
        let action = Action::Put(value.clone());
        let event = self.begin(subject, action, seen.as_ref(), Tries::Once);
        let write = self.once.bucket(VALUES).put(&subject.key, value.clone());
        let written = self.options(write, seen.as_ref()).await;
        self.finish_write(event, subject, written, vec![value]);
    }

    async fn delete(&mut self, subject: &Subject) {
        let seen = self.seen.get(subject).cloned();
        let event = self.begin(subject, Action::Delete, seen.as_ref(), Tries::Once);
        let write = self.once.bucket(VALUES).delete(&subject.key);
        let written = self.options(write, seen.as_ref()).await;
        self.finish_write(event, subject, written, Vec::new());
    }

    async fn add_once(&mut self, subject: &Subject) {
        let elements: Vec<String> = (0..self.random.usize(1..3))
            .map(|_| self.new_item())
            .collect();
        let event = self.begin(subject, Action::Add(elements.clone()), None, Tries::Once);
        let set = self.once.bucket(SETS).set(&subject.key);
        let written = set.add_all(elements.clone()).await;
        self.finish_write(event, subject, written, elements);
    }

    async fn add_until_definite(&mut self, subject: &Subject) {
        let element = self.new_item();
        let action = Action::Add(vec![element.clone()]);
        let event = self.begin(subject, action, None, Tries::Many);
        let (set, operation) = (
            self.client.bucket(SETS).set(&subject.key),
            self.client.next_operation(),
        );
        let send = || set.add(element.clone()).operation_id(operation);
        until_definite(&self.shared, event, send).await;
    }

    /// Removes one or two elements that this session knows, over what it has seen or blindly.
    async fn remove(&mut self, subject: &Subject, with_context: bool) {
        let Some(known) = self.seen.get(subject).cloned() else {
            return;
        };
        let mut elements = known.items.clone();
        self.random.shuffle(&mut elements);
        elements.truncate(2);
        if elements.is_empty() {
            return;
        }
        let given = with_context.then_some(&known);
        let event = self.begin(
            subject,
            Action::Remove(elements.clone()),
            given,
            Tries::Once,
        );
        let mut write = self
            .once
            .bucket(SETS)
            .set(&subject.key)
            .remove_all(elements);
        if let Some(seen) = given {
            write = write.context(&seen.context);
        }
        let written = write.await;
        self.finish_write(event, subject, written, Vec::new());
    }

    async fn count(&mut self) {
        let subject = self.pick(COUNTS, 8);
        let amount = [1, 2, 5, -3][self.random.usize(..4)];
        let event = self.begin(&subject, Action::Increment(amount), None, Tries::Many);
        let (counter, operation) = (
            self.client.bucket(COUNTS).counter(&subject.key),
            self.client.next_operation(),
        );
        let send = || counter.add(amount).operation_id(operation);
        until_definite(&self.shared, event, send).await;
    }

    /// A context if there is one, and now and then another w or durability than the bucket's.
    fn options(&mut self, mut write: Write<Plain>, seen: Option<&Seen>) -> Write<Plain> {
        if let Some(seen) = seen {
            write = write.context(&seen.context);
        }
        match self.random.u8(..20) {
            0 => write.w(1),
            1 => write.w(3),
            2 => write.durability(Durability::Synced),
            _ => write,
        }
    }

    fn begin(
        &self,
        subject: &Subject,
        action: Action,
        seen: Option<&Seen>,
        tries: Tries,
    ) -> EventId {
        let context = seen.map(|seen| seen.by);
        let recorder = &self.shared.recorder;
        recorder.begin(self.number, subject, action, context, tries)
    }

    fn finish_read(
        &mut self,
        event: EventId,
        subject: &Subject,
        observed: Option<Observed>,
        context: Result<Context, Error>,
    ) {
        self.shared.recorder.finish_read(event, observed.clone());
        match (observed, context) {
            (Some(Observed::Items(items)), Ok(context)) => {
                let by = event;
                let seen = Seen { by, context, items };
                self.seen.insert(subject.clone(), seen);
            }
            (_, Err(error)) => self.shared.note(&error),
            (_, Ok(_)) => {}
        }
    }

    fn finish_write(
        &mut self,
        event: EventId,
        subject: &Subject,
        written: Result<Written, Error>,
        items: Vec<String>,
    ) {
        self.shared.recorder.finish_write(event, &written);
        match written {
            Ok(written) => {
                let (by, context) = (event, written.context().clone());
                let seen = Seen { by, context, items };
                self.seen.insert(subject.clone(), seen);
            }
            Err(error) => self.shared.note(&error),
        }
    }

    fn pick(&mut self, bucket: &str, keys: usize) -> Subject {
        let (prefix, number) = (&self.shared.prefix, self.random.usize(..keys));
        Subject::new(bucket, &format!("{prefix}key-{number}"))
    }

    fn new_item(&mut self) -> String {
        self.items += 1;
        format!("{}-{}", self.number, self.items)
    }
}

/// Sends one operation again and again, until it is acknowledged. If it never is, its outcome stays
/// open, whatever the last error says of its own attempt.
async fn until_definite<M>(shared: &Shared, event: EventId, send: impl Fn() -> Write<M>) {
    let start = Instant::now();
    while start.elapsed() < LONGEST {
        let result = send().await;
        let error = match result {
            Ok(_) => {
                shared.recorder.finish_write(event, &result);
                return;
            }
            Err(error) => error,
        };
        shared.note(&error);
        if !error.is_retryable() {
            shared.refused_retries.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tokio::time::sleep(BEFORE_RETRY).await;
    }
}

/// Keeps the history short enough to be checked in no time.
const BETWEEN: Duration = Duration::from_millis(10);
const BEFORE_RETRY: Duration = Duration::from_millis(50);
/// Longer than the nodes are ever down.
const LONGEST: Duration = Duration::from_secs(90);
