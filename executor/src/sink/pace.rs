//! How fast one executor may write to one Redis: a machine without I/O.
//!
//! 1. One flush is under way at a time, of all partitions of all jobs that write there. Who waits for a turn gets it
//!    in the order in which they came, and waits for one at a time: nobody has two turns while another one waits.
//! 2. Redis counts as busy with us while anything of ours is under way that it answers, less the time that a request
//!    takes which is next to nothing. The next turn comes when Redis was busy with us for at most our share of the time, so that the
//!    interval between flushes becomes longer where there is more to send, or Redis is slower.
//! 3. Our share is a half. It falls while Redis says that its processor is more than half busy, because others use it
//!    as well, and rises again slowly: executors that know nothing of each other come to equal shares.
//! 4. An urgent turn is before all others, and its share is a half whatever others use: an epoch must settle before
//!    its deadline, and a partition that was taken over pauses until its first flush has arrived.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The most of Redis' time that we take.
pub const HALF: f64 = 0.5;
/// The least share, whatever others use.
const LEAST: f64 = 0.05;
/// Redis' processor is too busy from here on: a half, and what measuring it may err by.
const TOO_BUSY: f64 = 0.55;
/// What the share is multiplied by then, and what is added to it otherwise.
const FALL: f64 = 0.7;
const RISE: f64 = 0.05;
/// The most that one answer is charged. One that took longer waited in a process that was stopped, or for a Redis that
/// did not answer: that must not keep everybody from writing for many times as long afterwards.
const MOST: Duration = Duration::from_secs(1);
/// Least time between two looks at the processor that are compared.
const LOOKS_APART: Duration = Duration::from_millis(500);
/// For how long the shortest way to Redis and back is believed, at least.
const WAY_BELIEVED: Duration = Duration::from_secs(30);

/// A place in the line, or the turn that came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Whether a turn begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It begins now.
    Now,
    /// Not before this time.
    At(Instant),
    /// Others are first: whoever becomes the first is woken ([`Pace::first`]).
    Later,
}

/// See the module.
#[derive(Debug)]
pub struct Pace {
    line: VecDeque<Place>,
    tickets: u64,
    turn: Option<Ticket>,
    account: Account,
    requests: Requests,
    way: Way,
    share: f64,
    /// The last look at Redis' processor: when, and the seconds that it had worked.
    looked: Option<(Instant, f64)>,
    /// What part of the time it worked between the last two looks.
    busy: Option<f64>,
}

#[derive(Debug)]
struct Place {
    ticket: Ticket,
    urgent: bool,
}

/// How long Redis was busy with us since a moment at which it had been busy with us for our share of the time.
#[derive(Debug)]
struct Account {
    since: Instant,
    spent: Duration,
}

/// What is under way.
#[derive(Debug)]
struct Requests {
    count: usize,
    /// Up to when it is in the account.
    counted: Instant,
}

/// The shortest way to Redis and back: of this period and of the one before.
#[derive(Debug)]
struct Way {
    since: Instant,
    shortest: Option<Duration>,
    before: Option<Duration>,
}

impl Pace {
    /// Nothing was sent yet.
    pub fn new(now: Instant) -> Self {
        Self {
            line: VecDeque::new(),
            tickets: 0,
            turn: None,
            account: Account {
                since: now,
                spent: Duration::ZERO,
            },
            requests: Requests {
                count: 0,
                counted: now,
            },
            way: Way {
                since: now,
                shortest: None,
                before: None,
            },
            share: HALF,
            looked: None,
            busy: None,
        }
    }

    /// Takes the last place in the line.
    pub fn join(&mut self) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.line.push_back(Place {
            ticket,
            urgent: false,
        });
        ticket
    }

    /// Lets a place in the line be before all that are not urgent.
    pub fn urge(&mut self, ticket: Ticket) {
        let waits = |place: &Place| place.ticket == ticket && !place.urgent;
        let place = self.line.iter().position(waits);
        if let Some(mut place) = place.and_then(|at| self.line.remove(at)) {
            place.urgent = true;
            let behind = self.line.iter().take_while(|p| p.urgent).count();
            self.line.insert(behind, place);
        }
    }

    /// Gives up a place, or ends a turn.
    pub fn leave(&mut self, ticket: Ticket) {
        if self.turn == Some(ticket) {
            self.turn = None;
        } else {
            self.line.retain(|place| place.ticket != ticket);
        }
    }

    /// Who may begin next, if nobody has the turn.
    pub fn first(&self) -> Option<Ticket> {
        let place = self.line.front().filter(|_| self.turn.is_none());
        place.map(|place| place.ticket)
    }

    /// Begins a turn, if it is due.
    pub fn begin(&mut self, now: Instant, ticket: Ticket) -> Turned {
        let Some(place) = self.line.front().filter(|_| self.turn.is_none()) else {
            return Turned::Later;
        };
        if place.ticket != ticket {
            return Turned::Later;
        }
        let share = if place.urgent { HALF } else { self.share };
        let due = self.account.due_at(share);
        if now < due {
            return Turned::At(due);
        }
        self.line.pop_front();
        self.turn = Some(ticket);
        Turned::Now
    }

    /// A request begins.
    pub fn requested(&mut self) {
        self.requests.count += 1;
    }

    /// A request that had begun at that time was answered; or it failed, and says nothing of Redis' time. Nor does one
    /// that is not answered say anything of the time that others take meanwhile.
    pub fn answered(&mut self, now: Instant, begun: Instant, failed: bool) {
        let requests = &mut self.requests;
        requests.count = requests.count.saturating_sub(1);
        if failed {
            return;
        }
        // The way is taken off once for all that are under way together.
        let way = if begun >= requests.counted {
            self.way.shortest()
        } else {
            Duration::ZERO
        };
        let since = begun.max(requests.counted);
        requests.counted = now;
        let took = now.duration_since(since);
        let cost = took.saturating_sub(way).min(MOST);
        self.account.charge(since, cost, self.share);
    }

    /// Whether nothing is under way: what a request takes now that is next to nothing is the way alone.
    pub fn is_idle(&self) -> bool {
        self.requests.count == 0
    }

    /// A request that is next to nothing took so long while nothing else was under way.
    pub fn measured_way(&mut self, now: Instant, took: Duration) {
        self.way.measured(now, took);
    }

    /// The way to Redis and back, as far as it is known.
    pub fn way(&self) -> Duration {
        self.way.shortest()
    }

    /// Redis' processor has worked for so many seconds since Redis was started.
    pub fn looked(&mut self, now: Instant, worked: f64) {
        let Some((at, before)) = self.looked else {
            self.looked = Some((now, worked));
            return;
        };
        let passed = now.duration_since(at);
        if passed < LOOKS_APART {
            return;
        }
        self.looked = Some((now, worked));
        // Less than before: it was started again.
        if worked < before {
            return;
        }
        let busy = (worked - before) / passed.as_secs_f64();
        self.busy = Some(busy);
        self.share = if busy > TOO_BUSY {
            (self.share * FALL).max(LEAST)
        } else {
            (self.share + RISE).min(HALF)
        };
    }

    /// What part of the time Redis' processor worked, as it says itself, and our share of the time.
    pub fn load(&self) -> (Option<f64>, f64) {
        (self.busy, self.share)
    }
}

impl Account {
    /// When the next flush may begin.
    fn due_at(&self, share: f64) -> Instant {
        self.since + self.spent.div_f64(share)
    }

    /// Redis was busy with us for `cost`, from `from` on.
    fn charge(&mut self, from: Instant, cost: Duration, share: f64) {
        if from >= self.due_at(share) {
            self.since = from;
            self.spent = Duration::ZERO;
        }
        self.spent += cost;
    }
}

impl Way {
    fn shortest(&self) -> Duration {
        let both = self.shortest.into_iter().chain(self.before);
        both.min().unwrap_or_default()
    }

    fn measured(&mut self, now: Instant, took: Duration) {
        if now.duration_since(self.since) >= WAY_BELIEVED {
            self.since = now;
            self.before = self.shortest.take();
        }
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
