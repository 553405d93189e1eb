//! A creator's score, computed again from the shares that partitions report, with all that it was made of.

use serde_json::{Value, json};

use crate::KolError;
use crate::job::JobSpec;
use crate::proto::{Explanation, PaneDetail, ReadingDetail, SlotDetail};
use crate::scoring::schema::{Scored, Shows, fields};
use crate::scoring::{Scoring, Slot, Sums, Terms, merge};

/// See the module.
#[derive(Clone, Debug)]
pub struct Score {
    scoring: Scoring,
    sums: Sums,
    terms: Terms,
}

impl Score {
    /// From what the executors of a job know.
    ///
    /// # Errors
    /// `SPEC_ENCODING`: the spec of the job cannot be read.
    pub fn of(found: &Explanation) -> Result<Self, KolError> {
        let spec: JobSpec = serde_json::from_str(&found.spec_json)
            .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
        let scoring = Scoring::new(&spec.scoring);
        let counting = found.slots.iter().filter(|slot| !slot.retired);
        let slots: Vec<Slot> = counting.map(|slot| packed(&scoring, slot)).collect();
        let sums = merge(&scoring, &slots);
        let terms = scoring.score(&sums, found.market);
        Ok(Self {
            scoring,
            sums,
            terms,
        })
    }

    /// What it was made of, for whoever shows it.
    pub fn scored(&self) -> Scored<'_> {
        Scored {
            scoring: &self.scoring,
            sums: &self.sums,
            terms: &self.terms,
        }
    }
}

fn packed(scoring: &Scoring, slot: &SlotDetail) -> Slot {
    Slot {
        partition: 0,
        generation: 0,
        window_end: slot.window_end_ms / scoring.spec.slide.0,
        engagement_e6: slot.engagement_e6 as f64,
        events: u32::try_from(slot.events).unwrap_or(u32::MAX),
        previous_engagement_e6: slot.previous_engagement_e6 as f64,
        previous_events: u32::try_from(slot.previous_events).unwrap_or(u32::MAX),
        baseline_engagement_e6: slot.baseline_engagement_e6,
        baseline_events: slot.baseline_events,
        first_pane: slot.first_event_ms / scoring.spec.slide.0,
        provisional_e6: slot.provisional_e6 as f64,
    }
}

/// Every term of a score, the constants that they were weighed with, the velocities up to now and the readings.
pub fn explanation_json(found: &Explanation, scored: &Scored<'_>) -> Value {
    let Scored {
        scoring,
        sums,
        terms,
    } = scored;
    let spec = &scoring.spec;
    let readings = found.slots.iter().flat_map(|slot| &slot.readings);
    let mut explanation = json!({
        "job_id": found.job_id, "platform": found.platform, "kol": found.kol,
        "window_end_ms": scoring.time(sums.window_end).0,
        "window_ms": spec.window.0,
        "engagement": sums.engagement_e6 / 1e6,
        "previous_velocity": terms.previous_velocity,
        "own_baseline": terms.own_baseline,
        "market": terms.market,
        "weights": {
            "personal": spec.weights.personal, "market": spec.weights.market, "momentum": spec.weights.momentum,
        },
        "curve": {"steepness": spec.curve.steepness, "midpoint": spec.curve.midpoint},
        "velocities": velocities(found, scored),
        "slots": found.slots.len(),
        "readings": readings.map(reading_json).collect::<Vec<_>>(),
        "now_ms": found.now_ms,
    });
    for field in fields(spec.profile) {
        explanation[field.name] = match field.shows {
            Shows::Exact(number) | Shows::Rounded(_, number) => number(scored).into(),
            Shows::Text(_) => {
                let mut text = String::new();
                field.write(scored, &mut text);
                text.into()
            }
        };
    }
    // The one that was used, also where it is the market's.
    explanation["baseline"] = terms.baseline.into();
    explanation
}

fn reading_json(reading: &ReadingDetail) -> Value {
    let mut json = json!({
        "video_id": reading.video_id, "time_ms": reading.time_ms, "likes": reading.likes,
        "comments": reading.comments, "shares": reading.shares, "views": reading.views,
        "followers": reading.followers,
    });
    // Of jobs that carry rates on.
    if let Some(gained) = reading.gained {
        json["gained"] = gained.into();
        json["carried_on_to_ms"] = reading.carried_on_to_ms.into();
    }
    json
}

/// The velocity as of each window end whose window is still kept as panes: the newest one is that of the score. None where
/// executors do not report panes.
fn velocities(found: &Explanation, scored: &Scored<'_>) -> Vec<Value> {
    let (scoring, end) = (scored.scoring, scored.sums.window_end);
    let counting = found.slots.iter().filter(|slot| !slot.retired);
    let panes: Vec<&PaneDetail> = counting.flat_map(|slot| &slot.panes).collect();
    if panes.is_empty() {
        return Vec::new();
    }
    let first = end.saturating_sub(scoring.kept) + scoring.panes;
    let at = |end: u64| {
        let window = scoring.time(end.saturating_sub(scoring.panes)).0..scoring.time(end).0;
        let within = panes.iter().filter(|pane| window.contains(&pane.begin_ms));
        let (engagement, events) = within.fold((0.0, 0.0), |(engagement, events), pane| {
            (
                engagement + pane.engagement_e6 as f64,
                events + pane.events as f64,
            )
        });
        json!([scoring.time(end).0, scoring.velocity(engagement, events)])
    };
    (first..=end).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Counters, Profile, ScoringSpec};

    /// A creator of two partitions with what they gained in panes, by distance from the newest window end.
    fn explained(panes: [&[(u64, u64)]; 2]) -> Value {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        let scoring = Scoring::new(&spec);
        let end = 500_000;
        let sum = |panes: &[(u64, u64)], window: std::ops::Range<u64>| {
            let within = panes.iter().filter(|(before, _)| window.contains(before));
            within.map(|(_, gained)| gained * 1_000_000).sum()
        };
        let slots = panes.map(|panes| SlotDetail {
            window_end_ms: scoring.time(end).0,
            engagement_e6: sum(panes, 1..scoring.panes + 1),
            previous_engagement_e6: sum(panes, scoring.panes + 1..2 * scoring.panes + 1),
            panes: panes
                .iter()
                .map(|(before, gained)| PaneDetail {
                    begin_ms: scoring.time(end - before).0,
                    engagement_e6: gained * 1_000_000,
                    events: 1,
                })
                .collect(),
            ..SlotDetail::default()
        });
        let found = Explanation {
            slots: slots.into(),
            market: 1.0,
            ..Explanation::default()
        };
        let slots: Vec<Slot> = found.slots.iter().map(|s| packed(&scoring, s)).collect();
        let sums = merge(&scoring, &slots);
        let terms = scoring.score(&sums, found.market);
        let scored = Scored {
            scoring: &scoring,
            sums: &sums,
            terms: &terms,
        };
        explanation_json(&found, &scored)
    }

    #[test]
    fn velocities_lead_from_that_of_the_window_before_to_that_of_the_score() {
        let shown = explained([&[(1, 720), (24, 720), (30, 1_440)], &[(2, 1_440)]]);
        let all = shown["velocities"].as_array().unwrap();
        assert_eq!(all.len(), 25, "{shown}");
        assert_eq!(all[24][0], shown["window_end_ms"]);
        assert_eq!(all[24][1], shown["velocity"]);
        assert_eq!(all[0][1], shown["previous_velocity"]);
        let velocity = |at: usize| all[at][1].as_f64().unwrap();
        assert_eq!((velocity(24), velocity(0)), (2.0, 1.0));
        // An hour ago the newest pane was not there.
        assert_eq!(velocity(23), 1.5);
        assert!(all.is_sorted_by_key(|point| point[0].as_u64()), "{shown}");
    }

    #[test]
    fn without_panes_there_are_no_velocities() {
        assert_eq!(explained([&[], &[]])["velocities"], json!([]));
    }

    #[test]
    fn every_field_of_the_score_is_shown() {
        let shown = explained([&[(1, 720)], &[]]);
        for field in fields(Profile::Default) {
            assert!(!shown[field.name].is_null(), "{}: {shown}", field.name);
        }
    }
}
