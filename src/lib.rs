//! Portcullis: one proxy-wasm filter that guards an API behind Envoy or Istio.
//!
//! For every request it answers one question, *may this pass?*, and leaves a record of the
//! answer. This page is the map of the code, in reading order.
//!
//! # From a document to an engine
//!
//! [`config`] reads the configuration, a JSON document. [`json`] parses it strictly;
//! [`config::Node`] is a value with its place, and every reader notes what is wrong with its own
//! part in [`config::Problems`] and goes on, so that all problems of a document appear at once.
//! Each block at its top is a [`section::Section`] in one list (`config::sections`): it says itself how
//! it is read and what it has the worker do, and others find it by its type.
//! The result is an [`engine::Engine`]: routes, each with its chain of policies, everything
//! parsed. It is immutable. Compiling depends on nothing but the document's bytes.
//!
//! # From a request to a verdict
//!
//! [`stream::Stream`] is one exchange. It takes the request's [`headers::Headers`] once, as bytes;
//! brings host and path to one spelling ([`target`]); finds the route ([`route`]), for a browser's
//! question the routes that it is about ([`preflight`]); and runs the chain.
//! A [`policy::Policy`] sees an [`exchange::Exchange`], leaves edits there, and answers with a
//! [`policy::Verdict`]. The first [`refusal::Refusal`] ends the run; [`refusal`] alone knows what a
//! client is told. A policy that must see the [`body`] says so, and is asked again when more of it
//! has come. One that cannot say yet makes the request [`wait`] in the midst of the chain, for an HTTP
//! [`call`] or for a time, and is asked again then. What the chain came to is one value; one place
//! records it, counts it, and replies (`stream::settle`). What is tried beside a block in force is asked apart (`stream::beside`), and nothing
//! comes of it but a record. [`access_log`] writes the line that the log gets and the security events, [`metrics`] lists
//! the counters, and [`explain`] tells who may ask what was made of a request.
//!
//! [`schema`] judges JSON values by JSON Schema; it knows nothing of requests.
//!
//! # The proxy
//!
//! `proxy`, built for wasm only, is the one room that names `proxy_wasm`. It turns callbacks into
//! calls on a stream and edits into host calls. The core asks the proxy for the time, for
//! counters, for secrets in its environment, and to check signatures in its own, faster code, all
//! through [`host::Host`], and for nothing else. `memory_host` is such a host without a proxy, for
//! all that runs natively.
//!
//! # Besides requests
//!
//! A [`worker::Worker`] does by one document what is no request: it fetches what is
//! [`fetched`] on a schedule, exports and writes records, tells counters and gauges. It asks the
//! proxy through [`host::WorkerHost`], whose [`call`]s have one table: a response goes to the owner of
//! its token. A new thing to fetch implements [`fetched::Fetched`], and its section gives it
//! to the [`section::Registry`].
//!
//! # What holds
//!
//! - No panic. Lints deny every construct that panics; `panic` is `abort`, and one trap would take
//!   a worker's whole VM down.
//! - What a peer sent is bytes until a policy parses it. A field that has one meaning is refused
//!   when it comes twice.
//! - A compiled engine never changes, and a stream keeps the one it began with. What it remembers
//!   of verified tokens makes answers quicker and changes none.
//! - Nothing a client sends becomes the name of anything: no metric, no key.
//! - What we write to a header is a [`headers::HeaderValue`], which cannot hold a line break.
//! - A client learns a [`refusal::Code`]; the reason goes to the log alone.
//! - Whatever can grow is asked of the [`budget`] before it is taken, and has a price ([`effort`])
//!   before it is done. Who is told no refuses.
//! - A trap can only refuse. In a VM that was used before, configuring allocates by nothing that can
//!   trap; documents are compiled at the first tick or request, where a trap is a 503. [`proof`] has
//!   fresh VMs do the same.
//!
//! # What workers share
//!
//! The proxy keeps cells for all VMs with one `vm_id`, of which none is ever removed. A cell is read
//! and written only by those who mean the same by it, so that no document undoes another's: its key
//! begins with the *lineage* (`proxy::host`), the plugin's name and root id, and then says the rest.
//!
//! | key after the lineage | holds | apart for |
//! | --- | --- | --- |
//! | `limits/<hash>/<n>` | the states of some callers ([`policy::rate_limits`]) | place and name of the limit, its key as written, what is charged, algorithm and numbers, `max_entries`, the tier's condition; where tokens decide, the issuers |
//! | `limits/seed` | what callers and sources are hashed with | nothing: it means nothing by itself |
//! | `events/sources/<window>/<threshold>/<n>` | failures by source ([`access_log::security`]) | window and threshold |
//! | `configuration` | the documents that have been told to be in force, each by its hash | |
//! | `jwks/keys/<hash>` | an answer with keys | cluster, address or issuer, and the credentials that it was asked with |
//! | `jwks/lease/<hash>` | until when somebody asks | the same, and how often the document asks |
//!
//! Besides there is [`proof::CELL`], of no lineage: what a build makes of a document depends on
//! nothing else. Times in cells are those of [`host::Clock::monotonic`]. What is no such cell, or of
//! another format, counts as none.
//!
//! # What is deliberately absent
//!
//! - Global state, but for what a VM has once: its memory ([`budget`]), its compiled patterns
//!   ([`regex`]), the keys that were fetched, and `proxy::vm`. A VM holds several plugins and
//!   generations of one; each has its own root.
//! - A way to pass without a route. What no route is for is refused.
//! - Serde's derived readers for the document. They stop at the first error.
//!
//! # A new section
//!
//! One file with a type that implements [`section::Section`], one line in the list in
//! `config::sections`, one case file. Policies read it with [`section::Sections::get`].
//!
//! # A new policy
//!
//! One file under `src/policy/` with a `KIND`, two lines in [`policy`], one case file
//! under `tests/cases/`. `docs/new-policy.md` walks through it.

pub use portcullis_engine::{access_log, config, engine, explain, metrics, proof, stream, worker};
pub use portcullis_exchange::{
    body, call, condition, connection, credentials, enforcement, exchange, fetched, gauges, host,
    http_uri, limits, media_type, meter, origin, principal, refusal, route, section, seed, target,
    wait,
};
pub use portcullis_memory_host as memory_host;
pub use portcullis_schema as schema;
pub use portcullis_wire::{address, budget, effort, headers, json, json_gate, preflight, regex};

/// What a policy is, and the policies.
pub mod policy {
    pub use portcullis_exchange::policy::*;
    pub use portcullis_policies::*;
}
