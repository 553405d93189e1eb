//! What a partition says of itself.

use kol_common::proto::{self, PartitionReport, PartitionState};
use kol_common::{KolError, Millis};
use tokio::time::Instant;

use super::actor::Actor;

impl Actor {
    pub(super) fn make_report(&mut self) -> PartitionReport {
        let standstill = self.standstill.longest(Instant::now());
        let state = &self.intake.state;
        let end = self.deps.source.end(&self.assignment.partition);
        let (market_at, market) = state.market();
        let (kols, entities, bytes) = state.size();
        let platforms = state.platforms().iter().zip(market);
        PartitionReport {
            job_id: self.assignment.job.as_str().to_owned(),
            partition: Some((&self.assignment.partition).into()),
            assignment_epoch: self.assignment.epoch,
            state: self.partition_state().into(),
            position: self.intake.position,
            end_offset: end.map(|e| e.end),
            end_age_ms: end.map_or(0, |e| Millis::from(e.asked.elapsed()).0),
            clock_ms: state.clock().map(|c| c.0),
            // Sums of an older window end are labelled as such: they are not mixed with newer ones.
            window_end_ms: (market_at > 0).then(|| self.assignment.scoring.time(market_at).0),
            market: platforms
                .filter(|(_, sum)| sum.slots > 0)
                .map(|(platform, sum)| proto::MarketPartial {
                    platform: platform.to_string(),
                    velocity_sum_e4: sum.velocity_e4,
                    slots: sum.slots,
                })
                .collect(),
            confirmed: self.outbox.confirmed(),
            counters: Some(self.outbox.counted(&self.intake.counters)),
            kols: kols as u64,
            entities: entities as u64,
            state_bytes: bytes as u64,
            median_gap_ms: state.median_gap().map(|g| g.0),
            standstill_ms: Millis::from(standstill).0,
            problem: self.problem().map(|e| e.to_info()),
        }
    }

    fn partition_state(&self) -> PartitionState {
        if self.restoring {
            PartitionState::Restoring
        } else if self.halted {
            PartitionState::Draining
        } else if self.outbox.holding().is_some() {
            PartitionState::Holding
        } else if self.deps.memory.is_full() {
            PartitionState::Paused
        } else if self.outbox.is_claimed() {
            PartitionState::Running
        } else {
            PartitionState::Claiming
        }
    }

    fn problem(&self) -> Option<KolError> {
        let memory = self.deps.memory.is_full().then(|| {
            let (kols, entities, _) = self.intake.state.size();
            let mib = |bytes: u64| bytes / (1 << 20);
            KolError::external(
                "MEMORY_LIMIT",
                format!(
                    "reading waits: state fills {} of {} MiB ({kols} KOLs and {entities} videos in \
                     this partition), {} MiB are in use",
                    mib(self.deps.memory.state()),
                    mib(self.deps.memory.limit()),
                    mib(self.deps.memory.resident())
                ),
            )
            .help("Add executors, raise --memory, or shorten scoring.entity_ttl.")
        });
        let source = || {
            self.source_problem
                .clone()
                .or_else(|| self.deps.source.problem())
        };
        let letters = || self.deps.dead_letters.as_ref()?.problem();
        let problem = memory
            .or_else(|| self.outbox.problem().cloned())
            .or_else(source)
            .or_else(letters)?;
        Some(
            problem
                .job(&self.assignment.spec.name)
                .partition(&self.assignment.partition),
        )
    }
}
