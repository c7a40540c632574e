//! Listeners from a file that is replaced while Envoy runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::cannot;
use super::{Envoy, EnvoyError, Options};

/// What Envoy made of new listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Every worker serves them.
    Accepted,
    /// At least one was rejected, and its predecessor stays.
    Rejected {
        /// Envoy's reason.
        reason: String,
    },
}

/// The file. It lives in a directory that Envoy watches, and gets there by a rename.
#[derive(Debug)]
pub(super) struct Lds {
    watched: PathBuf,
    draft: PathBuf,
    version: u64,
    concurrency: u64,
    timeout: Duration,
}

impl Lds {
    pub(super) fn create(
        directory: &Path,
        listeners: &[Value],
        options: &Options,
    ) -> Result<Self, EnvoyError> {
        let mut lds = Self {
            watched: directory.join("lds"),
            draft: directory.join("lds-draft.json"),
            version: 0,
            concurrency: options.concurrency.into(),
            timeout: options.timeout,
        };
        fs::create_dir(&lds.watched).map_err(cannot("create a directory"))?;
        lds.write(listeners)?;
        Ok(lds)
    }

    pub(super) fn config_source(&self) -> Value {
        json!({
            "resource_api_version": "V3",
            "path_config_source": {
                "path": self.file(),
                "watched_directory": { "path": self.watched },
            },
        })
    }

    pub(super) fn wait_for_first(
        &self,
        envoy: &Envoy,
        deadline: Instant,
    ) -> Result<(), EnvoyError> {
        match self.wait(envoy, &BTreeMap::new(), 0, deadline)? {
            Update::Accepted => Ok(()),
            Update::Rejected { reason } => Err(EnvoyError::Rejected { reason }),
        }
    }

    pub(super) fn update(
        &mut self,
        envoy: &Envoy,
        listeners: &[Value],
    ) -> Result<Update, EnvoyError> {
        let deadline = Instant::now() + self.timeout;
        let before = envoy.stats()?;
        let mark = envoy.log_mark();
        self.write(listeners)?;
        self.wait(envoy, &before, mark, deadline)
    }

    fn wait(
        &self,
        envoy: &Envoy,
        before: &BTreeMap<String, u64>,
        mark: u64,
        deadline: Instant,
    ) -> Result<Update, EnvoyError> {
        let grown = |now: &BTreeMap<String, u64>, name: &str| {
            let name = format!("listener_manager.{name}");
            let read = |stats: &BTreeMap<String, u64>| stats.get(&name).copied().unwrap_or(0);
            read(now).saturating_sub(read(before))
        };
        envoy.wait_until(deadline, "an answer to the new listeners", || {
            let now = envoy.stats()?;
            let rejected =
                grown(&now, "lds.update_rejected") + grown(&now, "lds.update_failure") > 0;
            if !rejected && grown(&now, "lds.update_success") == 0 {
                return Ok(None);
            }
            // Workers take a new or changed listener up one by one, and each counts it.
            let changed = grown(&now, "listener_added") + grown(&now, "listener_modified");
            let taken_up =
                grown(&now, "listener_create_success") + grown(&now, "listener_create_failure");
            let warming = now.get("listener_manager.total_listeners_warming");
            let settled =
                taken_up >= changed * self.concurrency && warming.copied().unwrap_or(0) == 0;
            Ok(match (settled, rejected) {
                (false, _) => None,
                (true, false) => Some(Update::Accepted),
                (true, true) => {
                    rejection(&envoy.log_since(mark)).map(|reason| Update::Rejected { reason })
                }
            })
        })
    }

    fn write(&mut self, listeners: &[Value]) -> Result<(), EnvoyError> {
        self.version += 1;
        let resources: Vec<Value> = listeners
            .iter()
            .map(|listener| {
                let mut resource = listener.clone();
                resource["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
                resource
            })
            .collect();
        let response = json!({
            "version_info": self.version.to_string(),
            "resources": resources,
        });
        fs::write(&self.draft, response.to_string())
            .and_then(|()| fs::rename(&self.draft, self.file()))
            .map_err(cannot("write the listeners"))
    }

    fn file(&self) -> PathBuf {
        self.watched.join("listeners.json")
    }
}

/// The reason as logged, once it is there; it may span several lines.
fn rejection(log: &str) -> Option<String> {
    let marks = ["update rejected: ", "update failure: "];
    let (_, reason) = marks.iter().find_map(|mark| log.split_once(mark))?;
    // The next entry of the log begins with its time in brackets.
    let end = reason.find("\n[20").unwrap_or(reason.len());
    Some(reason[..end].trim().to_owned())
}
