//! The structure of a training run as an executor sees it: how many submits, waits, uploads and
//! downloads an epoch has.

mod common;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::require_device;
use gpu_train::Result;
use gpu_train::cpu::Cpu;
use gpu_train::data::load::{Loaded, load};
use gpu_train::data::options::DataOptions;
use gpu_train::executor::{Executor, Profile, RangeMetrics};
use gpu_train::gpu::Gpu;
use gpu_train::models::{Sequential, initial_parameters};
use gpu_train::plan::{BufferId, Hyper, Loss, OptimizerKind, PassKind, Plan};
use gpu_train::train::feed::{self, Feed, Residence, Sizing};
use gpu_train::train::schedule::{Planned, Schedule, Warmup};
use gpu_train::train::score::Score;
use gpu_train::train::{
    self, EpochRecord, Job, MemberState, Observer, Snapshot, State, StepRecord,
};

const BATCH: usize = 128;

/// What the loop asked of its executor, and when an epoch was complete.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Upload,
    Submit(usize),
    /// A wait for a range.
    Collect,
    Download,
    EpochEnds(f64),
    Checkpoint,
}

type Calls = Rc<RefCell<Vec<Call>>>;

/// Writes down what passes through it.
struct Counting {
    inner: Box<dyn Executor>,
    calls: Calls,
}

impl Executor for Counting {
    fn plan(&self) -> &Plan {
        self.inner.plan()
    }

    fn upload(&mut self, buffer: BufferId, start: usize, words: &[u32]) -> Result<()> {
        self.calls.borrow_mut().push(Call::Upload);
        self.inner.upload(buffer, start, words)
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        self.calls.borrow_mut().push(Call::Submit(range.len()));
        self.inner.submit(pass, range)
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        let range = self.inner.collect()?;
        if range.is_some() {
            self.calls.borrow_mut().push(Call::Collect);
        }
        Ok(range)
    }

    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>> {
        self.calls.borrow_mut().push(Call::Download);
        self.inner.download(buffer)
    }

    fn profile(&mut self, on: bool) -> Result<Option<Profile>> {
        self.inner.profile(on)
    }
}

/// An executor whose steps cost no time and compute nothing.
struct Instant {
    plan: Arc<Plan>,
    submitted: VecDeque<(PassKind, Range<usize>)>,
}

impl Executor for Instant {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, _: BufferId, _: usize, _: &[u32]) -> Result<()> {
        Ok(())
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        self.submitted.push_back((pass, range));
        Ok(())
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        let next = self.submitted.pop_front();
        Ok(next.map(|(pass, range)| RangeMetrics {
            pass,
            sums: vec![[1.0, 1.0]; range.len()],
            range,
        }))
    }

    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>> {
        Ok(vec![0; self.plan.buffer(buffer).len])
    }

    fn profile(&mut self, _: bool) -> Result<Option<Profile>> {
        Ok(None)
    }
}

struct Marks(Calls);

impl Observer for Marks {
    fn steps(&mut self, _: &[StepRecord], _: &State) -> Result<()> {
        Ok(())
    }

    fn epoch(&mut self, records: &[EpochRecord], _: &State) -> Result<()> {
        self.0
            .borrow_mut()
            .push(Call::EpochEnds(records[0].seconds));
        Ok(())
    }

    fn checkpoint(&mut self, _: &mut Snapshot) -> Result<()> {
        self.0.borrow_mut().push(Call::Checkpoint);
        Ok(())
    }
}

/// One epoch's calls: those up to its end.
struct Epoch {
    calls: Vec<Call>,
    seconds: f64,
}

impl Epoch {
    fn count(&self, call: fn(&Call) -> bool) -> usize {
        self.calls.iter().filter(|c| call(c)).count()
    }

    fn submits(&self) -> usize {
        self.count(|c| matches!(c, Call::Submit(_)))
    }

    /// From the first submit to the last wait.
    fn inside(&self) -> &[Call] {
        let is_submit = |c: &Call| matches!(c, Call::Submit(_));
        let first = self.calls.iter().position(is_submit).expect("a submit");
        let last = self.calls.iter().rposition(|c| *c == Call::Collect);
        &self.calls[first..=last.expect("a wait")]
    }

    /// What holds on any executor.
    fn check(&self, steps: usize) {
        let done = self.calls.iter().map(|c| match c {
            Call::Submit(steps) => *steps,
            _ => 0,
        });
        assert_eq!(done.sum::<usize>(), steps);
        let inside = self.inside();
        assert!(!inside.contains(&Call::Download), "{inside:?}");
        let waits = self.count(|c| *c == Call::Collect);
        assert!(waits <= self.submits(), "{:?}", self.calls);
        // The parameters, to be looked at before a checkpoint.
        assert!(
            self.count(|c| *c == Call::Download) <= 1,
            "{:?}",
            self.calls
        );
    }
}

fn loaded(n_train: usize) -> Loaded {
    let mut loaded = load("mnist", &DataOptions::default(), false).expect("it is embedded");
    loaded.data.parts.train.truncate(n_train);
    loaded
}

/// Trains 784-128-10 for some epochs; the calls of each, and those after the last epoch's end.
fn epochs(
    loaded: &Loaded,
    n_epochs: u32,
    executor: impl FnOnce(Arc<Plan>) -> Box<dyn Executor>,
) -> (Vec<Epoch>, Vec<Call>) {
    let data = &loaded.data;
    let sizing = Sizing {
        members: 1,
        batch: BATCH,
        loss: Loss::CrossEntropy,
        norm: &loaded.normalization,
        residence: Residence::Whole,
        folds: &[],
    };
    let model = Sequential::parse("linear:128,relu", 10).expect("a model");
    let spec = feed::spec(data, &sizing);
    let plan = Arc::new(Plan::record(&spec, |rec, x| model.forward(rec, x)));
    let (norm, target) = (&loaded.normalization, loaded.target);
    let feed = Feed::new(data, norm, target, &[], Residence::Whole);
    let hyper = [Hyper::new(OptimizerKind::Adam)];
    let calls = Calls::default();
    let mut exec = Counting {
        inner: executor(plan.clone()),
        calls: calls.clone(),
    };
    feed.load(&mut exec).expect("samples");
    train::start_from(&mut exec, &initial_parameters(&plan, 0)).expect("weights");
    let steps = data.parts.train.len().div_ceil(BATCH);
    let schedule = Planned::new(Schedule::Constant, Warmup::Steps(0), steps as u64, n_epochs);
    let job = Job {
        hyper: &hyper,
        schedules: &[schedule.expect("constant")],
        feed: &feed,
        scores: &[Score::Accuracy],
        epochs: n_epochs,
        shuffle: true,
        accumulate: 1,
        ema: 0.0,
        time: None,
        target_accuracy: None,
        checkpoint_every: Duration::MAX,
        stop: &AtomicBool::new(false),
    };
    let mut state = State::new(steps, vec![MemberState::default()]);
    calls.borrow_mut().clear();
    let mut marks = Marks(calls.clone());
    train::train(&mut exec, &job, &mut state, &mut None, &mut marks).expect("it trains");
    let calls = calls.borrow();
    let mut epochs = Vec::new();
    let mut of_epoch = Vec::new();
    for call in calls.iter() {
        match call {
            Call::EpochEnds(seconds) => epochs.push(Epoch {
                calls: std::mem::take(&mut of_epoch),
                seconds: *seconds,
            }),
            call => of_epoch.push(*call),
        }
    }
    assert_eq!(epochs.len(), n_epochs as usize);
    for epoch in &epochs {
        epoch.check(steps);
    }
    (epochs, of_epoch)
}

/// Where steps cost nothing, the submits are those that the loop wants by itself.
#[test]
fn an_epoch_is_a_handful_of_submits() {
    let (epochs, after) = epochs(&loaded(60_000), 4, |plan| {
        Box::new(Instant {
            plan,
            submitted: VecDeque::new(),
        })
    });
    assert!(epochs[0].submits() <= 8, "{:?}", epochs[0].calls);
    for epoch in &epochs[1..] {
        // A short segment first, and the long one while it is worked at.
        let [upload, wait] = [Call::Upload, Call::Collect];
        let calls = &epoch.calls[epoch.calls.iter().position(|c| *c == upload).expect("one")..];
        let expected = [
            upload,
            upload,
            Call::Submit(32),
            upload,
            upload,
            Call::Submit(437),
            wait,
            wait,
        ];
        assert_eq!(calls[..8], expected);
    }
    // The epochs are over within a second: one checkpoint, at the end, and nothing copied before it.
    for epoch in &epochs[..3] {
        assert_eq!(
            epoch.count(|c| *c == Call::Download),
            0,
            "{:?}",
            epoch.calls
        );
    }
    assert_eq!(after, [Call::Checkpoint]);
}

/// Where they do, a range takes about 0.15 s, so that their number is bounded by time.
fn bounded_by_time(epochs: &[Epoch]) {
    for epoch in epochs {
        // Twice the number, for a machine that is busy with other things at times.
        let most = 8 + (2.0 * epoch.seconds / 0.15) as usize;
        assert!(
            epoch.submits() <= most,
            "{} submits in {:.2} s: {:?}",
            epoch.submits(),
            epoch.seconds,
            epoch.calls
        );
    }
}

#[test]
fn the_cpu_path_is_asked_no_more_than_needed() {
    let (epochs, _) = epochs(&loaded(60_000), 3, |plan| {
        Box::new(Cpu::<f32>::new(plan, 0).expect("threads"))
    });
    bounded_by_time(&epochs);
}

#[test]
fn the_gpu_is_asked_no_more_than_needed() {
    let device = require_device();
    let (epochs, _) = epochs(&loaded(3200), 3, |plan| {
        Box::new(Gpu::new(plan, device).expect("pipelines"))
    });
    bounded_by_time(&epochs);
}
