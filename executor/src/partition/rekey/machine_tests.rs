use super::*;

const ID: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

/// A machine, and the time.
struct Scene {
    machine: Machine,
    now: Instant,
    out: Vec<Effect>,
}

fn scene(start: Start) -> Scene {
    let now = Instant::now();
    let mut scene = Scene {
        machine: Machine::new(now, start),
        now,
        out: Vec::new(),
    };
    assert_eq!(scene.gets(Message::Begin), [Effect::Fence]);
    scene
}

fn start() -> Start {
    Start {
        partition: SourcePartition::new("t", 0),
        offset: 5,
        topic: Some(ID),
        has_position: false,
        must_not_lose: false,
        interval: Millis(1_000),
    }
}

/// One that reads, from where Kafka had a position.
fn reading(offset: u64) -> Scene {
    let mut scene = scene(start());
    scene.gets(Message::Fenced(Ok(())));
    scene.gets(Message::Found(Ok(Some(at(offset)))));
    assert_eq!(scene.sees(ID), [Effect::Open(at(offset))]);
    scene
}

fn at(offset: u64) -> Committed {
    Committed {
        offset,
        topic: Some(ID),
    }
}

fn again() -> Refusal {
    Refusal::Again(KolError::external("SOURCE_UNREACHABLE", "away"))
}

impl Scene {
    fn gets(&mut self, message: Message) -> Vec<Effect> {
        self.machine.handle(self.now, message, &mut self.out);
        std::mem::take(&mut self.out)
    }

    /// The topic with this id, as it is called now.
    fn sees(&mut self, topic: Uuid) -> Vec<Effect> {
        let requested = self.now;
        self.gets(Message::Seen(Identity { topic, requested }))
    }

    fn reads(&mut self, position: u64, records: u64) -> Vec<Effect> {
        self.gets(Message::Read {
            position,
            records,
            bytes: 10 * records,
        })
    }

    fn after(&mut self, ms: u64) -> Vec<Effect> {
        self.now += Duration::from_millis(ms);
        let letters_arrived = true;
        self.gets(Message::Tick { letters_arrived })
    }
}

fn code(effects: &[Effect]) -> &'static str {
    match effects {
        [Effect::End(Ended::Failed(error))] => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn owners_before_are_fenced_before_the_position_is_looked_for_and_nothing_is_read_until_it_is_known()
 {
    let mut scene = scene(start());
    assert!(!scene.machine.reads());
    assert_eq!(scene.gets(Message::Found(Ok(Some(at(3))))), [], "not yet");
    assert_eq!(scene.gets(Message::Fenced(Ok(()))), [Effect::Find]);
    assert!(!scene.machine.reads());
    assert_eq!(scene.gets(Message::Found(Ok(Some(at(7))))), []);
    assert!(!scene.machine.reads() && scene.machine.looks());
    assert_eq!(scene.sees(ID), [Effect::Open(at(7))]);
    assert!(scene.machine.reads());
    assert_eq!(scene.machine.reported(), 7, "not where the assignment says");
}

#[test]
fn a_partition_that_never_had_a_position_starts_where_the_assignment_says() {
    let mut scene = scene(start());
    scene.gets(Message::Fenced(Ok(())));
    scene.gets(Message::Found(Ok(None)));
    assert_eq!(scene.sees(ID), [Effect::Open(at(5))]);
    assert_eq!(scene.machine.progress(), (false, 0));
}

#[test]
fn a_position_that_kafka_no_longer_has_is_not_guessed() {
    let mut scene = scene(Start {
        has_position: true,
        ..start()
    });
    scene.gets(Message::Fenced(Ok(())));
    let ended = scene.gets(Message::Found(Ok(None)));
    assert_eq!(code(&ended), "REKEY_POSITION_LOST");
    let [Effect::End(Ended::Failed(error))] = &ended[..] else {
        unreachable!()
    };
    assert!(!error.retryable);
}

#[test]
fn a_topic_that_was_recreated_is_read_from_its_beginning_once_that_is_certain() {
    let mut scene = scene(start());
    scene.gets(Message::Fenced(Ok(())));
    scene.gets(Message::Found(Ok(Some(at(700)))));
    scene.now += Duration::from_millis(1);
    assert_eq!(scene.sees(OTHER), [], "one broker may not know yet");
    scene.now += Duration::from_millis(1);
    assert_eq!(scene.sees(OTHER), [Effect::FindOldest]);
    let open = Committed {
        offset: 2,
        topic: Some(OTHER),
    };
    assert_eq!(scene.gets(Message::Oldest(Ok(2))), [Effect::Open(open)]);
    // Its position is committed before anything is read of it.
    assert_eq!(scene.after(0), [Effect::Commit(open)]);
}

#[test]
fn a_job_that_must_not_lose_anything_ends_when_its_topic_was_recreated() {
    let mut scene = scene(Start {
        must_not_lose: true,
        ..start()
    });
    scene.gets(Message::Fenced(Ok(())));
    scene.gets(Message::Found(Ok(Some(at(700)))));
    scene.now += Duration::from_millis(1);
    scene.sees(OTHER);
    scene.now += Duration::from_millis(1);
    assert_eq!(code(&scene.sees(OTHER)), "DATA_LOSS");
}

#[test]
fn what_was_read_waits_for_the_interval_and_counts_once_it_is_committed() {
    let mut scene = reading(10);
    scene.reads(13, 3);
    assert_eq!(scene.machine.reported(), 10);
    assert_eq!(scene.after(999), []);
    assert_eq!(scene.after(1), [Effect::Commit(at(13))]);
    assert!(
        !scene.machine.reads(),
        "what is read now would be of neither"
    );
    assert_eq!(scene.machine.reported(), 10);
    assert_eq!(scene.gets(Message::Committed(Ok(()))), []);
    assert_eq!(scene.machine.reported(), 13);
    assert_eq!(scene.machine.progress(), (true, 1));
    assert!(scene.machine.reads());
    assert_eq!(scene.after(5_000), [], "nothing new");
}

#[test]
fn a_transaction_that_is_full_is_committed_at_once() {
    let mut scene = reading(0);
    scene.reads(MOST_RECORDS - 1, MOST_RECORDS - 1);
    assert_eq!(scene.after(0), []);
    scene.reads(MOST_RECORDS, 1);
    assert!(!scene.machine.reads());
    assert_eq!(scene.after(0), [Effect::Commit(at(MOST_RECORDS))]);
    let mut scene = reading(0);
    scene.gets(Message::Read {
        position: 1,
        records: 1,
        bytes: MOST_BYTES,
    });
    assert_eq!(scene.after(0), [Effect::Commit(at(1))]);
}

#[test]
fn a_commit_waits_for_the_dead_letters_of_what_it_has() {
    let mut scene = reading(0);
    scene.reads(1, 1);
    scene.now += Duration::from_secs(9);
    let letters_arrived = false;
    assert_eq!(scene.gets(Message::Tick { letters_arrived }), []);
    scene.gets(Message::Drain);
    assert_eq!(scene.gets(Message::Tick { letters_arrived }), []);
    assert_eq!(scene.after(0), [Effect::Commit(at(1))]);
}

#[test]
fn the_end_of_the_log_behind_markers_counts_as_read_without_a_commit() {
    let mut scene = reading(10);
    scene.reads(12, 0);
    assert_eq!(scene.machine.reported(), 12);
    assert_eq!(scene.after(60_000), []);
    scene.reads(13, 1);
    assert_eq!(scene.machine.reported(), 10, "a record is not committed");
}

#[test]
fn a_position_is_committed_again_before_kafka_forgets_it() {
    let mut scene = reading(10);
    assert_eq!(scene.after(3_599_999), []);
    assert_eq!(scene.after(1), [Effect::Commit(at(10))]);
    scene.gets(Message::Committed(Ok(())));
    assert_eq!(scene.after(3_599_999), []);
}

#[test]
fn a_drain_commits_what_was_read_and_ends() {
    let mut scene = reading(10);
    scene.reads(12, 2);
    assert_eq!(scene.gets(Message::Drain), []);
    assert!(!scene.machine.reads());
    assert_eq!(scene.after(0), [Effect::Commit(at(12))]);
    let stopped = scene.now;
    let ended = Ended::Released {
        position: 12,
        drained: true,
        stopped,
    };
    assert_eq!(scene.gets(Message::Committed(Ok(()))), [Effect::End(ended)]);
    assert_eq!(scene.after(9_000), [], "it has ended");
}

#[test]
fn a_drain_that_finds_everything_committed_or_nothing_read_ends_at_once() {
    for (mut scene, drained) in [(reading(10), true), (scene(start()), false)] {
        let ended = scene.gets(Message::Drain);
        assert!(
            matches!(ended[..], [Effect::End(Ended::Released { drained: is, .. })] if is == drained),
            "{ended:?}"
        );
    }
}

#[test]
fn what_fails_in_a_transaction_ends_the_partition() {
    let refused = || KolError::external("SOURCE_ERROR", "why");
    for (refusal, wanted) in [
        (Refusal::Fenced(refused()), "REKEY_FENCED"),
        (Refusal::Aborted(refused()), "REKEY_ABORTED"),
        (
            Refusal::Aborted(KolError::user("SOURCE_DENIED", "no")),
            "SOURCE_DENIED",
        ),
    ] {
        let mut scene = reading(10);
        scene.reads(11, 1);
        scene.after(1_000);
        let ended = scene.gets(Message::Committed(Err(refusal.clone())));
        assert_eq!(code(&ended), wanted);
        assert_eq!(scene.machine.reported(), 10);
        let mut scene = reading(10);
        assert_eq!(code(&scene.gets(Message::Broken(refusal))), wanted);
    }
}

#[test]
fn requests_that_may_work_later_are_repeated_and_shown() {
    let mut scene = scene(start());
    assert_eq!(scene.gets(Message::Fenced(Err(again()))), []);
    assert_eq!(scene.machine.problem().unwrap().code, "SOURCE_UNREACHABLE");
    assert_eq!(scene.after(999), []);
    assert_eq!(scene.after(1), [Effect::Fence]);
    assert!(scene.machine.problem().is_none());
    scene.gets(Message::Fenced(Ok(())));
    scene.gets(Message::Found(Err(again())));
    assert_eq!(scene.after(1_000), [Effect::Find]);
    let denied = Refusal::Again(KolError::user("SOURCE_DENIED", "no"));
    assert_eq!(
        code(&scene.gets(Message::Found(Err(denied)))),
        "SOURCE_DENIED"
    );
}

#[test]
fn a_log_that_lost_its_end_is_read_from_there_and_the_position_goes_back() {
    let mut scene = reading(10);
    scene.reads(30, 20);
    scene.gets(Message::CutOff(20));
    assert_eq!(scene.after(0), [Effect::Commit(at(20))]);
}
