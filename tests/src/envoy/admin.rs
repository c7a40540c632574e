//! The admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Envoy, EnvoyError};
use crate::client;
use crate::wire::{Request, Response};

/// Envoy answers from its main thread, which may be compiling a module on a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(180);

impl Envoy {
    /// Where the admin interface listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The body of the answer to a GET; anything but 200 is an error.
    pub fn admin_get(&self, path: &str) -> Result<String, EnvoyError> {
        self.ask("GET", path)
    }

    /// The body of the answer to a POST without a body; anything but 200 is an error.
    pub fn admin_post(&self, path: &str) -> Result<String, EnvoyError> {
        self.ask("POST", path)
    }

    /// All counters and gauges by name.
    pub fn stats(&self) -> Result<BTreeMap<String, u64>, EnvoyError> {
        let text = self.admin_get("/stats")?;
        let numbers = text.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(numbers.collect())
    }

    /// One counter or gauge; 0 if Envoy does not know it (yet).
    pub fn stat(&self, name: &str) -> Result<u64, EnvoyError> {
        Ok(self.stats()?.get(name).copied().unwrap_or(0))
    }

    /// The same, when the filter has told of every request that Envoy has taken: it does so a few
    /// times a second. For tests in which each request is allowed, denied or answered by it.
    pub fn told_stats(&self) -> Result<BTreeMap<String, u64>, EnvoyError> {
        self.stats_once(|stats| {
            let taken = stats.iter().filter(|(name, _)| {
                name.ends_with(".downstream_rq_total") && !name.starts_with("http.admin.")
            });
            let taken: u64 = taken.map(|(_, count)| count).sum();
            let count = |outcome| stats.get(&format!("wasmcustom.portcullis.{outcome}"));
            let told = ["allowed", "denied", "answered"]
                .into_iter()
                .filter_map(count);
            told.sum::<u64>() >= taken
        })
    }

    /// One of them.
    pub fn told_stat(&self, name: &str) -> Result<u64, EnvoyError> {
        Ok(self.told_stats()?.get(name).copied().unwrap_or(0))
    }

    /// All, once they are as awaited.
    pub fn stats_once(
        &self,
        awaited: impl Fn(&BTreeMap<String, u64>) -> bool,
    ) -> Result<BTreeMap<String, u64>, EnvoyError> {
        let deadline = Instant::now() + TIMEOUT;
        self.wait_until(deadline, "the filter's counters", || {
            let stats = self.stats()?;
            Ok(awaited(&stats).then_some(stats))
        })
    }

    /// Where the listener of this name listens.
    pub fn listener_addr(&self, name: &str) -> Result<SocketAddr, EnvoyError> {
        let body = self.admin_get("/listeners?format=json")?;
        let find = || {
            let listeners: Value = serde_json::from_str(&body).ok()?;
            let listeners = listeners.get("listener_statuses")?.as_array()?.clone();
            let listener = listeners.iter().find(|listener| listener["name"] == name)?;
            let address = &listener["local_address"]["socket_address"];
            let ip = address["address"].as_str()?.parse().ok()?;
            let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
            Some(SocketAddr::new(ip, port))
        };
        find().ok_or(EnvoyError::Unexpected {
            what: "listener of this name",
            body: body.clone(),
        })
    }

    fn ask(&self, method: &str, path: &str) -> Result<String, EnvoyError> {
        let response = exchange(self.admin, method, path).map_err(|source| {
            match self.process.has_ended() {
                true => self.process.ended(),
                false => EnvoyError::Admin {
                    path: path.into(),
                    source,
                },
            }
        })?;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        match response.status {
            200 => Ok(body),
            status => Err(EnvoyError::Refused {
                path: path.into(),
                status,
                body,
            }),
        }
    }

    pub(super) fn ask_version(&self) -> Result<String, EnvoyError> {
        let body = self.admin_get("/server_info")?;
        let find = || {
            let info: Value = serde_json::from_str(&body).ok()?;
            // revision/version/status/build/library
            Some(info["version"].as_str()?.split('/').nth(1)?.to_owned())
        };
        find().ok_or(EnvoyError::Unexpected {
            what: "version",
            body: body.clone(),
        })
    }
}

/// The status and body of any answer.
pub(super) fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
) -> Result<Response, client::ClientError> {
    let request = Request {
        method: method.into(),
        path: path.into(),
        authority: addr.to_string().into_bytes(),
        headers: vec![(b"connection".to_vec(), b"close".to_vec())],
        ..Request::default()
    };
    client::send(addr, &request, TIMEOUT)
}
