//! The engine against a host in memory: every step × every fault, to rest.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use freehold_protocol::report::{Outcome, StepState};
use freehold_protocol::time::Timestamp;

use super::*;
use crate::clock::FixedClock;
use crate::journal::Missing;
use crate::plan::tests_support::{check_of, order_of, plan_of};
use crate::runner::Script;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, Step, StepOutput};
use crate::saga::{Action, Deaf};

/// What goes wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    LookFails,
    Fails,
    UnclearOnce,
    UnclearAlways,
    KilledBeforeRun,
    KilledAfterRun,
    KilledAlways,
    CancelWhileRunning,
    UndoFailsOnce,
    UndoFailsAlways,
    KilledInUndo,
    KilledInUndoAlways,
}

const FAULTS: [Fault; 13] = [
    Fault::None,
    Fault::LookFails,
    Fault::Fails,
    Fault::UnclearOnce,
    Fault::UnclearAlways,
    Fault::KilledBeforeRun,
    Fault::KilledAfterRun,
    Fault::KilledAlways,
    Fault::CancelWhileRunning,
    Fault::UndoFailsOnce,
    Fault::UndoFailsAlways,
    Fault::KilledInUndo,
    Fault::KilledInUndoAlways,
];

/// A host of which a step is either done (with the number of its effective runs) or not.
#[derive(Debug)]
struct World {
    at: Step,
    fault: Fault,
    /// The step that fails so that undoing begins, for faults of an undo.
    trigger: Option<Step>,
    hits: AtomicU32,
    done: Mutex<BTreeMap<Step, bool>>,
    cancel: CancelToken,
    actions: BTreeMap<Step, Act>,
}

#[derive(Debug)]
struct Act {
    step: Step,
    world: Mutex<Option<std::sync::Weak<World>>>,
}

impl Stage for World {
    fn action(&self, step: Step) -> &dyn Action {
        &self.actions[&step]
    }
}

impl World {
    fn new(at: Step, fault: Fault, trigger: Option<Step>) -> Arc<Self> {
        let actions = Step::ALL.map(|step| (step, Act { step, world: Mutex::new(None) }));
        let world = Arc::new(Self {
            at,
            fault,
            trigger,
            hits: AtomicU32::new(0),
            done: Mutex::new(BTreeMap::new()),
            cancel: CancelToken::new(),
            actions: BTreeMap::from(actions),
        });
        for act in world.actions.values() {
            *act.world.lock().unwrap() = Some(Arc::downgrade(&world));
        }
        world
    }

    fn first(&self) -> bool {
        self.hits.fetch_add(1, Ordering::SeqCst) == 0
    }

    fn is_clean(&self) -> bool {
        self.done.lock().unwrap().values().all(|done| !done)
    }
}

fn broken() -> Failure {
    Failure::new(FailureClass::Host, "it broke", "mend it")
}

impl Act {
    fn world(&self) -> Arc<World> {
        self.world.lock().unwrap().as_ref().unwrap().upgrade().unwrap()
    }
    fn faulty(&self, fault: Fault) -> bool {
        let world = self.world();
        world.at == self.step && world.fault == fault
    }
}

impl Action for Act {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        if self.faulty(Fault::LookFails) { Err(broken()) } else { Ok(Before::Nothing) }
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let world = self.world();
        if self.faulty(Fault::KilledBeforeRun) && world.first() || self.faulty(Fault::KilledAlways)
        {
            panic!("killed");
        }
        if self.step.changes() {
            world.done.lock().unwrap().insert(self.step, true);
        }
        if self.faulty(Fault::KilledAfterRun) && world.first() {
            panic!("killed");
        }
        if self.faulty(Fault::Fails) || world.trigger == Some(self.step) {
            return RunEnd::Failed(broken());
        }
        if self.faulty(Fault::UnclearAlways) || self.faulty(Fault::UnclearOnce) && world.first() {
            return RunEnd::Unclear(broken());
        }
        if self.faulty(Fault::CancelWhileRunning) && world.first() {
            world.cancel.cancel();
            // As a killed command does.
            if context.cancel.sleep(Duration::from_millis(200)) {
                return RunEnd::Unclear(broken());
            }
        }
        RunEnd::Done(StepOutput::Nothing)
    }

    fn undo(&self, _context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        assert_eq!(*before, Before::Nothing);
        let world = self.world();
        if self.faulty(Fault::UndoFailsAlways) || self.faulty(Fault::UndoFailsOnce) && world.first()
        {
            return Err(broken());
        }
        world.done.lock().unwrap().insert(self.step, false);
        if self.faulty(Fault::KilledInUndo) && world.first()
            || self.faulty(Fault::KilledInUndoAlways)
        {
            panic!("killed");
        }
        Ok(())
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    journal: Journal,
    clock: Arc<FixedClock>,
}

const QUICK: Patience = Patience {
    runs: 3,
    undo_tries: 3,
    pause: Duration::ZERO,
    quiet: Duration::from_secs(60),
    undo_deadline: Duration::from_secs(60),
};

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db"), Missing::Create).unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::from_millis(1_000_000)));
        Self { _dir: dir, journal, clock }
    }

    fn engine(&self, world: &Arc<World>) -> Engine {
        let host = Arc::new(Host::for_tests(Box::new(Script::new())));
        Engine::new(self.journal.clone(), host, world.clone(), self.clock.clone(), QUICK)
    }

    fn begin(&self) -> SagaId {
        let begun = self.journal.begin_saga(&plan_of(1, 1), self.clock.now()).unwrap();
        let Begun::New(saga) = begun else { panic!("{begun:?}") };
        saga
    }

    /// Runs a saga to rest, starting the agent again after each kill.
    fn to_rest(&self, saga: SagaId, world: &Arc<World>) -> Rest {
        for _ in 0..20 {
            let engine = self.engine(world);
            let run = || engine.run(saga, &world.cancel, &Deaf).unwrap().unwrap();
            if let Ok(rest) = catch_unwind(AssertUnwindSafe(run)) {
                return rest;
            }
        }
        panic!("the saga does not come to rest");
    }
}

/// Runs a saga in a thread, and does something while its slow step is under way.
fn run_slowly(
    engine: &Engine,
    saga: SagaId,
    world: &World,
    meanwhile: impl FnOnce(),
) -> Option<Rest> {
    let never = CancelToken::new();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| engine.run(saga, &never, &Deaf).unwrap());
        while world.hits.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        meanwhile();
        slow.join().unwrap()
    })
}

/// Panics of the simulated kills would fill the test's output.
fn quiet_kills() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"killed") {
                usual(info);
            }
        }));
    });
}

#[test]
fn every_step_and_every_fault_comes_to_rest() {
    quiet_kills();
    let plan = plan_of(1, 1);
    let no_return = plan.shape().no_return.unwrap();
    for (index, step) in plan.steps.iter().copied().enumerate() {
        for fault in FAULTS {
            let of_undo = matches!(
                fault,
                Fault::UndoFailsOnce
                    | Fault::UndoFailsAlways
                    | Fault::KilledInUndo
                    | Fault::KilledInUndoAlways
            );
            let trigger = of_undo.then(|| plan.steps[no_return - 1]);
            if of_undo && (index >= no_return || !step.changes()) {
                continue;
            }
            if fault == Fault::LookFails && (index >= no_return || !step.changes()) {
                continue;
            }
            let case = format!("{step} {fault:?}");
            let bench = Bench::new();
            let world = World::new(step, fault, trigger);
            let saga = bench.begin();
            let rest = bench.to_rest(saga, &world);
            let last = index >= no_return;
            let expected = match fault {
                Fault::None
                | Fault::UnclearOnce
                | Fault::KilledBeforeRun
                | Fault::KilledAfterRun => Outcome::Succeeded,
                Fault::CancelWhileRunning if last => Outcome::Succeeded,
                Fault::CancelWhileRunning => Outcome::Cancelled,
                Fault::UndoFailsAlways | Fault::KilledInUndoAlways => Outcome::Stuck,
                Fault::Fails | Fault::UnclearAlways | Fault::KilledAlways if last => Outcome::Stuck,
                Fault::LookFails if index <= 1 => Outcome::Failed,
                _ if index == 0 => Outcome::Failed,
                _ => Outcome::RolledBack,
            };
            assert_eq!(rest.outcome, expected, "{case}: {rest:?}");
            assert_eq!(rest.failure.is_some(), expected != Outcome::Succeeded, "{case}");
            match expected {
                Outcome::Succeeded => {
                    let done = world.done.lock().unwrap();
                    let all = plan.steps.iter().filter(|step| step.changes());
                    assert!(all.into_iter().all(|step| done.get(step) == Some(&true)), "{case}");
                    assert!(rest.steps.iter().all(|step| step.state == StepState::Done), "{case}");
                }
                Outcome::Stuck => {
                    let failure = rest.failure.clone().unwrap();
                    assert_eq!(failure.class, FailureClass::Stuck, "{case}");
                    assert!(failure.advice.contains("freehold-agent resume"), "{case}");
                }
                _ => assert!(world.is_clean(), "{case}"),
            }
            // A saga at rest stays as it is, and the same job is not run again.
            let engine = bench.engine(&world);
            assert_eq!(engine.run(saga, &CancelToken::new(), &Deaf).unwrap(), Some(rest.clone()));
            assert_eq!(engine.rest(saga).unwrap(), Some(rest), "{case}");
            assert_eq!(engine.begin(&order_of(1, 1)).unwrap(), saga, "{case}");
        }
    }
}

#[test]
fn a_stuck_saga_blocks_its_tenant_until_it_is_resumed() {
    let bench = Bench::new();
    let steps = plan_of(1, 1).steps;
    let world = World::new(steps[1], Fault::UndoFailsAlways, Some(steps[2]));
    let saga = bench.begin();
    assert_eq!(bench.to_rest(saga, &world).outcome, Outcome::Stuck);
    let again = bench.journal.begin_saga(&plan_of(1, 2), bench.clock.now()).unwrap();
    assert!(matches!(again, Begun::Busy(row) if row.status == "stuck"));
    let other = bench.journal.begin_saga(&plan_of(2, 3), bench.clock.now()).unwrap();
    assert!(matches!(other, Begun::New(_)));
    // To look at the tenant is allowed.
    let engine = bench.engine(&world);
    assert!(engine.begin(&check_of(1, 4)).is_ok());
    // Resumed while it is still broken: stuck again.
    let job = order_of(1, 1).job;
    assert_eq!(engine.resume(job, "ann").unwrap(), saga);
    let rest = engine.run(saga, &CancelToken::new(), &Deaf).unwrap().unwrap();
    assert_eq!(rest.outcome, Outcome::Stuck);
    // Mended, and resumed.
    let mended = World::new(steps[1], Fault::None, None);
    mended.done.lock().unwrap().insert(steps[1], true);
    let engine = bench.engine(&mended);
    engine.resume(job, "ann").unwrap();
    let rest = engine.run(saga, &CancelToken::new(), &Deaf).unwrap().unwrap();
    assert_eq!(rest.outcome, Outcome::RolledBack);
    assert!(mended.is_clean());
    assert!(matches!(engine.resume(job, "ann"), Err(BeginError::Refused(_))));
    let again = bench.journal.begin_saga(&plan_of(1, 2), bench.clock.now()).unwrap();
    assert!(matches!(again, Begun::New(_)));
}

#[test]
fn a_job_that_takes_too_long_turns_back() {
    let bench = Bench::new();
    let steps = plan_of(1, 1).steps;
    let world = World::new(steps[0], Fault::None, None);
    let saga = bench.begin();
    bench.clock.advance(Duration::from_secs(601));
    let rest = bench.to_rest(saga, &world);
    assert_eq!(rest.outcome, Outcome::Failed);
    assert!(rest.failure.unwrap().what.contains("600 s"));
}

#[test]
fn one_thread_drives_a_saga() {
    let bench = Bench::new();
    let steps = plan_of(1, 1).steps;
    let world = World::new(steps[1], Fault::CancelWhileRunning, None);
    let saga = bench.begin();
    let (engine, never) = (bench.engine(&world), CancelToken::new());
    let rest = run_slowly(&engine, saga, &world, || {
        assert_eq!(engine.run(saga, &never, &Deaf).unwrap(), None);
    });
    assert_eq!(rest.unwrap().outcome, Outcome::Succeeded);
}

#[test]
fn a_halted_engine_stops_between_two_steps_and_the_next_one_goes_on() {
    let bench = Bench::new();
    let steps = plan_of(1, 1).steps;
    let world = World::new(steps[1], Fault::CancelWhileRunning, None);
    let saga = bench.begin();
    let (engine, never) = (bench.engine(&world), CancelToken::new());
    assert_eq!(run_slowly(&engine, saga, &world, || engine.halt()), None);
    // The step that ran is done, the next one has not started.
    let records = bench.journal.saga(saga).unwrap().records;
    assert!(matches!(records.last(), Some((_, Record::Done { step: 1, .. }))), "{records:?}");
    // Not even a look; and nothing counts as tried.
    assert_eq!(engine.run(saga, &never, &Deaf).unwrap(), None);
    assert_eq!(bench.journal.saga(saga).unwrap().records.len(), records.len());
    let rest = bench.engine(&world).run(saga, &never, &Deaf).unwrap().unwrap();
    assert_eq!(rest.outcome, Outcome::Succeeded);
    let records = bench.journal.saga(saga).unwrap().records;
    assert!(!records.iter().any(|(_, record)| matches!(record, Record::Again { .. })));
}

#[test]
fn a_halted_engine_neither_tries_again_nor_goes_on_undoing() {
    let bench = Bench::new();
    let steps = plan_of(1, 1).steps;
    let patience = Patience { pause: Duration::from_secs(60), ..QUICK };
    // Unclear, and halted in the pause before the second run; then the same in the pause of an undo.
    for (fault, trigger) in [(Fault::UnclearOnce, None), (Fault::UndoFailsOnce, Some(steps[2]))] {
        let bench = &bench;
        let world = World::new(steps[1], fault, trigger);
        let saga = if trigger.is_none() {
            bench.begin()
        } else {
            let begun = bench.journal.begin_saga(&plan_of(2, 2), bench.clock.now()).unwrap();
            let Begun::New(saga) = begun else { panic!("{begun:?}") };
            saga
        };
        let host = Arc::new(Host::for_tests(Box::new(Script::new())));
        let (journal, clock) = (bench.journal.clone(), bench.clock.clone());
        let engine = Engine::new(journal, host, world.clone(), clock, patience);
        let never = CancelToken::new();
        let begun = std::time::Instant::now();
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| engine.run(saga, &never, &Deaf).unwrap());
            while world.hits.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(50));
            engine.halt();
            assert_eq!(slow.join().unwrap(), None);
        });
        assert!(begun.elapsed() < Duration::from_secs(30));
        let rest = bench.to_rest(saga, &world);
        let expected = if trigger.is_none() { Outcome::Succeeded } else { Outcome::RolledBack };
        assert_eq!(rest.outcome, expected, "{fault:?}");
    }
}
