//! The laws of several masters, looked at after every tick:
//!
//! 1. At most one master leads, and no two ever in the same term. One whose process is stopped does nothing.
//! 2. No executor takes a message of a term after one of a newer term.
//! 3. Of a job's committed epochs none is lost and none takes the place of a newer one: the head in etcd never goes
//!    back, the epoch that it names is there, and within a generation each epoch names the one before it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kol_common::proto::Manifest;
use kol_master::role::Roles;
use prost::Message as _;

use super::etcd::Etcd;

/// Of the masters' keys in etcd.
pub const PREFIX: &str = "kol/";
/// Problems that are kept.
const MOST: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Reign {
    /// Who led in each term.
    terms: BTreeMap<u64, &'static str>,
    /// The newest epoch of each job, and its generation.
    heads: BTreeMap<String, (u64, u64)>,
    revision: i64,
    problems: Vec<String>,
}

impl Reign {
    /// Looks at the masters whose processes run, and at etcd; `torn`: state files were damaged on purpose.
    pub fn look<'a>(
        &mut self,
        masters: impl Iterator<Item = (&'static str, &'a Roles)>,
        etcd: &Etcd,
        torn: bool,
    ) {
        self.look_at_masters(masters);
        let revision = etcd.revision();
        if self.revision != revision {
            self.revision = revision;
            self.look_at_epochs(etcd, torn);
        }
    }

    /// What broke a law.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The newest term in which a master was seen to lead.
    pub fn newest_term(&self) -> u64 {
        self.terms.keys().next_back().copied().unwrap_or(0)
    }

    fn look_at_masters<'a>(&mut self, masters: impl Iterator<Item = (&'static str, &'a Roles)>) {
        let leading = masters.filter_map(|(host, roles)| {
            let leadership = roles.leadership();
            leadership.leads.then_some((host, leadership.term))
        });
        let leading: Vec<_> = leading.collect();
        for (host, term) in &leading {
            let first = *self.terms.entry(*term).or_insert(host);
            if first != *host {
                self.problem(format!("{first} and {host} led in term {term}"));
            }
        }
        if leading.len() > 1 {
            let mut all = String::new();
            for (host, term) in leading {
                let _a_string_takes_all = write!(all, " {host} in term {term}");
            }
            self.problem(format!("several masters lead at once:{all}"));
        }
    }

    fn look_at_epochs(&mut self, etcd: &Etcd, torn: bool) {
        let heads: BTreeMap<_, _> = etcd.below(&format!("{PREFIX}head/")).into_iter().collect();
        for (job, (epoch, _)) in self.heads.clone() {
            let exists = !etcd.below(&format!("{PREFIX}job/{job}")).is_empty();
            if exists && !heads.contains_key(&job) {
                self.problem(format!("epoch {epoch} of {job} was lost"));
            }
        }
        for (job, head) in heads {
            let epoch = String::from_utf8_lossy(&head).parse().unwrap_or(0);
            let before = self.heads.get(&job).copied().unwrap_or_default();
            if epoch == before.0 {
                continue;
            }
            let place = format!("{PREFIX}checkpoint/{job}/{epoch:020}");
            let manifest = etcd.below(&place);
            let manifest = manifest
                .first()
                .map(|(_, value)| Manifest::decode(&**value));
            match manifest {
                Some(Ok(manifest)) if manifest.epoch == epoch => {
                    self.advance(job, before, &manifest, torn);
                }
                _ => self.problem(format!(
                    "epoch {epoch} of {job} is committed, and not there"
                )),
            }
        }
    }

    /// The head of a job moves from the epoch and generation before to this one.
    fn advance(&mut self, job: String, before: (u64, u64), now: &Manifest, torn: bool) {
        let (epoch, generation) = (now.epoch, now.generation);
        let goes_back = epoch < before.0 || generation < before.1;
        // Behind damaged state an epoch has the newest that can be read for its parent.
        let leaves_out = generation == before.1 && now.parent != before.0 && !torn;
        if goes_back || leaves_out {
            self.problem(format!(
                "{job}: epoch {epoch} of generation {generation} with the parent {} was committed after epoch {} of \
                 generation {}",
                now.parent, before.0, before.1
            ));
        }
        self.heads.insert(job, (epoch, generation));
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < MOST && !self.problems.contains(&what) {
            self.problems.push(what);
        }
    }
}
