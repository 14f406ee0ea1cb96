//! The long poll: look, and if there is nothing, wait in the waiting room until there is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_protocol::{
    ids::AgentId,
    wire::{MAX_LISTED_JOBS, MAX_WAIT_SECS, PollRequest},
};

use super::{
    super::{
        input,
        server::{Request, Response},
    },
    field,
};
use crate::{
    app::poll::{Pace, Poll, Timing, Turn},
    context::Portal,
    db::Db,
    error::AppError,
    keys::{PortalKeys, mint},
    waiting_room::Woke,
};

/// Interval of agents that must not hold a connection, in seconds; up to a third more at random.
const INTERVAL_SECS: u32 = 30;
/// When an agent in conflict is asked again for its proof, in seconds.
const PROOF_SECS: u32 = 2;
/// When an agent that was sent away asks again, in seconds.
const AWAY_SECS: u32 = 2;

/// When an agent that was told to cancel or to resume asks again, in seconds. The order is repeated
/// until a report comes, and an undo takes its time: without a pause the two would ask and answer as
/// fast as they can.
const ORDER_SECS: u32 = 1;

/// Answers a poll.
// Its frame is not there yet while the signature is checked, which goes deepest.
#[inline(never)]
pub(super) fn poll(
    portal: &Portal,
    db: &Db,
    agent: AgentId,
    request: &Request,
) -> Result<Response, AppError> {
    let asked = read(request)?;
    let rhythm = Rhythm::of(portal, &asked)?;
    let begun = Instant::now();
    let end = begun + rhythm.hold;
    let mut look = Poll {
        agent,
        request: asked,
        pace: Pace {
            lease_secs: i64::from(portal.config.lease_secs),
            expect_secs: rhythm.expect_secs(),
        },
        url_for_apps: portal.config.url_for_apps(),
        first: true,
    };
    // The place is taken before the look, so that nothing queued in between is missed.
    let ticket = portal.waiting_room.enter(agent);
    let (mut away, mut called) = (false, false);
    let (turn, keys) = loop {
        let keys = portal.keys.current();
        let Some(turn) = turn(db, &look, &keys, called, || request.peer_gone())? else {
            return Ok(Response::new(204));
        };
        look.first = false;
        let news = !turn.is_quiet()
            || keys.trust_version() > look.request.trust_version
            || (turn.conflict && look.request.head_proof.is_none());
        let left = end.saturating_duration_since(Instant::now());
        if news || left.is_zero() {
            break (turn, keys);
        }
        let woke = ticket.wait(until(&turn, left), || request.peer_gone());
        called = woke == Woke::Called;
        match woke {
            Woke::Called => {}
            // The time of a waiting job may have come before the end of the wait.
            Woke::TimedOut if turn.next_at.is_some() => {}
            Woke::TimedOut => break (turn, keys),
            Woke::Leave => {
                away = true;
                break (turn, keys);
            }
        }
    };
    drop(ticket);
    let next_poll_seconds = if away {
        AWAY_SECS
    } else if turn.conflict && look.request.head_proof.is_none() {
        PROOF_SECS
    } else if !turn.links.is_empty() {
        // Whoever has just been given work comes back at once to say that it took it.
        0
    } else if turn.repeats_orders() {
        rhythm.next_poll_secs.max(ORDER_SECS)
    } else {
        rhythm.next_poll_secs
    };
    // In this order: what passes between the two lines must not count as held.
    let held_millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let timing = Timing {
        now: portal.db.now(),
        held_millis,
        next_poll_seconds,
        wait_seconds: rhythm.wait_secs,
    };
    answer(turn, &keys, &look, &timing)
}

#[inline(never)]
fn answer(
    turn: Turn,
    keys: &PortalKeys,
    look: &Poll,
    timing: &Timing,
) -> Result<Response, AppError> {
    let answer = turn.answer(keys, look.agent, &look.request, timing)?;
    Ok(Response::json(200, &answer))
}

/// One look for work. Whoever was called for a job goes straight to the transaction that signs it;
/// anybody else reads first, and mostly that is all. Nothing when there is work and the client has gone:
/// what is signed for it is leased to nobody until its agent comes back.
#[inline(never)]
fn turn(
    db: &Db,
    look: &Poll,
    keys: &Arc<PortalKeys>,
    called: bool,
    gone: impl Fn() -> bool,
) -> Result<Option<Turn>, AppError> {
    if !called {
        db.check_writable()?;
        if let Some(turn) = db.read(|read| look.look(read, keys))? {
            return Ok(Some(turn));
        }
        if gone() {
            return Ok(None);
        }
    }
    let (look, keys) = (look.clone(), Arc::clone(keys));
    db.write(move |tx| look.apply(tx, &keys)).map(Some)
}

#[inline(never)]
fn read(request: &Request) -> Result<PollRequest, AppError> {
    let asked = input::exact_body(request)?;
    check(&asked)?;
    Ok(asked)
}

fn check(asked: &PollRequest) -> Result<(), AppError> {
    let mut error = AppError::new(crate::error::Kind::Invalid, "invalid", "a field was refused");
    for (name, jobs) in [("/running", asked.running.len()), ("/reporting", asked.reporting.len())] {
        if jobs > MAX_LISTED_JOBS {
            error.fields.push(field(name, format!("use at most {MAX_LISTED_JOBS} jobs")));
        }
    }
    if asked.agent_version.len() > 64 {
        error.fields.push(field("/agentVersion", "use at most 64 bytes".into()));
    }
    if asked.wait_seconds > MAX_WAIT_SECS {
        error.fields.push(field("/waitSeconds", format!("use at most {MAX_WAIT_SECS}")));
    }
    if error.fields.is_empty() { Ok(()) } else { Err(error) }
}

/// How long to wait now: until the end, or until a job that waits for its time may start.
fn until(turn: &Turn, left: Duration) -> Duration {
    turn.next_at.map_or(left, |at| {
        let millis = u64::try_from(at.millis_since(turn.now)).unwrap_or(0);
        // Never zero, which would spin; a second's delay of a retry is nothing.
        left.min(Duration::from_millis(millis) + Duration::from_millis(50))
    })
}

/// Whether the agent may hold its connection, and when it shall ask again.
#[derive(Debug, Clone, Copy)]
struct Rhythm {
    hold: Duration,
    wait_secs: u32,
    next_poll_secs: u32,
}

impl Rhythm {
    /// Long polls as long as there is room; near the connection cap agents go over to intervals, so
    /// that admins still get in.
    fn of(portal: &Portal, asked: &PollRequest) -> Result<Self, AppError> {
        let room = portal.config.max_connections / 5 * 4;
        if portal.waiting_room.waiting() < room {
            let wait_secs = portal.config.poll_wait_secs.min(MAX_WAIT_SECS);
            let hold = Duration::from_secs(asked.wait_seconds.min(wait_secs).into());
            return Ok(Self { hold, wait_secs, next_poll_secs: 0 });
        }
        let [jitter] = mint::random::<1>()?;
        let next_poll_secs = INTERVAL_SECS + u32::from(jitter) * (INTERVAL_SECS / 3) / 255;
        Ok(Self { hold: Duration::ZERO, wait_secs: 0, next_poll_secs })
    }

    fn expect_secs(self) -> i64 {
        // An agent that does not wait here keeps its own pace, of half a minute by default.
        let pause = if self.hold.is_zero() { self.next_poll_secs.max(INTERVAL_SECS) } else { 0 };
        i64::try_from(self.hold.as_secs()).unwrap_or(0) + i64::from(pause)
    }
}
