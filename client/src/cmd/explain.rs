//! `explain KOL`.

use kol_common::job::JobSpec;
use kol_common::proto::{ExplainRequest, Explanation, SlotDetail};
use kol_common::scoring::schema::{FIELDS, Scored, Shows};
use kol_common::scoring::{Scoring, Slot, merge};
use kol_common::{KolError, Millis};
use serde_json::{Value, json};

use super::chosen;
use crate::Context;
use crate::complete;
use crate::print::{self, visible};
use crate::render::{self, age, grouped};

/// Arguments of `kol-client explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The creator, as the ranking spells it.
    kol: String,
    /// Platform; the job's default platform when left out.
    #[arg(long, default_value = "", add = complete::platforms())]
    platform: String,
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(long, add = complete::jobs())]
    job: Option<String>,
}

/// Recomputes the score from the slots that executors report, and prints every term.
///
/// # Errors
/// No such creator or job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = ExplainRequest {
        job: chosen::name(ctx, args.job).await?,
        platform: args.platform,
        kol: args.kol,
    };
    let found = ctx.jobs().await?.explain(request).await?.into_inner();
    let spec: JobSpec = serde_json::from_str(&found.spec_json)
        .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    let scoring = Scoring::new(&spec.scoring);
    let slots: Vec<Slot> = found
        .slots
        .iter()
        .filter(|slot| !slot.retired)
        .map(|slot| packed(&scoring, slot))
        .collect();
    let sums = merge(&scoring, &slots);
    let terms = scoring.score(&sums, found.market);
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    if ctx.json() {
        print::json(&as_json(&found, &scored))?;
    } else {
        print::text(&as_text(&found, &scored))?;
    }
    Ok(())
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
    }
}

pub(crate) fn as_json(found: &Explanation, scored: &Scored<'_>) -> Value {
    let Scored {
        scoring,
        sums,
        terms,
    } = scored;
    let readings = found.slots.iter().flat_map(|slot| {
        slot.readings.iter().map(|r| {
            json!({
                "video_id": r.video_id, "time_ms": r.time_ms, "likes": r.likes,
                "comments": r.comments, "shares": r.shares, "views": r.views,
                "followers": r.followers,
            })
        })
    });
    let mut explanation = json!({
        "job_id": found.job_id, "platform": found.platform, "kol": found.kol,
        "window_end_ms": scoring.time(sums.window_end).0,
        "engagement": sums.engagement_e6 / 1e6,
        "previous_velocity": terms.previous_velocity,
        "own_baseline": terms.own_baseline,
        "market": terms.market,
        "slots": found.slots.len(),
        "readings": readings.collect::<Vec<_>>(),
    });
    for field in FIELDS {
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

pub(crate) fn as_text(found: &Explanation, scored: &Scored<'_>) -> String {
    let Scored {
        scoring,
        sums,
        terms,
    } = scored;
    let spec = &scoring.spec;
    let w = &spec.weights;
    let whose = if terms.own_baseline {
        "its own"
    } else {
        "the market's: its history is shorter than three windows"
    };
    let mut out = format!(
        "{} on {}: {:.2} {}\n\n\
         window      {} up to {}\n\
         gained      {:.1} engagements in {} events\n\
         v           {:.4} a minute (velocity)\n\
         v'          {:.4} one window earlier\n\
         b           {:.4} (baseline: {whose})\n\
         m           {} (market mean)\n\
         momentum    {:.4}\n\
         raw         {} × {:.4} growth + {} × {:.4} position + {} × (1 + {:.4}) = {:.4}\n\
         score       100 / (1 + exp(−{} × (raw − {}))) = {:.4}\n\n",
        visible(&found.kol),
        visible(&found.platform),
        terms.score,
        scored.label(),
        spec.window,
        scoring.time(sums.window_end).iso(),
        sums.engagement_e6 / 1e6,
        sums.events,
        terms.velocity,
        terms.previous_velocity,
        terms.baseline,
        terms.market,
        terms.momentum,
        w.personal,
        terms.personal_growth,
        w.market,
        terms.market_position,
        w.momentum,
        terms.momentum,
        terms.raw,
        spec.curve.steepness,
        spec.curve.midpoint,
        terms.score,
    );
    let mut table = render::Table::new(&[
        "VIDEO",
        "LAST READ",
        "LIKES",
        "COMMENTS",
        "SHARES",
        "VIEWS",
        "FOLLOWERS",
    ]);
    let mut readings: Vec<_> = found.slots.iter().flat_map(|s| &s.readings).collect();
    readings.sort_by_key(|r| std::cmp::Reverse(r.time_ms));
    for r in readings {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
        let video = if r.video_id.is_empty() {
            "profile"
        } else {
            &r.video_id
        };
        table.row([
            video.to_owned(),
            format!(
                "{} ({} ago)",
                Millis(r.time_ms).iso(),
                age(found.now_ms.saturating_sub(r.time_ms))
            ),
            number(r.likes),
            number(r.comments),
            number(r.shares),
            number(r.views),
            number(r.followers),
        ]);
    }
    out.push_str(&table.render());
    out
}
