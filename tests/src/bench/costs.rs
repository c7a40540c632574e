//! What the module costs beside requests: its size, the time to load it, memory, a cold start.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::envoy::{Envoy, Options, Update, bootstrap};
use serde::Serialize;
use serde_json::{Value, json};

use super::chain::{self, Algorithm, Chain, Tokens, Traffic, Work};
use super::native::TokenCache;
use super::rounds::Running;
use super::scratch::Scratch;
use super::spread::Aggregation;
use super::wrk::Wrk;
use super::{alike, document, step};

/// What `envoy/build.sh minimal` writes.
const MINIMAL: &str = "portcullis-minimal.wasm";
/// How often loading and starting are measured.
const TRIALS: usize = 5;
/// Listeners that are added at once, because one alone loads faster than one can look.
const LISTENERS: usize = 8;
const WORKERS: [u32; 3] = [1, 2, 4];
/// Chains whose memory is compared.
const NATIVE: &str = "native-cached";
const PORTCULLIS: &str = "portcullis";
const FILLED: &str = "portcullis-new-tokens";
/// The most that is aimed at.
const ONE_WORKER_MIB: f64 = 70.0;
const FILLED_WORKER_MIB: f64 = 8.0;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Costs {
    pub(super) module_bytes: u64,
    pub(super) module_gzip_bytes: Option<u64>,
    /// Of the smallest module, if there is one beside it.
    pub(super) minimal_bytes: Option<u64>,
    pub(super) loads: Vec<Load>,
    pub(super) memory: Vec<Memory>,
    pub(super) cold_starts: Vec<ColdStart>,
}

/// From a new configuration to its acceptance.
#[derive(Debug, Serialize)]
pub(super) struct Load {
    pub(super) of: String,
    pub(super) vm: Vm,
    /// How often `on_configure` ran for each listener: in the VM that tries the document first,
    /// in the main thread's, and in the worker's.
    pub(super) configured_per_listener: f64,
    pub(super) ms_per_listener: Aggregation,
    pub(super) ms_per_configuration: Aggregation,
    pub(super) cpu_ms_per_configuration: Aggregation,
}

/// Which VM a new listener runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Vm {
    /// One of its own, and the first one of the process, so that the module is compiled.
    First,
    /// One of its own: the module is read and started.
    Own,
    /// One that other listeners have started: only the first try is in a new VM.
    Shared,
}

/// Resident memory by number of workers, after load.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) id: &'static str,
    pub(super) resident_mib: Vec<(u32, f64)>,
    pub(super) mib_per_worker: f64,
}

/// From the start of the process to the first answer.
#[derive(Debug, Serialize)]
pub(super) struct ColdStart {
    pub(super) id: &'static str,
    pub(super) ms: Aggregation,
}

pub(super) fn measure(
    module: &Path,
    scratch: &Scratch,
    wrk: &Wrk,
    tokens: &Tokens,
) -> Result<Costs, String> {
    let bytes = fs::metadata(module).map_err(|error| error.to_string())?;
    step("loading more listeners");
    let loads = loads(module)?;
    step("more workers");
    let memory = memory(module, scratch, wrk, tokens)?;
    step("cold starts");
    let cold_starts = cold_starts(module, scratch)?;
    let gzip = Command::new("gzip").arg("-9c").arg(module).output();
    Ok(Costs {
        module_bytes: bytes.len(),
        minimal_bytes: fs::metadata(module.with_file_name(MINIMAL))
            .ok()
            .map(|bytes| bytes.len()),
        module_gzip_bytes: gzip.ok().map(|output| output.stdout.len() as u64),
        loads,
        memory,
        cold_starts,
    })
}

/// An aim for memory, in MiB.
pub(super) struct MemoryAim {
    pub(super) name: &'static str,
    pub(super) found: f64,
    pub(super) most: f64,
}

impl Costs {
    pub(super) fn aims(&self) -> Vec<MemoryAim> {
        let of = |id: &str| self.memory.iter().find(|memory| memory.id == id);
        let one_worker = |id: &str| {
            let (_, mib) = of(id)?.resident_mib.first()?;
            Some(*mib)
        };
        let over_native = || Some(one_worker(PORTCULLIS)? - one_worker(NATIVE)?);
        let aims = [
            (
                "memory of one worker over native",
                over_native(),
                ONE_WORKER_MIB,
            ),
            (
                "memory of each worker more, with 10 000 tokens",
                of(FILLED).map(|memory| memory.mib_per_worker),
                FILLED_WORKER_MIB,
            ),
        ];
        let aims = aims.into_iter();
        aims.filter_map(|(name, found, most)| {
            Some(MemoryAim {
                name,
                found: found?,
                most,
            })
        })
        .collect()
    }
}

fn router(_: &Path, _: &Scratch) -> Chain {
    chain::router()
}

fn native(_: &Path, scratch: &Scratch) -> Chain {
    let log = scratch.file("costs.log");
    chain::native(NATIVE, "native chain", TokenCache::On, log)
}

fn portcullis(module: &Path, _: &Scratch) -> Chain {
    let document = document::whole();
    let work = (Traffic::Same(Algorithm::Rs256), Work::Whole);
    chain::portcullis(PORTCULLIS, "Portcullis", module, &document, work)
}

fn native_filled(module: &Path, scratch: &Scratch) -> Chain {
    Chain {
        id: "native-cached-new-tokens",
        traffic: Traffic::New(Algorithm::Rs256),
        ..native(module, scratch)
    }
}

fn portcullis_filled(module: &Path, _: &Scratch) -> Chain {
    let document = document::with_large_cache();
    let work = (Traffic::New(Algorithm::Rs256), Work::Whole);
    chain::portcullis(FILLED, "Portcullis", module, &document, work)
}

fn loads(module: &Path) -> Result<Vec<Load>, String> {
    let kinds = [Grown::ROUTES_2, Grown::ROUTES_200]
        .map(|grown| [Vm::First, Vm::Own, Vm::Shared].map(|vm| (grown, vm)));
    let larger = Grown::LARGER.map(|grown| (grown, Vm::Shared));
    let kinds = [kinds.as_flattened(), larger.as_slice()].concat();
    let mut samples = vec![Vec::new(); kinds.len()];
    for trial in 0..TRIALS {
        for (&(grown, vm), samples) in kinds.iter().zip(&mut samples) {
            samples.push(load(module, grown, vm, trial)?);
        }
    }
    let each = kinds.iter().zip(samples);
    Ok(each
        .map(|(&(grown, vm), samples)| {
            let spread =
                |value: &dyn Fn(&Loaded) -> f64| Aggregation::of(samples.iter().map(value));
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            Load {
                of: grown.title(),
                vm,
                configured_per_listener: spread(&|it| it.configured / vm.listeners()).median,
                ms_per_listener: spread(&|it| ms(it.wall) / vm.listeners()),
                ms_per_configuration: spread(&|it| ms(it.wall) / it.configured),
                cpu_ms_per_configuration: spread(&|it| ms(it.cpu) / it.configured),
            }
        })
        .collect())
}

/// What a document has many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grown {
    Routes(usize),
    Providers(usize),
    Schemas(usize),
}

impl Grown {
    const ROUTES_2: Self = Grown::Routes(2);
    const ROUTES_200: Self = Grown::Routes(200);
    /// Documents that show how the time to load one grows.
    const LARGER: [Self; 5] = [
        Grown::Routes(500),
        Grown::Providers(10),
        Grown::Providers(50),
        Grown::Schemas(50),
        Grown::Schemas(200),
    ];

    fn title(self) -> String {
        match self {
            Grown::Routes(count) => format!("{count} routes"),
            Grown::Providers(count) => format!("{count} more providers"),
            Grown::Schemas(count) => format!("{count} schemas"),
        }
    }

    fn document(self, mark: usize) -> Value {
        match self {
            Grown::Routes(count) => document::with_routes(count, mark),
            Grown::Providers(count) => document::with_providers(count, mark),
            Grown::Schemas(count) => document::with_schemas(count, mark),
        }
    }
}

impl Vm {
    /// In tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Vm::First => "first of the process",
            Vm::Own => "its own, new",
            Vm::Shared => "shared, running",
        }
    }

    /// How many listeners are added at once.
    fn listeners(self) -> f64 {
        match self {
            Vm::First => 1.0,
            Vm::Own | Vm::Shared => LISTENERS as f64,
        }
    }
}

#[derive(Clone, Copy)]
struct Loaded {
    wall: Duration,
    cpu: Duration,
    configured: f64,
}

/// Adds listeners to an Envoy that has one, which has the module already unless the first VM is
/// wanted. Each has a document of its
/// own, because Envoy does not try one twice that it has tried.
fn load(module: &Path, grown: Grown, vm: Vm, trial: usize) -> Result<Loaded, String> {
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    let listener = |number: usize| {
        let vm_id = match vm {
            Vm::First | Vm::Own => format!("bench-{number}"),
            Vm::Shared => "bench".to_owned(),
        };
        let document = grown.document(trial * 100 + number);
        let filter = chain::filter(module, &document, &vm_id);
        chain::answering(&format!("api-{number}"), vec![filter], json!({}))
    };
    let failed = |error: portcullis_tests::envoy::EnvoyError| error.to_string();
    let (first, count) = match vm {
        Vm::First => (chain::answering("api-0", Vec::new(), json!({})), 1),
        Vm::Own | Vm::Shared => (listener(0), LISTENERS),
    };
    let mut all = vec![first];
    let empty = bootstrap(Vec::new(), Vec::new());
    let envoy = Envoy::start_with_lds(empty, &all, &options).map_err(failed)?;
    all.extend((1..=count).map(listener));
    let mark = envoy.log_mark();
    let (begun, cpu) = (Instant::now(), envoy.cpu_time().map_err(failed)?);
    let update = envoy.update_listeners(&all).map_err(failed)?;
    let wall = begun.elapsed();
    if let Update::Rejected { reason } = update {
        return Err(format!("{}: rejected: {reason}", grown.title()));
    }
    let cpu = envoy.cpu_time().map_err(failed)?.saturating_sub(cpu);
    let configured = envoy.log_since(mark).matches("configured, routes:").count();
    match configured {
        0 => Err("the module has not said that it is configured".to_owned()),
        _ => Ok(Loaded {
            wall,
            cpu,
            configured: configured as f64,
        }),
    }
}

fn memory(
    module: &Path,
    scratch: &Scratch,
    wrk: &Wrk,
    tokens: &Tokens,
) -> Result<Vec<Memory>, String> {
    let make: [fn(&Path, &Scratch) -> Chain; 5] =
        [router, native, portcullis, native_filled, portcullis_filled];
    make.iter()
        .map(|make| {
            let mut resident = Vec::new();
            for workers in WORKERS {
                let running = Running::start(make(module, scratch), workers)?;
                running.warm_up(wrk, tokens, 2 * workers)?;
                resident.push((workers, running.resident_mib()?));
            }
            let slope = match (resident.first(), resident.last()) {
                (Some(few), Some(many)) => (many.1 - few.1) / f64::from(many.0 - few.0),
                _ => 0.0,
            };
            Ok(Memory {
                id: make(module, scratch).id,
                resident_mib: resident,
                mib_per_worker: slope,
            })
        })
        .collect()
}

fn cold_starts(module: &Path, scratch: &Scratch) -> Result<Vec<ColdStart>, String> {
    let make: [fn(&Path, &Scratch) -> Chain; 2] = [native, portcullis];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..TRIALS {
        for (make, samples) in make.iter().zip(&mut samples) {
            let time = cold_start(make(module, scratch))?;
            samples.push(time.as_secs_f64() * 1e3);
        }
    }
    let each = make.iter().zip(samples);
    Ok(each
        .map(|(make, samples)| ColdStart {
            id: make(module, scratch).id,
            ms: Aggregation::of(samples),
        })
        .collect())
}

/// The time from the start of the process until a request without a token gets its 401.
fn cold_start(chain: Chain) -> Result<Duration, String> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let addr = free_address()?;
    let mut listener = chain.listener;
    listener["address"]["socket_address"]["port_value"] = addr.port().into();
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    let bootstrap = bootstrap(vec![listener], Vec::new());
    thread::scope(|scope| {
        let begun = Instant::now();
        let envoy = scope.spawn(|| Envoy::start(bootstrap, &options));
        let answered = loop {
            let answer = client::send(addr, &alike::request(None), PATIENCE);
            match answer {
                Ok(response) if response.status == 401 => break Ok(begun.elapsed()),
                Ok(response) => break Err(format!("status {}, not 401", response.status)),
                Err(error) if begun.elapsed() > PATIENCE => break Err(error.to_string()),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        match envoy.join() {
            Ok(Ok(_)) => answered.map_err(|error| format!("{}: {error}", chain.id)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("Envoy was not started".to_owned()),
        }
    })
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let addr = listener.and_then(|listener| listener.local_addr());
    addr.map_err(|error| error.to_string())
}
