use proptest::prelude::*;

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A Redis with this way to it and back, and partitions that flush; time is simulated.
struct Rig {
    pace: Pace,
    start: Instant,
    now: Instant,
    way: Duration,
    /// How long Redis worked for us.
    worked: Duration,
    /// Who had a turn, when.
    turns: Vec<(usize, Instant)>,
}

impl Rig {
    fn new(way: Duration) -> Self {
        let start = Instant::now();
        Self {
            pace: Pace::new(start),
            start,
            now: start,
            way,
            worked: Duration::ZERO,
            turns: Vec::new(),
        }
    }

    /// A request for which Redis works so long.
    fn request(&mut self, service: Duration) {
        let begun = self.now;
        self.pace.requested();
        self.now += service + self.way;
        self.pace.answered(self.now, begun, false);
        self.worked += service;
    }

    /// A request that is next to nothing.
    fn probe(&mut self) {
        self.pace.measured_way(self.now, self.way);
    }

    /// Waits for the turn of the first in line, which takes so long in Redis.
    fn turn(&mut self, of: usize, ticket: Ticket, service: Duration) {
        if let Turned::At(due) = self.pace.begin(self.now, ticket) {
            self.now = due;
            assert_eq!(self.pace.begin(self.now, ticket), Turned::Now);
        }
        self.turns.push((of, self.now));
        self.request(service);
        self.pace.leave(ticket);
    }

    fn used(&self) -> f64 {
        self.worked.as_secs_f64() / self.now.duration_since(self.start).as_secs_f64()
    }

    /// All partitions always have something to send: turns until the time is over.
    fn all_want(
        &mut self,
        partitions: usize,
        until: Duration,
        service: impl Fn(usize) -> Duration,
    ) {
        let mut line: VecDeque<_> = (0..partitions).map(|of| (of, self.pace.join())).collect();
        while self.now < self.start + until {
            let (of, ticket) = line.pop_front().unwrap();
            assert_eq!(self.pace.first(), Some(ticket));
            self.turn(of, ticket, service(of));
            line.push_back((of, self.pace.join()));
        }
    }
}

proptest! {
    #[test]
    fn redis_is_busy_with_us_for_at_most_half_of_the_time_whatever_the_load(
        way in 0u64..20_000,
        flushes in prop::collection::vec((1u64..400_000, 0u64..300_000, 0u64..5_000), 1..80),
    ) {
        let us = Duration::from_micros;
        let mut rig = Rig::new(us(way));
        rig.probe();
        let mut begun: Vec<(Instant, Duration)> = Vec::new();
        for (service, pause, other) in flushes {
            rig.now += us(pause);
            let ticket = rig.pace.join();
            rig.turn(0, ticket, us(service));
            begun.push((rig.turns.last().unwrap().1, us(service + other)));
            // A comparison, say, that waits for no turn.
            rig.request(us(other));
        }
        for (first, (from, _)) in begun.iter().enumerate() {
            let mut worked = Duration::ZERO;
            for pair in begun[first..].windows(2) {
                worked += pair[0].1;
                let passed = pair[1].0.duration_since(*from);
                // The account is in whole nanoseconds.
                prop_assert!(worked <= passed / 2 + us(1), "{worked:?} of {passed:?}");
            }
        }
    }

    #[test]
    fn a_redis_that_is_slower_or_a_load_that_is_higher_makes_intervals_longer_and_no_queue(
        partitions in 1usize..40,
        service in 1u64..200,
    ) {
        let mut rig = Rig::new(Duration::ZERO);
        rig.all_want(partitions, Duration::from_secs(60), |_| ms(service));
        prop_assert!(rig.used() <= 0.5 + 0.2 / 60.0);
        prop_assert!(rig.used() >= 0.49, "{}", rig.used());
        prop_assert_eq!(rig.pace.line.len(), partitions);
    }
}

#[test]
fn partitions_with_much_to_send_have_no_more_turns_than_those_with_little() {
    let mut rig = Rig::new(ms(1));
    rig.all_want(7, Duration::from_secs(60), |of| {
        ms(if of == 0 { 200 } else { 5 })
    });
    let count = |partition| rig.turns.iter().filter(|(of, _)| *of == partition).count();
    let counts: Vec<_> = (0..7).map(count).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 1, "{counts:?}");
}

#[test]
fn the_way_to_redis_is_not_time_that_redis_is_busy() {
    let mut rig = Rig::new(ms(40));
    rig.probe();
    rig.all_want(4, Duration::from_secs(10), |_| ms(10));
    // Each takes 50 ms, of which Redis works for 10.
    assert!((0.18..0.22).contains(&rig.used()), "{}", rig.used());
    let mut unknown = Rig::new(ms(40));
    unknown.all_want(4, Duration::from_secs(10), |_| ms(10));
    assert!(unknown.used() < 0.11, "{}", unknown.used());
}

#[test]
fn a_request_that_failed_says_nothing_of_redis() {
    let mut rig = Rig::new(Duration::ZERO);
    let begun = rig.now;
    rig.pace.requested();
    rig.now += Duration::from_secs(15);
    rig.pace.answered(rig.now, begun, true);
    let ticket = rig.pace.join();
    assert_eq!(rig.pace.begin(rig.now, ticket), Turned::Now);
}

#[test]
fn a_request_that_is_not_answered_does_not_make_the_time_count_in_which_others_are() {
    let mut rig = Rig::new(Duration::ZERO);
    let begun = rig.now;
    // Its connection was cut without a word.
    rig.pace.requested();
    for _ in 0..10 {
        rig.now += Duration::from_secs(1);
        rig.request(ms(10));
    }
    rig.pace.answered(rig.now, begun, true);
    let ticket = rig.pace.join();
    let Turned::At(due) = rig.pace.begin(rig.now, ticket) else {
        panic!("the last request is paid for");
    };
    assert_eq!(due - rig.now, ms(10));
}

#[test]
fn requests_that_are_under_way_together_count_once() {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    for _ in 0..2 {
        pace.requested();
    }
    pace.answered(now + ms(30), now, false);
    pace.answered(now + ms(40), now + ms(10), false);
    let ticket = pace.join();
    let due = Turned::At(now + ms(80));
    assert_eq!(pace.begin(now + ms(40), ticket), due);
}

#[test]
fn only_the_first_in_line_begins_and_only_when_the_turn_before_has_ended() {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    let [a, b, c] = [pace.join(), pace.join(), pace.join()];
    assert_eq!(pace.begin(now, b), Turned::Later);
    assert_eq!(pace.begin(now, a), Turned::Now);
    assert_eq!((pace.first(), pace.begin(now, b)), (None, Turned::Later));
    pace.leave(b);
    pace.leave(a);
    assert_eq!(pace.first(), Some(c));
    assert_eq!(pace.begin(now, c), Turned::Now);
}

#[test]
fn the_share_falls_while_others_use_redis_as_well_and_comes_back_after_them() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    let mut worked = 0.0;
    let mut look = |pace: &mut Pace, second: u64, busy: f64| {
        worked += busy;
        pace.looked(start + Duration::from_secs(second), worked);
        pace.load().1
    };
    look(&mut pace, 0, 0.0);
    let falling: Vec<_> = (1..20).map(|second| look(&mut pace, second, 1.0)).collect();
    assert!(
        falling.is_sorted_by(|a, b| a >= b) && falling[18] == LEAST,
        "{falling:?}"
    );
    let rising: Vec<_> = (20..40)
        .map(|second| look(&mut pace, second, 0.4))
        .collect();
    assert!(rising.is_sorted() && rising[19] == HALF, "{rising:?}");
    assert_eq!(pace.load().0.map(|busy| (busy * 10.0).round()), Some(4.0));
    // It was started again: that says nothing.
    pace.looked(start + Duration::from_secs(41), 0.5);
    assert_eq!(pace.load().1, HALF);
}

#[test]
fn executors_that_know_nothing_of_each_other_come_to_equal_shares_of_half_of_redis() {
    let start = Instant::now();
    let mut paces = [Pace::new(start), Pace::new(start), Pace::new(start)];
    let mut worked = 0.0;
    let mut used = Vec::new();
    for second in 0..240 {
        // The second comes after a minute, the third after two.
        let there = 1 + second as usize / 60;
        let shares: Vec<_> = paces.iter().take(there).map(|pace| pace.load().1).collect();
        let busy: f64 = shares.iter().sum();
        worked += busy.min(1.0);
        for pace in paces.iter_mut().take(there) {
            pace.looked(start + Duration::from_secs(second), worked);
        }
        used.push(busy);
    }
    let shares = paces.each_ref().map(|pace| pace.load().1);
    assert!(
        shares
            .iter()
            .all(|share| (share / shares[0] - 1.0).abs() < 0.3),
        "{shares:?}"
    );
    let mean = used[180..].iter().sum::<f64>() / 60.0;
    assert!((0.35..0.56).contains(&mean), "{mean}");
}

#[test]
fn what_is_urgent_is_first_in_its_order_and_takes_half_of_the_time_whatever_others_use() {
    let mut rig = Rig::new(Duration::ZERO);
    rig.pace.share = LEAST;
    let [a, b, c, d] = [(); 4].map(|()| rig.pace.join());
    rig.pace.urge(d);
    rig.pace.urge(c);
    rig.pace.urge(d);
    let begun = rig.now;
    for (of, ticket) in [d, c, a].into_iter().enumerate() {
        assert_eq!(rig.pace.first(), Some(ticket));
        rig.turn(of, ticket, ms(100));
    }
    let at: Vec<_> = rig.turns.iter().map(|(_, at)| *at - begun).collect();
    // The others give back what was taken in a hurry.
    assert_eq!(at, [ms(0), ms(200), ms(4_000)]);
    assert_eq!(rig.pace.first(), Some(b));
}

#[test]
fn an_answer_that_was_not_given_for_long_puts_the_next_turn_off_for_a_second_only() {
    let begun = Instant::now();
    let mut pace = Pace::new(begun);
    pace.requested();
    let resumed = begun + Duration::from_secs(60);
    pace.answered(resumed, begun, false);
    let ticket = pace.join();
    assert_eq!(pace.begin(resumed, ticket), Turned::Now);
    // As long as it was stopped lies behind it; another time counts from its answer.
    pace.leave(ticket);
    pace.requested();
    let answered = resumed + Duration::from_secs(30);
    pace.answered(answered, resumed, false);
    pace.requested();
    pace.answered(answered + MOST, answered, false);
    let ticket = pace.join();
    let due = Turned::At(answered + 2 * MOST);
    assert_eq!(pace.begin(answered + MOST, ticket), due);
}
