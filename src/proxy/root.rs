//! The plugin in one VM: its document, compiled, and the contexts it makes for requests.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::abi::{self, Buffer, HostError, MetricKind};
use super::fetch::Fetches;
use super::filter::Filter;
use super::gauges::Shown;
use super::held::Held;
use super::host::{Envoy, define};
use super::watch::Watch;
use crate::access_log::AccessLog;
use crate::engine::Engine;
use crate::exchange::PropertyName;
use crate::host::Host;
use crate::metrics;

/// How often it is looked whether something is due.
const TICK_MILLISECONDS: u32 = 250;

/// One plugin configuration in one VM. Before a document has been compiled, requests are refused.
#[derive(Default)]
pub(super) struct Root {
    engine: Option<Rc<Engine>>,
    host: Option<Rc<Envoy>>,
    fetches: Option<Fetches>,
    shown: Option<Shown>,
    held: Rc<Held>,
    watch: Rc<Watch>,
    barred: Barred,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        if let (Some(fetches), Some(host)) = (&mut self.fetches, &self.host) {
            fetches.arrived(token, headers, body, host);
        }
        if let (Some(engine), Some(host)) = (&self.engine, &self.host) {
            self.watch.arrived(token, headers, body, engine, host);
            host.tell();
        }
    }
}

impl RootContext for Root {
    /// Envoy compiles the same document in a first VM and then in one for each worker. If a
    /// worker's VM said no after the first had said yes, Envoy would leave the filter out there
    /// and let traffic through; so the answer depends on the document's bytes alone. Whatever
    /// else goes wrong is answered with yes, and with refusals.
    fn on_configure(&mut self, size: usize) -> bool {
        let host = Rc::new(Envoy::new());
        self.host = Some(Rc::clone(&host));
        let document = match size {
            0 => Vec::new(),
            _ => match abi::buffer(Buffer::PluginConfiguration) {
                Ok(document) => document,
                Err(HostError(status)) => {
                    log::error!(
                        "the proxy does not hand over the configuration (status {status}); every request is refused"
                    );
                    self.barred = Barred::Untold;
                    begin_ticks(&host);
                    return true;
                }
            },
        };
        match Engine::compile(&document) {
            Ok(engine) => {
                for note in engine.notes() {
                    log::warn!("{note}");
                }
                for footprint in engine.footprints() {
                    log::info!("{footprint}");
                }
                report_missing(&engine, &host);
                engine.exports().iter().for_each(declare);
                let (routes, [a, b, c, d, ..]) = (engine.route_count(), engine.digest());
                log::info!("configured, routes: {routes}, sha256: {a:02x}{b:02x}{c:02x}{d:02x}");
                self.run(Rc::new(engine), &host);
                true
            }
            Err(error) => {
                log::error!("configuration refused, problems: {}", error.problems.len());
                for problem in &error.problems {
                    log::error!("{problem}");
                }
                false
            }
        }
    }

    /// Envoy may not be able to call anybody while it configures; the first call is made here.
    fn on_tick(&mut self) {
        if let (Some(fetches), Some(host)) = (&mut self.fetches, &self.host) {
            fetches.tick(host);
        }
        if let (Some(shown), Some(host)) = (&mut self.shown, &self.host) {
            shown.tick(host.now());
        }
        if let Some(host) = &self.host {
            self.held.tick(&**host);
        }
        if let (Some(engine), Some(host)) = (&self.engine, &self.host) {
            self.watch.tick(engine, host);
        }
        self.barred.tick();
        // Last, for much of the above counts.
        if let Some(host) = &self.host {
            host.tell();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let host = self.host.clone().unwrap_or_else(|| Rc::new(Envoy::new()));
        Some(Box::new(Filter::new(
            id,
            self.engine.clone(),
            host,
            Rc::clone(&self.held),
            Rc::clone(&self.watch),
        )))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Tells Envoy that a value is text; without that, others would see bytes. Envoy asks for this on
/// the root context. Hosts that cannot be told so go on with bytes.
fn declare(name: &PropertyName) {
    // `DeclarePropertyArguments`: `name`, and `type: String`.
    let name = name.as_str().as_bytes();
    let Ok(length) = u8::try_from(name.len()) else {
        return;
    };
    let message = [&[0x0a, length][..], name, &[0x18, 0x01]].concat();
    if let Err(HostError(status)) = abi::foreign_function("declare_property", &message) {
        log::warn!(
            "the proxy does not take declarations (status {status}); exported values are bytes"
        );
    }
}

impl Root {
    /// Begins to judge by a document, and to do what it asks for besides requests.
    fn run(&mut self, engine: Rc<Engine>, host: &Envoy) {
        let plugin = abi::property(b"plugin_name").unwrap_or_default();
        let fetches = Fetches::new(engine.remote_keys(), &String::from_utf8_lossy(&plugin));
        let shown = Shown::new(Rc::clone(&engine));
        begin_ticks(host);
        self.watch = Rc::new(Watch::new(Rc::clone(&engine)));
        self.fetches = Some(fetches);
        self.shown = Some(shown);
        self.engine = Some(engine);
    }
}

/// Records that still wait for the collector are lost with the document.
impl Drop for Root {
    fn drop(&mut self) {
        if let (Some(engine), Some(host)) = (&self.engine, &self.host) {
            let lost = engine
                .collector()
                .map_or(0, |collector| collector.abandon());
            host.count_many(metrics::Event::RecordDropped.counter(), lost);
        }
    }
}

fn begin_ticks(host: &Envoy) {
    match abi::set_tick_period(TICK_MILLISECONDS) {
        Ok(()) => host.ticks(),
        Err(HostError(status)) => log::error!(
            "the proxy gives no ticks (status {status}); keys are never fetched, gauges never set, and a wrong setting for held heads never noticed"
        ),
    }
}

/// Whether this worker refuses everything, and has said so in the gauge of those that do.
#[derive(Debug, Default, PartialEq, Eq)]
enum Barred {
    #[default]
    No,
    Untold,
    Told(Option<u32>),
}

impl Barred {
    /// On ticks and not while configuring: Envoy tries documents in a VM that never ticks.
    fn tick(&mut self) {
        if *self == Barred::Untold {
            let name = format!("portcullis.{}", metrics::DENY_ALL);
            let id = define(MetricKind::Gauge, &name);
            let _ = id.map(|id| abi::increment(id, 1));
            *self = Barred::Told(id);
        }
    }
}

impl Drop for Barred {
    fn drop(&mut self) {
        if let Barred::Told(Some(id)) = self {
            let _ = abi::increment(*id, -1);
        }
    }
}

/// A secret that is not there is no reason to refuse the document, for another worker's VM might
/// have it; the tokens that need it are refused.
fn report_missing(engine: &Engine, host: &Envoy) {
    let missing = |place: &str, variable: &str, until_then: &str| {
        if host.environment(variable).is_none() {
            log::error!(
                "{place}: the VM has no environment variable {variable}; name it in vm_config.environment_variables. Until then {until_then}"
            );
        }
    };
    if let Some(variable) = engine.access_log().and_then(AccessLog::environment) {
        missing("access_log", variable, "records do not name subjects");
    }
    if let Some(collector) = engine.collector() {
        for variable in collector.environment() {
            missing("otlp_http", variable, "the collector is asked without it");
        }
    }
    for (provider, variable) in engine.environment() {
        let place = format!("provider {provider}");
        missing(&place, variable, "its tokens are refused with 503");
    }
}
