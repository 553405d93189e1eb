//! When a master leads: a machine (its shape: see the crate).
//!
//! 1. A master that follows looks at the leader's key again and again. When no one holds it, it campaigns.
//! 2. A lease counts from the moment at which its grant, or its newest renewal, was **sent**: etcd began it later
//!    than that, and ends it later than `lease` after that.
//! 3. A leader steps down `margin` before that end, by its own monotonic clock and whatever it waits for. The margin is
//!    for what stopping takes, and for clocks of different speed. So it has stopped before another can be elected.
//! 4. When etcd says that the lease no longer exists, it steps down at once.
//! 5. A leader that gives up by itself, or could not renew its lease in time, ends it once it has stopped, and looks again
//!    only after a pause: another can be elected at once, and need not wait until the lease expires.
//! 6. One request is under way at a time; each is answered, at the latest by its deadline. A leader that steps down
//!    has dropped the one that was under way.

use kol_common::Millis;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What etcd is given as the life of a lease.
    pub(super) lease: Millis,
    /// How long before its end a leader steps down.
    pub(super) margin: Millis,
    /// Between two renewals.
    pub(super) renew: Millis,
    /// Between two looks, and before a request that failed is repeated.
    pub(super) look: Millis,
    /// Before a leader that gave up looks again.
    pub(super) pause: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Millis(5_000),
            margin: Millis(1_500),
            renew: Millis(1_000),
            look: Millis(250),
            pause: Millis(2_000),
        }
    }
}

/// What happened, for the election.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// Time passed: a look, a renewal or the end of the lease may be due.
    Tick,
    /// The answer to a look: the address of the leader, if there is one.
    Seen(Option<String>),
    /// The campaign was won, with a lease whose grant was sent at `sent`.
    Won {
        /// By this machine's clock.
        sent: Millis,
    },
    /// Another was elected.
    Lost,
    /// The lease was renewed by a request that was sent at `sent`.
    Renewed {
        /// By this machine's clock.
        sent: Millis,
    },
    /// The lease no longer exists.
    Gone,
    /// A request failed, or needs no answer.
    Nothing,
    /// The leader gave up by itself.
    Left,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// See who holds the leader's key.
    Look,
    /// Try to take the leader's key, with a lease.
    Campaign,
    /// Renew the lease.
    Renew,
    /// End the lease, after all that acted in its term has stopped.
    Resign,
    /// Begin to lead.
    Lead,
    /// Stop leading, now: why.
    StepDown(&'static str),
    /// Another leads, at this address, or no one does.
    Follow(Option<String>),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Following { look: Millis },
    Leading { ends: Millis, renew: Millis },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    limits: Limits,
    state: State,
    /// A request is under way.
    busy: bool,
    /// Who leads, as it was last passed on.
    leader: Option<String>,
}

impl Machine {
    /// A master that follows, and looks at once.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Following { look: Millis(0) },
            busy: false,
            leader: None,
        }
    }

    /// Takes what happened; appends what is to be done.
    pub(super) fn handle(&mut self, now: Millis, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Tick => {}
            Input::Left => return self.left(now, out),
            _ => self.busy = false,
        }
        match input {
            Input::Tick | Input::Left => {}
            Input::Seen(None) => {
                self.follow(None, out);
                self.request(Effect::Campaign, out);
            }
            Input::Seen(leader) => {
                self.follow(leader, out);
                self.look_at(now.0 + self.limits.look.0);
            }
            Input::Won { sent } => self.won(now, sent, out),
            Input::Lost => self.look_at(now.0),
            Input::Renewed { sent } => {
                if let State::Leading { ends, renew } = &mut self.state {
                    *ends = end(&self.limits, sent);
                    *renew = Millis(sent.0 + self.limits.renew.0);
                }
            }
            Input::Gone => {
                if let State::Leading { .. } = self.state {
                    self.step_down("the lease no longer exists", now, out);
                }
            }
            Input::Nothing => self.again(now),
        }
        self.time(now, out);
    }

    /// Whether it leads.
    #[cfg(test)]
    pub(super) fn leads(&self) -> bool {
        matches!(self.state, State::Leading { .. })
    }

    fn time(&mut self, now: Millis, out: &mut Vec<Effect>) {
        match self.state {
            State::Leading { ends, .. } if now >= ends => {
                let look = Millis(now.0 + self.limits.pause.0);
                self.step_down("the lease could not be renewed in time", look, out);
                self.request(Effect::Resign, out);
            }
            State::Leading { renew, .. } if now >= renew => self.request(Effect::Renew, out),
            State::Following { look } if now >= look => self.request(Effect::Look, out),
            State::Leading { .. } | State::Following { .. } => {}
        }
    }

    fn request(&mut self, request: Effect, out: &mut Vec<Effect>) {
        if !self.busy {
            self.busy = true;
            out.push(request);
        }
    }

    /// Too late is lost: the lease ends by itself.
    fn won(&mut self, now: Millis, sent: Millis, out: &mut Vec<Effect>) {
        let ends = end(&self.limits, sent);
        if now >= ends {
            return self.look_at(now.0 + self.limits.look.0);
        }
        let renew = Millis(sent.0 + self.limits.renew.0);
        self.state = State::Leading { ends, renew };
        out.push(Effect::Lead);
    }

    fn again(&mut self, now: Millis) {
        let again = Millis(now.0 + self.limits.look.0);
        match &mut self.state {
            State::Leading { renew, .. } => *renew = again,
            State::Following { look } => *look = again.max(*look),
        }
    }

    fn look_at(&mut self, at: u64) {
        if let State::Following { look } = &mut self.state {
            *look = Millis(at);
        }
    }

    fn follow(&mut self, leader: Option<String>, out: &mut Vec<Effect>) {
        if leader != self.leader {
            self.leader.clone_from(&leader);
            out.push(Effect::Follow(leader));
        }
    }

    fn step_down(&mut self, why: &'static str, look: Millis, out: &mut Vec<Effect>) {
        self.state = State::Following { look };
        self.busy = false;
        self.leader = None;
        out.push(Effect::StepDown(why));
    }

    fn left(&mut self, now: Millis, out: &mut Vec<Effect>) {
        if let State::Leading { .. } = self.state {
            let look = Millis(now.0 + self.limits.pause.0);
            self.state = State::Following { look };
            self.leader = None;
            // In place of a renewal that is under way.
            self.busy = true;
            out.push(Effect::Resign);
        }
    }
}

/// When a lease that was requested at `sent` counts no longer.
fn end(limits: &Limits, sent: Millis) -> Millis {
    Millis((sent.0 + limits.lease.0).saturating_sub(limits.margin.0))
}
