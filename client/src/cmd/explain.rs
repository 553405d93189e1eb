//! `explain KOL`.

use kol_common::Millis;
use kol_common::job::Profile;
use kol_common::proto::{ExplainRequest, Explanation, ReadingDetail};
use kol_common::scoring::schema::Scored;
use kol_common::view::{Score, explanation_json};

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
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
    /// Platform; the job's default platform when left out.
    #[arg(long, default_value = "", add = complete::platforms())]
    platform: String,
    /// As scripts have written it.
    #[arg(long = "job", hide = true, value_name = "JOB", conflicts_with = "job")]
    named: Option<String>,
}

/// Recomputes the score from the slots that executors report, and prints every term.
///
/// # Errors
/// No such creator or job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = ExplainRequest {
        job: chosen::name(ctx, args.job.or(args.named)).await?,
        platform: args.platform,
        kol: args.kol,
    };
    let found = ctx.jobs().await?.explain(request).await?.into_inner();
    let score = Score::of(&found)?;
    let scored = score.scored();
    if ctx.json() {
        print::json(&explanation_json(&found, &scored))?;
    } else {
        print::text(&as_text(&found, &scored))?;
    }
    Ok(())
}

pub(crate) fn as_text(found: &Explanation, scored: &Scored<'_>) -> String {
    let Scored {
        scoring,
        sums,
        terms,
    } = scored;
    let mut out = format!(
        "{} on {}: {:.2} {}\n\n\
         window      {} up to {}\n\
         gained      {:.1} engagements in {} events\n",
        visible(&found.kol),
        visible(&found.platform),
        terms.score,
        scored.label(),
        scoring.spec.window,
        scoring.time(sums.window_end).iso(),
        sums.engagement_e6 / 1e6,
        sums.events,
    );
    out.push_str(&match scoring.spec.profile {
        Profile::Rising => rising(found, scored),
        Profile::Default | Profile::SparkCompat => biggest(scored),
    });
    let is_rising = scoring.spec.profile == Profile::Rising;
    let mut headings = vec![
        "VIDEO",
        "LAST READ",
        "LIKES",
        "COMMENTS",
        "SHARES",
        "VIEWS",
        "FOLLOWERS",
    ];
    headings.extend(is_rising.then_some("PROVISIONAL"));
    let mut table = render::Table::new(&headings);
    let mut readings: Vec<_> = found.slots.iter().flat_map(|s| &s.readings).collect();
    readings.sort_by_key(|r| std::cmp::Reverse(r.time_ms));
    for r in readings {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
        let video = if r.video_id.is_empty() {
            "profile"
        } else {
            &r.video_id
        };
        let mut cells = vec![
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
        ];
        cells.extend(is_rising.then(|| carried_on(r)));
        table.row(cells);
    }
    out.push_str(&table.render());
    out
}

/// The terms of the profiles `default` and `spark-compat`.
fn biggest(scored: &Scored<'_>) -> String {
    let Scored { scoring, terms, .. } = scored;
    let spec = &scoring.spec;
    let w = &spec.weights;
    let whose = if terms.own_baseline {
        "its own"
    } else {
        "the market's: its history is shorter than three windows"
    };
    format!(
        "v           {:.4} a minute (velocity)\n\
         v'          {:.4} one window earlier\n\
         b           {:.4} (baseline: {whose})\n\
         m           {} (market mean)\n\
         momentum    {:.4}\n\
         raw         {} × {:.4} growth + {} × {:.4} position + {} × (1 + {:.4}) = {:.4}\n\
         score       100 / (1 + exp(−{} × (raw − {}))) = {:.4}\n\n",
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
    )
}

/// The terms of the profile `rising`.
fn rising(found: &Explanation, scored: &Scored<'_>) -> String {
    let Scored { terms, .. } = scored;
    let readings = found.slots.iter().flat_map(|slot| &slot.readings);
    let until = readings
        .filter_map(|reading| reading.carried_on_to_ms)
        .max();
    let provisional = match until {
        Some(until) if terms.provisional > 0.0 => format!(
            "{:.4} provisional, until {} or the next reading",
            terms.provisional,
            Millis(until).iso()
        ),
        _ => "nothing provisional".to_owned(),
    };
    let usual = if terms.newcomer {
        "a newcomer: its history is shorter than three windows".to_owned()
    } else {
        format!("{:.4} (what is usual for it)", terms.baseline)
    };
    let growth = if terms.newcomer {
        "0 (growth of a newcomer)".to_owned()
    } else {
        format!("{:.4} = log2((v + c) / (b + c)) (growth)", terms.growth)
    };
    format!(
        "v           {:.4} a minute (velocity), of that {provisional}\n\
         b           {usual}\n\
         c           {} (median of the platform, at least 10 a window)\n\
         g           {growth}\n\
         s           {:.4} = g + 0.2 × log2(1 + v / c) (rising)\n\
         score       {:.4}\n\n",
        terms.velocity, terms.market, terms.raw, terms.score,
    )
}

/// What a reading gained, whose rate is provisional behind it, and until when.
fn carried_on(reading: &ReadingDetail) -> String {
    match (reading.gained, reading.carried_on_to_ms) {
        (Some(gained), Some(to)) => {
            format!("rate of +{} until {}", grouped(gained), Millis(to).iso())
        }
        _ => "-".to_owned(),
    }
}
