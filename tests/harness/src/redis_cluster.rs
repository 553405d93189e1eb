//! A Redis Cluster.

use std::time::{Duration, Instant};

use super::{RedisServer, free_port, wait_for};

const SLOTS: usize = 16_384;
const PRIMARIES: usize = 3;
const LIMIT: Duration = Duration::from_secs(20);

/// Three primaries, and as many servers beside them as were requested.
#[derive(Debug)]
pub struct RedisCluster {
    /// The first three begin as primaries, with a third of the slots each.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts one, with `spare` nodes that have no slots.
    pub fn start(spare: usize) -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let timeout = ["--cluster-node-timeout", "1500", "--cluster-port", &bus];
            let enabled = ["--cluster-enabled", "yes", "--appendonly", "no"];
            RedisServer::start_with(&[&enabled[..], &timeout].concat())
        };
        let nodes: Vec<_> = (0..PRIMARIES + spare).map(node).collect();
        let bus = |node: &RedisServer| {
            let own = node.cli("CLUSTER NODES");
            let place = own.split(' ').nth(1).unwrap_or_default().to_owned();
            let (_, bus) = place.split_once('@').expect("a bus port");
            bus.split(',').next().unwrap_or_default().to_owned()
        };
        for (number, node) in nodes.iter().enumerate() {
            if number < PRIMARIES {
                let (from, to) = (SLOTS * number / PRIMARIES, SLOTS * (number + 1) / PRIMARIES);
                node.cli(&format!("CLUSTER ADDSLOTSRANGE {from} {}", to - 1));
            }
            let (port, bus) = (node.port(), bus(node));
            nodes[0].cli(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        let cluster = Self { nodes };
        let all = format!("cluster_known_nodes:{}", cluster.nodes.len());
        cluster.wait_info(|info| info.contains("cluster_state:ok") && info.contains(&all));
        cluster
    }

    /// `redis+cluster://…` with two of the nodes.
    pub fn url(&self) -> String {
        let [a, b] = [0, 1].map(|n: usize| self.nodes[n].port());
        format!("redis+cluster://127.0.0.1:{a},127.0.0.1:{b}")
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.nodes[0].cli(&format!("CLUSTER KEYSLOT {key}"));
        slot.trim().parse().expect("a slot")
    }

    /// Which primary has a slot at the beginning.
    pub fn owner(&self, slot: u16) -> usize {
        let ends = (1..=PRIMARIES).map(|number| SLOTS * number / PRIMARIES);
        ends.filter(|end| *end <= usize::from(slot)).count()
    }

    /// Makes a spare node the replica of another, and waits until it has its data.
    pub fn replicate(&self, spare: usize, of: usize) {
        let id = self.id(of);
        let replica = &self.nodes[spare];
        wait_for("a replica", LIMIT, || {
            let answer = replica.cli(&format!("CLUSTER REPLICATE {id}"));
            answer.starts_with("OK").then_some(()).ok_or(answer)
        });
        wait_for("the replica to be in step", LIMIT, || {
            let info = replica.cli("INFO replication");
            let there = info.contains("master_link_status:up");
            there.then_some(()).ok_or(info)
        });
    }

    /// Moves a slot with its keys, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (self.id(from), self.id(to));
        self.nodes[to].cli(&format!("CLUSTER SETSLOT {slot} IMPORTING {source}"));
        self.nodes[from].cli(&format!("CLUSTER SETSLOT {slot} MIGRATING {target}"));
        let port = self.nodes[to].port();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "slot {slot} still has keys");
            let keys = self.nodes[from].cli(&format!("CLUSTER GETKEYSINSLOT {slot} 50"));
            let keys: Vec<_> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                self.nodes[from].cli(&format!("MIGRATE 127.0.0.1 {port} {key} 0 5000"));
            }
        }
        for node in [to, from] {
            self.nodes[node].cli(&format!("CLUSTER SETSLOT {slot} NODE {target}"));
        }
    }

    /// Kills a node, and waits until the others serve all slots again.
    pub fn fail(&mut self, node: usize) {
        self.nodes[node].down();
        let gone = self.nodes.remove(node);
        drop(gone);
        std::thread::sleep(Duration::from_millis(1_500));
        self.wait_info(|info| info.contains("cluster_state:ok") && info.contains("slots_fail:0"));
    }

    /// The node that has a slot now.
    pub fn owner_now(&self, key: &str) -> &RedisServer {
        let is_primary = |node: &&RedisServer| {
            node.cli(&format!("EXISTS {key}")).trim() == "1"
                && node.cli("ROLE").starts_with("master")
        };
        self.nodes
            .iter()
            .find(is_primary)
            .expect("a primary with the key")
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].cli("CLUSTER MYID").trim().to_owned()
    }

    fn wait_info(&self, holds: impl Fn(&str) -> bool) {
        for node in &self.nodes {
            wait_for("the Redis Cluster to be well", LIMIT, || {
                let info = node.cli("CLUSTER INFO");
                holds(&info).then_some(()).ok_or(info)
            });
        }
    }
}
