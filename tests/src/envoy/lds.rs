//! Listeners from a file that is replaced while Envoy runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::resources::Resources;
use super::{Envoy, EnvoyError, Options};

const NAME: &str = "lds";
const KIND: &str = "listener.v3.Listener";

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

/// The listeners, and how long Envoy may take to serve them.
#[derive(Debug)]
pub(super) struct Lds {
    resources: Resources,
    /// One that is always there.
    always: Option<Value>,
    concurrency: u64,
    timeout: Duration,
}

impl Lds {
    pub(super) fn create(
        directory: &Path,
        listeners: &[Value],
        always: Option<Value>,
        options: &Options,
    ) -> Result<Self, EnvoyError> {
        let resources = Resources::create(directory, NAME, KIND)?;
        let mut lds = Self::of(resources, always, options);
        lds.write(listeners)?;
        Ok(lds)
    }

    /// Those of an Envoy that another process has started, of the version that it has written last.
    pub(super) fn adopt(
        directory: &Path,
        version: u64,
        always: Option<Value>,
        options: &Options,
    ) -> Self {
        let resources = Resources::adopt(directory, NAME, KIND, version);
        Self::of(resources, always, options)
    }

    fn of(resources: Resources, always: Option<Value>, options: &Options) -> Self {
        Self {
            resources,
            always,
            concurrency: options.concurrency.into(),
            timeout: options.timeout,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.resources.version()
    }

    pub(super) fn config_source(&self) -> Value {
        self.resources.config_source()
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

    /// Offers them, and does not wait.
    pub(super) fn write(&mut self, listeners: &[Value]) -> Result<(), EnvoyError> {
        self.resources.write(listeners.iter().chain(&self.always))
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
