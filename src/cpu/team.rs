//! The threads of a CPU executor: a fork-join team that a step may call on many times.
//!
//! A step of a small network lasts a fraction of a millisecond and forks half a dozen times, so a
//! fork must cost next to nothing: waiting threads spin for a few microseconds before they sleep, and
//! nothing is allocated. Each thread begins with a share of the tasks of its own, the same one in each
//! fork of as many tasks, so that what it wrote the last time is still in its cache; then it takes
//! over what the others have left. Nobody waits for a thread that has claimed nothing, and nobody spins
//! for long: on a machine with other work to do, a thread that burns its share of a core waiting is
//! taken off it when it has something to do.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// Turns of a waiting thread before it sleeps: some microseconds.
const SPINS: u32 = 500;

/// The most tasks of one fork.
pub const MAX_TASKS: usize = (1 << 24) - 1;

thread_local! {
    /// The team that forks on this thread go to; null inside a task, which forks no further.
    static CURRENT: Cell<*const Team> = const { Cell::new(std::ptr::null()) };
}

pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// The tasks that each thread begins with.
    shares: Vec<Share>,
    /// The fork's number.
    fork: AtomicU64,
    /// What the tasks are of; valid while a claimed task is not done.
    call: AtomicUsize,
    data: AtomicPtr<()>,
    done: AtomicUsize,
    /// Tasks whose end the one who forked is woken for; 0 while it is awake.
    awaited: AtomicUsize,
    /// The one who forked.
    caller: Mutex<Option<Thread>>,
    asleep: Vec<AtomicBool>,
    stop: AtomicBool,
    /// What the first task that panicked on a worker said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

type Call = unsafe fn(*const (), usize);

/// # Safety
/// `data` points to an `F` that lives until the call returns.
unsafe fn call<F: Fn(usize) + Sync>(data: *const (), task: usize) {
    // SAFETY: the caller's promise.
    let f = unsafe { &*data.cast::<F>() };
    f(task);
}

/// A range of tasks: the fork's number, the range's end and the next task to claim, of 16, 24 and 24
/// bits. One word, so that a claim is valid for what it was read with or fails; on a cache line of its
/// own, since its thread alone changes it as a rule.
#[derive(Default)]
#[repr(align(64))]
struct Share(AtomicU64);

impl Share {
    fn set(&self, fork: u64, tasks: Range<usize>) {
        let word = (fork & 0xFFFF) << 48 | (tasks.end as u64) << 24 | tasks.start as u64;
        self.0.store(word, Ordering::Release);
    }

    fn claim(&self) -> Option<usize> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let end = (word >> 24) as usize & MAX_TASKS;
            let next = word as usize & MAX_TASKS;
            if next >= end {
                return None;
            }
            match self
                .0
                .compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(next),
                Err(now) => word = now,
            }
        }
    }
}

impl Team {
    /// A team of `threads`, the caller among them; 0 takes all cores.
    pub fn new(threads: usize) -> std::io::Result<Team> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let shared = Arc::new(Shared {
            shares: (0..threads).map(|_| Share::default()).collect(),
            fork: AtomicU64::new(0),
            call: AtomicUsize::new(0),
            data: AtomicPtr::new(std::ptr::null_mut()),
            done: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            caller: Mutex::new(None),
            asleep: (1..threads).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let mut team = Team {
            shared,
            workers: Vec::new(),
        };
        for ix in 1..threads {
            let shared = team.shared.clone();
            let worker = thread::Builder::new()
                .name(format!("cpu executor {ix}"))
                .spawn(move || shared.work(ix))?;
            team.workers.push(worker);
        }
        Ok(team)
    }

    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `f` with this team as the one that [`fork`] calls on.
    pub fn install<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(self);
        let _restore = Restore(before);
        f()
    }

    fn run<F: Fn(usize) + Sync>(&self, tasks: usize, f: &F) {
        assert!(tasks <= MAX_TASKS, "a fork of {tasks} tasks");
        let shared = &*self.shared;
        let call: Call = call::<F>;
        shared.call.store(call as usize, Ordering::Relaxed);
        let data = std::ptr::from_ref(f).cast_mut().cast();
        shared.data.store(data, Ordering::Relaxed);
        shared.done.store(0, Ordering::Relaxed);
        let fork = shared.fork.load(Ordering::Relaxed).wrapping_add(1);
        let threads = shared.shares.len();
        for (ix, share) in shared.shares.iter().enumerate() {
            share.set(fork, tasks * ix / threads..tasks * (ix + 1) / threads);
        }
        shared.fork.store(fork, Ordering::Release);
        // Either this sees that a worker sleeps, or the worker sees the work before it does.
        fence(Ordering::SeqCst);
        for (asleep, worker) in shared.asleep.iter().zip(&self.workers) {
            if asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::Relaxed) {
                worker.thread().unpark();
            }
        }
        // `f` is borrowed by other threads: even an unwinding task waits for them.
        let wait = Wait(shared, tasks);
        while shared.claim(0).is_some_and(|task| {
            let finished = Finished(shared);
            f(task);
            drop(finished);
            true
        }) {}
        drop(wait);
        let panic = lock(&shared.panic).take();
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches its tasks' panics: it ends in order.
            let _ = worker.join();
        }
    }
}

/// Counts a task as done, however it ends.
struct Finished<'a>(&'a Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Waits until all tasks are done; those that nobody has claimed are given up, which happens only
/// where a task of the caller's panics.
struct Wait<'a>(&'a Shared, usize);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut left = self.1;
        while thread::panicking() && self.0.claim(0).is_some() {
            left -= 1;
        }
        let Wait(shared, _) = *self;
        let is_done = || shared.done.load(Ordering::SeqCst) >= left;
        let mut turns = 0;
        while turns < SPINS && !is_done() {
            turns += 1;
            std::hint::spin_loop();
        }
        if is_done() {
            return;
        }
        *lock(&shared.caller) = Some(thread::current());
        shared.awaited.store(left, Ordering::SeqCst);
        while !is_done() {
            thread::park();
        }
        shared.awaited.store(0, Ordering::Relaxed);
    }
}

struct Restore(*const Team);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

fn lock<A>(mutex: &Mutex<A>) -> MutexGuard<'_, A> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Counts one more task as done, and wakes the one who waits for the last.
    fn finish(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if self.awaited.load(Ordering::SeqCst) == done
            && let Some(caller) = lock(&self.caller).as_ref()
        {
            caller.unpark();
        }
    }

    /// The next task for thread `ix` of the fork at hand: of its own share, then of the others'.
    fn claim(&self, ix: usize) -> Option<usize> {
        let (before, from) = self.shares.split_at(ix);
        from.iter().chain(before).find_map(Share::claim)
    }

    /// What thread `ix` does until the team ends.
    fn work(&self, ix: usize) {
        let asleep = &self.asleep[ix - 1];
        let (mut seen, mut turns) = (0, 0);
        while !self.stop.load(Ordering::Relaxed) {
            let fork = self.fork.load(Ordering::Acquire);
            if fork != seen {
                (seen, turns) = (fork, 0);
                while let Some(task) = self.claim(ix) {
                    self.perform(task);
                }
                continue;
            }
            turns += 1;
            if turns < SPINS {
                std::hint::spin_loop();
                continue;
            }
            turns = 0;
            asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if self.fork.load(Ordering::Acquire) == seen && !self.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            asleep.store(false, Ordering::Relaxed);
        }
    }

    /// A claimed task, on a worker.
    fn perform(&self, task: usize) {
        let finished = Finished(self);
        let data = self.data.load(Ordering::Relaxed);
        let call = self.call.load(Ordering::Relaxed);
        // SAFETY: the word was stored from a `Call`, together with the `data` that belongs to it,
        // before the share that this task was claimed from; and the one who forked keeps both until
        // the task counts as done.
        let run = || unsafe { std::mem::transmute::<usize, Call>(call)(data, task) };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
            lock(&self.panic).get_or_insert(payload);
        }
        drop(finished);
    }
}

/// Calls `f(task)` for every task below `tasks`, on the threads of the team at hand, and waits.
/// Any thread may come to any task: tasks must be independent of one another.
pub fn fork(tasks: usize, f: impl Fn(usize) + Sync) {
    let team = CURRENT.get();
    if tasks <= 1 || team.is_null() {
        (0..tasks).for_each(f);
        return;
    }
    let _restore = Restore(CURRENT.replace(std::ptr::null()));
    // SAFETY: set by `install`, which borrows the team for as long as it is set.
    let team = unsafe { &*team };
    match team.workers.is_empty() {
        true => (0..tasks).for_each(f),
        false => team.run(tasks, &f),
    }
}

/// Threads of the team at hand.
pub fn threads() -> usize {
    let team = CURRENT.get();
    if team.is_null() {
        return 1;
    }
    // SAFETY: as in `fork`.
    unsafe { &*team }.threads()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 5] {
            let team = Team::new(threads).expect("threads");
            for round in 0..2_000 {
                let tasks = round % 7;
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                team.install(|| {
                    fork(tasks, |task| {
                        counts[task].fetch_add(1, Ordering::Relaxed);
                    });
                });
                for count in &counts {
                    assert_eq!(count.load(Ordering::Relaxed), 1, "{tasks} tasks");
                }
            }
        }
    }

    #[test]
    fn sleepers_wake() {
        let team = Team::new(3).expect("threads");
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(5));
            let sum = AtomicUsize::new(0);
            team.install(|| {
                fork(100, |task| {
                    sum.fetch_add(task, Ordering::Relaxed);
                });
            });
            assert_eq!(sum.load(Ordering::Relaxed), 4950);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        let team = Team::new(2).expect("threads");
        for bad in 0..8 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                team.install(|| fork(8, |task| assert_ne!(task, bad, "task {bad}")));
            }));
            assert!(panicked.is_err(), "task {bad}");
            let sum = AtomicUsize::new(0);
            team.install(|| {
                fork(4, |task| {
                    sum.fetch_add(task + 1, Ordering::Relaxed);
                });
            });
            assert_eq!(sum.load(Ordering::Relaxed), 10);
        }
    }
}
