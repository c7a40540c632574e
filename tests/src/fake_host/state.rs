//! What the fake proxy remembers: for the process, for a VM, for a stream.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use wasmi::{Memory, StoreLimits, StoreLimitsBuilder, TypedFunc};

use super::headers::{HeaderMap, Kind};
use super::{Calls, HostOptions, LogLine};
use crate::wire::{Response, Version};

/// The context id of the first plugin in a VM.
pub(super) const ROOT: u32 = 1;

/// A function of the host that a module calls by name.
pub(super) type ForeignFunction = Arc<dyn Fn(&[u8]) -> (u32, Vec<u8>) + Send + Sync>;

/// What all workers of one proxy share.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) now_nanos: u64,
    pub(super) stats: BTreeMap<(String, MetricKind), Stat>,
    /// By `vm_id`, then key.
    pub(super) cells: BTreeMap<(String, Vec<u8>), Cell>,
    pub(super) last_cas: u32,
    pub(super) queues: Vec<Queue>,
    pub(super) workers: u64,
}

impl Server {
    /// The next number of the one counter all keys share. It never is 0, which means "no CAS".
    pub(super) fn next_cas(&mut self) -> u32 {
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        self.last_cas
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Stat {
    /// Of a counter or a gauge.
    pub(super) value: u64,
    /// Of a histogram, as recorded.
    pub(super) recorded: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) value: Vec<u8>,
    pub(super) cas: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) vm_id: String,
    pub(super) name: Vec<u8>,
    pub(super) items: VecDeque<Vec<u8>>,
}

/// One VM with its plugin: the data behind its store.
pub(super) struct Vm {
    pub(super) server: Arc<Mutex<Server>>,
    pub(super) options: HostOptions,
    pub(super) configuration: Vec<u8>,
    pub(super) stage: Stage,
    /// The module runs `proxy_on_memory_allocate` for us.
    pub(super) allocating: bool,
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    pub(super) limits: StoreLimits,
    pub(super) log: Vec<LogLine>,
    pub(super) log_level: u32,
    /// Names by id. Each definition makes an id, also of a name known already.
    pub(super) metrics: HashMap<u32, (String, MetricKind)>,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) functions: HashMap<Vec<u8>, ForeignFunction>,
    pub(super) random: u64,
    pub(super) calls: Calls,
    /// The module has trapped, be it in a callback or while it allocated for a host call.
    pub(super) failed: bool,
    /// The contexts of plugins with the periods of their ticks, and which of them new streams
    /// belong to.
    pub(super) roots: BTreeMap<u32, u32>,
    pub(super) root: u32,
    /// Clusters that can be called, and calls that wait for an answer.
    pub(super) clusters: BTreeSet<Vec<u8>>,
    pub(super) called: Vec<OutgoingCall>,
    /// What answers calls of requests that wait, at once.
    pub(super) responder: Option<Responder>,
    pub(super) last_call: u32,
    /// What such a call was answered, while the module is told.
    pub(super) answered: Option<(HeaderMap, Vec<u8>)>,
    /// The context host calls are about: that of a plugin or that of the stream.
    pub(super) effective_context: u32,
    pub(super) stream: Option<Stream>,
}

/// What a cluster answers to a body; none if it does not.
pub(super) type Responder = Arc<dyn Fn(&str, &[u8]) -> Option<Response> + Send + Sync>;

/// A call to another service.
#[derive(Clone, Debug)]
pub(super) struct OutgoingCall {
    pub(super) number: u32,
    pub(super) root: u32,
    pub(super) cluster: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// What the module is in the middle of, as far as host calls depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Initializing,
    Configuring,
    Running,
}

impl Vm {
    pub(super) fn new(server: Arc<Mutex<Server>>, options: HostOptions) -> Vm {
        const INFO: u32 = 2;
        const MOST_MEMORY: usize = 1 << 30;
        let worker = {
            let mut server = server.lock().expect("no test panics with the lock");
            server.workers += 1;
            server.workers
        };
        Vm {
            server,
            options,
            configuration: Vec::new(),
            stage: Stage::Initializing,
            allocating: false,
            memory: None,
            allocate: None,
            limits: StoreLimitsBuilder::new().memory_size(MOST_MEMORY).build(),
            log: Vec::new(),
            log_level: INFO,
            metrics: Default::default(),
            properties: BTreeMap::new(),
            functions: Default::default(),
            // Workers of one proxy draw different numbers.
            random: worker,
            calls: Calls::default(),
            failed: false,
            roots: BTreeMap::new(),
            root: ROOT,
            clusters: BTreeSet::new(),
            called: Vec::new(),
            responder: None,
            last_call: 0,
            answered: None,
            effective_context: ROOT,
            stream: None,
        }
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().expect("no test panics with the lock")
    }

    /// The stream, if host calls are about it now.
    pub(super) fn stream(&self) -> Option<&Stream> {
        let stream = self.stream.as_ref()?;
        (stream.id == self.effective_context).then_some(stream)
    }

    pub(super) fn stream_mut(&mut self) -> Option<&mut Stream> {
        let effective = self.effective_context;
        self.stream.as_mut().filter(|stream| stream.id == effective)
    }

    /// SplitMix64: the same numbers in every run.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fresh UUID of version 4.
    pub(super) fn next_request_id(&mut self) -> String {
        let a = format!("{:016x}", self.next_random());
        let b = format!("{:016x}", self.next_random());
        let (time, node) = ((&a[..8], &a[8..12], &a[13..]), (&b[1..4], &b[4..]));
        format!("{}-{}-4{}-a{}-{}", time.0, time.1, time.2, node.0, node.1)
    }
}

/// One request and its answer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) version: Version,
    pub(super) started_nanos: u64,
    /// Body bytes received from the client so far.
    pub(super) received: u64,
    pub(super) request: Half,
    pub(super) response: Half,
    /// The access log runs: heads can be read, nothing written.
    pub(super) logging: bool,
    pub(super) reply: Option<LocalReply>,
    pub(super) resumed_request: bool,
    pub(super) resumed_response: bool,
    pub(super) reset: bool,
    pub(super) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) code: Option<u16>,
    pub(super) details: String,
    pub(super) grpc_status: Option<u32>,
}

impl Stream {
    pub(super) fn new(id: u32, version: Version, started_nanos: u64) -> Stream {
        Stream {
            id,
            version,
            started_nanos,
            request: Half::new(Kind::Request),
            response: Half::new(Kind::Response),
            ..Stream::default()
        }
    }
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) headers: HeaderMap,
    pub(super) headers_open: bool,
    /// What the module can read and replace: the chunk, or all that is held back.
    pub(super) body: Option<Vec<u8>>,
    pub(super) trailers: HeaderMap,
    pub(super) trailers_open: bool,
}

impl Half {
    fn new(kind: Kind) -> Half {
        Half {
            headers: HeaderMap::new(kind),
            trailers: HeaderMap::new(Kind::Trailers),
            ..Half::default()
        }
    }

    pub(super) fn open_headers(&mut self, headers: HeaderMap) {
        self.headers = headers;
        self.headers_open = true;
    }

    pub(super) fn open_trailers(&mut self, trailers: HeaderMap) {
        self.trailers = trailers;
        self.trailers_open = true;
    }

    /// Takes away what a callback could reach.
    pub(super) fn close(&mut self) {
        self.headers_open = false;
        self.trailers_open = false;
        self.body = None;
    }
}

/// A reply of the proxy's own, asked for by the module or made by the proxy.
#[derive(Clone, Debug)]
pub(super) struct LocalReply {
    pub(super) status: u32,
    pub(super) details: String,
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) grpc_status: Option<u32>,
}

impl LocalReply {
    /// One that Envoy makes itself.
    pub(super) fn of_proxy(status: u32, details: &str, body: &str) -> LocalReply {
        LocalReply {
            status,
            details: details.to_owned(),
            body: body.as_bytes().to_vec(),
            headers: Vec::new(),
            grpc_status: None,
        }
    }
}
