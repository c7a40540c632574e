//! A real Prometheus as a child process.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use serde_json::Value;

use crate::client;
use crate::tokens::repository;
use crate::wire::Request;

/// How long it may take until it is ready, or answers.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A running server. Dropping it ends the process; its directory is the caller's.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    addr: SocketAddr,
}

/// Where Prometheus is: `PROMETHEUS`, else `prometheus` on `PATH`, else what
/// `tests/find-prometheus.sh` has left.
pub fn locate() -> PathBuf {
    if let Some(named) = env::var_os("PROMETHEUS").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let left = repository().join(".cache/prometheus/usr/bin/prometheus");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("prometheus"));
    found
        .chain([left.clone()])
        .find(|path| path.exists())
        .unwrap_or(left)
}

/// Runs promtool, which stands beside the server; its words, and whether it was content.
pub fn promtool(arguments: &[&str], folder: &Path) -> io::Result<(bool, String)> {
    let output = Command::new(locate().with_file_name("promtool"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(not_there)?;
    let words = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&words).into_owned(),
    ))
}

impl Prometheus {
    /// Starts a server with the `prometheus.yaml` in a directory, where its data goes too.
    pub fn start(directory: &Path) -> io::Result<Self> {
        // It cannot be asked for a free port: somebody could be quicker, and the start fails then.
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = fs::File::create(directory.join("log"))?;
        let process = Command::new(locate())
            .arg("--config.file=prometheus.yaml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={addr}"))
            .arg("--log.level=warn")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(not_there)?;
        let mut prometheus = Self { process, addr };
        let deadline = Instant::now() + TIMEOUT;
        while !prometheus
            .get("/-/ready")
            .is_ok_and(|(status, _)| status == 200)
        {
            if let Some(status) = prometheus.process.try_wait()? {
                let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!(
                    "Prometheus has ended: {status}\n{log}"
                )));
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(POLL);
        }
        Ok(prometheus)
    }

    /// The result of a query now: a list of samples.
    ///
    /// # Panics
    ///
    /// If Prometheus cannot answer it.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let encode = |byte: u8| format!("%{byte:02x}");
        let encoded: String = expression.bytes().map(encode).collect();
        let (status, body) = self
            .get(&format!("/api/v1/query?query={encoded}"))
            .expect("Prometheus answers");
        assert_eq!(status, 200, "{expression}: {body}");
        let result = &body["data"]["result"];
        result
            .as_array()
            .unwrap_or_else(|| panic!("{body}"))
            .clone()
    }

    /// The names of the alerts that fire, those with a label `status` or `event` followed by it.
    pub fn firing(&self) -> Vec<String> {
        let alerts = self.query(r#"ALERTS{alertstate="firing"}"#);
        let name = |alert: &Value| {
            let label = |name: &str| {
                alert["metric"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            [label("alertname"), label("status"), label("event")].concat()
        };
        alerts.iter().map(name).collect()
    }

    fn get(&self, path: &str) -> Result<(u16, Value), client::ClientError> {
        let request = Request {
            method: b"GET".to_vec(),
            path: path.into(),
            authority: self.addr.to_string().into_bytes(),
            headers: vec![(b"connection".to_vec(), b"close".to_vec())],
            ..Request::default()
        };
        let response = client::send(self.addr, &request, TIMEOUT)?;
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        Ok((response.status, body))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn not_there(error: io::Error) -> io::Error {
    let text =
        format!("{error}; tests/find-prometheus.sh fetches Prometheus, and make test runs it");
    io::Error::new(error.kind(), text)
}
