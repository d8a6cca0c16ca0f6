//! Publishes what many callers have at the same time in batches: RabbitMQ confirms a batch of messages on one channel for less
//! than as many messages on a channel each.
//!
//! A batch is what has come while the batches before it were on their way, so that one message alone does not wait for others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{BrokerError, Message, Publisher};

/// Batches on their way at the same time.
const AT_ONCE: usize = 4;
/// Most messages of a batch.
const MOST: usize = 256;

/// Publishes for many callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Batches(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    publisher: Publisher,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Tasks that take them.
    tasks: usize,
}

#[derive(Debug)]
struct Job {
    message: Message,
    done: oneshot::Sender<Result<(), BrokerError>>,
}

impl Batches {
    /// By this publisher.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        Self(Arc::new(Shared { publisher, waiting: Mutex::default() }))
    }

    /// The publisher.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    /// As [`Publisher::publish`]. A message whose caller has gone may be published all the same.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn publish(&self, message: Message) -> Result<(), BrokerError> {
        let (done, answer) = oneshot::channel();
        let needs_task = {
            let mut waiting = self.0.waiting();
            waiting.jobs.push_back(Job { message, done });
            let needs_task = waiting.tasks < AT_ONCE;
            waiting.tasks += usize::from(needs_task);
            needs_task
        };
        if needs_task {
            tokio::spawn(publish_what_waits(Arc::clone(&self.0)));
        }
        answer.await.unwrap_or_else(|_gone| Err(BrokerError::unavailable("publishing", "the process ends")))
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch. Nothing where nothing waits: then the task that asks has to end.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        if waiting.jobs.is_empty() {
            waiting.tasks -= 1;
            return None;
        }
        let count = waiting.jobs.len().min(MOST);
        Some(waiting.jobs.drain(..count).collect())
    }
}

async fn publish_what_waits(shared: Arc<Shared>) {
    while let Some(jobs) = shared.next() {
        // Nobody waits for the others any more: their webhooks come again.
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| !job.done.is_closed()).collect();
        let messages: Vec<&Message> = jobs.iter().map(|job| &job.message).collect();
        let answers = shared.publisher.publish_all(&messages).await;
        let answers = answers.unwrap_or_else(|error| vec![Err(error); jobs.len()]);
        for (job, answer) in jobs.into_iter().zip(answers) {
            // Who asked may have gone.
            job.done.send(answer).ok();
        }
    }
}
