//! How often each route was answered with which status, and how long that took, for `/metrics`. The labels
//! are the rows of the tables of routes and the statuses that there are, so that nobody can make them more.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{openapi::codes::CODES, route, server::Method};

/// Upper bounds of the buckets, in microseconds. A poll is held up to a minute.
const BOUNDS_MICROS: [u64; 12] = [
    250, 1_000, 2_500, 10_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000,
    30_000_000, 60_000_000,
];
/// Statuses of successes; those of refusals are in the list of codes.
const SUCCESSES: [u16; 4] = [200, 201, 202, 204];
/// The label of what is no route: an address or a method that there is not.
const NO_ROUTE: &str = "none";

/// What was answered since the start.
#[derive(Debug)]
pub struct Tally {
    statuses: Vec<u16>,
    rows: Vec<Row>,
    places: HashMap<(Method, &'static str), usize>,
}

/// What one route answered.
#[derive(Debug)]
pub struct Row {
    /// The method.
    pub method: &'static str,
    /// The address, variable parts in braces.
    pub route: &'static str,
    /// By status, in the order of [`Tally::statuses`]; the last is any other.
    answers: Vec<AtomicU64>,
    buckets: [AtomicU64; BOUNDS_MICROS.len()],
    micros: AtomicU64,
}

impl Row {
    fn new(method: &'static str, route: &'static str, statuses: usize) -> Self {
        Self {
            method,
            route,
            answers: (0..=statuses).map(|_| AtomicU64::new(0)).collect(),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
        }
    }

    /// How many answers there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.answers.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How long all of them took, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// Upper bounds in seconds, each with the number of answers that took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut total = 0;
        BOUNDS_MICROS.iter().zip(&self.buckets).map(move |(micros, count)| {
            total += count.load(Ordering::Relaxed);
            (Duration::from_micros(*micros).as_secs_f64(), total)
        })
    }
}

impl Default for Tally {
    fn default() -> Self {
        let refusals = CODES.iter().map(|(status, _, _)| *status);
        let statuses: Vec<u16> = SUCCESSES.into_iter().chain(refusals).collect();
        let mut tally = Self { rows: Vec::new(), places: HashMap::new(), statuses };
        for operation in route::operations() {
            tally.places.insert((operation.method, operation.path), tally.rows.len());
            let method = operation.method.as_str();
            tally.rows.push(Row::new(method, operation.path, tally.statuses.len()));
        }
        tally.rows.push(Row::new(NO_ROUTE, NO_ROUTE, tally.statuses.len()));
        tally
    }
}

impl Tally {
    /// Notes an answer; `route` is the template, and none when there was no such route.
    pub fn note(&self, method: Method, route: Option<&'static str>, status: u16, took: Duration) {
        let method = if method == Method::Head { Method::Get } else { method };
        let place = route.and_then(|route| self.places.get(&(method, route)).copied());
        let row = &self.rows[place.unwrap_or(self.rows.len() - 1)];
        let place = self.statuses.iter().position(|known| *known == status);
        row.answers[place.unwrap_or(self.statuses.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        row.micros.fetch_add(micros, Ordering::Relaxed);
        if let Some(place) = BOUNDS_MICROS.iter().position(|bound| micros <= *bound) {
            row.buckets[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The routes that were asked.
    pub fn asked(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.count() > 0)
    }

    /// The answers of a route by status.
    pub fn answers<'t>(&'t self, row: &'t Row) -> impl Iterator<Item = (String, u64)> + 't {
        row.answers.iter().enumerate().filter_map(|(place, count)| {
            let count = count.load(Ordering::Relaxed);
            let status =
                self.statuses.get(place).map_or_else(|| "other".to_owned(), u16::to_string);
            (count > 0).then_some((status, count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_route_and_status() {
        let tally = Tally::default();
        let hosts = Some("/api/v1/hosts");
        tally.note(Method::Get, hosts, 200, Duration::from_micros(200));
        tally.note(Method::Head, hosts, 200, Duration::from_secs(90));
        tally.note(Method::Get, hosts, 429, Duration::from_millis(2));
        tally.note(Method::Get, hosts, 299, Duration::from_millis(2));
        tally.note(Method::Put, None, 405, Duration::ZERO);
        tally.note(Method::Put, Some("/made/up"), 404, Duration::ZERO);
        let rows: Vec<_> = tally.asked().collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].method, rows[0].route, rows[0].count()), ("GET", "/api/v1/hosts", 4));
        let answers: Vec<_> = tally.answers(rows[0]).collect();
        let wanted = [("200", 2), ("429", 1), ("other", 1)];
        assert_eq!(answers, wanted.map(|(status, count)| (status.to_owned(), count)));
        let counts: Vec<u64> = rows[0].buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!((rows[1].method, rows[1].route, rows[1].count()), ("none", "none", 2));
    }
}
