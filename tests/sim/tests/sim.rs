//! The simulation: schedules of faults from seeds, and what makes it worth something: that a run is
//! reproducible from its seed, and that the Redis in it answers as a real one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot continue should say where"
)]

#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/election.rs"]
mod election;
#[path = "sim/logins.rs"]
mod logins;
#[path = "sim/platforms.rs"]
mod platforms;
#[path = "sim/redis.rs"]
mod redis;
#[path = "sim/schedules.rs"]
mod schedules;
#[path = "sim/secured.rs"]
mod secured;
#[path = "sim/stores.rs"]
mod stores;
