//! Envoys that tests hand on to each other, those of other processes too: the module is compiled once in each.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::config::{self, ListenerOptions, WasmOptions};
use super::depot::{Depot, Idle};
use super::lds::{Lds, Update};
use super::process::{Directory, Process};
use super::resources::Resources;
use super::{Envoy, EnvoyError, Options, length};
use crate::mesh::shipped_tags;

/// How long one that was handed on may take to forget its last test. Another is started then.
const FORGETTING: Duration = Duration::from_secs(20);
/// How long what was replaced lives on, unless the test says so.
const DRAIN: Duration = Duration::from_secs(1);
/// How many wait for a test at most. Each takes up some 200 MB.
const MOST: usize = 8;
/// The gauges that outlive VMs: each sets them, or the VM that keeps the module has its part.
const KEPT: [&str; 3] = ["config_hash", "memory.", "build."];

const CLUSTERS: (&str, &str) = ("cds", "cluster.v3.Cluster");

/// What an Envoy has that can be handed on.
#[derive(Debug)]
pub(super) struct Pooled {
    /// How it was started, and with which module.
    kind: String,
    clusters: Resources,
    /// How many VMs it has without those of a test.
    vms: u64,
}

/// One with these listeners and those of the bootstrap.
pub(super) fn take(
    mut bootstrap: Value,
    listeners: &[Value],
    options: &Options,
) -> Result<Envoy, EnvoyError> {
    let mut part = |name: &str| match bootstrap["static_resources"][name].take() {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let (clusters, fixed) = (part("clusters"), part("listeners"));
    let listeners: Vec<Value> = fixed.iter().chain(listeners).cloned().collect();
    let module = listeners.iter().find_map(module);
    // What makes no difference to a test makes none here: it may have the Envoy of another.
    if bootstrap["stats_config"].is_null() {
        bootstrap["stats_config"] = shipped_tags();
    }
    if bootstrap["node"].is_null() {
        bootstrap["node"] = config::bootstrap(Vec::new(), Vec::new())["node"].take();
    }
    let options = &Options {
        drain_time: options.drain_time.or(Some(DRAIN)),
        ..options.clone()
    };
    let alike = Options {
        timeout: Duration::ZERO,
        ..options.clone()
    };
    let kind = format!("{bootstrap} {alike:?} {module:?}");
    let mut envoy = match idle(&kind, module.as_deref(), options)? {
        Some(envoy) => envoy,
        None => start(bootstrap, module.as_deref(), options, kind)?,
    };
    envoy.earlier = ["stderr", "stdout"].map(|name| length(&envoy.file(name)));
    envoy.replace_clusters(&clusters, options)?;
    match envoy.update_listeners(&listeners)? {
        Update::Accepted => Ok(envoy),
        Update::Rejected { reason } => Err(EnvoyError::Rejected { reason }),
    }
}

/// Hands an Envoy on, if it can be.
pub(super) fn put(envoy: &mut Envoy) {
    let (Some(pooled), Some(lds)) = (envoy.pooled.take(), envoy.lds.take()) else {
        return;
    };
    let (Ok(mut lds), Ok(depot)) = (lds.into_inner(), Depot::of_process()) else {
        return;
    };
    if lds.write(&[]).is_err() || !envoy.is_running() {
        return;
    }
    let idle = Idle {
        listeners: lds.version(),
        clusters: pooled.clusters.version(),
        vms: pooled.vms,
        ..(envoy.process).idle(pooled.kind, envoy.admin, envoy.version.clone())
    };
    if depot.put(&idle).is_ok() {
        envoy.process.leave();
    }
}

fn idle(kind: &str, module: Option<&str>, options: &Options) -> Result<Option<Envoy>, EnvoyError> {
    let depot = Depot::of_process()?;
    let Some(idle) = depot.take(|idle| idle.kind == kind) else {
        // There is to be room for another.
        while depot.count() >= MOST
            && let Some(idle) = depot.take(|_| true)
        {
            drop(Process::adopt(&idle));
        }
        return Ok(None);
    };
    let process = Process::adopt(&idle);
    let always = keepers(module);
    let lds = Lds::adopt(process.path(), idle.listeners, always, options);
    let (name, resources) = CLUSTERS;
    let clusters = Resources::adopt(process.path(), name, resources, idle.clusters);
    let mut envoy = Envoy {
        process,
        admin: idle.admin,
        version: idle.version,
        lds: Some(Mutex::new(lds)),
        earlier: [0; 2],
        pooled: Some(Pooled {
            kind: idle.kind,
            clusters,
            vms: idle.vms,
        }),
    };
    if envoy.forget().is_err() {
        // It ends here.
        envoy.pooled = None;
        return Ok(None);
    }
    Ok(Some(envoy))
}

/// A new one that has nothing but a VM, by which the compiled module stays.
fn start(
    mut bootstrap: Value,
    module: Option<&str>,
    options: &Options,
    kind: String,
) -> Result<Envoy, EnvoyError> {
    let deadline = Instant::now() + options.timeout;
    let directory = Directory::create()?;
    config::with_admin(&mut bootstrap);
    let lds = Lds::create(directory.path(), &[], keepers(module), options)?;
    let (name, resources) = CLUSTERS;
    let mut clusters = Resources::create(directory.path(), name, resources)?;
    clusters.write([].iter())?;
    bootstrap["dynamic_resources"] = json!({
        "lds_config": lds.config_source(),
        "cds_config": clusters.config_source(),
    });
    let mut process = Process::spawn(directory, &bootstrap, options)?;
    process.end_with(Depot::of_process()?)?;
    let mut envoy = Envoy::ready(process, deadline)?;
    lds.wait_for_first(&envoy, deadline)?;
    envoy.lds = Some(Mutex::new(lds));
    let vms = envoy.vms()?;
    envoy.pooled = Some(Pooled {
        kind,
        clusters,
        vms,
    });
    Ok(envoy)
}

fn keepers(module: Option<&str>) -> Option<Value> {
    module.map(|module| keeper(Path::new(module)))
}

/// A listener whose filter has a name space of its own and lets everything pass.
fn keeper(module: &Path) -> Value {
    let document = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true }],
    });
    let options = WasmOptions {
        vm_id: "keeper".into(),
        ..WasmOptions::default()
    };
    let document = config::string_value(&document.to_string());
    let filter = config::wasm_filter("keeper", module, document, options);
    let direct = ListenerOptions {
        route: json!({ "route": null, "direct_response": { "status": 200 } }),
        ..ListenerOptions::default()
    };
    config::listener("keeper", vec![filter], direct)
}

/// The file of the first module in a piece of configuration, or in a file that it names.
fn module(config: &Value) -> Option<String> {
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str);
    if let Some(module) = text("/vm_config/code/local/filename") {
        return Some(module.to_owned());
    }
    if let Some(discovered) = text("/path_config_source/path") {
        let discovered = fs::read(discovered).ok()?;
        return module(&serde_json::from_slice(&discovered).ok()?);
    }
    match config {
        Value::Object(members) => members.values().find_map(module),
        Value::Array(elements) => elements.iter().find_map(module),
        _ => None,
    }
}

impl Envoy {
    /// Waits until nothing is left of the last test.
    fn forget(&self) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + FORGETTING;
        let kept = self.pooled.as_ref().map_or(0, |pooled| pooled.vms);
        self.wait_until(deadline, "the end of what another test used", || {
            let draining = self.stat("listener_manager.total_listeners_draining")?;
            Ok((draining == 0 && self.vms()? <= kept).then_some(()))
        })?;
        self.admin_post("/reset_counters")?;
        // What a VM has left in a gauge that all share would be a part of what the next one says.
        let stats = self.stats()?;
        let ours = |name: &str| {
            name.strip_prefix("wasmcustom.portcullis.")
                .map(str::to_owned)
        };
        let left = stats.iter().filter(|(_, value)| **value > 0);
        let mut left = left.filter_map(|(name, _)| ours(name));
        match left.find(|name| !KEPT.iter().any(|kept| name.starts_with(kept))) {
            Some(name) => Err(EnvoyError::Unexpected {
                what: "gauge that a test has left",
                body: name,
            }),
            None => Ok(()),
        }
    }

    fn vms(&self) -> Result<u64, EnvoyError> {
        self.stat("wasm.envoy.wasm.runtime.v8.active")
    }

    fn replace_clusters(
        &mut self,
        clusters: &[Value],
        options: &Options,
    ) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + options.timeout;
        let before = self.cluster_updates()?;
        let mark = self.log_mark();
        if let Some(pooled) = &mut self.pooled {
            pooled.clusters.write(clusters.iter())?;
        }
        self.wait_until(deadline, "an answer to the new clusters", || {
            let now = self.cluster_updates()?;
            if now.rejected > before.rejected {
                let reason = self.log_since(mark);
                return Err(EnvoyError::Rejected { reason });
            }
            Ok((now.accepted > before.accepted && now.warming == 0).then_some(()))
        })
    }

    fn cluster_updates(&self) -> Result<ClusterUpdates, EnvoyError> {
        let stats = self.stats()?;
        let count = |name: &str| stats.get(&format!("cluster_manager.{name}")).copied();
        let count = |name: &str| count(name).unwrap_or(0);
        Ok(ClusterUpdates {
            accepted: count("cds.update_success"),
            rejected: count("cds.update_rejected") + count("cds.update_failure"),
            warming: count("warming_clusters"),
        })
    }
}

/// What Envoy tells of its clusters.
struct ClusterUpdates {
    accepted: u64,
    rejected: u64,
    warming: u64,
}
