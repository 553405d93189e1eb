//! A master and executors: how they are started, and where they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::client::{ClientRun, client};
use super::masters::Standby;
use super::{Clock, Process};

const START: Duration = Duration::from_secs(20);

/// Three kinds of real processes on free ports.
pub struct Cluster {
    pub(super) runtime: Runtime,
    /// The process of the master.
    pub master: Process,
    /// The executors that were started, also those that ended since.
    pub executors: Vec<Process>,
    pub(super) grpc: String,
    /// URLs at which executors find the masters.
    pub(super) door: String,
    pub(super) http: String,
    /// Masters besides the one that is called.
    pub(super) standbys: Vec<Standby>,
    environment: Vec<(String, String)>,
    /// What only the master has.
    of_master: Vec<(String, String)>,
    pub(super) allowed: Vec<(&'static str, &'static str)>,
    /// Folder of the binaries that are started; `None`: those under test.
    binaries: Option<PathBuf>,
    /// What executors that are started may use.
    memory: String,
    /// Last, so that it goes when nobody writes into it any more.
    pub(super) folder: TempDir,
}

/// A binary of the profile under test: beside the own binary, or, for a test, one folder up.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    let folders = own.ancestors().skip(1).take(2);
    let built = folders.map(|f| f.join(name)).find(|path| path.is_file());
    built.unwrap_or_else(|| {
        panic!(
            "{name} is not built beside {}: run `make build`",
            own.display()
        )
    })
}

impl Cluster {
    /// Starts a master and `executors` executors.
    pub fn start(executors: usize) -> Self {
        Self::start_with::<&str, &str>(executors, &[])
    }

    /// The same with variables in the environment of all of them, and of kol-client.
    pub fn start_with<N: AsRef<str>, V: AsRef<str>>(
        executors: usize,
        environment: &[(N, V)],
    ) -> Self {
        Self::launch(executors, owned(environment), Vec::new(), None)
    }

    /// Starts a master and executors whose binaries are in this folder; `None`: those under test.
    pub fn start_of(binaries: Option<PathBuf>, executors: usize) -> Self {
        Self::launch(executors, Vec::new(), Vec::new(), binaries)
    }

    /// Starts a master with this wall clock and no executor yet; those that are added have the machine's.
    pub fn start_on(clock: &Clock) -> Self {
        Self::launch(0, Vec::new(), clock.environment(), None)
    }

    fn launch(
        executors: usize,
        environment: Vec<(String, String)>,
        of_master: Vec<(String, String)>,
        binaries: Option<PathBuf>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let any = "127.0.0.1:0";
        let all = [&environment[..], &of_master].concat();
        let program = program(binaries.as_deref(), "kol-master");
        let of_all = borrowed(&all);
        let mut master = start_master(&program, "master", folder.path(), any, any, &of_all);
        let (grpc, http) = addresses(&mut master, 0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut cluster = Self {
            folder,
            runtime,
            master,
            executors: Vec::new(),
            door: format!("http://{grpc}"),
            grpc,
            http,
            standbys: Vec::new(),
            environment,
            of_master,
            allowed: Vec::new(),
            binaries,
            memory: "512m".to_owned(),
        };
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// The code of a WARN or ERROR line (see `docs/errors.md`) that this scenario provokes, and why.
    pub fn allow(&mut self, code: &'static str, reason: &'static str) {
        self.allowed.push((code, reason));
    }

    /// What is started from here on has these variables as well, or other values for them.
    pub fn set_environment<N: AsRef<str>, V: AsRef<str>>(&mut self, environment: &[(N, V)]) {
        self.environment.extend(owned(environment));
    }

    /// The binaries of what is started from here on are in this folder; `None`: those under test.
    pub fn use_binaries(&mut self, folder: Option<PathBuf>) {
        self.binaries = folder;
    }

    /// Executors that are started from here on may use so much memory.
    pub fn set_memory(&mut self, memory: &str) {
        self.memory = memory.to_owned();
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        program(self.binaries.as_deref(), name)
    }

    /// Executors that are started from here on find the master at this address.
    pub fn executors_connect_to(&mut self, address: String) {
        self.door = format!("http://{address}");
    }

    /// Starts one more executor; answers its place in `executors`.
    pub fn add_executor(&mut self) -> usize {
        self.add_executor_by(&[])
    }

    /// Starts one more executor, by a command that gets program and arguments behind its own.
    pub fn add_executor_by(&mut self, command: &[&str]) -> usize {
        let number = self.executors.len();
        let name = format!("executor-{number}");
        let arguments = [
            "--master",
            &self.door,
            "--http",
            "127.0.0.1:0",
            "--memory",
            &self.memory,
            "--cores",
            "1",
            "--host",
            &name,
        ];
        let program = self.program("kol-executor");
        let program = program.to_str().expect("UTF-8");
        let line: Vec<&str> = command.iter().copied().chain([program]).collect();
        let (first, rest) = line.split_first().expect("a program");
        let arguments: Vec<&str> = rest.iter().copied().chain(arguments).collect();
        let folder = self.folder.path();
        let mut process = Process::start_with(
            &name,
            folder,
            Path::new(first),
            &arguments,
            &borrowed(&self.environment),
        );
        process.wait_line("kol-executor ready", 0, START);
        self.executors.push(process);
        number
    }

    /// Kills the master and starts it again on the same ports and state.
    pub fn restart_master(&mut self) {
        self.master.kill();
        let from = self.master.log().len();
        let folder = self.folder.path();
        let all = self.environment_of_master();
        let program = self.program("kol-master");
        self.master = start_master(&program, "master", folder, &self.grpc, &self.http, &all);
        addresses(&mut self.master, from);
    }

    pub(super) fn environment_of_master(&self) -> Vec<(&str, &str)> {
        let mut all = borrowed(&self.environment);
        all.extend(borrowed(&self.of_master));
        all
    }

    /// The master's gRPC address, `host:port`.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// The master's HTTP address, `host:port`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// The folder that kol-client runs in, and that the logs of all processes lie in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs kol-client against this master, and the others if there are any.
    pub fn client(&self, arguments: &[&str]) -> ClientRun {
        let others = self.standbys.iter().map(|standby| &standby.grpc);
        let all = others.chain([&self.grpc]);
        let all: Vec<_> = all.map(|grpc| format!("http://{grpc}")).collect();
        let master = all.join(",");
        let mut environment = borrowed(&self.environment);
        environment.push(("KOL_MASTER", &master));
        client(self.folder.path(), arguments, &environment)
    }
}

fn program(folder: Option<&Path>, name: &str) -> PathBuf {
    folder.map_or_else(|| binary(name), |folder| folder.join(name))
}

fn owned<N: AsRef<str>, V: AsRef<str>>(environment: &[(N, V)]) -> Vec<(String, String)> {
    let pairs = environment.iter();
    let owned = pairs.map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned()));
    owned.collect()
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = environment.iter();
    pairs.map(|(name, value)| (&**name, &**value)).collect()
}

pub(super) fn start_master(
    program: &Path,
    name: &str,
    folder: &Path,
    listen: &str,
    http: &str,
    environment: &[(&str, &str)],
) -> Process {
    let state = folder.join("state");
    let arguments = [
        "--listen",
        listen,
        "--http",
        http,
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ];
    Process::start_with(name, folder, program, &arguments, environment)
}

/// gRPC and HTTP addresses from the line that says the master is ready.
pub(super) fn addresses(master: &mut Process, from: usize) -> (String, String) {
    let line = master.wait_line("kol-master ready", from, START);
    let value = |name: &str| {
        let rest = line
            .split_once(name)
            .unwrap_or_else(|| panic!("no {name} in `{line}`"))
            .1;
        rest.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    (value("grpc="), value("http="))
}
