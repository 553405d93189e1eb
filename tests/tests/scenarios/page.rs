//! The page of a master, in a real browser.

use std::time::{Duration, Instant};

use kol_common::proto::JobStatus;
use kol_harness::{Browser, Cluster, Etcd, Process, Scene, binary, client, wait_for};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

fn without_problems(browser: &Browser) {
    browser.wait_text("#wrong", "Nothing is wrong", LIMIT);
}

#[test]
fn an_executor_that_is_killed_is_on_the_page_within_five_seconds_and_gone_when_another_one_runs() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut scene = Scene::half_way(Cluster::start(2), "page", 8);
    browser.looks(1280, 900, false);
    browser.open(&format!("http://{}/", scene.cluster.http()));
    browser.wait_text("#jobs", "scenario", LIMIT);
    without_problems(&browser);
    browser.wait_text("#connection", "live", LIMIT);
    scene.topic.produce(&scene.second);
    let executors = browser.text("#executors");
    assert!(
        executors.contains("executor-0") && executors.contains("executor-1"),
        "{executors}"
    );
    browser.look_at("overview");

    scene.kill(0);
    let killed = Instant::now();
    let shown = browser.wait_text("#problems", "executor-0", Duration::from_secs(5));
    println!("on the page {:?} after the kill: {shown}", killed.elapsed());
    browser.wait_text("#executors", "lost", LIMIT);
    browser.wait_text("#problems", "EXECUTOR_LOST", LIMIT);
    browser.look_at("problem");
    scene.cluster.add_executor();
    without_problems(&browser);
    assert_eq!(browser.text("#problems"), "");

    browser.run("document.querySelector('#jobs a').click()", &[]);
    browser.wait_text("#job-name", "scenario", LIMIT);
    browser.wait_text("#epochs", "Durable after", LIMIT);
    let caught_up = |status: &JobStatus| status.caught_up;
    scene
        .cluster
        .wait_status(&scene.job, "it is caught up", LIMIT, caught_up);
    for rows in ["#partitions tbody tr", "#heat span"] {
        let count = format!("return document.querySelectorAll('{rows}').length");
        wait_for("eight partitions", LIMIT, || {
            let there = browser.run(&count, &[]);
            if there == 8 {
                return Ok(());
            }
            Err(there.to_string())
        });
    }
    let spec = browser.run("return document.querySelector('#spec').textContent", &[]);
    assert!(spec.as_str().unwrap().contains("\"scenario\""), "{spec}");
    let changed = browser.text("#changed");
    assert!(changed.contains("No job of this name"), "{changed}");
    let curves = "return document.querySelectorAll('#job .plot canvas').length";
    wait_for("four plots", LIMIT, || {
        let drawn = browser.run(curves, &[]);
        if drawn == 4 {
            return Ok(());
        }
        Err(drawn.to_string())
    });
    browser.look_at("job");
    the_first_of_the_ranking(&scene, &browser);
    scene.ends_as_the_fold();
}

/// The ranking on the page of the job leads to the page of its first creator, which shows what `explain` does.
fn the_first_of_the_ranking(scene: &Scene, browser: &Browser) {
    let ranking = scene.cluster.client(&["top", "-n", "20", "-o", "json"]);
    let ranking = ranking.json();
    let rows = ranking.as_array().unwrap();
    let kols = rows.iter().map(|row| row["kol"].as_str().unwrap());
    let script =
        "return [...document.querySelectorAll('#ranking tbody th')].map((cell) => cell.innerText)";
    wait_for("the ranking on the page", LIMIT, || {
        let shown = browser.run(script, &[]);
        if shown == json!(kols.clone().collect::<Vec<_>>()) {
            return Ok(());
        }
        Err(format!("{shown}"))
    });
    browser.run("document.querySelector('#ranking tbody a').click()", &[]);
    let first = rows[0]["kol"].as_str().unwrap();
    browser.wait_text("#creator-name", first, LIMIT);
    browser.wait_text("#terms", "raw", LIMIT);
    let explained = scene.cluster.client(&["explain", first, "-o", "json"]);
    let explained = explained.json();
    for term in [
        "velocity",
        "previous_velocity",
        "baseline",
        "market",
        "momentum",
        "raw_score",
    ] {
        let value = format!("{:.4}", explained[term].as_f64().unwrap());
        browser.wait_text("#terms", &value, LIMIT);
    }
    let curve = "return document.querySelector('#plot-velocity').getAttribute('aria-label')";
    let curve = browser.run(curve, &[]).to_string();
    let newest = format!("velocity {:.2}", explained["velocity"].as_f64().unwrap());
    assert!(curve.contains(&newest), "{newest} in {curve}");
    let readings = "return document.querySelectorAll('#readings tbody tr').length";
    let kept = explained["readings"].as_array().map(Vec::len);
    assert_eq!(browser.run(readings, &[]), json!(kept));
    assert!(kept > Some(0), "{explained}");
    browser.look_at("creator");
}

#[test]
fn redis_away_is_a_problem_on_the_page_in_the_words_of_status() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut scene = Scene::half_way(Cluster::start(1), "page", 2);
    scene
        .cluster
        .allow("REDIS_LOST_DATA", "Redis came back empty");
    scene.cluster.allow("SINK_PAUSED", "Redis was stopped");
    browser.open(&format!("http://{}/#/job/scenario", scene.cluster.http()));
    without_problems(&browser);
    scene.redis.down();
    scene.topic.produce(&scene.second);
    browser.wait_text("#problems", "SINK_", LIMIT);
    browser.wait_text("#ranking-note", "SINK_", LIMIT);
    wait_for("all that status says", LIMIT, || {
        let status = scene.cluster.try_status(&scene.job).unwrap();
        let shown = browser.text("#problems");
        let words = status.problems.into_iter();
        let missing = words.flat_map(|p| [p.code, p.message, p.help]);
        let missing: Vec<_> = missing.filter(|text| !shown.contains(&**text)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("{missing:?} in {shown}"))
    });
    scene.redis.up();
    without_problems(&browser);
    browser.wait_text("#ranking-note", "Redis was written", LIMIT);
    scene.ends_as_the_fold();
}

/// Replaces each name, reason and sentence of the news by markup that would run.
const HOSTILE: &str = r#"
  const markup = `<img src=x onerror="window.owned = true"><script>window.owned = true</script>`;
  const poison = (value, key) => {
    if (typeof value === "string") return key === "state" ? value : markup;
    if (Array.isArray(value)) return value.map((item) => poison(item, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, poison(item, key)]));
  };
  const problem = { code: "", message: "", help: "", job: "", topic: "", partition: 1, offset: 2, since_ms: null };
  const original = window.fetch;
  window.fetch = async (...request) => {
    const response = await original(...request);
    if (response.headers.get("content-type").includes("json")) {
      return new Response(JSON.stringify(poison(await response.json(), "")), response);
    }
    let left = "";
    const rewrite = new TransformStream({
      transform(text, to) {
        const lines = (left + text).split("\n");
        left = lines.pop();
        for (const line of lines) {
          if (!line.startsWith("data: ")) { to.enqueue(`${line}\n`); continue; }
          const news = JSON.parse(line.slice(6));
          if (news.problems) { news.problems.push(problem); news.warnings.push({ message: "", jobs: [""] }); }
          if (news.rejected) news.rejected[markup] = 1;
          to.enqueue(`data: ${JSON.stringify(poison(news, ""))}\n`);
        }
      },
    });
    const body = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(rewrite);
    return new Response(body.pipeThrough(new TextEncoderStream()), response);
  };
"#;

#[test]
fn names_and_reasons_that_are_markup_are_shown_and_do_not_run() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let scene = Scene::half_way(Cluster::start(1), "page", 2);
    browser.before_each_page(HOSTILE);
    let markup = "<img src=x onerror=";
    let harmless = || {
        let owned = browser.run(
            "return [window.owned ?? false, document.images.length]",
            &[],
        );
        assert_eq!(owned, json!([false, 0]));
    };
    browser.open(&format!("http://{}/", scene.cluster.http()));
    for place in ["#jobs", "#executors", "#problems"] {
        browser.wait_text(place, markup, LIMIT);
    }
    harmless();
    let name = "%3Cimg%20src%3Dx%20onerror%3D%22window.owned%20%3D%20true%22%3E";
    for job in ["scenario", name] {
        browser.open(&format!("http://{}/#/job/{job}", scene.cluster.http()));
        browser.wait_text("#job", markup, LIMIT);
        harmless();
    }
    browser.open(&format!("http://{}/#/job/scenario", scene.cluster.http()));
    browser.wait_text("#ranking", markup, LIMIT);
    harmless();
    let first = scene.cluster.client(&["top", "-n", "1", "-o", "json"]);
    let first = first.json()[0]["kol"].as_str().unwrap().to_owned();
    let creator = format!("scenario/creator/tiktok/{first}");
    browser.open(&format!("http://{}/#/job/{creator}", scene.cluster.http()));
    browser.wait_text("#readings", markup, LIMIT);
    harmless();
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_master_that_no_longer_answers_is_said_with_the_age_of_what_is_shown() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let cluster = Cluster::start(0);
    browser.open(&format!("http://{}/", cluster.http()));
    browser.wait_text("#jobs", "No job runs", LIMIT);
    cluster.master.signal("STOP");
    let lost = browser.wait_text("#stale", "Connection lost", LIMIT);
    assert!(lost.contains(" s old"), "{lost}");
    browser.wait_text("#connection", "connection lost", LIMIT);
    cluster.master.signal("CONT");
    browser.wait_text("#connection", "live", LIMIT);
    assert_eq!(browser.text("#stale"), "");
}

#[test]
fn a_master_that_follows_says_who_leads() {
    let (Some(browser), Some(etcd)) = (Browser::start(), Etcd::start()) else {
        return;
    };
    let mut cluster = Cluster::start_elected(0, &etcd);
    cluster.wait_leader(0, LIMIT);
    browser.open(&format!("http://{}/", cluster.standby_http()));
    let said = browser.wait_text("#follows", cluster.grpc(), LIMIT);
    assert!(said.contains("This master follows"), "{said}");
    browser.open(&format!("http://{}/", cluster.http()));
    browser.wait_text("#role", "This master leads, term", LIMIT);
    assert_eq!(browser.text("#follows"), "");
}

#[test]
fn with_login_the_page_wants_a_token_and_shows_nothing_without() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    client(
        path,
        &["certs", "init", "certs", "--host", "localhost"],
        &[],
    )
    .done();
    let master = path.join("certs/master");
    let tls = master.to_str().unwrap();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--tls",
        tls,
    ];
    let mut master = Process::start("master", path, &binary("kol-master"), &arguments);
    let line = master.wait_line("kol-master ready", 0, LIMIT);
    let address = line.split_once("http=").unwrap().1.trim();
    browser.looks(1280, 900, false);
    browser.open(&format!("https://{address}/"));
    browser.wait_text("#login", "Token", LIMIT);
    browser.look_at("login");
    let hidden = "return document.querySelector('#content').checkVisibility()";
    assert_eq!(browser.run(hidden, &[]), false);
    let enter = |token: &str| {
        let script = "document.querySelector('#token').value = arguments[0];
                      document.querySelector('#login button').click()";
        browser.run(script, &[json!(token)]);
    };
    enter("kol_wrong");
    browser.wait_text("#refused", "token", LIMIT);
    assert_eq!(browser.run(hidden, &[]), false);
    let token = path.join("certs/viewer/token");
    let token = std::fs::read_to_string(token).unwrap();
    enter(token.trim());
    browser.wait_text("#connection", "live", LIMIT);
    browser.wait_text("#jobs", "No job runs", LIMIT);
    // It is of this tab only, and in no address.
    let kept = "return [localStorage.length, document.cookie, location.href.includes('kol_')]";
    assert_eq!(browser.run(kept, &[]), json!([0, "", false]));
    browser.open("about:blank");
    browser.open(&format!("https://{address}/"));
    browser.wait_text("#connection", "live", LIMIT);
}
