//! A real Kafka behind a login and TLS with a CA of its own, and a listener that advertises a name which
//! nobody can resolve.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::kafka::{Listener, More};
use super::{Kafka, free_port};

/// The user of both ways to log in, and the password.
const USER: &str = "kol";
/// See [`USER`].
const PASSWORD: &str = "right-and-secret";
/// How long a login holds: then a client logs in again, and its connection stays open.
const LOGIN: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub struct Secured {
    /// The broker, by its listener without a login.
    pub kafka: &'static Kafka,
    /// `host:port` of the listener with `SASL_SSL`, where SCRAM-SHA-256 and PLAIN are enabled.
    pub secure: String,
    /// `host:port` of a plain listener that advertises a name which does not exist.
    pub misnamed: String,
    /// The certificate of the CA, PEM.
    pub ca: String,
}

impl Secured {
    /// Starts one; `None` when Kafka is not installed.
    pub fn start() -> Option<Self> {
        let (secure, misnamed) = (free_port(), free_port());
        let mut ca = String::new();
        let kafka = Kafka::own_with(|folder| {
            certificates(folder);
            ca = std::fs::read_to_string(folder.join("ca.pem")).expect("a certificate");
            more(folder, secure, misnamed)
        })?;
        Some(Self {
            kafka,
            secure: format!("127.0.0.1:{secure}"),
            misnamed: format!("127.0.0.1:{misnamed}"),
            ca,
        })
    }

    /// User and password.
    pub fn login(&self) -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// How long a login holds.
    pub fn login_ends_after(&self) -> Duration {
        LOGIN
    }
}

fn more(folder: &Path, secure: u16, misnamed: u16) -> More {
    let login = "org.apache.kafka.common.security";
    let plain = format!(
        "{login}.plain.PlainLoginModule required username=\"broker\" password=\"unused\" \
         user_{USER}=\"{PASSWORD}\";"
    );
    let scram = format!("{login}.scram.ScramLoginModule required;");
    More {
        listeners: vec![
            Listener {
                name: "SECURE",
                protocol: "SASL_SSL",
                bind: "127.0.0.1",
                port: secure,
                advertised: "127.0.0.1",
            },
            Listener {
                name: "MISNAMED",
                protocol: "PLAINTEXT",
                bind: "127.0.0.1",
                port: misnamed,
                advertised: "nowhere.invalid",
            },
        ],
        settings: vec![
            "sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN".to_owned(),
            format!("connections.max.reauth.ms={}", LOGIN.as_millis()),
            format!("listener.name.secure.plain.sasl.jaas.config={plain}"),
            format!("listener.name.secure.scram-sha-256.sasl.jaas.config={scram}"),
            "ssl.keystore.type=PEM".to_owned(),
            format!(
                "ssl.keystore.location={}",
                folder.join("broker.pem").display()
            ),
        ],
        format: vec![
            "--add-scram",
            "SCRAM-SHA-256=[name=kol,password=right-and-secret]",
        ],
    }
}

/// A CA, and a certificate of the broker that it signed.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .expect("openssl");
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
    };
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    std::fs::write(folder.join("names"), names).expect("a file");
    let key = "-newkey rsa:2048 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca-of-tests -days 2"
    ));
    openssl(&format!(
        "req {key} -keyout broker.key -out broker.csr -subj /CN=127.0.0.1"
    ));
    openssl(
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out broker.crt",
    );
    let read = |name| std::fs::read_to_string(folder.join(name)).expect("what openssl wrote");
    let chain = ["broker.key", "broker.crt", "ca.pem"].map(read).concat();
    std::fs::write(folder.join("broker.pem"), chain).expect("a file");
}
