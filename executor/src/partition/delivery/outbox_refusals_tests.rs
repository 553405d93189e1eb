//! How long a key of a wrong type stays a problem.

use super::*;

#[tokio::test]
async fn a_key_that_only_a_flush_meets_is_no_problem_once_it_is_mended_although_nothing_is_to_send()
{
    let mut rig = Rig::new(assignment());
    rig.refused = vec!["streaming:last_event".into()];
    rig.settle(0).await;
    assert!(rig.outbox.problem().is_some());
    assert!((1..=3).contains(&rig.flushes), "{} in 10 s", rig.flushes);
    rig.refused.clear();
    rig.settle(0).await;
    assert_eq!(rig.outbox.problem(), None);
    let flushes = rig.flushes;
    rig.settle(0).await;
    assert_eq!(rig.flushes, flushes, "nothing is to send");
}

#[tokio::test]
async fn a_key_that_only_alerts_meet_is_a_problem_until_it_is_mended_although_nothing_is_to_send() {
    let mut rig = Rig::new(assignment());
    rig.refused_alerts = Some("streaming:ranking:tiktok:trending:alerts".into());
    rig.state.apply(&of_platform("tiktok"), T0);
    for _ in 0..3 {
        rig.settle(1).await;
        assert!(rig.outbox.problem().is_some(), "each flush looks again");
    }
    assert!((4..=8).contains(&rig.flushes), "{} in 30 s", rig.flushes);
    rig.refused_alerts = None;
    rig.settle(1).await;
    assert_eq!(rig.outbox.problem(), None);
    let flushes = rig.flushes;
    rig.settle(1).await;
    assert_eq!(rig.flushes, flushes, "nothing is to send");
}
