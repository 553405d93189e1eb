use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::actor::Group;
use crate::job::SecretRef;

/// Answers with these statuses, one after the other, then with 204; keeps what it was sent.
async fn server(statuses: &[&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/kol?x=1", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (sent, mut statuses) = (Arc::clone(&seen), VecDeque::from(statuses.to_vec()));
    let group = Group::new("hook");
    drop(group.spawn("hook", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let mut length = 0;
            loop {
                let read = stream.read(&mut request[length..]).await.unwrap();
                length += read;
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                if read == 0 || text.ends_with('}') {
                    sent.lock().unwrap().push(text);
                    break;
                }
            }
            let status = statuses.pop_front().unwrap_or("204 No Content");
            let more = if status.starts_with('3') {
                "location: http://127.0.0.1:1/other\r\n"
            } else {
                ""
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        Ok(())
    }));
    (url, seen)
}

/// A folder of secrets with the token `t0ken`, for these hosts.
fn secrets(hosts: Option<&str>) -> (tempfile::TempDir, Secrets) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hook"), "t0ken").unwrap();
    if let Some(hosts) = hosts {
        std::fs::write(dir.path().join("hook.hosts"), hosts).unwrap();
    }
    let secrets = Secrets::new(Some(dir.path().to_owned()));
    (dir, secrets)
}

fn spec() -> AlertsSpec {
    AlertsSpec {
        webhook_token: Some(SecretRef("file:hook".into())),
        ..AlertsSpec::default()
    }
}

fn alert() -> Alert {
    let json = r#"{"key":"0123","test":false,"job":"kol","rule":"viral","platform":"tiktok","kol":"ann","window_end":"w",
        "raised_at":"r","trending_label":"Viral","trending_score":1,"velocity":1,"personal_growth":1,"event_count":1,
        "total_engagement":1}"#;
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn an_alert_is_posted_with_its_key_and_token_and_again_until_it_is_taken() {
    let (url, seen) = server(&["503 Service Unavailable", "429 Too Many Requests"]).await;
    let (_dir, secrets) = secrets(None);
    let webhook = Webhook::open(&url, &spec(), &secrets).unwrap();
    for _ in 0..2 {
        let failure = webhook.deliver(alert()).await.unwrap_err();
        assert_ne!(failure.means, Means::Never, "{failure:?}");
        assert!(failure.error.message.contains("127.0.0.1"), "{failure:?}");
    }
    webhook.deliver(alert()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    for request in &*seen {
        let lower = request.to_lowercase();
        assert!(
            request.starts_with("POST /kol?x=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(lower.contains("idempotency-key: 0123\r\n"), "{request}");
        assert!(
            lower.contains("authorization: bearer t0ken\r\n"),
            "{request}"
        );
        assert!(request.contains("\"kol\":\"ann\""), "{request}");
    }
}

#[tokio::test]
async fn a_status_says_whether_the_alert_the_login_or_the_destination_is_the_reason() {
    for (status, means) in [
        ("400 Bad Request", Means::Never),
        ("404 Not Found", Means::Never),
        ("422 Unprocessable Entity", Means::Never),
        ("401 Unauthorized", Means::Login),
        ("403 Forbidden", Means::Login),
        ("408 Request Timeout", Means::NotNow),
        ("500 Internal Server Error", Means::NotNow),
        ("429 Too Many Requests", Means::Down),
        ("503 Service Unavailable", Means::NotNow),
        ("302 Found", Means::Never),
    ] {
        let (url, seen) = server(&[status]).await;
        let (_dir, secrets) = secrets(None);
        let webhook = Webhook::open(&url, &spec(), &secrets).unwrap();
        let failure = webhook.deliver(alert()).await.unwrap_err();
        assert_eq!(failure.means, means, "{status}");
        assert!(failure.error.message.contains(status), "{failure:?}");
        let is_sent_again = failure.error.help.contains("sent again");
        assert_eq!(is_sent_again, means != Means::Never, "{failure:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "no redirect is followed");
    }
}

#[tokio::test]
async fn a_webhook_that_nobody_answers_at_fails_without_showing_token_or_path() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
    drop(listener);
    let (_dir, secrets) = secrets(None);
    let webhook = Webhook::open(&url, &spec(), &secrets).unwrap();
    let failure = webhook.deliver(alert()).await.unwrap_err();
    assert_eq!(failure.means, Means::Down);
    let shown = format!("{} {webhook:?} {failure:?}", failure.error);
    assert!(!shown.contains("t0ken"), "{shown}");
    assert!(
        !failure.error.to_string().contains("secret-path"),
        "{failure:?}"
    );
}

#[test]
fn nothing_is_posted_to_a_host_that_is_not_listed_beside_the_token() {
    let opened = |url: &str, hosts: Option<&str>| {
        let (_dir, secrets) = secrets(hosts);
        Webhook::open(url, &spec(), &secrets)
            .map(|_| ())
            .map_err(|e| e.code)
    };
    assert_eq!(opened("http://localhost:1/", None), Ok(()));
    assert_eq!(opened("https://hooks.example/", None), Err("SECRET_HOST"));
    assert_eq!(
        opened("https://hooks.example/", Some("hooks.example:443")),
        Ok(())
    );
    assert_eq!(
        opened("https://169.254.169.254/", Some("hooks.example")),
        Err("SECRET_HOST")
    );
    assert_eq!(
        opened("http://localhost:1/", Some("hooks.example")),
        Err("SECRET_HOST")
    );
    let without = Webhook::open(
        "http://localhost:1/",
        &AlertsSpec::default(),
        &Secrets::default(),
    );
    assert!(without.unwrap_err().message.contains("webhook_token"));
}
