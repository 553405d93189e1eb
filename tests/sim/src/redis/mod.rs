//! A Redis for the simulation: the commands and scripts of the product over a database in memory, that
//! can fail over, lose what is newest, freeze, and get a command twice.

mod db;
mod foreign;
mod json;
mod lua;
mod resp;
mod scan;
mod structs;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kol_common::proto::PartitionCheckpoint;
use kol_common::{Millis, world};
use kol_executor::sink::script;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::TcpListener;

use super::net::{Io, Net};
use super::watch::Watch;

pub use db::{Db, Reply};
pub use lua::Scripts;
pub use resp::take as parse;

/// Where it listens.
pub const PORT: u16 = 6379;
/// How often its state is kept for a failover, and for how long.
const KEEP_EVERY: Millis = Millis(100);
const KEEP_FOR: Millis = Millis(2_000);
/// How often commands that come late are looked for.
const LATE_EVERY: Duration = Duration::from_millis(50);
/// Of so many commands one comes again, at most so much later.
const REPEATED: f64 = 0.3;
const LATEST: f64 = 3_000.0;

/// What Redis may lose alone: somebody deletes it, or it is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The ranking of a platform.
    Ranking,
    /// The hash of a creator.
    Hash(u32),
    /// The slots of most creators.
    Slots,
    /// The fence record of a partition.
    Fence(u32),
}

impl Key {
    fn name(self) -> String {
        match self {
            Self::Ranking => "ranking:tiktok:trending".to_owned(),
            Self::Hash(kol) => format!("trending:tiktok:kol_{kol}"),
            Self::Slots => "streaming:ranking:tiktok:trending:slots".to_owned(),
            Self::Fence(partition) => format!("streaming:fence:simulated:events:{partition}"),
        }
    }
}

/// One command with its arguments.
type Command = Vec<Vec<u8>>;

/// What outlives a restart of its process.
pub struct Redis {
    scripts: Scripts,
    history: RefCell<VecDeque<(Millis, Db)>>,
    frozen_until: Cell<Millis>,
    repeats: Cell<bool>,
    late: RefCell<BTreeMap<(Millis, u64), Command>>,
    repeated: Cell<u64>,
    watch: RefCell<Watch>,
    /// When it lost data last, and when each owner claimed its fence last: fence, generation and
    /// assignment epoch.
    lost: Cell<Option<Millis>>,
    claimed: RefCell<BTreeMap<Command, Millis>>,
}

impl Redis {
    /// One that only others and an older generation of the job have written.
    ///
    /// # Errors
    /// Lua cannot be started.
    pub fn new() -> mlua::Result<Rc<Self>> {
        let mut db = Db::default();
        foreign::put(&mut db);
        Ok(Rc::new(Self {
            scripts: Scripts::new(Rc::new(RefCell::new(db)))?,
            history: RefCell::default(),
            frozen_until: Cell::default(),
            repeats: Cell::default(),
            late: RefCell::default(),
            repeated: Cell::default(),
            watch: RefCell::default(),
            lost: Cell::default(),
            claimed: RefCell::default(),
        }))
    }

    /// What it holds.
    pub fn db(&self) -> Db {
        self.scripts.db().borrow().clone()
    }

    /// What it shows of the job's creators: hashes by their keys.
    pub fn hashes(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut hashes = self.scripts.db().borrow().hashes("trending:");
        hashes.retain(|key, _| !foreign::is_foreign(key));
        hashes
    }

    /// How the hashes of others differ from what they were.
    pub fn of_others(&self) -> Vec<String> {
        foreign::differences(&self.scripts.db().borrow(), self.lost.get().is_some())
    }

    /// What a reader saw that it should not.
    pub fn seen_going_back(&self) -> Vec<String> {
        self.watch.borrow().problems().to_vec()
    }

    /// The process ends; its data are kept.
    pub fn restarted(&self) {
        self.scripts.forget();
        // What was on its way to it is gone with its connections.
        self.late.borrow_mut().clear();
    }

    /// A replica takes over that had not heard of the newest writes.
    pub fn fail_over(&self, now: Millis, lost: Millis) {
        let at = Millis(now.0.saturating_sub(lost.0));
        let mut history = self.history.borrow_mut();
        while history.back().is_some_and(|(kept, _)| *kept > at) {
            history.pop_back();
        }
        let db = history.back().map(|(_, db)| db.clone());
        *self.scripts.db().borrow_mut() = db.unwrap_or_default();
        self.data_was_lost(now);
        self.restarted();
    }

    /// Somebody empties it.
    pub fn empty(&self, now: Millis) {
        *self.scripts.db().borrow_mut() = Db::default();
        self.data_was_lost(now);
    }

    /// A key is gone. Without a fence record nobody is kept from writing what is older.
    pub fn lose(&self, now: Millis, key: Key) {
        self.run(&["DEL", &key.name()]);
        if let Key::Fence(partition) = key {
            self.lost.set(Some(now));
            self.watch.borrow_mut().fence_was_lost(partition);
        }
    }

    /// Somebody writes other values into the hash of a creator that is there, and gives it another place in the ranking.
    pub fn overwrite(&self, kol: u32) {
        let key = Key::Hash(kol).name();
        if self.run(&["TYPE", &key]) == Reply::Status("hash") {
            let others = ["kol_id", "nobody", "trending_score", "0.00"];
            self.run(&[&["HSET", &key], &others[..]].concat());
        }
        let mut db = self.scripts.db().borrow_mut();
        db.move_in_ranking(&Key::Ranking.name(), &format!("kol_{kol}"), 1.0);
    }

    /// A string is in the place of a creator's hash.
    pub fn spoil(&self, kol: u32) {
        self.run(&["SET", &Key::Hash(kol).name(), "mine"]);
    }

    /// It is gone; the hash is not back by that.
    pub fn clear(&self, kol: u32) {
        let key = Key::Hash(kol).name();
        if self.run(&["TYPE", &key]) == Reply::Status("string") {
            self.run(&["DEL", &key]);
        }
    }

    fn run(&self, command: &[&str]) -> Reply {
        let command: Vec<_> = command
            .iter()
            .map(|part| part.as_bytes().to_vec())
            .collect();
        self.scripts.db().borrow_mut().run(&command)
    }

    /// The log of a partition lost its tail: what came of it leaves.
    pub fn log_was_cut(&self, partition: u32) {
        self.watch.borrow_mut().log_was_cut(partition);
    }

    fn data_was_lost(&self, now: Millis) {
        self.lost.set(Some(now));
        self.watch.borrow_mut().data_was_lost();
    }

    /// Whether the owner of a partition that took part in an epoch knew of every loss when it began.
    pub fn has_lost_nothing_of(
        &self,
        generation: u64,
        part: &PartitionCheckpoint,
        begun: Millis,
    ) -> bool {
        let fence = format!(":{}", part.ordinal);
        let owner = [generation, part.assignment_epoch].map(|n| n.to_string().into_bytes());
        let claimed = self.claimed.borrow();
        let of = claimed
            .iter()
            .find(|(by, _)| by[0].ends_with(fence.as_bytes()) && by[1..] == owner);
        let knew = |lost| of.is_some_and(|(_, at)| *at > lost && *at <= begun);
        self.lost.get().is_none_or(knew)
    }

    /// It does nothing for a while; what it is sent meanwhile it does then.
    pub fn freeze(&self, until: Millis) {
        self.frozen_until.set(until);
    }

    /// Commands come a second time, late, or do not.
    pub fn set_repeats(&self, on: bool) {
        self.repeats.set(on);
    }

    /// One life of the process.
    ///
    /// # Errors
    /// Connections cannot be accepted.
    pub async fn serve(self: Rc<Self>, net: Net) -> io::Result<()> {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let mut connections = FuturesUnordered::new();
        let mut late = tokio::time::interval(LATE_EVERY);
        loop {
            tokio::select! {
                biased;
                Some(_ended) = connections.next(), if !connections.is_empty() => {}
                accepted = listener.accept() => {
                    connections.push(self.connection(net.raw(accepted?.0)));
                }
                _ = late.tick() => self.run_late(),
            }
        }
    }

    async fn connection(&self, mut io: Io) -> io::Result<()> {
        let (mut read, mut answers) = (Vec::new(), Vec::new());
        loop {
            if io.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            while Millis::now() < self.frozen_until.get() {
                let until = self.frozen_until.get().since(Millis::now());
                tokio::time::sleep(until.duration()).await;
            }
            loop {
                let taken = resp::take(&mut read).map_err(io::Error::other)?;
                let Some(command) = taken else { break };
                resp::put(&self.execute(&command), &mut answers);
                self.maybe_again(command);
            }
            // The caller may be gone; the request is served all the same.
            io.write_all(&answers).await?;
            answers.clear();
        }
    }

    fn execute(&self, command: &[Vec<u8>]) -> Reply {
        self.keep();
        if let [_, name, _, fence, generation, epoch, ..] = command
            && name.as_slice() == script::CLAIM.get_hash().as_bytes()
        {
            let owner = [fence, generation, epoch].map(Clone::clone).to_vec();
            self.claimed.borrow_mut().insert(owner, Millis::now());
        }
        let reply = self.scripts.answer(command);
        self.watch.borrow_mut().look(&self.scripts.db().borrow());
        reply
    }

    /// Keeps the state as a replica would have it.
    fn keep(&self) {
        let (now, mut history) = (Millis::now(), self.history.borrow_mut());
        let newest = history.back().map_or(Millis(0), |(at, _)| *at);
        if now.since(newest) < KEEP_EVERY {
            return;
        }
        history.push_back((now, self.scripts.db().borrow().clone()));
        let old = |at: Millis| now.since(at) > KEEP_FOR;
        while history.get(1).is_some_and(|(at, _)| old(*at)) {
            history.pop_front();
        }
    }

    fn maybe_again(&self, command: Command) {
        let is_script = command.first().is_some_and(|n| n == b"EVALSHA");
        if self.repeats.get() && is_script && world::fraction() < REPEATED {
            let due = Millis::now().0 + (LATEST * world::fraction()) as u64;
            let number = self.repeated.get();
            self.repeated.set(number + 1);
            let mut late = self.late.borrow_mut();
            late.insert((Millis(due), number), command);
        }
    }

    fn run_late(&self) {
        let now = Millis::now();
        loop {
            let mut late = self.late.borrow_mut();
            let due = late.first_entry().filter(|first| first.key().0 <= now);
            let Some(command) = due.map(|first| first.remove()) else {
                return;
            };
            drop(late);
            let _nobody_waits = self.execute(&command);
        }
    }
}
