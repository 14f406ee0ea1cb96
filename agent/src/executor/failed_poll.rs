//! The last poll that failed, for `status`. It is kept in memory only, and told by the poller when it
//! happens: a poll that brings an answer costs nothing here.

use std::time::Duration;

use crate::socket::{FailedPoll, PollFailure};

/// Longest text of the poller that is kept.
const MAX_TEXT: usize = 400;

/// The last one, if any has failed since the start.
#[derive(Debug, Default)]
pub(crate) struct LastFailure(Option<Noted>);

#[derive(Debug)]
struct Noted {
    failure: PollFailure,
    at: Duration,
    over: bool,
}

impl LastFailure {
    /// Takes what the poller tells at this time since the machine's start. It is the poller's word, which
    /// only people will read.
    pub(crate) fn note(&mut self, told: PollFailure, at: Duration) {
        let failure = PollFailure { what: clean(&told.what), remedy: clean(&told.remedy), ..told };
        self.0 = Some(Noted { failure, at, over: false });
    }

    /// The portal has answered.
    pub(crate) const fn answered(&mut self) {
        if let Some(noted) = &mut self.0 {
            noted.over = true;
        }
    }

    /// What is shown of it.
    pub(crate) fn view(&self, now: Duration) -> Option<FailedPoll> {
        let Noted { failure, at, over } = self.0.as_ref()?;
        let last = u64::try_from(now.saturating_sub(*at).as_millis()).unwrap_or(u64::MAX);
        Some(FailedPoll {
            fault: failure.fault,
            what: failure.what.clone(),
            remedy: failure.remedy.clone(),
            since_ms_ago: last.saturating_add(failure.lasting_ms),
            last_ms_ago: last,
            over: *over,
        })
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::PollFault;

    #[test]
    fn a_failure_grows_old_and_is_over_with_an_answer() {
        let secs = Duration::from_secs;
        let told = |what: &str, lasting_ms| PollFailure {
            fault: PollFault::Refused,
            what: what.to_owned(),
            remedy: "ask an admin".to_owned(),
            lasting_ms,
        };
        let mut last = LastFailure::default();
        last.answered();
        assert_eq!(last.view(secs(10)), None);

        last.note(told("no", 60_000), secs(100));
        let shown = last.view(secs(107)).unwrap();
        assert_eq!((shown.since_ms_ago, shown.last_ms_ago, shown.over), (67_000, 7_000, false));
        assert_eq!((shown.what.as_str(), shown.remedy.as_str()), ("no", "ask an admin"));
        last.answered();
        assert!(last.view(secs(107)).unwrap().over);

        // A later one is not over, and nobody fills a terminal or breaks a sum with it.
        last.note(told(&format!("\n\u{1b}[2J{}", "x".repeat(9_000)), u64::MAX), secs(200));
        let shown = last.view(secs(201)).unwrap();
        assert!(!shown.over && shown.what.starts_with("[2Jx"), "{shown:?}");
        assert_eq!((shown.what.len(), shown.since_ms_ago), (MAX_TEXT, u64::MAX));
    }
}
