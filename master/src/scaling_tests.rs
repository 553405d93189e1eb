use proptest::prelude::*;

use super::*;

/// A cluster of executors with a core and a GiB each, which read what they can of what arrives.
struct Cluster {
    sample: Sample,
    advisor: Advisor,
    /// Records in a second.
    arrive: u64,
    /// Of one executor.
    capacity: u64,
}

impl Cluster {
    fn new(executors: u32, arrive: u64) -> Self {
        let mut cluster = Self {
            sample: Sample {
                partitions: 32,
                ..Sample::default()
            },
            advisor: Advisor::default(),
            arrive,
            capacity: 1_000,
        };
        cluster.scale(executors);
        cluster
    }

    fn scale(&mut self, executors: u32) {
        self.sample.executors = executors;
        self.sample.cores = executors;
        self.sample.memory = u64::from(executors) << 30;
        self.sample.resident = self.sample.memory / 10;
    }

    /// Lets seconds pass; answers what is wanted then.
    fn run(&mut self, seconds: u64) -> u32 {
        for _ in 0..seconds {
            let most = u64::from(self.sample.executors) * self.capacity;
            let read = (self.sample.lag + self.arrive).min(most);
            self.sample.at.0 += 1_000;
            self.sample.lag = self.sample.lag + self.arrive - read;
            self.sample.events += read;
            self.sample.cpu_ms += read * 1_000 / self.capacity;
            self.advisor.note(self.sample);
        }
        self.wanted()
    }

    fn wanted(&self) -> u32 {
        self.advisor.advice().wanted
    }

    fn reason(&self) -> &str {
        &self.advisor.advice().reason
    }
}

#[test]
fn as_many_as_there_are_until_a_minute_is_known_and_while_they_are_enough() {
    let mut cluster = Cluster::new(3, 1_700);
    assert_eq!(cluster.run(30), 3);
    assert_eq!(cluster.reason(), "less than a minute is known");
    let seen = |cluster: &Cluster| {
        let advice = cluster.advisor.advice();
        let of_records = (advice.lag_per_second, advice.read_per_second);
        (of_records, advice.cores_permille, advice.memory_permille)
    };
    assert_eq!(seen(&cluster), ((None, None), None, None), "not 0");
    cluster.run(60);
    assert_eq!(
        seen(&cluster),
        ((Some(0), Some(1_700)), Some(566), Some(99))
    );
    assert_eq!(cluster.run(2_000), 3, "{}", cluster.reason());
}

#[test]
fn a_lag_that_grows_wants_as_many_as_have_time_for_what_arrives_and_a_backlog_no_more() {
    let mut cluster = Cluster::new(2, 3_000);
    assert_eq!(cluster.run(70), 5, "{}", cluster.reason());
    assert!(
        cluster.reason().contains("busy for 150 %"),
        "{}",
        cluster.reason()
    );
    cluster.scale(5);
    // All cores are busy until the backlog is read.
    assert_eq!(cluster.run(30), 5);
    assert_eq!(cluster.run(2_000), 5, "{}", cluster.reason());
}

#[test]
fn a_lag_that_grows_while_cores_are_idle_wants_as_many_as_read_a_fifth_more() {
    let mut cluster = Cluster::new(2, 3_000);
    for _ in 0..70 {
        let before = cluster.sample.cpu_ms;
        cluster.run(1);
        cluster.sample.cpu_ms = before + 200;
    }
    assert_eq!(cluster.wanted(), 4, "{}", cluster.reason());
    assert!(
        cluster
            .reason()
            .starts_with("1000 records a second more arrive than the 2000")
    );
}

#[test]
fn a_backlog_that_would_take_too_long_wants_more() {
    let mut cluster = Cluster::new(2, 1_990);
    cluster.sample.lag = 100_000;
    assert!(cluster.run(70) >= 3, "{}", cluster.reason());
}

#[test]
fn fewer_are_wanted_only_after_they_were_not_needed_for_ten_minutes() {
    let mut cluster = Cluster::new(4, 500);
    assert_eq!(cluster.run(590), 4);
    assert_eq!(cluster.run(80), 1);
    cluster.arrive = 2_300;
    assert_eq!(cluster.run(70), 4, "at once");
    cluster.arrive = 500;
    assert_eq!(cluster.run(500), 4);
    assert_eq!(cluster.run(200), 1);
}

#[test]
fn full_memory_wants_more_and_problems_or_one_hot_partition_do_not() {
    let mut cluster = Cluster::new(4, 500);
    cluster.sample.resident = cluster.sample.memory / 10 * 9;
    assert_eq!(cluster.run(70), 6, "{}", cluster.reason());
    let mut cluster = Cluster::new(2, 4_000);
    cluster.sample.is_troubled = true;
    assert_eq!(cluster.run(120), 2);
    assert!(cluster.reason().contains("problems"));
    let mut hot = Cluster::new(2, 4_000);
    for _ in 0..120 {
        hot.sample.most_lag = hot.sample.lag;
        hot.run(1);
    }
    assert_eq!(hot.wanted(), 2);
    assert!(hot.reason().contains("one partition alone is behind"));
}

#[test]
fn more_than_there_are_partitions_are_not_wanted() {
    let mut cluster = Cluster::new(2, 30_000);
    cluster.sample.partitions = 8;
    assert_eq!(cluster.run(70), 8);
    assert!(
        cluster.reason().ends_with("add partitions"),
        "{}",
        cluster.reason()
    );
}

#[test]
fn without_any_executor_one_is_wanted() {
    let mut cluster = Cluster::new(0, 100);
    assert_eq!(cluster.run(10), 1);
}

proptest! {
    #[test]
    fn who_follows_the_advice_comes_to_rest_with_enough_and_does_not_go_up_and_down(
        arrive in 1u64..20_000,
        executors in 1u32..30,
    ) {
        let mut cluster = Cluster::new(executors, arrive);
        let mut sizes = Vec::new();
        for _ in 0..40 {
            let wanted = cluster.run(120);
            if wanted != cluster.sample.executors {
                cluster.scale(wanted);
                sizes.push(wanted);
            }
        }
        // An hour later it stays as it is.
        let settled = cluster.sample.executors;
        for _ in 0..30 {
            prop_assert_eq!(cluster.run(120), settled, "{:?} {}", sizes, cluster.reason());
        }
        prop_assert!(u64::from(settled) * 1_000 >= arrive, "{} for {}", settled, arrive);
        prop_assert!(u64::from(settled - 1) * 500 <= arrive, "{} for {}", settled, arrive);
        prop_assert!(sizes.len() <= 6, "{:?}", sizes);
    }
}
