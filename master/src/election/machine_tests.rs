//! The machine alone, and several of them with a lease between them.

use kol_common::Millis;
use proptest::prelude::*;

use super::machine::{Effect, Input, Limits, Machine};

fn step(machine: &mut Machine, now: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    machine.handle(Millis(now), input, &mut out);
    out
}

/// A machine that leads since 1,000, by a lease whose grant was sent then.
fn leader() -> Machine {
    let mut machine = Machine::new(Limits::default());
    assert_eq!(step(&mut machine, 1_000, Input::Tick), [Effect::Look]);
    let campaign = step(&mut machine, 1_000, Input::Seen(None));
    assert_eq!(campaign, [Effect::Campaign]);
    let sent = Millis(1_000);
    let won = step(&mut machine, 1_100, Input::Won { sent });
    assert_eq!(won, [Effect::Lead]);
    machine
}

#[test]
fn a_master_follows_as_long_as_another_holds_the_key() {
    let mut machine = Machine::new(Limits::default());
    step(&mut machine, 0, Input::Tick);
    let other = || Some("http://other:7077".to_owned());
    let follow = [Effect::Follow(other())];
    assert_eq!(step(&mut machine, 10, Input::Seen(other())), follow);
    assert_eq!(step(&mut machine, 200, Input::Tick), []);
    assert_eq!(step(&mut machine, 260, Input::Tick), [Effect::Look]);
    assert_eq!(step(&mut machine, 300, Input::Tick), [], "one at a time");
    assert_eq!(step(&mut machine, 310, Input::Seen(other())), []);
    step(&mut machine, 600, Input::Tick);
    let gone = [Effect::Follow(None), Effect::Campaign];
    assert_eq!(step(&mut machine, 610, Input::Seen(None)), gone);
    assert_eq!(step(&mut machine, 620, Input::Lost), [Effect::Look]);
}

#[test]
fn a_leader_renews_its_lease_and_leads_on() {
    let mut machine = leader();
    for second in 2..60 {
        let now = second * 1_000;
        assert_eq!(step(&mut machine, now - 10, Input::Tick), []);
        assert_eq!(step(&mut machine, now, Input::Tick), [Effect::Renew]);
        let sent = Millis(now);
        assert_eq!(step(&mut machine, now + 300, Input::Renewed { sent }), []);
    }
    assert!(machine.leads());
}

#[test]
fn a_leader_steps_down_before_its_lease_can_end_whatever_it_waits_for() {
    let mut machine = leader();
    assert_eq!(step(&mut machine, 2_000, Input::Tick), [Effect::Renew]);
    assert_eq!(step(&mut machine, 4_499, Input::Tick), []);
    let down = step(&mut machine, 4_500, Input::Tick);
    let stops_first = matches!(down[..], [Effect::StepDown(_), Effect::Resign]);
    assert!(stops_first, "{down:?}");
    assert_eq!(step(&mut machine, 4_600, Input::Nothing), []);
    assert_eq!(step(&mut machine, 6_499, Input::Tick), [], "others first");
    assert_eq!(step(&mut machine, 6_500, Input::Tick), [Effect::Look]);
}

#[test]
fn a_renewal_counts_from_when_it_was_sent() {
    let mut machine = leader();
    step(&mut machine, 2_000, Input::Tick);
    let sent = Millis(2_000);
    step(&mut machine, 4_400, Input::Renewed { sent });
    assert!(machine.leads());
    step(&mut machine, 5_499, Input::Tick);
    assert!(machine.leads());
    step(&mut machine, 5_500, Input::Tick);
    assert!(!machine.leads());
}

#[test]
fn a_renewal_that_fails_is_repeated_and_a_lease_that_is_gone_ends_the_term() {
    let mut machine = leader();
    step(&mut machine, 2_000, Input::Tick);
    assert_eq!(step(&mut machine, 2_100, Input::Nothing), []);
    assert_eq!(step(&mut machine, 2_350, Input::Tick), [Effect::Renew]);
    let down = step(&mut machine, 2_400, Input::Gone);
    let nothing_to_end = matches!(down[..], [Effect::StepDown(_), Effect::Look]);
    assert!(nothing_to_end, "{down:?}");
}

#[test]
fn a_term_that_is_won_too_late_never_begins() {
    let mut machine = Machine::new(Limits::default());
    step(&mut machine, 0, Input::Tick);
    step(&mut machine, 0, Input::Seen(None));
    let sent = Millis(0);
    assert_eq!(step(&mut machine, 3_500, Input::Won { sent }), []);
    assert!(!machine.leads());
}

#[test]
fn a_leader_that_gives_up_ends_its_lease_and_waits_for_another() {
    let mut machine = leader();
    assert_eq!(step(&mut machine, 1_500, Input::Left), [Effect::Resign]);
    assert_eq!(step(&mut machine, 1_600, Input::Nothing), []);
    assert_eq!(step(&mut machine, 3_400, Input::Tick), []);
    assert_eq!(step(&mut machine, 3_500, Input::Tick), [Effect::Look]);
}

/// Longest wait for an answer.
const DEADLINE: u64 = 1_000;

/// What a master sent, until etcd has it.
struct Request {
    from: usize,
    number: u64,
    /// The sender's newest lease then.
    lease: u64,
    what: Effect,
    sent: u64,
    arrives: u64,
    heard: u64,
}

/// Masters, the lease that they compete for, and a network between them that delays.
struct World<'a> {
    masters: Vec<Machine>,
    /// The request that each waits for, and until when.
    waiting: Vec<Option<(u64, u64)>>,
    /// The request that won each its newest lease.
    won: Vec<u64>,
    /// Who has the lease, by which request, and until when.
    lease: Option<(usize, u64, u64)>,
    requests: Vec<Request>,
    /// When it is heard, by whom, to which request.
    answers: Vec<(u64, usize, u64, Input)>,
    delays: Box<dyn Iterator<Item = (u16, u16)> + 'a>,
    sent: u64,
}

impl<'a> World<'a> {
    fn new(limits: Limits, delays: &'a [(u16, u16)]) -> Self {
        Self {
            masters: (0..3).map(|_| Machine::new(limits)).collect(),
            waiting: vec![None; 3],
            won: vec![0; 3],
            lease: None,
            requests: Vec::new(),
            answers: Vec::new(),
            delays: Box::new(delays.iter().copied().cycle()),
            sent: 0,
        }
    }

    /// etcd gets what has arrived by now.
    fn arrive(&mut self, now: u64) {
        let (arrived, rest) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request| request.arrives <= now);
        self.requests = rest;
        for request in Vec::<Request>::into_iter(arrived) {
            self.lease = self.lease.filter(|(.., until)| now < *until);
            let holder = self.lease.map(|(holder, ..)| holder);
            let of = self.lease.map(|(_, number, _)| number);
            let sent = Millis(request.sent);
            let answer = match (&request.what, holder) {
                (Effect::Resign, _) => {
                    // A lease that was won since is another one.
                    self.lease = self.lease.filter(|_| of != Some(request.lease));
                    Input::Nothing
                }
                (Effect::Look, holder) => Input::Seen(holder.map(|h| h.to_string())),
                (Effect::Campaign, None) => Input::Won { sent },
                (Effect::Campaign, Some(_)) => Input::Lost,
                (_, Some(_)) if of == Some(request.lease) => Input::Renewed { sent },
                _ => Input::Gone,
            };
            if matches!(answer, Input::Won { .. } | Input::Renewed { .. }) {
                let until = now + Limits::default().lease.0;
                let won = matches!(answer, Input::Won { .. });
                let number = if won { request.number } else { request.lease };
                self.lease = Some((request.from, number, until));
            }
            let heard = (request.heard, request.from, request.number, answer);
            self.answers.push(heard);
        }
    }

    /// What a master hears now, and then that time passes.
    fn live(&mut self, me: usize, now: u64) {
        let mut inputs = Vec::new();
        if let Some((number, until)) = self.waiting[me] {
            let mine = |(heard, to, of, _): &(u64, usize, u64, Input)| {
                *heard <= now && *to == me && *of == number
            };
            let answer = self.answers.iter().find(|answer| mine(answer));
            let late = (now >= until).then_some(Input::Nothing);
            inputs.extend(answer.map(|(.., input)| input.clone()).or(late));
        }
        inputs.push(Input::Tick);
        for input in inputs {
            let won = matches!(input, Input::Won { .. });
            if let (true, Some((number, _))) = (won, self.waiting[me]) {
                self.won[me] = number;
            }
            if input != Input::Tick {
                self.waiting[me] = None;
            }
            for effect in step(&mut self.masters[me], now, input) {
                match effect {
                    Effect::StepDown(_) => self.waiting[me] = None,
                    Effect::Lead | Effect::Follow(_) => {}
                    what => self.send(me, now, what),
                }
            }
        }
    }

    fn send(&mut self, from: usize, now: u64, what: Effect) {
        let (there, back) = self.delays.next().unwrap();
        let arrives = now + u64::from(there);
        self.sent += 1;
        self.waiting[from] = Some((self.sent, now + DEADLINE));
        self.requests.push(Request {
            from,
            number: self.sent,
            lease: self.won[from],
            what,
            sent: now,
            arrives,
            heard: arrives + u64::from(back),
        });
    }

    /// A minute; answers how many led at once at most, and whether any ever did.
    fn run(mut self) -> usize {
        let mut most = 0;
        for now in (0..60_000).step_by(10) {
            self.arrive(now);
            for me in 0..3 {
                self.live(me, now);
            }
            let leading = self.masters.iter().filter(|machine| machine.leads());
            most = most.max(leading.count());
        }
        most
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_never_lead_at_once(delays in prop::collection::vec((0..6_000u16, 0..1_500u16), 1..60)) {
        prop_assert!(World::new(Limits::default(), &delays).run() <= 1);
    }
}

#[test]
fn on_a_network_that_works_one_leads() {
    assert_eq!(World::new(Limits::default(), &[(3, 2)]).run(), 1);
}

#[test]
fn a_leader_that_steps_down_too_late_is_found_to_be_one_of_two() {
    let broken = Limits {
        lease: Millis(20_000),
        ..Limits::default()
    };
    let mut delays = vec![(3, 2); 200];
    delays.extend([(6_000, 0); 40]);
    assert_eq!(World::new(broken, &delays).run(), 2);
}
