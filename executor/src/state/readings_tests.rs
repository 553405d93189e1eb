use super::*;

const IDS: [&str; 7] = [
    "7518376794681117970",
    "dQw4w9WgXcQ",
    "0",
    "007",
    "",
    "exactly14bytes",
    "an id that is longer than the others are",
];

#[test]
fn a_reading_has_what_it_was_given_in_three_quarters_of_a_cache_line() {
    assert_eq!(size_of::<Reading>(), 48);
    let largest = kol_common::event::MAX_COUNTER;
    let counters = [0, 1, largest, MISSING];
    let mut reading = Reading::new(EntityKey::PROFILE, 7, 1 << 53, counters);
    assert_eq!((reading.time(), reading.counters()), (1 << 53, counters));
    reading.set_fallen(15);
    assert_eq!((reading.time(), reading.fallen()), (1 << 53, 15));
    reading.set_time(5);
    assert_eq!((reading.time(), reading.fallen()), (5, 15));
    reading.begin([MISSING - 1; 4]);
    assert_eq!(reading.fallen(), 0);
    let beyond = reading.counters().map(|c| c > largest && c != MISSING);
    assert_eq!(beyond, [true; 4], "it is not taken for one that is missing");
}

#[test]
fn a_counter_that_falls_by_more_than_half_is_believed_the_second_time() {
    const M: u64 = MISSING;
    for (values, gains, last) in [
        // A glitch, also one that lasts while the counter is hidden.
        (&[50_000, 0, 50_010][..], &[0, 0, 10][..], 50_010),
        (&[50_000, 0, M, 50_010], &[0, 0, 0, 10], 50_010),
        // The second low value is the last value; what comes after it is gain.
        (&[50_000, 1_000, 1_010, 1_050], &[0, 0, 0, 40], 1_050),
        (&[50_000, 1_000, M, 900, 905], &[0, 0, 0, 0, 5], 905),
        // Any value of half or more clears the mark.
        (&[100, 40, 60, 20, 61], &[0, 0, 0, 0, 1], 61),
        // Half is no glitch, less than half is; of odd values, too.
        (&[100, 50, 51], &[0, 0, 1], 51),
        (&[101, 51, 52], &[0, 0, 1], 52),
        (&[101, 50, 102], &[0, 0, 1], 102),
        // A smaller fall is real.
        (&[50_000, 49_500, 49_600], &[0, 0, 100], 49_600),
        (&[M, 7, 9], &[0, 0, 2], 9),
        (&[0, 0, 5], &[0, 0, 5], 5),
    ] {
        let mut readings = Readings::default();
        let copies = &mut Vec::new();
        readings.insert(0, Entity::Profile, 1, [values[0]; 4], copies);
        for (now, gain) in values.iter().zip(gains).skip(1) {
            let reading = readings.change(0, copies);
            assert_eq!(
                reading.advance([*now; 4]),
                [*gain; 4],
                "{values:?} at {now}"
            );
        }
        assert_eq!(readings.get(0).counters(), [last; 4], "{values:?}");
    }
}

#[test]
fn every_shape_of_id_is_an_entity_of_its_own() {
    let mut readings = Readings::default();
    let copies = &mut Vec::new();
    readings.insert(1, Entity::Profile, 5, [MISSING; 4], copies);
    for (i, id) in IDS.iter().enumerate() {
        assert!(readings.find(1, Entity::of(Some(id))).is_none());
        readings.insert(
            1,
            Entity::of(Some(id)),
            10 + i as u64,
            [i as u64; 4],
            copies,
        );
        assert!(readings.find(2, Entity::of(Some(id))).is_none());
    }
    for (i, id) in IDS.iter().enumerate() {
        let found = readings.find(1, Entity::of(Some(id))).unwrap();
        assert_eq!(readings.get(found).time(), 10 + i as u64);
    }
    let mut texts: Vec<_> = readings.of_kol(1, 0..99).map(|(id, ..)| id).collect();
    texts.sort();
    let mut expected: Vec<_> = IDS.iter().map(|s| (*s).to_owned()).collect();
    expected.push(String::new());
    expected.sort();
    assert_eq!(texts, expected);
}

#[test]
fn a_sweep_drops_old_readings_and_reuses_their_places() {
    let mut readings = Readings::default();
    let copies = &mut Vec::new();
    for (i, id) in IDS.iter().enumerate() {
        readings.insert(0, Entity::of(Some(id)), i as u64, [0; 4], copies);
    }
    readings.sweep(100, 5, copies);
    assert_eq!(readings.len(), 2);
    assert!(readings.find(0, Entity::of(Some(IDS[6]))).is_some());
    readings.sweep(100, 50, copies);
    assert_eq!(readings.len(), 0);
    readings.insert(3, Entity::of(Some(IDS[6])), 60, [0; 4], copies);
    assert_eq!(readings.list.len(), IDS.len());
    let (_, entity) = readings
        .entity(readings.find(3, Entity::of(Some(IDS[6]))).unwrap())
        .unwrap();
    assert_eq!(entity, Entity::Long(IDS[6]));
}
