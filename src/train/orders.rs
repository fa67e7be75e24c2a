//! The order in which each epoch sees its samples, made while the epoch before it runs.

use std::thread::{Scope, ScopedJoinHandle};

use super::Job;
use super::feed::epoch_order;

/// Samples of all members from which a thread pays: starting one costs as much as a shuffle of
/// some thousands.
const THREAD_PAYS: usize = 16_384;

/// An order depends on seed, epoch and list alone, so that it does not matter who makes it, or when.
pub struct Orders<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    job: Shuffles<'env>,
    ahead: Option<Ahead<'scope>>,
}

/// What of a job the orders need.
#[derive(Clone, Copy)]
struct Shuffles<'env> {
    hyper: &'env [crate::plan::Hyper],
    train: &'env [u32],
    shuffle: bool,
    epochs: u32,
}

struct Ahead<'scope> {
    epoch: u32,
    orders: ScopedJoinHandle<'scope, Vec<Vec<u32>>>,
}

impl Shuffles<'_> {
    fn of(&self, epoch: u32) -> Vec<Vec<u32>> {
        epoch_order(self.hyper, epoch, self.train, self.shuffle)
    }
}

impl<'scope, 'env> Orders<'scope, 'env> {
    pub fn new(scope: &'scope Scope<'scope, 'env>, job: &'env Job) -> Self {
        Orders {
            scope,
            job: Shuffles {
                hyper: job.hyper,
                train: &job.feed.data.parts.train,
                shuffle: job.shuffle,
                epochs: job.epochs,
            },
            ahead: None,
        }
    }

    /// Each member's order in an epoch; those of the next one are begun.
    pub fn of(&mut self, epoch: u32) -> Vec<Vec<u32>> {
        let job = self.job;
        let ahead = self.ahead.take().filter(|ahead| ahead.epoch == epoch);
        // A thread that panicked has said so; what it was to make is made here.
        let ahead = ahead.and_then(|ahead| ahead.orders.join().ok());
        let orders = ahead.unwrap_or_else(|| job.of(epoch));
        if epoch < job.epochs && job.shuffle && job.train.len() * job.hyper.len() >= THREAD_PAYS {
            let next = epoch + 1;
            self.ahead = Some(Ahead {
                epoch: next,
                orders: self.scope.spawn(move || job.of(next)),
            });
        }
        orders
    }
}
