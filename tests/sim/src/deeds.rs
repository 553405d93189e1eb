//! Carries out what a schedule says.

use std::rc::Rc;

use kol_common::Millis;
use kol_master::role::Roles;

use super::input::KOLS;
use super::masters::{Blow, ETCD, Masters, cut_by};
use super::run::{START, Scene, hosts};
use super::schedule::{Deed, EXECUTORS};
use super::store::{Damage, Mood};

impl Scene {
    /// Does this to the simulation.
    pub fn carry_out(&mut self, deed: Deed) -> Result<(), Vec<String>> {
        let now = Millis(START.0 + self.now().0);
        let redis = Rc::clone(&self.shared.redis);
        let gap = matches!(deed, Deed::Lose(_) | Deed::Overwrite(_) | Deed::Spoil(_));
        self.shared.gaps.set(gap || self.shared.gaps.get());
        match deed {
            Deed::Crash(host) => {
                self.crash(host)?;
                if host == "redis" {
                    redis.restarted();
                }
            }
            Deed::Restart(host) => {
                if !self.sim.is_host_running(host) {
                    self.sim.bounce(host);
                }
            }
            Deed::Stop(host) => self.world.set_stopped(host, true),
            Deed::Continue(host) => self.world.set_stopped(host, false),
            Deed::Strike(blow) => self.strike(blow)?,
            Deed::Recover => self.recover()?,
            Deed::LoseAnswer => self.shared.etcd.lose_an_answer(),
            Deed::Leave(host) => {
                if let Some(token) = self.shared.leave.borrow().get(host) {
                    token.cancel();
                }
            }
            Deed::Hold((a, b)) => self.sim.hold(a, b),
            Deed::Release((a, b)) => self.sim.release(a, b),
            Deed::Sever((a, b)) => self.sim.partition(a, b),
            Deed::Mend((a, b)) => self.sim.repair(a, b),
            Deed::Slow((a, b), latency) => self.sim.set_link_latency(a, b, latency),
            Deed::FailOver(lost) => {
                self.crash("redis")?;
                redis.fail_over(now, lost);
                self.sim.bounce("redis");
            }
            Deed::Empty => redis.empty(now),
            Deed::Freeze(time) => redis.freeze(Millis(now.0 + time.0)),
            Deed::Repeats(on) => redis.set_repeats(on),
            Deed::Store(mood) => self.folders.set_mood(mood),
            Deed::Tear(host, how) => self.tear(host, how),
            Deed::Away(away) => self.shared.log.set_away(away),
            Deed::SetClock(host, ahead) => self.set_clock(host, ahead),
            Deed::Ahead(partition) => self.feed.happen_in_2100(partition, &self.shared.log),
            Deed::Lose(key) => redis.lose(now, key),
            Deed::Overwrite(kol) => redis.overwrite(kol),
            Deed::Spoil(kol) => redis.spoil(kol),
            Deed::Clear(kol) => redis.clear(kol),
            Deed::Cut(partition, records, elects) => self.cut(partition, records, elects),
            Deed::Hide(host, hidden) => return self.hide(host, hidden),
            Deed::Do(errand) => self.shared.errands.borrow_mut().push_back(errand),
        }
        Ok(())
    }

    /// The log of a partition loses its newest records.
    fn cut(&mut self, partition: u32, records: usize, elects: bool) {
        self.covered.log_was_cut(partition);
        self.shared.redis.log_was_cut(partition);
        self.shared.log.lose_tail(partition, records, elects);
    }

    /// A host does not see the checkpoints from now on, or sees them again.
    fn hide(&self, host: &'static str, hidden: bool) -> Result<(), Vec<String>> {
        let written = self.shared.folders.get(host).map_or(0, |f| f.hide(hidden));
        if written > 0 {
            return Err(vec![format!(
                "{host} wrote {written} files where the checkpoints were not mounted"
            )]);
        }
        Ok(())
    }

    /// Sets the wall clock of a host so far ahead, in milliseconds.
    fn set_clock(&mut self, host: &'static str, ahead: i64) {
        self.world.set_clock(host, ahead);
        if ahead != 0 && self.shared.masters.hosts().contains(&host) {
            self.wrong.insert(host);
        } else if self.wrong.remove(host) {
            self.right_since = self.now();
        }
    }

    /// Damages state of a partition that the host was last seen to run.
    fn tear(&self, host: &str, how: Damage) {
        let status = self.shared.status.borrow();
        let partitions = status.iter().flat_map(|s| &s.partitions);
        let mut of_host = partitions.filter(|p| p.host == host);
        let name = of_host.next().and_then(|p| p.partition.as_ref());
        let ordinal = name.map_or(0, |partition| partition.partition);
        let found = self.folders.damage(ordinal, how);
        self.shared.torn.set(found || self.shared.torn.get());
        tracing::info!(ordinal, found, "a state file is damaged");
    }

    /// A host dies: first its connections, within a tick all of it.
    pub fn crash(&mut self, host: &'static str) -> Result<(), Vec<String>> {
        if let Some(token) = self.shared.dying.borrow().get(host) {
            token.cancel();
        }
        self.step()?;
        self.sim.crash(host);
        self.shared.roles.borrow_mut().remove(host);
        self.shared.log.letters().lose_those_of(host);
        Ok(())
    }

    /// Whatever is still amiss is mended.
    pub fn heal(&mut self) -> Result<(), Vec<String>> {
        let masters = self.shared.masters;
        for link in masters.links() {
            self.carry_out(Deed::Release(link))?;
            self.carry_out(Deed::Mend(link))?;
        }
        self.recover()?;
        self.carry_out(Deed::Restart("redis"))?;
        for host in EXECUTORS {
            self.carry_out(Deed::Restart(host))?;
        }
        if masters == Masters::Several {
            self.carry_out(Deed::Restart(ETCD))?;
        }
        for host in hosts(masters) {
            self.carry_out(Deed::SetClock(host, 0))?;
            self.carry_out(Deed::Hide(host, false))?;
        }
        self.clear_all()?;
        self.carry_out(Deed::Repeats(false))?;
        self.carry_out(Deed::Store(Mood::Well))?;
        self.carry_out(Deed::Away(false))
    }

    /// No key of a hash has another type.
    pub fn clear_all(&mut self) -> Result<(), Vec<String>> {
        (0..KOLS).try_for_each(|kol| self.carry_out(Deed::Clear(kol)))
    }

    /// Whoever of several masters leads.
    fn leader(&self) -> Option<&'static str> {
        let roles = self.shared.roles.borrow();
        let leads =
            |host: &&str, roles: &Roles| !self.world.is_stopped(host) && roles.leader().is_ok();
        let mut leading = roles.iter().filter(|(host, roles)| leads(host, roles));
        leading.next().map(|(host, _)| *host)
    }

    /// Something happens to whoever leads, if anyone does.
    fn strike(&mut self, blow: Blow) -> Result<(), Vec<String>> {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        for link in cut_by(blow, leader) {
            self.carry_out(Deed::Sever(link))?;
        }
        match blow {
            Blow::Crash => self.crash(leader),
            Blow::Stop => self.carry_out(Deed::Stop(leader)),
            Blow::CutFromEtcd | Blow::CutFromExecutors | Blow::CutFromAll => Ok(()),
        }
    }

    /// Masters run, and their links are well.
    fn recover(&mut self) -> Result<(), Vec<String>> {
        let masters = self.shared.masters;
        for host in masters.hosts() {
            self.carry_out(Deed::Continue(host))?;
            self.carry_out(Deed::Restart(host))?;
        }
        for link in masters.links() {
            if masters
                .hosts()
                .iter()
                .any(|host| link.0 == *host || link.1 == *host)
            {
                self.carry_out(Deed::Mend(link))?;
            }
        }
        Ok(())
    }
}
