//! How often the engine asks for memory while it judges a request.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::{
    Bodies, CasResult, CasToken, CellUnavailable, Cells, Clock, Counter, Counters, Entropy,
    Environment, Failure, Histogram, HostVerdict, Properties, Property, Side, SignatureCheck,
    Signatures,
};
use portcullis::memory_host::MemoryHost;
use portcullis::pairs;
use portcullis::stream::{Action, Stream};
use portcullis_tests::believing::{believing, good_request, planned_chain, whole_chain};

/// Counts what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all is done by the system's allocator; counting asks for no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Its own work is not counted, but for the blocks that the engine is given.
struct Uncounted(MemoryHost);

/// Does something whose memory is not the engine's, but for the blocks that it is given.
fn uncounted<T>(given: u64, work: impl FnOnce() -> T) -> T {
    let before = ASKED.get();
    let done = work();
    ASKED.set(before + given);
    done
}

impl Clock for Uncounted {
    fn wall_clock(&self) -> Duration {
        #[allow(
            clippy::disallowed_methods,
            reason = "it hands on what it is asked for"
        )]
        self.0.wall_clock()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

impl Counters for Uncounted {
    fn count_many(&self, counter: Counter, many: u64) {
        uncounted(0, || self.0.count_many(counter, many));
    }

    fn observe(&self, histogram: Histogram, value: u64) {
        uncounted(0, || self.0.observe(histogram, value));
    }
}

impl Environment for Uncounted {
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.0.environment(name)
    }
}

impl Signatures for Uncounted {
    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        self.0.verify_signature(check)
    }
}

impl Properties for Uncounted {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        uncounted(1, || self.0.property(property))
    }
}

impl Cells for Uncounted {
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        uncounted(1, || self.0.cell(key))
    }

    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        uncounted(0, || self.0.compare_and_swap(key, seen, value))
    }
}

impl Entropy for Uncounted {
    fn random(&self) -> u64 {
        self.0.random()
    }
}

impl Bodies for Uncounted {
    fn body(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        self.0.body(side, start, size)
    }
}

/// The number for head, answer and record of one request.
fn exchange(engine: &Rc<Engine>, headers: &Headers, proxy: &Uncounted) -> [u64; 3] {
    let headers = headers.clone();
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    ASKED.set(0);
    let action = stream.on_request_headers(headers, BodyState::Complete, proxy);
    let head = ASKED.replace(0);
    assert!(matches!(action, Action::Continue(_)), "{action:?}");
    ASKED.set(0);
    let answer = stream.on_response_headers(None, BodyState::Complete, proxy);
    let answered = ASKED.replace(0);
    assert!(!answer.edits.is_empty());
    ASKED.set(0);
    let log = engine.access_log().expect("there is a log");
    let record = log
        .record(&stream.summary(), None, proxy)
        .expect("all are recorded");
    let recorded = ASKED.replace(0);
    assert!(record.contains("alice"), "{record}");
    [head, answered, recorded]
}

/// The whole chain with a token seen before. The figures are those of today: a request that needs
/// more memory is to be noticed.
#[test]
fn a_request_asks_for_memory_this_often() {
    let (engine, headers, proxy) = (
        whole_chain(0),
        good_request("alice"),
        Uncounted(believing()),
    );
    exchange(&engine, &headers, &proxy);
    let [head, answered, recorded] = exchange(&engine, &headers, &proxy);
    assert!(head <= 12, "the head of a request: {head}");
    // One of them is the proxy's word on TLS, for `strict-transport-security`.
    assert!(answered <= 7, "the head of an answer: {answered}");
    assert!(recorded <= 6, "a record: {recorded}");
}

/// The same by the plan of the route: the blocks that the proxy hands over are all that there are.
fn by_plan(
    engine: &Rc<Engine>,
    headers: &Headers,
    proxy: &Uncounted,
    line: &mut Vec<u8>,
) -> [u64; 3] {
    let block = pairs::write(headers.iter().collect::<Vec<_>>().into_iter());
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    assert!(stream.admit(block.capacity(), proxy).is_none());
    let mut changes = 0;
    ASKED.set(0);
    let judged = stream.request_by_plan(block, proxy);
    stream.planned_changes(&mut |_| changes += 1);
    let head = ASKED.replace(0);
    assert!(matches!(judged, Ok(None)), "{judged:?}");
    assert!(stream.response_by_plan(None, proxy, &mut |_| changes += 1));
    let answered = ASKED.replace(0);
    assert!(changes > 5, "{changes}");
    ASKED.set(0);
    let record = stream.record_by_plan(proxy, line);
    let recorded = ASKED.replace(0);
    assert!(record.is_some_and(|record| record.contains("alice")));
    [head, answered, recorded]
}

#[test]
fn a_plan_asks_for_no_memory() {
    let (engine, proxy) = (planned_chain(), Uncounted(believing()));
    let mut headers = good_request("alice");
    headers.replace(":path", b"/orders/1");
    exchange(&engine, &headers, &proxy);
    let mut line = Vec::new();
    for _ in 0..3 {
        by_plan(&engine, &headers, &proxy, &mut line);
    }
    // A cell; the word on TLS; the status and the client's address.
    assert_eq!(by_plan(&engine, &headers, &proxy, &mut line), [1, 1, 2]);
}
