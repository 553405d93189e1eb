//! What all partitions of a job learn: its clock, its market, and whether its rankings are shown.

use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::JobTick;
use kol_common::proto::master_message::Body as ToExecutor;

use super::effect::Effect;
use super::fleet::{Fleet, is_callable};
use super::measure::Measure;
use super::ownership::Partitions;
use super::record::JobRecord;

/// Longest time between two ticks.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// What was sent last, and when.
#[derive(Debug, Default)]
pub(super) struct Share {
    sent: Option<(Millis, JobTick)>,
}

impl Share {
    /// Sends what changed, and now and then what did not, to all executors of the job.
    pub(super) fn send(
        &mut self,
        now: Millis,
        tick: Option<JobTick>,
        partitions: &Partitions,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        let Some(tick) = tick else {
            return;
        };
        let due = self
            .sent
            .as_ref()
            .is_none_or(|(at, sent)| *sent != tick || now.since(*at) >= Millis::from(TICK_EVERY));
        if !due {
            return;
        }
        for executor in partitions.executors() {
            if is_callable(fleet, &executor) {
                out.push(Effect::Send(executor, ToExecutor::Tick(tick.clone())));
            }
        }
        self.sent = Some((now, tick));
    }
}

/// What all partitions share; `None` before the first event, unless rankings may be shown already: where nothing is to
/// be read those of the generation before give way, too. After a restart of this master the market is not known until
/// all have reported at the job's clock: so that goes out first.
pub(super) fn tick(
    record: &JobRecord,
    partitions: &Partitions,
    measure: &Measure,
) -> Option<JobTick> {
    let clock = measure.clock();
    if clock.is_none() && !record.shown {
        return None;
    }
    let (market_version, market) = if measure.is_known() {
        (measure.version(), measure.market_wire())
    } else {
        (0, Vec::new())
    };
    Some(JobTick {
        job_id: record.id.to_string(),
        generation: record.generation,
        clock_ms: clock.map(|t| t.0),
        newest_event_ms: measure.newest_event().map(|t| t.0),
        market_version,
        market,
        rankings_shown: record.shown,
        partitions: partitions.len() as u32,
    })
}
