//! The real steps, one of them with a fault.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use freehold_agent::runner::CancelToken;
use freehold_agent::saga::context::Context;
use freehold_agent::saga::step::{Before, RunEnd, Step};
use freehold_agent::saga::steps::Actions;
use freehold_agent::saga::{Action, Stage};
use freehold_protocol::failure::{Failure, FailureClass};

/// What goes wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Fails,
    FailsAfterItsEffect,
    UnclearOnce,
    UnclearAlways,
    KilledBefore,
    KilledAfterItsEffect,
    RunTwice,
    Cancelled,
    UndoFailsOnce,
    UndoFailsAlways,
    KilledInUndo,
}

pub const FAULTS: [Fault; 11] = [
    Fault::Fails,
    Fault::FailsAfterItsEffect,
    Fault::UnclearOnce,
    Fault::UnclearAlways,
    Fault::KilledBefore,
    Fault::KilledAfterItsEffect,
    Fault::RunTwice,
    Fault::Cancelled,
    Fault::UndoFailsOnce,
    Fault::UndoFailsAlways,
    Fault::KilledInUndo,
];

/// The real steps, one of them with a fault.
#[derive(Debug)]
pub struct Faulty {
    acts: BTreeMap<Step, Act>,
}

#[derive(Debug)]
struct Act {
    step: Step,
    fault: Option<Fault>,
    /// Fails after its effect, so that undoing begins.
    trigger: bool,
    hits: AtomicU32,
    cancel: CancelToken,
}

impl Faulty {
    /// A stage with at most one fault, and a step whose failure begins the undoing.
    pub fn new(fault: Option<(Step, Fault)>, trigger: Option<Step>, cancel: &CancelToken) -> Self {
        let act = |step| Act {
            step,
            fault: fault.filter(|(at, _)| *at == step).map(|(_, fault)| fault),
            trigger: trigger == Some(step),
            hits: AtomicU32::new(0),
            cancel: cancel.clone(),
        };
        Self { acts: Step::ALL.into_iter().map(|step| (step, act(step))).collect() }
    }
}

impl Stage for Faulty {
    fn action(&self, step: Step) -> &dyn Action {
        &self.acts[&step]
    }
}

fn broken() -> Failure {
    Failure::new(FailureClass::Host, "the test broke it", "mend the test")
}

impl Act {
    fn once(&self) -> bool {
        self.hits.fetch_add(1, Ordering::SeqCst) == 0
    }

    fn really(&self, context: &Context<'_>) -> RunEnd {
        // Fake containers listen on nothing, so the app is played here while it is looked at.
        if matches!(self.step, Step::Verify | Step::CheckTenant) {
            let tenant = context.plan.order.work.tenant().unwrap();
            let ports = context.journal.tenant_ports(tenant).unwrap();
            let _apps: Vec<App> = ports.values().map(|port| App::listen(port.get())).collect();
            return Actions.action(self.step).run(context);
        }
        Actions.action(self.step).run(context)
    }
}

impl Action for Act {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        Actions.action(self.step).look(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        match self.fault {
            Some(Fault::Fails) => return RunEnd::Failed(broken()),
            Some(Fault::KilledBefore) if self.once() => panic!("killed"),
            Some(Fault::Cancelled) if self.once() => {
                self.cancel.cancel();
                // Past the point of no return nobody comes to stop it, and it goes on.
                if context.cancel.sleep(Duration::from_millis(500)) {
                    return RunEnd::Unclear(broken());
                }
            }
            _ => {}
        }
        let end = self.really(context);
        match self.fault {
            Some(Fault::KilledAfterItsEffect) if self.once() => panic!("killed"),
            Some(Fault::RunTwice) => {
                let again = self.really(context);
                assert_eq!(
                    std::mem::discriminant(&end),
                    std::mem::discriminant(&again),
                    "{again:?}"
                );
                again
            }
            Some(Fault::FailsAfterItsEffect) => RunEnd::Failed(broken()),
            Some(Fault::UnclearAlways) => RunEnd::Unclear(broken()),
            Some(Fault::UnclearOnce) if self.once() => RunEnd::Unclear(broken()),
            _ if self.trigger => RunEnd::Failed(broken()),
            _ => end,
        }
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        match self.fault {
            Some(Fault::UndoFailsAlways) => return Err(broken()),
            Some(Fault::UndoFailsOnce) if self.once() => return Err(broken()),
            _ => {}
        }
        Actions.action(self.step).undo(context, before)?;
        if self.fault == Some(Fault::KilledInUndo) && self.once() {
            panic!("killed");
        }
        Ok(())
    }
}

/// Answers 200 to everything on a port, until dropped.
struct App {
    stop: Arc<AtomicBool>,
    port: u16,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl App {
    fn listen(port: u16) -> Self {
        // A program that another thread starts just now holds the former listener for a moment,
        // between its fork and its exec.
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let until = Instant::now() + Duration::from_secs(10);
        let mut listener = bind();
        while listener.is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
            listener = bind();
        }
        let listener = listener.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let mut stream = stream.unwrap();
                let mut request = [0; 2048];
                let read = stream.read(&mut request).unwrap_or(0);
                if read > 0 {
                    let answer =
                        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    stream.write_all(answer).unwrap_or(());
                }
            }
        });
        Self { stop, port, thread: Some(thread) }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        self.thread.take().unwrap().join().unwrap();
    }
}
