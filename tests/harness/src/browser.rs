//! A real Chromium without a screen, through chromedriver.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::error::WebDriverResult;
use thirtyfour::{
    CapabilitiesHelper as _, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver,
};
use tokio::runtime::Runtime;

use super::{Process, free_port, root, wait_for};

const START: Duration = Duration::from_secs(30);
/// Widths of screens that pages are looked at with.
const WIDTHS: [(&str, u32); 2] = [("wide", 1280), ("phone", 390)];
/// It ends with chromedriver, whatever ends that.
const BROWSER: &str = "#!/bin/sh\nexec setpriv --pdeathsig KILL chromium \"$@\"\n";

/// A browser with one tab.
pub struct Browser {
    runtime: Runtime,
    /// `None` once it has ended.
    driver: Option<WebDriver>,
    _process: Process,
    /// Last: it goes when nobody writes into it any more.
    _folder: TempDir,
}

impl Browser {
    /// Starts one that takes every certificate; `None`, loudly, when it is not installed.
    pub fn start() -> Option<Self> {
        for program in ["chromium", "chromedriver"] {
            let installed = Command::new(program).arg("--version").output();
            if !installed.is_ok_and(|output| output.status.success()) {
                eprintln!(
                    "NOT TESTED IN A BROWSER: there is no program `{program}` (run tests/setup.sh, or apt-get install chromium chromium-driver)"
                );
                return None;
            }
        }
        // It speaks plain HTTP; the client wants to know whose TLS it would use.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let browser = folder.path().join("browser");
        std::fs::write(&browser, BROWSER).expect("a file");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&browser, executable).expect("its rights");
        let port = free_port();
        let arguments = [format!("--port={port}")];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let driver = Path::new("chromedriver");
        let mut process = Process::start("chromedriver", folder.path(), driver, &arguments);
        process.wait_line("started successfully", 0, START);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let url = format!("http://127.0.0.1:{port}");
        let capabilities = capabilities(&browser, folder.path()).expect("capabilities");
        let driver = runtime.block_on(WebDriver::new(url, capabilities));
        let driver = driver.unwrap_or_else(|e| panic!("no browser: {e}\n{}", process.log()));
        Some(Self {
            runtime,
            driver: Some(driver),
            _process: process,
            _folder: folder,
        })
    }

    fn done<T>(&self, what: impl AsyncFnOnce(&WebDriver) -> WebDriverResult<T>) -> T {
        let driver = self.driver.as_ref().expect("it has not ended");
        let done = self.runtime.block_on(what(driver));
        done.unwrap_or_else(|e| panic!("the browser: {e}"))
    }

    /// Shows a page.
    pub fn open(&self, url: &str) {
        self.done(async |driver| driver.goto(url).await);
    }

    /// What a function body of JavaScript returns; `arguments` are its arguments.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let arguments = arguments.to_vec();
        self.done(async |driver| Ok(driver.execute(script, arguments).await?.json().clone()))
    }

    /// What a function body gives to its last argument, a function.
    pub fn run_until_called(&self, script: &str) -> Value {
        self.done(async |driver| Ok(driver.execute_async(script, []).await?.json().clone()))
    }

    /// The text that a person sees of the first element of a CSS selector; empty where there is none.
    pub fn text(&self, selector: &str) -> String {
        let script = "const found = document.querySelector(arguments[0]);
                      return found?.checkVisibility() ? found.innerText : ''";
        let text = self.run(script, &[json!(selector)]);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text of an element holds this; answers the text.
    pub fn wait_text(&self, selector: &str, text: &str, limit: Duration) -> String {
        wait_for(&format!("`{text}` in {selector}"), limit, || {
            let shown = self.text(selector);
            if shown.contains(text) {
                return Ok(shown);
            }
            Err(format!("{shown:?} in {:?}", self.text("body")))
        })
    }

    /// Runs this in each page before the page's own scripts.
    pub fn before_each_page(&self, script: &str) {
        self.tools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": script}),
        );
    }

    /// Has a screen of this width, and the colours that the person chose.
    pub fn looks(&self, width: u32, height: u32, is_dark: bool) {
        let colours = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": colours}]);
        self.tools("Emulation.setEmulatedMedia", json!({"features": features}));
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tools("Emulation.setDeviceMetricsOverride", screen);
    }

    /// Writes a picture of the screen, PNG.
    pub fn screenshot(&self, path: &Path) {
        self.done(async |driver| driver.screenshot(path).await);
    }

    /// Pictures of what is open at two widths and in both themes, in `target/page`; nothing there may keep people out, or
    /// be wider than the screen.
    pub fn look_at(&self, view: &str) {
        let folder = root().join("target/page");
        std::fs::create_dir_all(&folder).expect("a folder");
        for (width_name, width) in WIDTHS {
            for (theme, is_dark) in [("light", false), ("dark", true)] {
                self.looks(width, 900, is_dark);
                let script = "return [document.documentElement.scrollHeight, document.documentElement.scrollWidth]";
                let size = self.run(script, &[]);
                let [height, wide] = [0, 1].map(|at| size[at].as_u64().unwrap_or_default());
                self.looks(width, height.clamp(900, 6_000) as u32, is_dark);
                self.screenshot(&folder.join(format!("{view}-{width_name}-{theme}.png")));
                assert!(
                    wide <= u64::from(width),
                    "{view} is wider than {width}: {size}"
                );
                let faults = self.faults().unwrap_or_default();
                let what = format!("{view} {width_name} {theme}");
                assert!(faults.is_empty(), "{what}: {faults:#?}");
            }
        }
        self.looks(1280, 900, false);
    }

    fn tools(&self, method: &str, parameters: Value) {
        self.done(async |driver| driver.cdp().send_raw(method, parameters).await);
    }

    /// What axe-core finds wrong with the page that is open, of this impact or worse: one line a rule, with the elements.
    /// `None`, loudly, when it is not installed.
    pub fn faults(&self) -> Option<Vec<String>> {
        let file = root().join("target/tools/axe/node_modules/axe-core/axe.min.js");
        let Ok(axe) = std::fs::read_to_string(&file) else {
            eprintln!("NOT TESTED: accessibility, without axe-core (run tests/setup.sh)");
            return None;
        };
        self.run(&axe, &[]);
        let found = self.run_until_called(
            "const done = arguments[arguments.length - 1];
             axe.run().then((found) => done(found.violations
               .filter((rule) => ['serious', 'critical'].includes(rule.impact))
               .map((rule) => `${rule.id}: ${rule.help}: ${rule.nodes.map((node) =>
                 `${node.html} ${node.failureSummary}`).join(' | ')}`)),
               (error) => done([`axe-core failed: ${error}`]))",
        );
        let lines = found.as_array().expect("a list").iter();
        Some(
            lines
                .map(|line| line.as_str().unwrap_or_default().to_owned())
                .collect(),
        )
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            let _killed_with_its_driver = self.runtime.block_on(within(START, driver.quit()));
        }
    }
}

async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

fn capabilities(browser: &Path, folder: &Path) -> WebDriverResult<thirtyfour::ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(&browser.display().to_string())?;
    capabilities.accept_insecure_certs(true)?;
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    // Root has no sandbox, and containers have little shared memory.
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        &profile,
    ] {
        capabilities.add_arg(argument)?;
    }
    Ok(capabilities)
}
