//! Where polls wait until there is something for exactly their agent.
//!
//! One condition variable per waiting agent: queuing a job wakes one thread, however many wait. A
//! newer poll of the same agent sends the older one away, so that an agent which lost its
//! connection does not hold two threads.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use freehold_protocol::ids::AgentId;

use crate::db::lock;

/// How often a parked poll looks whether its client is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The polls that wait.
#[derive(Default)]
pub struct WaitingRoom {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    seats: HashMap<AgentId, Arc<Seat>>,
}

/// One waiting poll.
#[derive(Default)]
struct Seat {
    called: Mutex<Called>,
    bell: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Called {
    #[default]
    No,
    Woken,
    SentAway,
}

/// Why a poll stopped waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woke {
    /// There may be something: look again.
    Called,
    /// Nothing came in time.
    TimedOut,
    /// A newer poll of the same agent came, the client has gone, or the portal ends.
    Leave,
}

/// A place that was taken before the last look at the database, so that nothing queued in between
/// is missed.
pub struct Ticket<'r> {
    room: &'r WaitingRoom,
    agent: AgentId,
    seat: Arc<Seat>,
}

impl fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitingRoom({} waiting)", self.waiting())
    }
}

impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.agent)
    }
}

impl WaitingRoom {
    /// Takes a place for an agent's poll. Take it first, then look for work, then wait.
    pub fn enter(&self, agent: AgentId) -> Ticket<'_> {
        let seat = Arc::new(Seat::default());
        let mut state = lock(&self.state);
        if state.closed {
            seat.call(Called::SentAway);
        }
        if let Some(older) = state.seats.insert(agent, Arc::clone(&seat)) {
            older.call(Called::SentAway);
        }
        Ticket { room: self, agent, seat }
    }

    /// Wakes an agent's poll, if one waits.
    pub fn wake(&self, agent: AgentId) {
        if let Some(seat) = lock(&self.state).seats.get(&agent) {
            seat.call(Called::Woken);
        }
    }

    /// Sends everybody away, now and from now on: the portal ends.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        for seat in state.seats.values() {
            seat.call(Called::SentAway);
        }
    }

    /// How many polls wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.state).seats.len()
    }
}

impl Seat {
    fn call(&self, how: Called) {
        let mut called = lock(&self.called);
        // Being sent away is final: a wake that comes later must not make the poll look again.
        if *called != Called::SentAway {
            *called = how;
        }
        self.bell.notify_all();
    }
}

impl Ticket<'_> {
    /// Waits at most `longest`, and asks `gone` now and then, and whenever it is called, whether the
    /// client is still there.
    /// May be called again after [`Woke::Called`].
    #[must_use]
    pub fn wait(&self, longest: Duration, gone: impl Fn() -> bool) -> Woke {
        let end = Instant::now() + longest;
        let mut called = lock(&self.seat.called);
        loop {
            match *called {
                Called::Woken => {
                    *called = Called::No;
                    // What is signed for a client that has gone is leased to nobody until its agent
                    // comes back.
                    return if gone() { Woke::Leave } else { Woke::Called };
                }
                Called::SentAway => return Woke::Leave,
                Called::No => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woke::TimedOut;
            }
            called = match self.seat.bell.wait_timeout(called, left.min(LOOK_EVERY)) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
            if *called == Called::No && gone() {
                return Woke::Leave;
            }
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.room.state);
        if state.seats.get(&self.agent).is_some_and(|seat| Arc::ptr_eq(seat, &self.seat)) {
            state.seats.remove(&self.agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn agent(n: u8) -> AgentId {
        AgentId::from_uuid(uuid::Uuid::from_bytes([n; 16]))
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn exactly_the_named_agent_is_woken() {
        let room = WaitingRoom::default();
        let (one, two) = (room.enter(agent(1)), room.enter(agent(2)));
        room.wake(agent(1));
        assert_eq!(one.wait(LONG, || false), Woke::Called);
        assert_eq!(two.wait(Duration::from_millis(10), || false), Woke::TimedOut);
        assert_eq!(one.wait(Duration::from_millis(10), || false), Woke::TimedOut);
    }

    #[test]
    fn a_wake_between_entering_and_waiting_is_not_lost() {
        let room = Arc::new(WaitingRoom::default());
        let ticket = room.enter(agent(1));
        let other = Arc::clone(&room);
        thread::spawn(move || other.wake(agent(1))).join().unwrap();
        assert_eq!(ticket.wait(LONG, || false), Woke::Called);
    }

    #[test]
    fn a_newer_poll_sends_the_older_one_away_and_keeps_its_place() {
        let room = WaitingRoom::default();
        let older = room.enter(agent(1));
        let newer = room.enter(agent(1));
        assert_eq!(older.wait(LONG, || false), Woke::Leave);
        drop(older);
        assert_eq!(room.waiting(), 1);
        room.wake(agent(1));
        assert_eq!(newer.wait(LONG, || false), Woke::Called);
        drop(newer);
        assert_eq!(room.waiting(), 0);
    }

    #[test]
    fn everybody_leaves_when_the_portal_ends_and_when_the_client_has_gone() {
        let room = WaitingRoom::default();
        let ticket = room.enter(agent(1));
        assert_eq!(ticket.wait(LONG, || true), Woke::Leave);
        room.wake(agent(1));
        assert_eq!(ticket.wait(LONG, || true), Woke::Leave);
        room.close();
        room.wake(agent(1));
        assert_eq!(ticket.wait(LONG, || false), Woke::Leave);
        assert_eq!(room.enter(agent(2)).wait(LONG, || false), Woke::Leave);
    }
}
