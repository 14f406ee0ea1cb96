//! Poller and enrollment against a small portal of these tests' own, over real sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::{
    dsse::Envelope,
    enroll::{EnrollmentToken, proof_holds},
    httpsig::{SignedParts, claim, verify},
    ids::{AgentId, PortalId, Sha256Digest},
    keys::{PublicKey, SealPublicKey, SigningKey},
    secret::Secret,
    time::Timestamp,
    trust::TrustDocument,
    wire::{EnrollRequest, Head, PollPayload, PollRequest, Receipt},
};

use super::*;
use crate::{
    clock::SystemClock,
    enroll::{EnrollError, enroll},
    exit::Exit,
    journal::{Journal, Missing},
    socket::{ErrorCode, PollFault, Reply, Request},
};

fn id<T: std::str::FromStr>(n: u16) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("0190b1c2-0000-7000-8000-00000000{n:04x}").parse().unwrap()
}

/// What the portal does wrong, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    OtherKeysInReceipt,
    OtherTrust,
    Revoked,
    ClockSkew,
}

struct FakePortal {
    url: String,
    root: SigningKey,
    job: SigningKey,
    mood: Mutex<Mood>,
    enrolled: Mutex<Vec<EnrollRequest>>,
    polls: Mutex<Vec<PollRequest>>,
    told: Mutex<Vec<String>>,
    errors: Mutex<Vec<String>>,
}

impl FakePortal {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let portal = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            root: SigningKey::from_seed(&[1; 32]),
            job: SigningKey::from_seed(&[2; 32]),
            mood: Mutex::new(Mood::Good),
            enrolled: Mutex::default(),
            polls: Mutex::default(),
            told: Mutex::default(),
            errors: Mutex::default(),
        });
        let shared = Arc::clone(&portal);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        portal
    }

    fn trust(&self) -> Envelope {
        let document = TrustDocument {
            portal: id::<PortalId>(0x100),
            version: 1,
            epoch: 1,
            iat: Timestamp::from_millis(0),
            exp: Timestamp::from_millis(i64::MAX / 2),
            root_keys: vec![self.root.public()],
            job_keys: vec![self.job.public()],
            seal_key: SealPublicKey::from_bytes([5; 32]),
        };
        Envelope::sign(&document, &[&self.root]).unwrap()
    }

    fn token(&self) -> EnrollmentToken {
        EnrollmentToken {
            url: self.url.clone(),
            trust: self.trust().payload_digest().unwrap(),
            id: id(0x400),
            secret: Secret::new("one-time".into()),
        }
    }

    /// Answers one request and closes.
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let header = |name: &str| {
            head.iter().skip(1).find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut words = head[0].split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if path.starts_with("/api/v1/agent/") && path != "/api/v1/agent/enroll" {
            self.check_signature(method, path, &body, &header);
        }
        let (status, answer) = self.answer(path, &body);
        let reply = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ndate: Sun, 06 Nov 2033 08:49:37 GMT\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        // The agent may have been stopped meanwhile.
        (&stream).write_all(reply.as_bytes()).unwrap_or_default();
    }

    fn check_signature(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        header: &dyn Fn(&str) -> Option<String>,
    ) {
        let identity: PublicKey = self.enrolled.lock().unwrap()[0].identity_key;
        let parts = SignedParts {
            method,
            authority: self.url.strip_prefix("http://").unwrap(),
            path,
            query: "?",
            body,
        };
        let said =
            claim(&header("signature-input").unwrap(), &header("signature").unwrap()).unwrap();
        let now = Timestamp::from_millis(said.created_secs * 1000);
        let held = verify(&said, &identity, &parts, &header("content-digest").unwrap(), now);
        if let Err(error) = held {
            self.errors.lock().unwrap().push(error.to_string());
        }
        let skewed = said.created_secs > 2_000_000_000;
        self.told.lock().unwrap().push(format!("{path} {}", if skewed { "2033" } else { "now" }));
    }

    fn answer(&self, path: &str, body: &[u8]) -> (u16, String) {
        let mood = *self.mood.lock().unwrap();
        let problem = |status: u16, code: &str| {
            let text = format!(
                r#"{{"type":"x","title":"no","status":{status},"code":"{code}","detail":"it is {code}"}}"#
            );
            (status, text)
        };
        match path {
            "/api/v1/trust" => {
                let mut trust = self.trust();
                if mood == Mood::OtherTrust {
                    trust = Envelope::sign_bytes("x", b"{}", &[&self.root]);
                }
                (200, serde_json::to_string(&[trust]).unwrap())
            }
            "/api/v1/agent/enroll" => {
                let request: EnrollRequest = serde_json::from_slice(body).unwrap();
                assert!(proof_holds(
                    &Secret::new("one-time".into()),
                    request.token_id,
                    &request.identity_key,
                    &request.report_key,
                    &request.seal_key,
                    &request.proof
                ));
                let receipt = Receipt {
                    portal: id(0x100),
                    agent_id: id::<AgentId>(0x200),
                    host_id: id(0x300),
                    host_name: "vps-1".parse().unwrap(),
                    identity_key: request.identity_key.fingerprint(),
                    report_key: if mood == Mood::OtherKeysInReceipt {
                        Sha256Digest::ZERO
                    } else {
                        request.report_key.fingerprint()
                    },
                    seal_key: request.seal_key.fingerprint(),
                    head: Head::start_of(1),
                    trust_version: 1,
                };
                self.enrolled.lock().unwrap().push(request);
                let envelope = Envelope::sign(&receipt, &[&self.job]).unwrap();
                (200, serde_json::json!({ "receipt": envelope }).to_string())
            }
            "/api/v1/agent/poll" if mood == Mood::Revoked => problem(403, "revoked"),
            "/api/v1/agent/poll" if mood == Mood::ClockSkew => {
                *self.mood.lock().unwrap() = Mood::Good;
                problem(401, "clock_skew")
            }
            "/api/v1/agent/poll" => {
                let request: PollRequest = serde_json::from_slice(body).unwrap();
                let payload = PollPayload {
                    portal: id(0x100),
                    agent_id: id(0x200),
                    nonce: request.nonce.clone(),
                    now: Timestamp::from_millis(2_014_700_000_000),
                    held_millis: 0,
                    epoch: 1,
                    trust_version: 1,
                    head: Head::start_of(1),
                    jobs: vec![],
                    cancel: vec![],
                    report: vec![],
                    resume: vec![],
                    conflict: false,
                    drain: false,
                    next_poll_seconds: 1,
                    wait_seconds: 0,
                };
                self.polls.lock().unwrap().push(request);
                let answer = Envelope::sign(&payload, &[&self.job]).unwrap();
                (200, serde_json::json!({ "answer": answer, "jobs": [] }).to_string())
            }
            _ => (204, String::new()),
        }
    }
}

fn configured(dir: &std::path::Path) -> Config {
    Config {
        state_dir: dir.join("state"),
        poller_dir: dir.join("poller"),
        socket: dir.join("run").join("s.sock"),
        poller_user: String::new(),
        ..Config::default()
    }
}

fn journal(config: &Config) -> Journal {
    identity::ensure_folder(&config.state_dir, None).unwrap();
    Journal::open(&config.journal_path(), Missing::Create).unwrap()
}

fn facts() -> freehold_protocol::report::HostFacts {
    serde_json::from_str(
        r#"{"at":0,"os":"x","kernel":"x","arch":"x","memoryTotalMib":1,"memoryAvailableMib":1,"cpus":1,
            "loadPercent":0,"diskTotalMib":1,"diskAvailableMib":1,"tools":{}}"#,
    )
    .unwrap()
}

#[test]
fn enrolling_is_checked_safe_to_repeat_and_not_done_twice() {
    let portal = FakePortal::start();
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let journal = journal(&config);
    let run = |force| enroll(&config, &journal, &portal.token(), facts(), force, &SystemClock);

    *portal.mood.lock().unwrap() = Mood::OtherTrust;
    assert!(matches!(run(false), Err(EnrollError::Trust(_))));
    // Nothing was sent to a portal that is not the token's.
    assert!(portal.enrolled.lock().unwrap().is_empty());

    *portal.mood.lock().unwrap() = Mood::OtherKeysInReceipt;
    assert!(matches!(run(false), Err(EnrollError::Mismatch { field: "report key" })));
    assert!(journal.enrollment().unwrap().is_none());

    *portal.mood.lock().unwrap() = Mood::Good;
    let receipt = run(false).unwrap();
    {
        // The second try came with the same keys.
        let enrolled = portal.enrolled.lock().unwrap();
        assert_eq!(enrolled[0].report_key, enrolled[1].report_key);
    }
    let enrollment = journal.enrollment().unwrap().unwrap();
    assert_eq!(enrollment.receipt, receipt);
    assert_eq!(identity::read_portal(&Paths::of(&config).portal).unwrap().url, portal.url);

    // The last file was not written: the same token finishes it, though the portal has used it up.
    let tries = portal.enrolled.lock().unwrap().len();
    identity::remove(&Paths::of(&config).portal).unwrap();
    assert_eq!(run(false).unwrap(), receipt);
    assert_eq!(portal.enrolled.lock().unwrap().len(), tries);
    assert_eq!(identity::read_portal(&Paths::of(&config).portal).unwrap().url, portal.url);

    let again = run(false).unwrap_err();
    assert!(matches!(again, EnrollError::Already { .. }), "{again}");
    assert_eq!(crate::cli::CliError::from(again).exit, Exit::Refused);
    run(true).unwrap();
    let enrolled = portal.enrolled.lock().unwrap();
    // A forced one has keys of its own: jobs for the old key are never run.
    assert_ne!(enrolled[1].report_key, enrolled[2].report_key);
}

#[test]
fn a_poller_that_was_taken_over_does_not_choose_the_next_key() {
    let portal = FakePortal::start();
    *portal.mood.lock().unwrap() = Mood::Good;
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let (journal, paths) = (journal(&config), Paths::of(&config));
    let run = |force| enroll(&config, &journal, &portal.token(), facts(), force, &SystemClock);
    let last = || portal.enrolled.lock().unwrap().last().unwrap().identity_key;
    let key_at = |path: &std::path::Path| identity::read_signing_key(path).unwrap().public();
    // Everything in the poller's folder is the thief's to write.
    let plant = || {
        ["identity.pem", "identity.next"].map(|name| {
            let path = config.poller_dir.join(name);
            identity::remove(&path).unwrap();
            identity::ensure_signing_key(&path, None).unwrap().public()
        })
    };

    let planted = plant();
    run(false).unwrap();
    assert!(!planted.contains(&last()));
    assert_eq!(key_at(&paths.identity), last());
    assert!(!paths.identity_next.exists());

    let (stolen, planted) = (last(), plant());
    // The answer is lost: the same key is offered again, and is still nobody else's.
    *portal.mood.lock().unwrap() = Mood::OtherKeysInReceipt;
    assert!(run(true).is_err());
    let drawn = last();
    assert_eq!(key_at(&paths.identity_next), drawn);
    *portal.mood.lock().unwrap() = Mood::Good;
    run(true).unwrap();
    assert_eq!(last(), drawn);
    assert!(drawn != stolen && !planted.contains(&drawn));
    assert_eq!(key_at(&paths.identity), drawn);

    // A stop before the last file left the key that is in force now: it is not taken for a new one.
    identity::copy_private(&paths.identity, &paths.identity_next, None).unwrap();
    run(true).unwrap();
    assert_ne!(last(), drawn);
}

/// Ends both halves, also when an expectation fails: the scope of their threads would wait for ever.
struct Ends(Arc<Poller>, Option<(Arc<crate::executor::Executor>, crate::socket::Bell)>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.stop();
        if let Some((executor, bell)) = &self.1 {
            executor.stop();
            executor.close();
            bell.ring();
        }
    }
}

#[test]
fn the_poller_polls_signs_and_follows_the_portals_clock() {
    let portal = FakePortal::start();
    *portal.mood.lock().unwrap() = Mood::Good;
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let journal = journal(&config);
    let poller = Poller::new(&config, Arc::new(SystemClock));
    thread::scope(|scope| {
        // Started before the enrollment: it waits for it.
        scope.spawn(|| poller.run(&config).unwrap());
        let mut ends = Ends(Arc::clone(&poller), None);
        enroll(&config, &journal, &portal.token(), facts(), false, &SystemClock).unwrap();
        *portal.mood.lock().unwrap() = Mood::ClockSkew;
        let executor = crate::executor::build::executor(&config).unwrap();
        let listener = crate::socket::Listener::bind(&config.socket, None).unwrap();
        let bell = listener.bell();
        ends.1 = Some((Arc::clone(&executor), bell));
        let answerer: Arc<dyn crate::socket::Answerer> = Arc::clone(&executor) as _;
        let stop = executor.closed_flag();
        scope.spawn(move || {
            listener.serve(crate::socket::Peers { poller: None }, &answerer, &stop).unwrap();
        });
        let until = Instant::now() + Duration::from_secs(120);
        while portal.polls.lock().unwrap().len() < 2 {
            assert!(Instant::now() < until, "no polls: {}", poller.state());
            thread::sleep(Duration::from_millis(20));
        }
        let view = Client::new(&config.socket).status().unwrap();
        assert!(view.contact.last_answer_ms_ago.is_some());
        assert!(view.contact.skew_ms.unwrap() < -100_000_000, "{view:?}");

        *portal.mood.lock().unwrap() = Mood::Revoked;
        // Its own line, and that of `status` with the remedy, which goes when the portal answers again.
        let failed = || Client::new(&config.socket).status().unwrap().failed_poll;
        while failed().is_none_or(|failed| failed.over) {
            assert!(Instant::now() < until, "not told: {}", poller.state());
            thread::sleep(Duration::from_millis(20));
        }
        let refused = failed().unwrap();
        assert!(
            refused.fault == PollFault::Refused && refused.what.contains("revoked"),
            "{refused:?}"
        );
        assert!(refused.remedy.contains("enroll --force"), "{refused:?}");
        while failed().is_some_and(|failed| failed.since_ms_ago <= failed.last_ms_ago) {
            assert!(Instant::now() < until, "the second one does not count from the first");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(poller.state().contains("revoked"), "{}", poller.state());
        *portal.mood.lock().unwrap() = Mood::Good;
        while failed().is_some_and(|failed| !failed.over) {
            assert!(Instant::now() < until, "still told: {:?}", failed());
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(portal.errors.lock().unwrap().is_empty(), "{:?}", portal.errors);
    let told = portal.told.lock().unwrap();
    assert_eq!(told.iter().find(|line| line.contains("poll")).unwrap(), "/api/v1/agent/poll now");
    assert!(told.iter().any(|line| line == "/api/v1/agent/poll 2033"), "{told:?}");
}

/// An executor that was restarted so many times while the portal held a poll.
struct Restarted {
    executor: Arc<crate::executor::Executor>,
    times: std::sync::atomic::AtomicU32,
}

impl crate::socket::Answerer for Restarted {
    fn answer(&self, caller: crate::socket::Caller, request: Request) -> Reply {
        let offer = matches!(request, Request::Offer { .. });
        let one_less = |times: u32| times.checked_sub(1);
        if offer && self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Reply::Error { code: ErrorCode::AskAgain, message: "no_poll".into() };
        }
        self.executor.answer(caller, request)
    }
}

#[test]
fn an_answer_that_the_executor_has_forgotten_is_asked_for_again_at_once() {
    let portal = FakePortal::start();
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let journal = journal(&config);
    enroll(&config, &journal, &portal.token(), facts(), false, &SystemClock).unwrap();
    let poller = Poller::new(&config, Arc::new(SystemClock));
    let executor = crate::executor::build::executor(&config).unwrap();
    let stop = executor.closed_flag();
    let listener = crate::socket::Listener::bind(&config.socket, None).unwrap();
    let bell = listener.bell();
    let times = 6;
    let answerer: Arc<dyn crate::socket::Answerer> =
        Arc::new(Restarted { executor: Arc::clone(&executor), times: times.into() });
    thread::scope(|scope| {
        let _ends = Ends(Arc::clone(&poller), Some((executor, bell)));
        scope.spawn(|| poller.run(&config).unwrap());
        scope.spawn(move || {
            listener.serve(crate::socket::Peers { poller: None }, &answerer, &stop).unwrap();
        });
        let until = Instant::now() + Duration::from_secs(60);
        while portal.polls.lock().unwrap().len() <= times as usize {
            assert!(Instant::now() < until, "no polls: {}", poller.state());
            thread::sleep(Duration::from_millis(20));
        }
    });
    let polls = portal.polls.lock().unwrap();
    let took = polls[times as usize].clock.millis_since(polls[0].clock);
    // Six pauses after failures are half a minute and more.
    assert!(took < 20_000, "{took} ms");
    let mut nonces: Vec<_> = polls.iter().map(|poll| poll.nonce.to_string()).collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), polls.len(), "a nonce was used twice");
}
