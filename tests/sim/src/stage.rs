//! What is there when a simulation begins: the hosts and the network between them, the job, and the guard.

use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kol_common::Millis;
use turmoil::{Builder, Sim};

use super::guard::Guard;
use super::input::Feed;
use super::masters::{ETCD, Masters};
use super::nodes::{self, Shared};
use super::run::{START, TICK};
use super::schedule::{Deed, EXECUTORS, MASTER};
use super::trace::Trace;

/// Fastest and slowest message.
const LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(15));
/// Exit code of a process in which a simulation hangs.
const HUNG: i32 = 70;

/// Spec of the job, as TOML.
pub fn spec(seed: u64, feed: &Feed, deeds: &[(Millis, Deed)]) -> String {
    let flip = if seed.is_multiple_of(3) {
        "at-once"
    } else {
        "when-caught-up"
    };
    let scoring = feed.scoring();
    let letters = if feed.has_letters() {
        "dead_letter = \"dead\"\n"
    } else {
        ""
    };
    // What a log loses is taken back where there is state from before; otherwise the log is read again.
    let is_cut = deeds.iter().any(|(_, deed)| matches!(deed, Deed::Cut(..)));
    let retain = if is_cut && seed % 16 < 8 {
        "retain = 100\n"
    } else {
        ""
    };
    format!(
        "name = \"simulated\"\n[source]\nbootstrap = \"kafka:9092\"\ntopics = [\"events\"]\n\
         starting_offsets = \"earliest\"\n{letters}[scoring]\n{scoring}\
         [sink]\nurl = \"redis://redis:6379\"\nflip = \"{flip}\"\n\
         [checkpoint]\ninterval = \"500ms\"\nmin_pause = \"100ms\"\ntimeout = \"2s\"\n{retain}"
    )
}

/// Ends the process when the simulation hangs: its thread cannot be stopped.
pub fn guard(seed: u64, trace: &Arc<Trace>) -> Guard {
    let trace = Arc::clone(trace);
    Guard::watch(move || {
        let newest = trace.newest().join("\n  ");
        let what = format!(
            "seed {seed} hangs: some task wakes itself and never waits. Newest of what happened:\n  {newest}\n"
        );
        // A test would keep it until it is over.
        let _there_is_nowhere_else = std::io::stderr().write_all(what.as_bytes());
        std::process::exit(HUNG);
    })
}

/// The hosts and their network.
pub fn network(seed: u64, shared: &Rc<Shared>) -> Sim<'static> {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .epoch(UNIX_EPOCH + START.duration())
        .tick_duration(TICK.duration())
        .min_message_latency(LATENCY.0)
        .max_message_latency(LATENCY.1)
        .simulation_duration(Duration::from_secs(3_600))
        .tcp_capacity(1 << 16)
        .build();
    let of = Rc::<Shared>::clone;
    let host = of(shared);
    sim.host("redis", move || {
        nodes::life(of(&host), "redis", nodes::redis)
    });
    match shared.masters {
        Masters::One => {
            let host = of(shared);
            sim.host(MASTER, move || {
                nodes::life(of(&host), MASTER, nodes::master)
            });
        }
        Masters::Several => {
            let host = of(shared);
            sim.host(ETCD, move || nodes::life(of(&host), ETCD, nodes::etcd));
            for name in shared.masters.hosts() {
                let host = of(shared);
                let run = move |shared, net| nodes::candidate(shared, net, name);
                sim.host(*name, move || nodes::life(of(&host), name, run));
            }
        }
    }
    for name in EXECUTORS {
        let host = of(shared);
        let run = move |shared, net| nodes::executor(shared, net, name);
        sim.host(name, move || nodes::life(of(&host), name, run));
    }
    let host = of(shared);
    sim.host("person", move || {
        nodes::life(of(&host), "person", nodes::person)
    });
    sim
}
