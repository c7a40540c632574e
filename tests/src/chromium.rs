//! A real Chromium without a window, driven over WebDriver (W3C) by Debian's or any other chromedriver.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::{Value, json};

use crate::client;
use crate::tokens::repository;
use crate::wire::Request;

/// How long the browser may take to start, to load a page, or to end a script.
const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// The driver to start: `CHROMEDRIVER`, else `chromedriver` on `PATH`, else what
/// `tests/find-chromium.sh` has left.
///
/// None if `CHROMEDRIVER` is there and empty: whoever calls knows that there is no browser. That is
/// said on standard error, past whatever captures the output of tests.
///
/// # Panics
/// If there is none, and nobody has said so.
pub fn locate(test: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMEDRIVER") {
        if named.is_empty() {
            let line = format!("SKIPPED, since CHROMEDRIVER is empty: {test}\n");
            let _ = io::stderr().write_all(line.as_bytes());
            return None;
        }
        return Some(named.into());
    }
    let on_path = env::var_os("PATH").and_then(|search| {
        env::split_paths(&search)
            .map(|folder| folder.join("chromedriver"))
            .find(|path| path.is_file())
    });
    let path = on_path.unwrap_or_else(|| repository().join(".cache/chromium/chromedriver"));
    assert!(
        path.is_file(),
        "no chromedriver; tests/find-chromium.sh fetches one, and make test-browser runs it. \
         CHROMEDRIVER= skips this test"
    );
    Some(path)
}

/// A running browser with one window. Dropping it ends the browser and its driver.
#[derive(Debug)]
pub struct Chromium {
    driver: Child,
    addr: SocketAddr,
    session: String,
    version: String,
}

impl Chromium {
    /// Starts a driver, and a browser with a profile of its own and these command line arguments.
    pub fn start(driver: &Path, arguments: &[String]) -> io::Result<Self> {
        let mut process = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", driver.display()))
            })?;
        let port = port_of(&mut process);
        let mut browser = Self {
            driver: process,
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            session: String::new(),
            version: String::new(),
        };
        browser.addr.set_port(port?);
        let mut all = vec![
            "--headless=new".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            // It cannot be set up by root, nor in most containers; all pages are the tests' own.
            "--no-sandbox".to_owned(),
        ];
        all.extend_from_slice(arguments);
        let mut options = json!({ "args": all });
        let beside = driver.with_file_name("chromium");
        if beside.is_file() {
            options["binary"] = json!(beside);
        }
        let millis = u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "pageLoadStrategy": "normal",
            "unhandledPromptBehavior": "accept",
            "timeouts": { "script": millis, "pageLoad": millis, "implicit": 0 },
            "goog:chromeOptions": options,
        } } });
        let answer = browser.command("POST", "/session", Some(&wanted))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        browser.session = text(&answer["sessionId"]);
        browser.version = text(&answer["capabilities"]["browserVersion"]);
        Ok(browser)
    }

    /// Shows this page, and waits until it has been loaded. A page that cannot be loaded is an error.
    pub fn open(&self, url: &str) -> io::Result<()> {
        self.post("url", &json!({ "url": url })).map(drop)
    }

    /// Where the window is.
    pub fn url(&self) -> io::Result<String> {
        let url = self.command("GET", &self.path("url"), None)?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// Runs the body of a function in the page, with these `arguments`, and waits for what it passes to
    /// `done`.
    pub fn run(&self, script: &str, arguments: &[Value]) -> io::Result<Value> {
        let script = format!("const done = arguments[arguments.length - 1];\n{script}");
        self.post(
            "execute/async",
            &json!({ "script": script, "args": arguments }),
        )
    }

    /// What this expression is in the page.
    pub fn value(&self, expression: &str) -> io::Result<Value> {
        let script = format!("return {expression};");
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until this expression is true in whatever page the window shows then.
    pub fn wait_until(&self, expression: &str) -> io::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            // While one page takes the place of another, there may be none to ask.
            let now = self.value(&format!("Boolean({expression})"));
            if matches!(now, Ok(Value::Bool(true))) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let text = format!("waited in vain for {expression}; last: {now:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            thread::sleep(POLL);
        }
    }

    /// Answers the question for a permission before it is asked: `granted`, `denied` or `prompt`, for the
    /// origin of the page.
    pub fn permit(&self, name: &str, state: &str) -> io::Result<()> {
        let descriptor = json!({ "descriptor": { "name": name }, "state": state });
        self.post("permissions", &descriptor).map(drop)
    }

    /// The browser's version, as in `156.0.8078.79`.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn path(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.session)
    }

    fn post(&self, command: &str, body: &Value) -> io::Result<Value> {
        self.command("POST", &self.path(command), Some(body))
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let request = Request {
            method: method.into(),
            path: path.into(),
            authority: self.addr.to_string().into(),
            headers: vec![
                (b"content-type".to_vec(), b"application/json".to_vec()),
                (b"connection".to_vec(), b"close".to_vec()),
            ],
            body: body.map(|body| vec![body.to_string().into()]),
            ..Request::default()
        };
        let answer = client::send(self.addr, &request, TIMEOUT * 2).map_err(io::Error::other)?;
        let mut body: Value = serde_json::from_slice(&answer.body)?;
        let value = body["value"].take();
        if answer.status == 200 {
            return Ok(value);
        }
        Err(io::Error::other(format!(
            "{path}: {}: {}",
            value["error"].as_str().unwrap_or_default(),
            value["message"].as_str().unwrap_or_default()
        )))
    }
}

/// The port on which the driver says that it listens. What it says after that goes nowhere.
fn port_of(driver: &mut Child) -> io::Result<u16> {
    const LINE: &str = "was started successfully on port ";
    let lines = BufReader::new(driver.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).lines();
    let (found, port) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, port)) = line.split_once(LINE) {
                let _ = found.send(port.trim_end_matches('.').parse::<u16>());
            }
        }
    });
    let port = port.recv_timeout(TIMEOUT);
    port.ok()
        .and_then(Result::ok)
        .ok_or_else(|| io::Error::other("chromedriver does not say on which port it listens"))
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let session = format!("/session/{}", self.session);
            let _ = self.command("DELETE", &session, None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
