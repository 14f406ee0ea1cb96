//! What the tests stand on.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_protocol::{
    dsse::Envelope,
    failure::Failure,
    ids::{AgentId, JobId, Nonce, PortalId, Sha256Digest},
    job::{AuditHead, Job, ProbeHost, Work},
    keys::{SealPublicKey, SigningKey},
    report::{HostFacts, Report, TenantHealth},
    time::Timestamp,
    trust::TrustDocument,
    wire::{Head, JobAttempt, PollAnswer, PollPayload, Receipt},
};

use crate::{
    clock::{Clock, FixedClock},
    executor::{
        Executor, Parts, inventory::Survey, offer::OfferError, portal_time::PortalClock,
        upkeep::Upkeep,
    },
    identity,
    journal::{Journal, Missing, trust::NewEnrollment},
    runner::Script,
    saga::{
        Action, Stage,
        context::{Context, Host},
        engine::{Engine, Patience},
        step::{Before, RunEnd, Step, StepOutput},
    },
    socket::{Ack, Answerer, Caller, Offered, OutItem, OutWork, Reply, Request, StatusView},
};

fn id<T: std::str::FromStr>(n: u16) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("0190b1c2-0000-7000-8000-00000000{n:04x}").parse().unwrap()
}

pub fn portal_id() -> PortalId {
    id(0x100)
}
pub fn agent_id() -> AgentId {
    id(0x200)
}
pub fn job_id(n: u16) -> JobId {
    id(n)
}

pub fn attempt(n: u16, attempt: u32) -> JobAttempt {
    JobAttempt { job_id: job_id(n), attempt }
}

/// Every step is done at once, unless it is held; runs are counted.
#[derive(Debug, Default)]
pub struct Counting {
    pub runs: AtomicU32,
    pub hold: AtomicBool,
}

#[derive(Debug)]
struct Counted(Arc<Counting>);

impl Stage for Counted {
    fn action(&self, _step: Step) -> &dyn Action {
        self
    }
}

impl Action for Counted {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }
    fn run(&self, _context: &Context<'_>) -> RunEnd {
        self.0.runs.fetch_add(1, Ordering::SeqCst);
        while self.0.hold.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        RunEnd::Done(StepOutput::Nothing)
    }
    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug)]
struct NoSurvey;
impl Survey for NoSurvey {
    fn facts(&self) -> HostFacts {
        facts()
    }
    fn tenants(&self) -> Result<Vec<TenantHealth>, crate::journal::JournalError> {
        Ok(Vec::new())
    }
}

pub fn facts() -> HostFacts {
    HostFacts {
        at: Timestamp::from_millis(0),
        os: "Debian".into(),
        kernel: "6".into(),
        arch: "x86_64".into(),
        memory_total_mib: 1,
        memory_available_mib: 1,
        cpus: 1,
        load_percent: 0,
        disk_total_mib: 1,
        disk_available_mib: 1,
        tools: [].into(),
        problems: vec![],
    }
}

pub struct World {
    pub executor: Arc<Executor>,
    pub journal: Journal,
    pub stage: Arc<Counting>,
    pub root_key: SigningKey,
    pub job_key: SigningKey,
    pub report_key: SigningKey,
    pub host_clock: Arc<FixedClock>,
    key_path: PathBuf,
    patience: Patience,
    _dir: tempfile::TempDir,
}

fn document(version: u64, epoch: u64, root: &SigningKey, job: &SigningKey) -> TrustDocument {
    TrustDocument {
        portal: portal_id(),
        version,
        epoch,
        iat: Timestamp::from_millis(0),
        exp: Timestamp::from_millis(i64::MAX / 2),
        root_keys: vec![root.public()],
        job_keys: vec![job.public()],
        seal_key: SealPublicKey::from_bytes([5; 32]),
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Patience::default())
    }

    pub fn with(patience: Patience) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key_path = dir.path().join("report.pem");
        let report_key = identity::ensure_signing_key(&key_path, None).unwrap();
        let (root_key, job_key) =
            (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let journal = Journal::open(&dir.path().join("journal.db"), Missing::Create).unwrap();
        let document = document(1, 1, &root_key, &job_key);
        let trust = Envelope::sign(&document, &[&root_key]).unwrap();
        let content = Receipt {
            portal: portal_id(),
            agent_id: agent_id(),
            host_id: id(0x300),
            host_name: "vps-1".parse().unwrap(),
            identity_key: Sha256Digest::ZERO,
            report_key: report_key.public().fingerprint(),
            seal_key: Sha256Digest::ZERO,
            head: Head::start_of(1),
            trust_version: 1,
        };
        let new = NewEnrollment {
            portal_url: "https://portal.example",
            receipt: &Envelope::sign(&content, &[&job_key]).unwrap(),
            content: &content,
            pin: trust.payload_digest().unwrap(),
            trust: &[(1, trust.clone())],
        };
        journal.enroll(&new, Timestamp::from_millis(0)).unwrap();
        let host_clock = Arc::new(FixedClock::at(Timestamp::from_millis(1_000_000)));
        let stage = Arc::new(Counting::default());
        let executor = build(&journal, &host_clock, &stage, &key_path, patience);
        Self {
            executor,
            journal,
            stage,
            root_key,
            job_key,
            report_key,
            host_clock,
            key_path,
            patience,
            _dir: dir,
        }
    }

    pub fn restart(&mut self) {
        self.executor.stop();
        let (journal, clock) = (&self.journal, &self.host_clock);
        self.executor = build(journal, clock, &self.stage, &self.key_path, self.patience);
    }

    /// Portal time: a day after the host's.
    pub fn now(&self) -> Timestamp {
        self.host_clock.now().plus_secs(86_400)
    }

    pub fn job(&self, seq: u64, id: u16) -> Job {
        Job {
            portal: portal_id(),
            agent_id: agent_id(),
            agent_key: self.report_key.public().fingerprint(),
            epoch: 1,
            seq,
            prev: Sha256Digest::ZERO,
            job_id: job_id(id),
            attempt: 1,
            iat: self.now(),
            nbf: self.now(),
            exp: self.now().plus_secs(3600),
            timeout_secs: 600,
            actor: "ann".into(),
            audit: AuditHead { n: seq, hash: Sha256Digest::of(&seq.to_be_bytes()) },
            approval: None,
            work: Work::ProbeHost(ProbeHost {}).into(),
            app_env: None,
        }
    }

    /// A job of twelve steps.
    pub fn deploy(&self, seq: u64, id: u16) -> Job {
        let text = include_str!("../../../../protocol/tests/wire/job-deploy-tenant.json");
        let work = serde_json::from_str::<Job>(text).unwrap().work;
        Job { work, ..self.job(seq, id) }
    }

    pub fn digest(&self, job: &Job) -> Sha256Digest {
        Envelope::sign(job, &[&self.job_key]).unwrap().payload_digest().unwrap()
    }

    /// A second trust document with another job key and a higher epoch.
    pub fn rotated(&self) -> (Envelope, SigningKey) {
        let key = SigningKey::from_seed(&[3; 32]);
        let document = document(2, 2, &self.root_key, &key);
        (Envelope::sign(&document, &[&self.root_key]).unwrap(), key)
    }

    /// So many trust documents after the first, each with a job key of its own, and the last key.
    pub fn rotations(&self, count: u64) -> (Vec<Envelope>, SigningKey) {
        let key = |version: u64| {
            let mut seed = [200; 32];
            seed[..8].copy_from_slice(&version.to_le_bytes());
            SigningKey::from_seed(&seed)
        };
        let sign = |version| {
            let document = document(version, version, &self.root_key, &key(version));
            Envelope::sign(&document, &[&self.root_key]).unwrap()
        };
        ((2..=count + 1).map(sign).collect(), key(count + 1))
    }

    pub fn answer(
        &self,
        key: &SigningKey,
        nonce: Nonce,
        jobs: &[Job],
        change: impl Fn(&mut PollPayload),
    ) -> PollAnswer {
        let jobs: Vec<_> = jobs.iter().map(|job| Envelope::sign(job, &[key]).unwrap()).collect();
        let mut poll = PollPayload {
            portal: portal_id(),
            agent_id: agent_id(),
            nonce,
            now: self.now(),
            held_millis: 0,
            epoch: 1,
            trust_version: 1,
            head: Head::start_of(1),
            jobs: jobs.iter().map(|job| job.payload_digest().unwrap()).collect(),
            cancel: vec![],
            report: vec![],
            resume: vec![],
            conflict: false,
            drain: false,
            next_poll_seconds: 0,
            wait_seconds: 25,
        };
        change(&mut poll);
        PollAnswer { answer: Envelope::sign(&poll, &[key]).unwrap(), jobs, trust: vec![] }
    }

    /// What the poller is told for its next poll.
    pub fn asked(&self) -> StatusView {
        let request = Request::Status { for_poll: true };
        match self.executor.answer(Caller::Poller, request) {
            Reply::Status(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub fn nonce(&self) -> Nonce {
        self.asked().nonce.unwrap()
    }

    pub fn offer(
        &self,
        jobs: &[Job],
        change: impl Fn(&mut PollPayload),
    ) -> Result<Offered, OfferError> {
        self.offer_signed_by(&self.job_key, jobs, change)
    }

    pub fn offer_signed_by(
        &self,
        key: &SigningKey,
        jobs: &[Job],
        change: impl Fn(&mut PollPayload),
    ) -> Result<Offered, OfferError> {
        let nonce = self.nonce();
        self.executor.offer(&self.answer(key, nonce, jobs, change))
    }

    pub fn status(&self) -> StatusView {
        let request = Request::Status { for_poll: false };
        match self.executor.answer(Caller::Operator, request) {
            Reply::Status(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for something that other threads bring about.
    pub fn until(&self, done: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < until, "it does not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets one worker work until nothing is left.
    pub fn work_until_quiet(&self) {
        std::thread::scope(|scope| {
            let worker = Arc::clone(&self.executor);
            scope.spawn(move || worker.work());
            let until = Instant::now() + Duration::from_secs(20);
            while !self.status().running.is_empty() {
                assert!(Instant::now() < until, "the job does not end");
                std::thread::sleep(Duration::from_millis(5));
            }
            self.executor.stop();
        });
        assert_eq!(self.executor.broken(), None);
        // Stopped for good; what follows only asks and tells.
        self.executor.stop.store(false, Ordering::SeqCst);
    }

    pub fn next_out(&self) -> Option<OutItem> {
        match self.executor.answer(Caller::Poller, Request::NextReport { wait_ms: 0 }) {
            Reply::Report(item) => item.map(|item| *item),
            other => panic!("{other:?}"),
        }
    }

    pub fn ack_reply(&self, id: &str, ack: Ack) -> Reply {
        self.executor.answer(Caller::Poller, Request::AckReport { id: id.to_owned(), ack })
    }

    pub fn ack(&self, id: &str, ack: Ack) {
        assert!(matches!(self.ack_reply(id, ack), Reply::Done));
    }

    /// Acknowledges everything; returns the reports.
    pub fn tell_all(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(item) = self.next_out() {
            if let OutWork::Report { body, .. } = item.work {
                let opened = body.report.open::<Report>(&[self.report_key.public()], 1);
                reports.push(opened.unwrap().into_inner());
            }
            self.ack(&item.id, Ack::Taken { next: None });
        }
        reports
    }
}

fn build(
    journal: &Journal,
    host_clock: &Arc<FixedClock>,
    stage: &Arc<Counting>,
    key_path: &std::path::Path,
    patience: Patience,
) -> Arc<Executor> {
    let clock = Arc::new(PortalClock::new(Arc::clone(host_clock) as Arc<dyn Clock>));
    let engine = Engine::new(
        journal.clone(),
        Arc::new(Host::for_tests(Box::new(Script::new()))),
        Arc::new(Counted(Arc::clone(stage))),
        Arc::clone(&clock) as Arc<dyn Clock>,
        patience,
    );
    Executor::new(Parts {
        journal: journal.clone(),
        engine,
        clock,
        survey: Box::new(NoSurvey),
        report_key: key_path.to_owned(),
        workers: 2,
        inventory_interval: Duration::from_secs(300),
        measure_every: None,
        upkeep: Upkeep {
            first: Duration::from_secs(300),
            every: Duration::from_secs(12 * 3600),
            before_days: 30,
        },
    })
    .unwrap()
}
