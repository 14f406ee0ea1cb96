//! What a host has, what is promised there, and what would be left of it.

/// Amounts of what tenants are limited in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Memory in MiB.
    pub memory_mb: u64,
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Disk in GiB.
    pub disk_gb: u64,
}

impl Amounts {
    /// This and `n` times the other.
    #[must_use]
    pub const fn plus(self, n: u64, other: Self) -> Self {
        Self {
            memory_mb: self.memory_mb.saturating_add(other.memory_mb.saturating_mul(n)),
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis.saturating_mul(n)),
            disk_gb: self.disk_gb.saturating_add(other.disk_gb.saturating_mul(n)),
        }
    }
}

/// What a host's agent has last reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// All that the machine has.
    pub total: Amounts,
    /// Memory that is free, in MiB.
    pub memory_free_mb: u64,
    /// Disk that is free, in GiB.
    pub disk_free_gb: u64,
}

/// What tenants of a host may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promised {
    /// The limits of all tenants that run there, or are on their way there.
    pub all: Amounts,
    /// Of these, the limits of those that the agent's figures do not show yet.
    pub not_shown: Amounts,
}

/// One kind of amount on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighed {
    /// All that the machine has.
    pub total: u64,
    /// What was free by the last report; nothing is said of processors.
    pub free: Option<u64>,
    /// The limits of the tenants there and on their way.
    pub promised: u64,
    /// What is wanted.
    pub takes: u64,
    /// What would be left: of the whole without all promises, or of what is free without the promises that
    /// are not kept yet, whichever is less. The second is less when something else fills the machine.
    pub left: i64,
}

impl Weighed {
    fn new(total: u64, free: Option<u64>, (promised, not_shown): (u64, u64), takes: u64) -> Self {
        let left = |of: u64, less: u64| {
            let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            signed(of).saturating_sub(signed(less)).saturating_sub(signed(takes))
        };
        let of_total = left(total, promised);
        let left = free.map_or(of_total, |free| of_total.min(left(free, not_shown)));
        Self { total, free, promised, takes, left }
    }

    /// Whether it is not enough.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.left < 0
    }
}

/// Memory, processors and disk of a host, each weighed against what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// In MiB.
    pub memory_mb: Weighed,
    /// In thousandths of a processor.
    pub cpu_millis: Weighed,
    /// In GiB.
    pub disk_gb: Weighed,
}

impl Balance {
    /// Weighs what is wanted.
    #[must_use]
    pub fn of(host: &Reported, promised: &Promised, takes: Amounts) -> Self {
        let Promised { all, not_shown } = promised;
        Self {
            memory_mb: Weighed::new(
                host.total.memory_mb,
                Some(host.memory_free_mb),
                (all.memory_mb, not_shown.memory_mb),
                takes.memory_mb,
            ),
            cpu_millis: Weighed::new(
                host.total.cpu_millis,
                None,
                (all.cpu_millis, not_shown.cpu_millis),
                takes.cpu_millis,
            ),
            disk_gb: Weighed::new(
                host.total.disk_gb,
                Some(host.disk_free_gb),
                (all.disk_gb, not_shown.disk_gb),
                takes.disk_gb,
            ),
        }
    }

    /// What falls short, as one says it: `512 MiB of memory`. Empty when all is enough.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let of = [
            (self.memory_mb, "MiB of memory"),
            (self.cpu_millis, "thousandths of a processor"),
            (self.disk_gb, "GiB of disk"),
        ];
        of.iter()
            .filter(|(weighed, _)| weighed.is_short())
            .map(|(weighed, unit)| format!("{} {unit}", weighed.left.unsigned_abs()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn amounts(memory_mb: u64, cpu_millis: u64, disk_gb: u64) -> Amounts {
        Amounts { memory_mb, cpu_millis, disk_gb }
    }

    const HOST: Reported =
        Reported { total: amounts(8000, 4000, 100), memory_free_mb: 6000, disk_free_gb: 80 };

    #[test]
    fn what_is_left_is_what_nobody_was_promised() {
        let promised = Promised { all: amounts(3000, 1000, 30), not_shown: Amounts::default() };
        let balance = Balance::of(&HOST, &promised, amounts(2000, 1000, 20));
        assert_eq!((balance.memory_mb.left, balance.cpu_millis.left), (3000, 2000));
        assert_eq!((balance.disk_gb.left, balance.lacks()), (50, vec![]));
        // Exactly all of it is enough.
        let all = Balance::of(&HOST, &promised, amounts(5000, 3000, 70));
        assert_eq!((all.memory_mb.left, all.lacks()), (0, vec![]));
    }

    #[test]
    fn what_something_else_has_filled_is_not_free() {
        // Nothing is promised, and only a little is free.
        let full = Reported { memory_free_mb: 500, disk_free_gb: 5, ..HOST };
        let balance = Balance::of(&full, &Promised::default(), amounts(600, 1000, 6));
        assert_eq!(balance.lacks(), ["100 MiB of memory", "1 GiB of disk"]);
        // A tenant on its way will take what is still free.
        let coming = Promised { all: amounts(400, 500, 4), not_shown: amounts(400, 500, 4) };
        let balance = Balance::of(&full, &coming, amounts(600, 1000, 6));
        assert_eq!((balance.memory_mb.left, balance.disk_gb.left), (-500, -5));
        assert_eq!(balance.cpu_millis.left, 2500);
    }

    #[test]
    fn promises_beyond_all_measure_fall_short_and_do_not_wrap() {
        let huge = Promised { all: amounts(u64::MAX, u64::MAX, u64::MAX), ..Promised::default() };
        let balance = Balance::of(&HOST, &huge, amounts(1, 1, 1));
        assert_eq!(balance.lacks().len(), 3);
        assert_eq!(amounts(1, 2, 3).plus(2, amounts(10, 20, 30)), amounts(21, 42, 63));
        assert_eq!(amounts(1, 0, 0).plus(u64::MAX, amounts(2, 0, 0)).memory_mb, u64::MAX);
    }
}
