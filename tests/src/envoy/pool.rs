//! Envoys that tests of one process hand on to each other: the module is compiled once in each.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::config::{self, ListenerOptions, WasmOptions};
use super::lds::{Lds, Update};
use super::process::{Directory, Process};
use super::resources::Resources;
use super::{Envoy, EnvoyError, Options, length};

/// How long one that was handed on may take to forget its last test. Another is started then.
const FORGETTING: Duration = Duration::from_secs(20);
/// How long what was replaced lives on, unless the test says so.
const DRAIN: Duration = Duration::from_secs(1);

/// Those that wait for a test, the first of them longest.
static IDLE: Mutex<Vec<Envoy>> = Mutex::new(Vec::new());

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
    let module = listeners.iter().find_map(module).map(str::to_owned);
    let kind = format!("{bootstrap} {options:?} {module:?}");
    let mut envoy = match idle(&kind) {
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
    let is_left = lds.lock().is_ok_and(|mut lds| lds.write(&[]).is_ok());
    if !is_left || !envoy.is_running() {
        return;
    }
    let next = Envoy {
        process: Arc::clone(&envoy.process),
        admin: envoy.admin,
        version: envoy.version.clone(),
        lds: Some(lds),
        earlier: [0; 2],
        pooled: Some(pooled),
    };
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    idle.push(next);
}

fn idle(kind: &str) -> Option<Envoy> {
    let mut envoy = {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |envoy: &Envoy| (envoy.pooled.as_ref()).is_some_and(|it| it.kind == kind);
        let place = idle.iter().position(is_same)?;
        idle.remove(place)
    };
    if envoy.forget().is_err() {
        // It ends here.
        envoy.pooled = None;
        return None;
    }
    Some(envoy)
}

/// A new one that has nothing but a VM, by which the compiled module stays.
fn start(
    mut bootstrap: Value,
    module: Option<&str>,
    options: &Options,
    kind: String,
) -> Result<Envoy, EnvoyError> {
    let deadline = Instant::now() + options.timeout;
    let options = Options {
        drain_time: options.drain_time.or(Some(DRAIN)),
        ..options.clone()
    };
    let directory = Directory::create()?;
    config::with_admin(&mut bootstrap);
    let always = module.map(|module| keeper(Path::new(module)));
    let lds = Lds::create(directory.path(), &[], always, &options)?;
    let mut clusters = Resources::create(directory.path(), "cds", "cluster.v3.Cluster")?;
    clusters.write([].iter())?;
    bootstrap["dynamic_resources"] = json!({
        "lds_config": lds.config_source(),
        "cds_config": clusters.config_source(),
    });
    let mut process = Process::spawn(directory, &bootstrap, &options)?;
    process.end_with_us()?;
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

/// The file of the first module in a piece of configuration.
fn module(config: &Value) -> Option<&str> {
    let here = config.pointer("/vm_config/code/local/filename");
    here.and_then(Value::as_str).or_else(|| match config {
        Value::Object(members) => members.values().find_map(module),
        Value::Array(elements) => elements.iter().find_map(module),
        _ => None,
    })
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
        self.admin_post("/reset_counters").map(|_| ())
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
