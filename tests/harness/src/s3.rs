//! An S3 server: S3Proxy, which keeps objects as files and checks who calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_port, root, wait_for};

const BUCKET: &str = "kol-state";
const KEY: &str = "key-of-the-tests";
const SECRET: &str = "secret-of-the-tests";
/// S3Proxy logs every byte unless it is configured otherwise.
const LOGGING: &str = "<configuration><appender name=\"A\" class=\"ch.qos.logback.core.ConsoleAppender\">\
                       <encoder><pattern>%d %level %msg%n</pattern></encoder></appender>\
                       <root level=\"info\"><appender-ref ref=\"A\"/></root></configuration>";

/// A server with one empty bucket.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    libs: PathBuf,
    process: Option<Process>,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
}

impl S3 {
    /// Starts one on a free port; `None`, loudly, when it is not installed.
    pub fn start() -> Option<Self> {
        let libs = root().join("target/tools/s3proxy/libs");
        if !libs.is_dir() {
            eprintln!(
                "NOT TESTED WITH REAL S3: {} is missing (run tests/setup.sh with java and mvn installed)",
                libs.display()
            );
            return None;
        }
        let mut server = Self {
            port: free_port(),
            libs,
            process: None,
            folder: tempfile::tempdir().expect("a folder"),
        };
        std::fs::create_dir_all(server.bucket()).expect("a bucket");
        let file = |name: &str, content: &str| {
            let written = std::fs::write(server.folder.path().join(name), content);
            written.expect("a configuration file");
        };
        file("s3proxy.conf", &server.settings());
        file("logback.xml", LOGGING);
        server.up();
        Some(server)
    }

    /// Where its bucket is.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}")
    }

    /// Variables that a process needs to use it.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment_with(SECRET)
    }

    /// The same with another secret.
    pub fn environment_with(&self, secret: &str) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let pairs = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.into()
    }

    /// The folder in which each object of the bucket is a file.
    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join("buckets").join(BUCKET)
    }

    /// Kills it; the objects stay.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port.
    pub fn up(&mut self) {
        let class_path = format!("{}/*", self.libs.display());
        let arguments = [
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-Dlogback.configurationFile=logback.xml",
            "-cp",
            &class_path,
            "org.gaul.s3proxy.Main",
            "--properties",
            "s3proxy.conf",
        ];
        let process = Process::start("s3", self.folder.path(), Path::new("java"), &arguments);
        wait_for("S3Proxy to listen", Duration::from_secs(30), || {
            let answered = std::net::TcpStream::connect(("127.0.0.1", self.port));
            answered.map_err(|e| format!("{e}\n{}", process.log()))
        });
        self.process = Some(process);
    }

    fn settings(&self) -> String {
        let port = self.port;
        let folder = self.folder.path().join("buckets");
        [
            format!("s3proxy.endpoint=http://127.0.0.1:{port}"),
            "s3proxy.authorization=aws-v2-or-v4".to_owned(),
            format!("s3proxy.identity={KEY}"),
            format!("s3proxy.credential={SECRET}"),
            // Checksums that it does not know come beside the signature that it checks.
            "s3proxy.ignore-unknown-headers=true".to_owned(),
            "jclouds.provider=filesystem-nio2".to_owned(),
            format!("jclouds.filesystem.basedir={}", folder.display()),
        ]
        .join("\n")
    }
}
