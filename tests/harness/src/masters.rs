//! Clusters with several masters, which elect a leader in etcd.

use std::time::Duration;

use kol_common::proto::{LeadershipReply, LeadershipRequest};

use super::cluster::{addresses, start_master};
use super::jobs::connect;
use super::{Cluster, Etcd, Process, wait_for};

/// A master that is not called by the cluster now.
pub(super) struct Standby {
    pub(super) process: Process,
    pub(super) grpc: String,
    pub(super) http: String,
}

impl Cluster {
    /// Starts two masters that share their state in this etcd, and executors.
    pub fn start_elected(executors: usize, etcd: &Etcd) -> Self {
        Self::start_elected_with(executors, etcd, &[])
    }

    /// The same with variables in the environment of all processes.
    pub fn start_elected_with(executors: usize, etcd: &Etcd, environment: &[(&str, &str)]) -> Self {
        let url = etcd.url();
        let urls = [("KOL_MASTER_ETCD", &*url)];
        let mut cluster = Self::start_with(0, &[&urls, environment].concat());
        let any = "127.0.0.1:0";
        let (folder, name) = (cluster.folder.path(), "master-1");
        let (program, environment) = (
            cluster.program("kol-master"),
            cluster.environment_of_master(),
        );
        let mut process = start_master(&program, name, folder, any, any, &environment);
        let (grpc, http) = addresses(&mut process, 0);
        cluster.door = format!("http://{},http://{grpc}", cluster.grpc());
        cluster.standbys.push(Standby {
            process,
            grpc,
            http,
        });
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// What the master at `grpc` says of who leads.
    pub fn leadership(&self, grpc: &str) -> Result<LeadershipReply, tonic::Status> {
        self.runtime.block_on(async {
            let mut client = connect(grpc).await?;
            let reply = client.leadership(LeadershipRequest {}).await?;
            Ok(reply.into_inner())
        })
    }

    /// Waits until a master leads in a term after `term`: the cluster calls that one from here on. Answers its term.
    pub fn wait_leader(&mut self, term: u64, limit: Duration) -> u64 {
        let leads = |grpc: &str| {
            let reply = self.leadership(grpc).ok()?;
            (reply.leads && reply.term > term).then_some(reply.term)
        };
        let (place, term) = wait_for("a leader", limit, || {
            let others = self.standbys.iter().map(|standby| standby.grpc.as_str());
            let all = others.map(Some).chain([None]);
            let mut leaders = all.enumerate().filter_map(|(place, grpc)| {
                let term = leads(grpc.unwrap_or(self.grpc()))?;
                Some((place, term))
            });
            let logs = || self.logs().collect::<String>();
            leaders.next().ok_or_else(logs)
        });
        if let Some(standby) = self.standbys.get_mut(place) {
            std::mem::swap(&mut self.master, &mut standby.process);
            std::mem::swap(&mut self.grpc, &mut standby.grpc);
            std::mem::swap(&mut self.http, &mut standby.http);
        }
        term
    }

    /// The logs of all masters.
    pub fn logs(&self) -> impl Iterator<Item = String> {
        let standbys = self.standbys.iter().map(|standby| &standby.process);
        standbys.chain([&self.master]).map(Process::log)
    }

    /// The gRPC address of the first master that the cluster does not call now.
    pub fn standby(&self) -> &str {
        &self.standbys[0].grpc
    }

    /// Its HTTP address.
    pub fn standby_http(&self) -> &str {
        &self.standbys[0].http
    }

    /// Starts the masters again that have ended, on the same ports.
    pub fn restart_standbys(&mut self) {
        let environment = self.environment_of_master();
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(n, v)| (&**n, &**v)).collect();
        let (program, folder) = (self.program("kol-master"), self.folder.path());
        for standby in &mut self.standbys {
            if !standby.process.runs() {
                let from = standby.process.log().len();
                let name = standby.process.name().to_owned();
                let (grpc, http) = (&standby.grpc, &standby.http);
                standby.process = start_master(&program, &name, folder, grpc, http, &environment);
                addresses(&mut standby.process, from);
            }
        }
    }
}
