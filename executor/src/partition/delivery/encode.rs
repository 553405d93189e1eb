//! From slots to merge calls.

use kol_common::job::{KeyTemplates, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::Market;
use kol_common::scoring::schema::Scored;
use kol_common::scoring::{Scoring, Slot, merge, pack_market};
use redis::Cmd;

use super::readback::Readback;
use super::strangers;
use crate::sink::calls::{CompareArgument, ForgetArgument, StampKey};
use crate::sink::merge_call::{self, Argument, Key, Kind, Kols};
use crate::sink::{Fence, script};

/// KOLs in one merge call: enough to share one ZADD, few enough not to hold Redis up for more than a
/// millisecond or two.
pub const KOLS_A_CALL: usize = 100;

/// What to send for a KOL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outgoing {
    /// Put this slot in place of what Redis has. Partition and generation are filled in here.
    Put(Slot),
    /// The same, of a KOL that Redis has as it was sent before: what did not change since is not written.
    Change(Slot),
    /// Take the slot out.
    Remove,
}

/// Makes merge calls for one partition of one job. Buffers are reused.
#[derive(Debug)]
pub struct Encoder {
    keys: KeyTemplates,
    ttl_ms: u64,
    legacy_platform: Option<String>,
    ordinal: u32,
    profile: Profile,
    kols: Kols,
    /// Of the KOLs of the last merge call, in its order; not a number where one is taken out.
    scores: Vec<f64>,
    /// A score that is not a number was reported.
    warned: bool,
}

/// What all KOLs of one merge call have in common.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// Name of the job.
    pub job: &'a str,
    /// Constants of the score.
    pub scoring: &'a Scoring,
    /// Fence of the partition.
    pub fence: &'a Fence,
    /// Sequence of the flush.
    pub sequence: u64,
    /// Place of the call in the flush, from 1.
    pub place: usize,
    /// Platform of the KOLs.
    pub platform: &'a str,
    /// Its market measure.
    pub market: f64,
    /// The version of that.
    pub market_version: u64,
    /// The time now, ISO 8601.
    pub now: &'a str,
    /// The rankings of this generation may be shown.
    pub shown: bool,
}

impl Encoder {
    /// For the partition with this ordinal in its job.
    pub fn new(sink: &SinkSpec, scoring: &ScoringSpec, ordinal: u32) -> Self {
        Self {
            keys: sink.keys.clone(),
            ttl_ms: sink.ttl.map_or(0, |t| t.0),
            legacy_platform: sink.legacy_hashes.then(|| scoring.default_platform.clone()),
            ordinal,
            profile: scoring.profile,
            kols: Kols::new(scoring.profile),
            scores: Vec::new(),
            warned: false,
        }
    }

    /// One merge call for up to [`KOLS_A_CALL`] KOLs of one platform; without any it only says whether
    /// the ranking may be shown.
    pub fn call(&mut self, context: &CallContext<'_>, kols: &[(&str, Outgoing)]) -> Cmd {
        let keys = Key::ALL.len() + self.hashes_of(context.platform, kols.len());
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script::merge(context.scoring.spec.profile).get_hash())
            .arg(keys);
        self.common_keys(context.fence, context.platform, &mut cmd);
        let names = kols.iter().map(|(kol, _)| *kol);
        self.hashes(context.platform, names, &mut cmd);
        self.kols.clear();
        self.scores.clear();
        for (kol, outgoing) in kols {
            let score = self.kol(context, kol, outgoing);
            self.scores.push(score.unwrap_or(f64::NAN));
        }
        self.common_arguments(context, kols.len(), &mut cmd);
        for (kol, _) in kols {
            cmd.arg(kol);
        }
        cmd
    }

    /// A call that removes the hashes of up to [`KOLS_A_CALL`] KOLs of one platform that only an older generation knew, if
    /// nothing names them.
    pub fn forget(&self, context: &CallContext<'_>, kols: &[String]) -> Cmd {
        let CallContext {
            fence, platform, ..
        } = context;
        let keys = Key::ALL.len() + self.hashes_of(platform, kols.len());
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script::FORGET.get_hash()).arg(keys);
        self.common_keys(fence, platform, &mut cmd);
        self.hashes(platform, kols.iter().map(String::as_str), &mut cmd);
        for argument in ForgetArgument::ALL {
            match argument {
                ForgetArgument::Generation => cmd.arg(fence.generation),
                ForgetArgument::AssignmentEpoch => cmd.arg(fence.assignment_epoch),
                ForgetArgument::Sequence => cmd.arg(context.sequence),
                ForgetArgument::Place => cmd.arg(context.place),
                ForgetArgument::Platform => cmd.arg(platform),
                ForgetArgument::Count => cmd.arg(kols.len()),
            };
        }
        cmd.arg(kols);
        cmd
    }

    /// The scores of the KOLs of the last merge call, in its order; not a number where one is taken out.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// A call that reads what is there of KOLs of one platform, where Redis had confirmed this sequence; and, if somebody
    /// put strangers into the ranking, the piece of it that begins at this place.
    pub fn compare(
        &self,
        fence: &Fence,
        (confirmed, place): (u64, u64),
        platform: &str,
        kols: &[&str],
    ) -> Cmd {
        let stamps = StampKey::ALL.map(|key| match key {
            StampKey::LastUpdate => &self.keys.last_update,
            StampKey::LastEvent => &self.keys.last_event,
        });
        let keys = Key::ALL.len() + stamps.len() + self.hashes_of(platform, kols.len());
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script::compare(self.profile).get_hash()).arg(keys);
        self.common_keys(fence, platform, &mut cmd);
        cmd.arg(&stamps);
        self.hashes(platform, kols.iter().copied(), &mut cmd);
        for argument in CompareArgument::ALL {
            match argument {
                CompareArgument::Generation => cmd.arg(fence.generation),
                CompareArgument::AssignmentEpoch => cmd.arg(fence.assignment_epoch),
                CompareArgument::Confirmed => cmd.arg(confirmed),
                CompareArgument::Platform => cmd.arg(platform),
                CompareArgument::Count => cmd.arg(kols.len()),
                CompareArgument::Place => cmd.arg(place),
                CompareArgument::Piece => cmd.arg(strangers::PIECE),
            };
        }
        cmd.arg(kols);
        cmd
    }

    /// What judges what a call read that compares KOLs of this platform, by this owner.
    pub fn readback<'a>(
        &self,
        scoring: &'a Scoring,
        fence: &Fence,
        platform: &'a str,
    ) -> Readback<'a> {
        let legacy = self.is_legacy(platform);
        Readback::new(scoring, platform, legacy, (self.ordinal, generation(fence)))
    }

    /// Whether creators of a platform have a legacy hash beside theirs.
    fn is_legacy(&self, platform: &str) -> bool {
        self.legacy_platform.as_deref() == Some(platform)
    }

    /// The keys of a creator: its hash and, where there is one, its legacy hash.
    pub fn keys_of(&self, platform: &str, kol: &str) -> impl Iterator<Item = String> {
        let legacy = self.is_legacy(platform).then(|| self.keys.legacy_key(kol));
        std::iter::once(self.keys.hash_key(platform, kol)).chain(legacy)
    }

    /// Whether the script that ends a flush looks at the type of this key.
    pub fn is_of_flush(&self, key: &str) -> bool {
        key == self.keys.last_event || key == self.keys.platforms_key()
    }

    /// How every slot of the partition begins.
    fn tag(&self, fence: &Fence) -> [u8; Slot::TAG.end] {
        merge_call::tag(self.ordinal, generation(fence))
    }

    fn common_keys(&self, fence: &Fence, platform: &str, cmd: &mut Cmd) {
        let [record, next, before] = self.keys.flip_keys(platform);
        for key in Key::ALL {
            match key {
                Key::Fence => cmd.arg(&fence.key),
                Key::Ranking => cmd.arg(self.keys.ranking_key(platform)),
                Key::Record => cmd.arg(&record),
                Key::Next => cmd.arg(&next),
                Key::Before => cmd.arg(&before),
                Key::Platforms => cmd.arg(self.keys.platforms_key()),
                Key::Slots => cmd.arg(self.keys.slots_key(platform)),
            };
        }
    }

    /// How many hashes so many KOLs of a platform have, with their legacy hashes.
    fn hashes_of(&self, platform: &str, kols: usize) -> usize {
        kols * if self.is_legacy(platform) { 2 } else { 1 }
    }

    /// The keys of the hashes of KOLs, then those of their legacy hashes, if any.
    fn hashes<'k>(
        &self,
        platform: &str,
        kols: impl Iterator<Item = &'k str> + Clone,
        cmd: &mut Cmd,
    ) {
        for kol in kols.clone() {
            cmd.arg(self.keys.hash_key(platform, kol));
        }
        if self.is_legacy(platform) {
            for kol in kols {
                cmd.arg(self.keys.legacy_key(kol));
            }
        }
    }

    fn common_arguments(&self, context: &CallContext<'_>, kols: usize, cmd: &mut Cmd) {
        let market = Market {
            mean: context.market,
            version: context.market_version,
        };
        for argument in Argument::ALL {
            match argument {
                Argument::Generation => cmd.arg(context.fence.generation),
                Argument::AssignmentEpoch => cmd.arg(context.fence.assignment_epoch),
                Argument::Sequence => cmd.arg(context.sequence),
                Argument::Place => cmd.arg(context.place),
                Argument::Tag => cmd.arg(&self.tag(context.fence)[..]),
                Argument::Platform => cmd.arg(context.platform),
                Argument::Now => cmd.arg(context.now),
                Argument::Count => cmd.arg(kols),
                Argument::Ttl => cmd.arg(self.ttl_ms),
                Argument::Constants => cmd.arg(merge_call::constants(context.scoring, &market)),
                Argument::Market => cmd.arg(&pack_market(&market)[..]),
                Argument::Shown => cmd.arg(if context.shown { "live" } else { "next" }),
                Argument::Kinds => cmd.arg(self.kols.kinds()),
                Argument::Kols => cmd.arg(self.kols.packed()),
            };
        }
    }

    /// Adds a KOL; its score, unless it is taken out.
    fn kol(&mut self, context: &CallContext<'_>, kol: &str, outgoing: &Outgoing) -> Option<f64> {
        let (kind, slot) = match outgoing {
            Outgoing::Remove => {
                self.kols.remove();
                return None;
            }
            Outgoing::Put(slot) => (Kind::Put, slot),
            Outgoing::Change(slot) => (Kind::Change, slot),
        };
        let slot = Slot {
            partition: self.ordinal,
            generation: generation(context.fence),
            ..*slot
        };
        let sums = merge(context.scoring, std::slice::from_ref(&slot));
        let terms = context.scoring.score(&sums, context.market);
        if !terms.are_finite() {
            // Redis would refuse the whole flush for it, again and again.
            self.warn(context, kol);
            self.kols.remove();
            return None;
        }
        let scored = Scored {
            scoring: context.scoring,
            sums: &sums,
            terms: &terms,
        };
        self.kols
            .put(kind, &slot, |field, text| field.write(&scored, text));
        Some(terms.score)
    }

    #[cold]
    fn warn(&mut self, context: &CallContext<'_>, kol: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::error!(
                code = "SCORE_NOT_FINITE",
                job = context.job,
                platform = context.platform,
                kol,
                partition = self.ordinal,
                market = context.market,
                "the score of a creator is not a number: it is left out of Redis; others of this partition \
                 are not reported"
            );
        }
    }
}

/// The generation as slots have it.
fn generation(fence: &Fence) -> u32 {
    u32::try_from(fence.generation).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use kol_common::job::parse;
    use redis::Arg;

    use super::*;

    /// What is sent of the only KOL of a call: its kind, and what is packed.
    fn sent(market: f64) -> [Vec<u8>; 2] {
        let spec = parse("name = \"x\"\n", "x").unwrap().spec;
        let scoring = Scoring::new(&spec.scoring);
        let fence = Fence {
            key: "fence".into(),
            generation: 1,
            assignment_epoch: 1,
        };
        let context = CallContext {
            job: "x",
            scoring: &scoring,
            fence: &fence,
            sequence: 1,
            place: 1,
            platform: "tiktok",
            market,
            market_version: 1,
            now: "now",
            shown: true,
        };
        let slot = Slot {
            partition: 0,
            generation: 0,
            window_end: 100,
            engagement_e6: 1e9,
            events: 5,
            previous_engagement_e6: 0.0,
            previous_events: 0,
            baseline_engagement_e6: 0.0,
            baseline_events: 0.0,
            first_pane: 99,
            provisional_e6: 0.0,
        };
        let mut encoder = Encoder::new(&spec.sink, &spec.scoring, 0);
        let call = encoder.call(&context, &[("ann", Outgoing::Put(slot))]);
        let all: Vec<Vec<u8>> = call
            .args_iter()
            .map(|argument| match argument {
                Arg::Simple(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            })
            .collect();
        let [.., kinds, packed, _name] = all.as_slice() else {
            panic!("too few arguments: {all:?}");
        };
        [kinds.clone(), packed.clone()]
    }

    #[test]
    fn a_score_that_is_not_finite_does_not_leave_the_executor() {
        let [usual, packed] = sent(3.0);
        assert!(usual == b"p" && !packed.is_empty());
        for market in [f64::NAN, f64::INFINITY] {
            let [kind, packed] = sent(market);
            assert_eq!((kind, packed), (b"r".to_vec(), vec![]), "it is taken out");
        }
    }
}
