//! Counting what tenants have on the disk: when it is done, what is remembered, what is told.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn counted(size: &str) -> String {
    format!("{{\"name\":\"acme_shop_data\",\"tenant\":\"{}\",\"size\":\"{size}\"}}\n", tenant_id(1))
}

impl World {
    fn told(&self) -> Option<(u64, Timestamp)> {
        let disk = self.inventory().tenants[0].disk;
        disk.map(|disk| (disk.used_bytes.get(), disk.at))
    }

    fn measure(&self) -> Duration {
        self.executor.measure_when_due(HOUR).unwrap()
    }
}

#[test]
fn what_tenants_have_is_counted_once_an_hour_and_told_with_its_time() {
    let mut world = World::new(1, acme(), &[]);
    assert_eq!(world.told(), None);
    *world.tools.config.lock().unwrap() = counted("20.97MB");
    assert_eq!(world.measure(), HOUR);
    assert_eq!(world.calls(), ["docker system df"]);
    assert!(world.executor.live().look_again, "the next inventory does not wait");
    assert_eq!(world.told(), Some((20_970_000, START)));

    // Neither the next look nor the next start counts again.
    *world.tools.config.lock().unwrap() = counted("2GB");
    world.clock.advance(HOUR / 4);
    assert_eq!(world.measure(), HOUR * 3 / 4);
    world.restart();
    assert_eq!(world.measure(), HOUR * 3 / 4);
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(world.told(), Some((20_970_000, START)));

    world.clock.advance(HOUR * 3 / 4);
    assert_eq!(world.measure(), HOUR);
    assert_eq!(world.told(), Some((2_000_000_000, START.plus_secs(3600))));
}

#[test]
fn a_count_that_does_not_work_is_told_and_tried_again_soon() {
    let world = World::new(1, acme(), &[]);
    *world.tools.config.lock().unwrap() = counted("20.97MB");
    world.measure();
    world.clock.advance(HOUR);
    *world.tools.config.lock().unwrap() = "Cannot count".into();
    assert_eq!(world.measure(), HOUR / 4);
    let told = world.inventory();
    assert_eq!(told.facts.problems.len(), 1, "{:?}", told.facts.problems);
    assert!(told.facts.problems[0].what.contains("docker system df"), "{told:?}");
    // What was known is still the last that is known.
    assert_eq!(told.tenants[0].disk.unwrap().at, START);
    assert_eq!(told.tenants[0].status, HealthStatus::Healthy);

    *world.tools.config.lock().unwrap() = counted("30MB");
    assert_eq!(world.measure(), HOUR);
    assert_eq!(world.inventory().facts.problems, []);
}

#[test]
fn a_memory_that_cannot_be_read_and_one_of_the_future_count_for_nothing() {
    let world = World::new(1, acme(), &[]);
    world.journal.set_setting("disk", "{\"at\":").unwrap();
    assert_eq!(world.told(), None);
    *world.tools.config.lock().unwrap() = counted("1MB");
    world.measure();
    assert_eq!(world.told(), Some((1_000_000, START)));
    let measured = world.journal.disk_measured().unwrap().unwrap();
    let future = Measured { at: START.plus_secs(86_400), ..measured };
    world.journal.keep_disk_measured(&future).unwrap();
    assert_eq!(world.measure(), HOUR);
    assert_eq!(world.told(), Some((1_000_000, START)));
}
