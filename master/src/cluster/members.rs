//! Who belongs to the cluster: a machine (its shape: see the crate) over registrations, heartbeats and broken streams.
//!
//! 1. One incarnation is one member; its id follows from the incarnation, so that it keeps its name
//!    when this master is started again.
//! 2. ALIVE until its stream breaks, or it is silent for [`Limits::silence`]: then SUSPECT, which
//!    means it keeps its partitions and is not called.
//! 3. A SUSPECT is ALIVE again when the same incarnation opens a new stream or is heard again. It is
//!    LOST when [`Limits::reconnect`] passed since the stream broke, or [`Limits::lease`] since it was
//!    last heard.
//! 4. A newer stream of an incarnation replaces the older one, whose end then means nothing.
//! 5. LEAVING requests that its partitions are taken back; with the end of its stream it has LEFT.
//! 6. Whether it drains, a person says. What was said counts, to this master or to one before it as far as that is on
//!    record, and is sent to it again where it does not know. It remembers that, too, where nothing is on record.
//! 7. A LOST or LEFT incarnation that returns is a member again, and runs nothing that we know of.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::{self, ExecutorState, Heartbeat, Register};
use kol_common::{ExecutorId, Incarnation, Millis};

/// One stream of one executor, numbered by the process that accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What an executor that leaves has at least for draining, if that is not half of its time.
const DRAIN_RESERVE: Duration = Duration::from_secs(3);

/// How long silence and a broken stream may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An executor sends a heartbeat this often.
    pub heartbeat: Duration,
    /// Silence that makes it suspect.
    pub silence: Duration,
    /// Silence that loses it.
    pub lease: Duration,
    /// Time for a new stream after one broke.
    pub reconnect: Duration,
    /// How long a lost member stays in the list, for people to see.
    pub remember: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            lease: Duration::from_secs(5),
            reconnect: Duration::from_secs(3),
            remember: Duration::from_secs(600),
        }
    }
}

/// A heartbeat, as it was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beat {
    /// What the executor sent.
    pub heartbeat: Heartbeat,
    /// How far its wall clock is ahead of this host's, milliseconds; `None` where it does not say.
    pub clock_ahead: Option<i64>,
}

impl Beat {
    /// A heartbeat that was read when this host's wall clock showed `wall`.
    pub fn read(heartbeat: Heartbeat, wall: Millis) -> Self {
        let says = heartbeat.wall_ms > 0;
        let ahead = i128::from(heartbeat.wall_ms) - i128::from(wall.0);
        Self {
            heartbeat,
            clock_ahead: says.then(|| i64::try_from(ahead).unwrap_or(i64::MAX)),
        }
    }
}

/// One executor that registered, and what was heard of it since.
#[derive(Clone, Debug)]
pub struct Member {
    /// What the master calls it.
    pub id: ExecutorId,
    /// What it said of itself.
    pub register: Register,
    /// Whether it may be called and keeps its partitions.
    pub state: ExecutorState,
    /// When it was last heard.
    pub heard: Millis,
    /// When it first registered.
    pub registered: Millis,
    /// Its newest heartbeat.
    pub heartbeat: Beat,
    pub(super) session: Option<SessionId>,
    /// When it should drain what it still has, once it leaves.
    pub drains_at: Option<Millis>,
    /// What a person said.
    drains: Option<bool>,
    disconnected: Option<Millis>,
}

impl Member {
    /// Its incarnation: an executor that is started again has another one.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation::from_wire(self.register.incarnation.as_str())
    }

    /// Whether it belongs to the past.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, ExecutorState::Lost | ExecutorState::Left)
    }

    /// Whether its partitions move to others, and it gets none, because a person wants that.
    pub fn is_draining(&self) -> bool {
        self.drains.unwrap_or(self.register.draining)
    }

    /// For the list of executors; `partitions` is how many it has been assigned. `wall` is what the wall clock
    /// shows `now`.
    pub fn status(&self, now: Millis, wall: Millis, partitions: u64) -> proto::ExecutorStatus {
        let register = &self.register;
        proto::ExecutorStatus {
            executor_id: self.id.to_string(),
            incarnation: register.incarnation.clone(),
            host: register.host.clone(),
            http: register.http.clone(),
            cores: register.cores,
            memory_bytes: register.memory_bytes,
            version: register.version.clone(),
            state: self.state as i32,
            partitions,
            rss_bytes: self.heartbeat.heartbeat.rss_bytes,
            cpu_ms: self.heartbeat.heartbeat.cpu_ms,
            heartbeat_age_ms: now.since(self.heard).0,
            registered_ms: wall.since(now.since(self.registered)).0,
            clock_ahead_ms: self.heartbeat.clock_ahead,
            warnings: register.warnings.clone(),
            zone: register.zone.clone(),
            draining: self.is_draining(),
        }
    }
}

/// What a member did.
#[derive(Clone, Debug)]
pub enum Input {
    /// A stream was opened, and this was its first message.
    Registered(SessionId, Register),
    /// Any message came; a heartbeat brings its figures.
    Heard(SessionId, Option<Beat>),
    /// It announced that it leaves, at the latest after so long.
    Leaving(SessionId, Millis),
    /// A person moves its partitions away, or no longer.
    Drain(ExecutorId, bool),
    /// A stream ended.
    Closed(SessionId),
    /// Time passed: leases may have run out.
    Tick,
}

/// What follows for the rest of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// May be called over this stream; `replaced` is an older one to close.
    Connected {
        /// The id that the master gave it.
        id: ExecutorId,
        /// The stream to call it over.
        session: SessionId,
        /// The stream it had before.
        replaced: Option<SessionId>,
    },
    /// Silent, and heard again on the same stream.
    Recovered(ExecutorId),
    /// Not to be called for now.
    Suspected(ExecutorId),
    /// It does not know that it drains, or that it no longer does: to be sent to it.
    Drain(ExecutorId, bool),
    /// It wants to release everything.
    Leaving(ExecutorId),
    /// It left as it announced: what it still had must be fenced.
    Left(ExecutorId),
    /// It is lost: what it had must be fenced. Its stream, if it has one, must be closed.
    Lost(ExecutorId, Option<SessionId>),
}

/// All executors that registered, by id. See the module.
#[derive(Debug, Default)]
pub struct Members {
    limits: Limits,
    /// What people said to masters before, of executors that have not come since.
    said: BTreeMap<ExecutorId, bool>,
    pub(super) by_id: BTreeMap<ExecutorId, Member>,
    pub(super) by_session: BTreeMap<SessionId, ExecutorId>,
}

impl Members {
    /// No members yet. `drains` says of which executors people said that they drain, or no longer.
    pub fn new(limits: Limits, drains: BTreeMap<ExecutorId, bool>) -> Self {
        Self {
            limits,
            said: drains,
            ..Self::default()
        }
    }

    /// All that are known, the lost ones of the last minutes too.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// One of them.
    pub fn get(&self, id: &ExecutorId) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// Whose stream it is.
    pub fn of_session(&self, session: SessionId) -> Option<&ExecutorId> {
        self.by_session.get(&session)
    }

    /// The id of an incarnation.
    pub fn id_of(incarnation: &str) -> ExecutorId {
        let bare = incarnation.strip_prefix("inc_").unwrap_or(incarnation);
        ExecutorId::from_wire(format!("exe_{bare}"))
    }

    /// Takes what happened at `now`, and adds what is to be done to `out`, in its order.
    pub fn handle(&mut self, now: Millis, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Registered(session, register) => self.registered(now, session, register, out),
            Input::Heard(session, heartbeat) => self.heard(now, session, heartbeat, out),
            Input::Leaving(session, within) => self.leaving(now, session, within, out),
            Input::Drain(id, draining) => self.drain(id, draining, out),
            Input::Closed(session) => self.closed(now, session, out),
            Input::Tick => self.tick(now, out),
        }
    }

    fn registered(
        &mut self,
        now: Millis,
        session: SessionId,
        register: Register,
        out: &mut Vec<Effect>,
    ) {
        let id = Self::id_of(&register.incarnation);
        let said = self.said.remove(&id);
        let member = self.by_id.entry(id.clone()).or_insert_with(|| Member {
            id: id.clone(),
            register: Register::default(),
            state: ExecutorState::Alive,
            heard: now,
            registered: now,
            heartbeat: Beat::default(),
            session: None,
            drains_at: None,
            drains: said,
            disconnected: None,
        });
        let forgot = member.drains.filter(|word| *word != register.draining);
        member.register = register;
        member.state = ExecutorState::Alive;
        member.heard = now;
        member.disconnected = None;
        let replaced = member.session.replace(session);
        if let Some(old) = replaced {
            self.by_session.remove(&old);
        }
        self.by_session.insert(session, id.clone());
        out.push(Effect::Connected {
            id: id.clone(),
            session,
            replaced,
        });
        out.extend(forgot.map(|draining| Effect::Drain(id, draining)));
    }

    fn drain(&mut self, id: ExecutorId, draining: bool, out: &mut Vec<Effect>) {
        if let Some(member) = self.by_id.get_mut(&id) {
            member.drains = Some(draining);
            out.push(Effect::Drain(id, draining));
        }
    }

    fn member(&mut self, session: SessionId) -> Option<&mut Member> {
        let id = self.by_session.get(&session)?;
        self.by_id.get_mut(id)
    }

    fn heard(
        &mut self,
        now: Millis,
        session: SessionId,
        heartbeat: Option<Beat>,
        out: &mut Vec<Effect>,
    ) {
        let Some(member) = self.member(session) else {
            return;
        };
        member.heard = member.heard.max(now);
        if let Some(heartbeat) = heartbeat {
            member.heartbeat = heartbeat;
        }
        if member.state == ExecutorState::Suspect {
            member.state = ExecutorState::Alive;
            out.push(Effect::Recovered(member.id.clone()));
        }
    }

    fn leaving(&mut self, now: Millis, session: SessionId, within: Millis, out: &mut Vec<Effect>) {
        self.heard(now, session, None, out);
        let Some(member) = self.member(session) else {
            return;
        };
        if member.state == ExecutorState::Alive {
            member.state = ExecutorState::Leaving;
            let reserve = Millis::from(DRAIN_RESERVE).0.min(within.0 / 2);
            member.drains_at = Some(Millis(now.0.saturating_add(within.0 - reserve)));
            out.push(Effect::Leaving(member.id.clone()));
        }
    }

    fn closed(&mut self, now: Millis, session: SessionId, out: &mut Vec<Effect>) {
        let Some(id) = self.by_session.remove(&session) else {
            return;
        };
        let Some(member) = self.by_id.get_mut(&id) else {
            return;
        };
        member.session = None;
        match member.state {
            ExecutorState::Leaving => {
                member.state = ExecutorState::Left;
                out.push(Effect::Left(id));
            }
            ExecutorState::Alive => {
                member.disconnected = Some(now);
                member.state = ExecutorState::Suspect;
                out.push(Effect::Suspected(id));
            }
            _ => member.disconnected = Some(now),
        }
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let limits = self.limits;
        let past = |since: Millis, limit: Duration| now.since(since) >= Millis::from(limit);
        for member in self.by_id.values_mut() {
            if member.is_gone() {
                continue;
            }
            let never_came_back = member
                .disconnected
                .is_some_and(|at| past(at, limits.reconnect));
            if never_came_back || past(member.heard, limits.lease) {
                member.state = ExecutorState::Lost;
                let session = member.session.take();
                if let Some(session) = session {
                    self.by_session.remove(&session);
                }
                out.push(Effect::Lost(member.id.clone(), session));
            } else if member.state == ExecutorState::Alive && past(member.heard, limits.silence) {
                member.state = ExecutorState::Suspect;
                out.push(Effect::Suspected(member.id.clone()));
            }
        }
        self.by_id
            .retain(|_, m| !m.is_gone() || !past(m.heard, limits.remember));
    }
}
