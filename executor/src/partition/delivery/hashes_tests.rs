use super::*;

fn is_known(_: &str, kol: &str) -> bool {
    kol == "known"
}

fn lone(kols: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = kols
        .iter()
        .map(|(platform, kol)| ((*platform).to_owned(), (*kol).to_owned()));
    owned.collect()
}

fn piece(next: Option<Cursor>, kols: &[(&str, &str)]) -> Hashes {
    Hashes {
        next,
        lone: lone(kols),
        refused: None,
        took: Duration::from_millis(2),
    }
}

/// Behind the listings, as the first partition.
fn due(now: Instant) -> LoneHashes {
    let mut hashes = LoneHashes::new(0);
    hashes.listings_swept(now);
    hashes
}

#[test]
fn the_first_partition_of_a_job_looks_and_only_behind_the_listings() {
    let now = Instant::now();
    for (ordinal, looks) in [(0, true), (1, false)] {
        let mut hashes = LoneHashes::new(ordinal);
        assert_eq!((hashes.next_at(), hashes.begin(now)), (None, None));
        hashes.listings_swept(now);
        assert_eq!(hashes.begin(now).is_some(), looks, "{ordinal}");
        assert_eq!(hashes.next_at(), looks.then_some(now), "{ordinal}");
    }
}

#[test]
fn all_keys_are_looked_through_once_at_most_a_tenth_of_the_time() {
    let now = Instant::now();
    let mut hashes = due(now);
    assert_eq!(hashes.begin(now), Some(Cursor::default()));
    for (took, wait) in [(2, 18), (60_000, 5_000)] {
        let slow = Hashes {
            took: Duration::from_millis(took),
            ..piece(Some(Cursor::default()), &[])
        };
        assert_eq!(hashes.read(now, Some(&slow), is_known), 0);
        let next = now + Duration::from_millis(wait);
        assert_eq!(hashes.next_at(), Some(next));
        assert_eq!(hashes.begin(next - Duration::from_millis(1)), None);
        assert!(hashes.begin(next).is_some());
    }
    hashes.read(now, Some(&piece(None, &[])), is_known);
    assert_eq!(hashes.next_at(), None);
    hashes.listings_swept(now);
    assert_eq!(hashes.next_at(), None, "once");
    hashes.start_over();
    hashes.listings_swept(now);
    assert_eq!(
        hashes.begin(now),
        Some(Cursor::default()),
        "Redis lost data"
    );
}

#[test]
fn what_was_found_is_removed_platform_by_platform_before_the_next_piece() {
    let now = Instant::now();
    let mut hashes = due(now);
    let kols = [
        ("tiktok", "a"),
        ("tiktok", "known"),
        ("tiktok", "b"),
        ("youtube", "a"),
    ];
    let found = piece(Some(Cursor::default()), &kols);
    assert_eq!(hashes.read(now, Some(&found), is_known), 3);
    assert!(hashes.are_found() && hashes.next_at().is_none());
    assert_eq!(hashes.begin(now + RETRY), None);
    let take = |hashes: &mut LoneHashes, limit| {
        let (platform, kols) = hashes.take(limit, is_known).unwrap();
        format!("{platform}: {}", kols.join(" "))
    };
    assert_eq!(take(&mut hashes, 1), "tiktok: a");
    hashes.removed(false);
    assert_eq!(take(&mut hashes, 9), "tiktok: a b", "it failed: again");
    hashes.removed(true);
    hashes.removed(true);
    assert_eq!(take(&mut hashes, 9), "youtube: a");
    hashes.removed(true);
    assert!(!hashes.are_found());
    assert!(hashes.begin(now + Duration::from_millis(18)).is_some());
}

#[test]
fn a_creator_that_the_state_comes_to_know_keeps_its_hash() {
    let now = Instant::now();
    let mut hashes = due(now);
    hashes.read(now, Some(&piece(None, &[("tiktok", "a")])), is_known);
    assert_eq!(hashes.take(9, |_, _| true), None);
    assert!(!hashes.are_found());
}

#[test]
fn a_piece_that_could_not_be_read_is_read_again_and_one_of_a_look_that_was_given_up_counts_for_nothing()
 {
    let now = Instant::now();
    let mut hashes = due(now);
    hashes.read(now, None, is_known);
    assert_eq!(hashes.next_at(), Some(now + RETRY));
    hashes.start_over();
    assert_eq!(
        hashes.read(now, Some(&piece(None, &[("tiktok", "a")])), is_known),
        0
    );
    hashes.listings_swept(now);
    assert_eq!(hashes.begin(now), Some(Cursor::default()));
}

#[test]
fn where_the_keys_may_not_be_looked_through_that_is_a_problem_until_they_may() {
    let now = Instant::now();
    let mut hashes = due(now);
    let error = KolError::external("SINK_SCAN_REFUSED", "no");
    let refused = Hashes {
        refused: Some(Box::new(error.clone())),
        ..piece(None, &[])
    };
    hashes.read(now, Some(&refused), is_known);
    assert_eq!(hashes.problem(), Some(&error));
    assert_eq!(hashes.next_at(), Some(now + REFUSED));
    hashes.read(now, Some(&piece(None, &[])), is_known);
    assert_eq!((hashes.problem(), hashes.next_at()), (None, None));
}
