use super::*;

fn epoch(epoch: u64, older_chain: bool, ordinals: &[u32]) -> Manifest {
    let base = StateFile {
        path: format!("base of older: {older_chain}"),
        ..StateFile::default()
    };
    let part = |ordinal: &u32| PartitionCheckpoint {
        ordinal: *ordinal,
        files: vec![base.clone()],
        ..PartitionCheckpoint::default()
    };
    Manifest {
        epoch,
        older_chain,
        partitions: ordinals.iter().map(part).collect(),
        ..Manifest::default()
    }
}

#[test]
fn each_part_of_an_epoch_is_found_whatever_order_they_were_stored_in() {
    let stored = vec![epoch(3, true, &[4, 1]), epoch(7, false, &[2, 4, 0, 3, 1])];
    let mut kept = Kept::new(stored);
    kept.keep(epoch(8, false, &[4, 3, 2, 0]), &Tiers::of_newest(2));
    for (ordinal, epochs) in [
        (0, vec![8, 7]),
        (1, vec![7, 3]),
        (2, vec![8, 7]),
        (3, vec![8, 7]),
        (4, vec![8, 7, 3]),
    ] {
        let found: Vec<_> = kept.usable(ordinal).collect();
        assert!(found.iter().all(|(_, part)| part.ordinal == ordinal));
        let found: Vec<u64> = found.iter().map(|(epoch, _)| *epoch).collect();
        assert_eq!(found, epochs, "{ordinal}");
        assert!(!kept.is_lost(ordinal));
        for epoch in epochs {
            kept.mark_damaged(ordinal, epoch);
        }
        assert!(kept.is_lost(ordinal), "{ordinal}");
    }
    assert!(!kept.is_lost(5), "it has no part");
}

const MINUTE: u64 = 60_000;

/// An epoch of one partition with files of these sizes, made at this time.
fn at(epoch: u64, made: u64, files: &[(&str, u64)]) -> Manifest {
    let file = |(path, bytes): &(&str, u64)| StateFile {
        path: (*path).to_owned(),
        bytes: *bytes,
        ..StateFile::default()
    };
    Manifest {
        epoch,
        begun_ms: made,
        partitions: vec![PartitionCheckpoint {
            files: files.iter().map(file).collect(),
            ..PartitionCheckpoint::default()
        }],
        ..Manifest::default()
    }
}

fn tiers() -> Tiers {
    Tiers::new(&kol_common::job::CheckpointSpec::default())
}

fn epochs(kept: &Kept) -> Vec<u64> {
    kept.iter().map(|m| m.epoch).collect()
}

/// Keeps epochs one after the other; the state store has what it is left with.
fn keep_all(epochs: impl IntoIterator<Item = Manifest>) -> (Kept, BTreeMap<u64, Manifest>) {
    let (mut kept, mut stored) = (Kept::default(), BTreeMap::new());
    for manifest in epochs {
        let released = kept.keep(manifest.clone(), &tiers());
        stored.insert(manifest.epoch, manifest);
        stored.extend(released.reduced.into_iter().map(|m| (m.epoch, m)));
        stored.retain(|epoch, _| !released.forgotten.contains(epoch));
    }
    (kept, stored)
}

#[test]
fn an_epoch_of_each_minute_is_kept_with_its_files_and_shared_ones_stay_while_one_needs_them() {
    // Ten a minute; a base each minute.
    let all = (1..=60).map(|epoch| {
        let made = (epoch - 1) * 6_000;
        let (base, change) = (format!("base{}", made / MINUTE), format!("{epoch}"));
        at(epoch, made, &[(&base, 10), (&change, 1)])
    });
    let (mut kept, stored) = keep_all(all);
    assert_eq!(epochs(&kept), [60, 59, 58, 51, 41, 31, 21, 11, 1]);
    let garbage = kept.take_garbage();
    for file in ["base0", "base4", "1", "31", "58"] {
        assert!(
            !garbage.iter().any(|gone| gone == file),
            "{file}: {garbage:?}"
        );
    }
    for file in ["2", "30", "57"] {
        assert!(
            garbage.iter().any(|gone| gone == file),
            "{file}: {garbage:?}"
        );
    }
    let again = Kept::new(stored.into_values().collect());
    assert_eq!(
        epochs(&again),
        epochs(&kept),
        "after a restart of the master"
    );
    assert_eq!(again.used(), kept.used());
    assert_eq!(again.files.bytes, kept.files.bytes);
}

#[test]
fn what_is_kept_takes_a_bounded_number_of_times_what_the_newest_takes() {
    let size = ALWAYS / 4;
    let all = (1..=120).map(|epoch| {
        let base = format!("base{epoch}");
        at(epoch, epoch * MINUTE, &[(&base, size)])
    });
    let (kept, _) = keep_all(all);
    assert!(kept.files.bytes <= FACTOR * size, "{}", kept.files.bytes);
    assert!(epochs(&kept).len() >= 12, "{:?}", epochs(&kept));
    assert_eq!(epochs(&kept)[..3], [120, 119, 118]);
    // The far past is still reached, in larger steps.
    assert!(epochs(&kept).last().unwrap() <= &60, "{:?}", epochs(&kept));
}

#[test]
fn a_state_of_elsewhere_is_released_with_the_newest() {
    let mut inherited = at(1, 0, &[("elsewhere", 10)]);
    inherited.partitions[0].location = "file:///backup/sav_1".into();
    let own = (2..=9).map(|epoch| at(epoch, epoch * 1_000, &[("base", 10)]));
    let (kept, _) = keep_all(std::iter::once(inherited).chain(own));
    assert!(!epochs(&kept).contains(&1), "{:?}", epochs(&kept));
}

mod any {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_file_of_a_kept_epoch_is_garbage_and_no_other_is_left(
            steps in prop::collection::vec((0..300_000u64, any::<bool>()), 1..80),
        ) {
            let (mut now, mut files, mut number) = (0, Vec::new(), 0);
            let mut all = BTreeSet::new();
            let epochs: Vec<Manifest> = steps.into_iter().map(|(gap, base)| {
                (now, number) = (now + gap, number + 1);
                if base { files.clear(); }
                files.push((format!("f{number}"), 7));
                let named: Vec<(&str, u64)> = files.iter().map(|(f, b)| (f.as_str(), *b)).collect();
                all.insert(format!("f{number}"));
                at(number, now, &named)
            }).collect();
            let (mut kept, stored) = keep_all(epochs);
            let garbage: BTreeSet<String> = kept.take_garbage().into_iter().collect();
            let stored = stored.values().flat_map(|m| &m.partitions).flat_map(|p| &p.files);
            let needed: BTreeSet<String> = stored.map(|f| f.path.clone()).collect();
            prop_assert_eq!(&kept.used(), &needed);
            prop_assert!(garbage.is_disjoint(&needed));
            let known: BTreeSet<String> = garbage.union(&needed).cloned().collect();
            prop_assert_eq!(known, all, "nothing is left behind");
        }
    }
}
