//! The order in which each epoch sees its samples, made while the epoch before it runs.

use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use super::Job;
use super::feed::epoch_order;
use crate::plan::Hyper;

/// Samples of all members from which a thread pays: starting one costs as much as a shuffle of
/// some thousands.
const THREAD_PAYS: usize = 16_384;

/// An order depends on seed, epoch and list alone, so that it does not matter who makes it, or when.
pub struct Orders<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    shuffles: Arc<Shuffles<'env>>,
    /// The last epoch of the run.
    epochs: u32,
    ahead: Option<Ahead<'scope>>,
}

/// What of a job the orders need.
struct Shuffles<'env> {
    hyper: &'env [Hyper],
    /// The training part of each member.
    train: Vec<&'env [u32]>,
    /// Epochs of the run before each member's first.
    began: Vec<u32>,
    shuffle: bool,
}

struct Ahead<'scope> {
    epoch: u32,
    orders: ScopedJoinHandle<'scope, Vec<Vec<u32>>>,
}

impl Shuffles<'_> {
    /// Each member's order in an epoch of the run.
    fn of(&self, epoch: u32) -> Vec<Vec<u32>> {
        let of = |(member, hyper): (usize, &Hyper)| {
            let epoch = epoch.saturating_sub(self.began[member]);
            epoch_order(hyper, epoch, self.train[member], self.shuffle)
        };
        self.hyper.iter().enumerate().map(of).collect()
    }

    fn samples(&self) -> usize {
        self.train.iter().map(|list| list.len()).sum()
    }
}

impl<'scope, 'env> Orders<'scope, 'env> {
    /// `began`: epochs of the run before each member's first.
    pub fn new(scope: &'scope Scope<'scope, 'env>, job: &'env Job, began: Vec<u32>) -> Self {
        let shuffles = Shuffles {
            hyper: job.hyper,
            train: (0..job.hyper.len())
                .map(|member| &job.feed.parts(member).train[..])
                .collect(),
            began,
            shuffle: job.shuffle,
        };
        Orders {
            scope,
            shuffles: Arc::new(shuffles),
            epochs: job.epochs,
            ahead: None,
        }
    }

    /// Each member's order in an epoch; those of the next one are begun.
    pub fn of(&mut self, epoch: u32) -> Vec<Vec<u32>> {
        let shuffles = &self.shuffles;
        let ahead = self.ahead.take().filter(|ahead| ahead.epoch == epoch);
        // A thread that panicked has said so; what it was to make is made here.
        let ahead = ahead.and_then(|ahead| ahead.orders.join().ok());
        let orders = ahead.unwrap_or_else(|| shuffles.of(epoch));
        if epoch < self.epochs && shuffles.shuffle && shuffles.samples() >= THREAD_PAYS {
            let (next, shuffles) = (epoch + 1, shuffles.clone());
            self.ahead = Some(Ahead {
                epoch: next,
                orders: self.scope.spawn(move || shuffles.of(next)),
            });
        }
        orders
    }
}
