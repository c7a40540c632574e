//! What the core asks of the proxy it runs in.

use std::time::Duration;

use crate::call::Calls;

/// The proxy, as far as the core may know it. A function that needs one part takes that trait alone,
/// so that a test need not fake the rest.
pub trait Host:
    Clock + Counters + Environment + Signatures + Properties + Cells + Entropy + Bodies
{
}

impl<T> Host for T where
    T: Clock + Counters + Environment + Signatures + Properties + Cells + Entropy + Bodies
{
}

/// The time.
pub trait Clock {
    /// The wall clock, as time since the Unix epoch. It steps, back and forth, when it
    /// is set: it is for what others have dated, `exp`, `nbf`, `iat` and the document's own dates, and
    /// for time stamps. Whatever lasts, ages or waits goes by [`monotonic`](Self::monotonic).
    fn wall_clock(&self) -> Duration;
    /// A clock that never steps, as time since some beginning that all workers share and that no
    /// cell outlives. Nothing of it can be compared with the wall clock.
    fn monotonic(&self) -> Duration;
}

/// What is counted and measured, by the numbers of the closed lists.
pub trait Counters {
    /// Adds one to a counter. The proxy may be told later, together with others: it costs next to
    /// nothing. Names come from the registry of metrics; nothing a client sends is one.
    fn count(&self, counter: Counter) {
        self.count_many(counter, 1);
    }
    /// Adds so many to a counter.
    fn count_many(&self, counter: Counter, many: u64);
    /// Records a value in a histogram, if the proxy has any. Names come from the registry of metrics as well.
    fn observe(&self, histogram: Histogram, value: u64);
}

/// What the proxy was started with.
pub trait Environment {
    /// A variable of the VM's environment: where secrets stand that the document must not hold.
    fn environment(&self, name: &str) -> Option<Vec<u8>>;
}

/// The proxy's own cryptography.
pub trait Signatures {
    /// Checks a signature in the proxy's own, faster code.
    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict;
}

/// What the proxy knows of a connection and an exchange.
pub trait Properties {
    /// What the proxy knows of the connection; none if it does not know.
    fn property(&self, property: Property) -> Option<Vec<u8>>;

    /// The status of the response, without a buffer where it is known already.
    fn response_status(&self) -> Option<u64> {
        let status = self.property(Property::ResponseStatus)?;
        status.try_into().ok().map(u64::from_le_bytes)
    }
}

/// What workers share.
pub trait Cells {
    /// Reads a cell that all workers share, and the mark of its last change. INVARIANT: nobody
    /// believes its bytes unread: they may come from another document or release, since cells
    /// outlive both.
    ///
    /// # Errors
    /// The proxy does not say.
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable>;
    /// What this worker wrote to a cell, and the mark that the cell has if nobody has written since: by that
    /// alone nothing may be decided. A write that names the mark shows whether it was so; it is
    /// [`CasResult::Changed`] if not, and then there is nothing here until the next write.
    fn remembered(&self, _key: &str) -> Option<(Vec<u8>, CasToken)> {
        None
    }
    /// Changes what this worker wrote to a cell, if that is remembered, and writes it at once: what
    /// [`Cells::remembered`] and [`Cells::compare_and_swap`] come to, in place. `change` says whether it has changed
    /// the bytes; if not, nothing is written and all stays as it was. None then, and where nothing is remembered.
    fn change_remembered(
        &self,
        _key: &str,
        _change: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<CasResult, CellUnavailable>> {
        None
    }
    /// Writes a cell if it has not changed since `seen`. Without `seen`, and to a cell that does
    /// not exist, it is written in any case. INVARIANT: keys are never removed, so nothing a client sends may
    /// become one.
    ///
    /// # Errors
    /// The proxy does not take it.
    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable>;
    /// Whether nothing can be written, as where a block is only tried: what would be written is known all the
    /// same.
    fn is_read_only(&self) -> bool {
        false
    }
    /// Writes a cell that does not exist: of several workers, one succeeds.
    ///
    /// Hosts compare marks only where there is a cell to compare with, so a write that names a
    /// mark which no cell has creates one and changes none. Marks count up from 1.
    ///
    /// # Errors
    /// The proxy does not take it.
    fn create_cell(&self, key: &str, value: &[u8]) -> Result<CasResult, CellUnavailable> {
        self.compare_and_swap(key, Some(CasToken(u32::MAX)), value)
    }
}

/// Randomness.
pub trait Entropy {
    /// Bits that no client can guess.
    fn random(&self) -> u64;
}

/// Bodies on their way.
pub trait Bodies {
    /// So many bytes, from `start` on, of what the proxy has at hand of a body: all that has come while
    /// it is held, the last piece while it passes on.
    ///
    /// # Errors
    /// It does not hand them over.
    fn body(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure>;
}

/// The proxy's log, and values for the proxy's own access loggers.
pub trait Log {
    /// Writes a line. A failure is not told: there is nowhere to tell it.
    fn log(&self, level: Level, line: &str);
    /// Sets the filter state of the exchange in hand.
    fn set_filter_state(&self, name: &str, value: &str);
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It goes well.
    Info,
    /// Something does not, and is tried again or done without.
    Warn,
    /// An operator has to do something.
    Error,
}

/// Metrics that a document brings, by name. Those of the closed lists are [`Counters`].
pub trait Metrics {
    /// Makes a metric known, once: a proxy keeps a note of every time. None if it refuses.
    fn define(&self, kind: MetricKind, name: &str) -> Option<MetricId>;
    /// Adds to a counter or a gauge; from a gauge it can take away.
    fn add(&self, metric: MetricId, change: i64);
    /// Sets a gauge.
    fn set(&self, metric: MetricId, value: u64);
    /// Whether there are ticks, on which counters are told: else they are told at once.
    fn has_ticks(&self) -> bool {
        true
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It has a value.
    Gauge,
    /// A distribution of values.
    Histogram,
}

/// The proxy's number of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricId(pub u32);

/// Everything that a worker asks of the proxy; policies ask a [`Host`] alone.
pub trait WorkerHost: Host + Calls + Log + Metrics {}

impl<T: Host + Calls + Log + Metrics> WorkerHost for T {}

/// Why something cannot be had of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It does not hand it over.
    HostCall,
    /// There is no memory for it.
    Memory,
}

/// Whose body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Request,
    /// The service's.
    Response,
}

/// Something the proxy knows of a connection or an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The client's address and port, `192.0.2.1:40000` or `[2001:db8::1]:40000`. Whether a client
    /// can choose it is up to the proxy's configuration (`use_remote_address`).
    ClientAddress,
    /// `TLSv1.3`; none over cleartext.
    TlsVersion,
    /// Whether the client has presented a certificate, verified or not; one byte.
    PeerCertificatePresented,
    /// Whether the proxy has verified it in this connection; one byte.
    PeerCertificateValid,
    /// The first URI among its names.
    PeerUri,
    /// The first host name among them.
    PeerDnsName,
    /// Its subject, RFC 2253.
    PeerSubject,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    PeerSha256,
    /// `HTTP/1.1`, `HTTP/2`.
    Protocol,
    /// The bytes of the request, head included; eight bytes, little-endian, as all numbers.
    RequestSize,
    /// The status that went to the client; 0 for none.
    ResponseStatus,
    /// Why the response is what it is, in the proxy's words.
    ResponseDetails,
    /// The proxy's response flags, a bit for each.
    ResponseFlags,
    /// The bytes of the response, head included.
    ResponseSize,
    /// Which of the service's instances was asked, `address:port`.
    UpstreamAddress,
}

/// When a cell was last changed. Marks say nothing but equal or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CasToken(pub u32);

/// What became of a write to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasResult {
    /// It stands.
    Written,
    /// Another worker was quicker; the cell is as that worker left it.
    Changed,
}

/// The proxy does not give access to its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellUnavailable;

/// One signature to check.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'a> {
    /// What the key and the signature are.
    pub scheme: HostScheme,
    /// The hash of the signature algorithm.
    pub hash: Hash,
    /// The key as an X.509 `SubjectPublicKeyInfo`, DER.
    pub public_key: &'a [u8],
    /// PKCS #1 v1.5, or an `ECDSA-Sig-Value` in DER.
    pub signature: &'a [u8],
    /// What was signed.
    pub signed: &'a [u8],
}

/// A signature scheme that a proxy may be able to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostScheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
}

/// The hash of a signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What the proxy says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostVerdict {
    /// It fits.
    Valid,
    /// It does not.
    Invalid,
    /// The proxy cannot check such a signature: this says nothing about it.
    Unavailable,
}

/// A counter: its place in the list of names that the engine registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub usize);

/// A histogram: its place in the list of names that the engine registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(pub usize);
