//! Portcullis: one proxy-wasm filter that guards an API behind Envoy or Istio.
//!
//! For every request it answers one question, *may this pass?*, and leaves a record of the
//! answer. This page is the map of the code, in reading order. This crate only re-exports
//! the others, for hosts, tests and tools.
//!
//! # Crates
//!
//! Each knows those above it in this table and none below; a test reads the manifests.
//!
//! | crate | holds | knows nothing of |
//! | --- | --- | --- |
//! | [`portcullis_wire`], `src/wire` | bytes of peers: header fields, JSON, addresses, patterns; what they may take ([`budget`]) and cost ([`effort`]) | documents |
//! | [`portcullis_document`], `src/document` | values of a configuration document with their places, and all [`config::Problems`] at once | what a document may say |
//! | [`schema`], `src/schema` | JSON values judged by JSON Schema | requests |
//! | [`formats`], `src/formats` | XML and GraphQL read within limits, and text that says too much | requests |
//! | [`detect`], `src/detect` | texts judged by what they could do where they are run | requests |
//! | [`portcullis_exchange`], `src/exchange` | a request and its response as policies see them: [`exchange`], [`target`], [`route`], [`body`], [`refusal`], [`condition`], [`wait`], [`plan`]; and what a [`policy::Policy`], a [`section`], a [`call`] and a [`host`] are | any policy |
//! | [`portcullis_policies`], `src/policies` | a file or folder for each policy, and their list | streams, records |
//! | [`portcullis_engine`], `src/engine` | a document compiled ([`config`], [`engine`]), an exchange on its way ([`stream`]), the [`worker`], the [`access_log`], [`metrics`] | the proxy |
//! | `src/hosts/proxy-wasm` | the module that a proxy loads; the one crate that names the proxy's ABI | other hosts |
//! | `src/cases` | case files: read, and judged on the memory host | the module |
//! | `src/cli` | the command `portcullis`: documents and requests without a proxy | the module |
//! | `src/hosts/browser` | no crate: a host in JavaScript for the built module, in browsers and Node.js | the engine |
//! | [`memory_host`], `src/hosts/memory` | a host without a proxy, for tests and tools | the engine |
//!
//! # From a document to an engine
//!
//! [`json`] parses the document strictly. [`config::Node`] is a value with its place, and every
//! reader notes what is wrong with its own part in [`config::Problems`] and goes on. Blocks at the
//! top of the document are [`section`]s in one list; blocks of routes are policies in another. The
//! result is an [`engine::Engine`]: routes, each with its chain of policies, everything parsed. It is
//! immutable. Compiling depends on nothing but the document's bytes.
//!
//! # From a request to a verdict
//!
//! [`stream::Stream`] is one exchange. It takes the request's [`headers::Headers`] once, as bytes;
//! brings host and path to one spelling ([`target`]); finds the route ([`route`]), for a preflight
//! the routes that it is about ([`preflight`]); and runs the chain. A policy sees an
//! [`exchange::Exchange`], leaves edits there, and answers with a [`policy::Verdict`]. Judging a head
//! gives a value, the judgement; one place settles it: counts, records, replies. A policy that must
//! see the [`body`] says so, and is asked again when more of it has come; one that must [`wait`] for
//! a response or a time stops the chain until then. What is tried beside a block in force is asked
//! apart, and nothing comes of it but a record. That is judging by asking. Most requests come to the
//! same by the [`plan`] of their route: its policies' work as a list of steps, made with the document,
//! which one function goes through (`src/engine/stream/planned_head.rs`). [`refusal`] alone knows what a client
//! is told;
//! [`access_log`] writes records and security events, and [`explain`] tells who may ask what was
//! made of a request.
//!
//! # Besides requests
//!
//! A [`worker::Worker`] does by one document what is no request: it fetches what is
//! [`fetched`] on a schedule, exports and writes records, reports counters and gauges. Its
//! [`call`]s have one table: a response goes to the owner of its token.
//!
//! # Words of our own
//!
//! | word | meaning |
//! | --- | --- |
//! | document | the configuration, JSON |
//! | section | a block at the top of the document |
//! | block | what a route or `defaults` says of one policy |
//! | policy | what judges by a block; a *part* is what it does at one stage |
//! | chain | the parts of a route, in order of their stages |
//! | stage | when in a chain a part is asked |
//! | plan | a chain's work on usual requests as data; what is not usual *leaves* it, before anything is changed or counted, and is judged *by asking* the parts |
//! | stream | one exchange on its way |
//! | facts | what policies have found out of a request, for others |
//! | principal | who calls, whatever proves it |
//! | verdict | what a policy says of a request |
//! | judgement | what the whole chain comes to |
//! | settle | to count, record and carry out a judgement |
//! | decision | what became of an exchange: what its record is written from |
//! | response | the upstream's, or that of a service that is called; a *reply* is the filter's own |
//! | refusal | a verdict that ends the request; it has a *code* for the client and a *reason* for the log |
//! | blame | what a refusal is down to: the request, a credential, the caller, a limit, a dependency |
//! | edit | one change of a message's head |
//! | shadow | judged and recorded, not carried out; *beside*: tried next to a block in force |
//! | record | the line of the access log |
//! | tier | a limit's numbers for some callers |
//! | cell | a value of the proxy's shared data |
//! | lineage | the beginning of the keys of all cells of one plugin |
//! | lease | a cell with a time until which one worker may fetch |
//! | effort | what a piece of work may still cost, in steps |
//! | budget | how much memory may be taken, by shares |
//! | host | what the engine asks of the proxy |
//! | worker | one VM: a thread of the proxy |
//!
//! # What holds
//!
//! INVARIANT, each of these:
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
//!   before it is done. Where either is denied, the request is refused.
//! - A trap can only refuse. In a VM that was used before, configuring allocates by nothing that can
//!   trap; documents are compiled at the first tick or request, where a trap is a 503. [`proof`] has
//!   fresh VMs do the same.
//!
//! # What workers share
//!
//! The proxy keeps cells for all VMs with one `vm_id`, of which none is ever removed. A cell is read
//! and written only by documents that give it the same meaning, so that none spoils another's: its key
//! begins with the *lineage* (`src/hosts/proxy-wasm/host.rs`), the plugin's name and root id, and then says the rest.
//!
//! | key after the lineage | holds | apart for |
//! | --- | --- | --- |
//! | `limits/<hash>/<n>` | the states of some callers ([`policy::rate_limits`]) | place and name of the limit, its key as written, what is charged, algorithm and numbers, `max_entries`, the tier's condition; where tokens decide, the issuers |
//! | `limits/seed` | what callers and sources are hashed with | nothing: it means nothing by itself |
//! | `events/sources/<window>/<threshold>/<n>` | failures by source ([`access_log::security`]) | window and threshold |
//! | `configuration` | the documents that have been told to be in force, each by its hash | |
//! | `jwks/keys/<hash>` | a response with keys | cluster, address or issuer, and the credentials that it was asked with |
//! | `jwks/lease/<hash>` | until when one worker alone may ask | the same, and how often the document asks |
//! | `api_keys/keys/<hash>`, `api_keys/data/<hash>` | which response with API keys is in force, and the response | as of `jwks/keys` |
//! | `api_keys/lease/<hash>` | as `jwks/lease` | as of `jwks/lease` |
//! | `revocations/keys/<hash>`, `revocations/data/<hash>`, `revocations/lease/<hash>` | the same of a list of what is revoked | as of `api_keys` |
//!
//! Besides there is [`proof::CELL`], of no lineage: what a build makes of a document depends on
//! nothing else. A worker that has written a limit's cell need not read it before it writes again
//! ([`cell_memory`]). Times in cells are those of [`host::Clock::monotonic`]. What is no such cell, or of
//! another format, counts as none.
//!
//! # What is deliberately absent
//!
//! - Global state, but for what a VM has once: its memory ([`budget`]), its compiled patterns
//!   ([`regex`]), the keys that were fetched, and what `src/hosts/proxy-wasm/vm.rs` keeps. A VM holds several plugins and
//!   generations of one; each has its own root.
//! - A way to pass without a route. A request that no route matches is refused.
//! - Serde's derived readers for the document. They stop at the first error.
//!
//! # A new section
//!
//! One file with a type that implements [`section::Section`], one line in the list in
//! `src/engine/config/sections.rs`, one case file. Policies read it with [`section::Sections::get`].
//!
//! # A new policy
//!
//! One file under `src/policies/` with a `KIND`, two lines in its `lib.rs`, one case file
//! under `tests/cases/`. `docs/new-policy.md` walks through it.

pub use portcullis_detect as detect;
#[cfg(feature = "record")]
pub use portcullis_document::record as questions;
pub use portcullis_engine::{
    access_log, config, engine, explain, metrics, proof, record, stream, worker,
};
pub use portcullis_exchange::{
    asked, body, call, cell_memory, condition, connection, credentials, edit, enforcement,
    exchange, fetched, gauges, host, http_uri, limits, media_type, meter, origin, plan, principal,
    refusal, route, section, seed, target, wait,
};
pub use portcullis_formats as formats;
pub use portcullis_memory_host as memory_host;
pub use portcullis_schema as schema;
pub use portcullis_wire::{
    address, budget, effort, headers, json, json_gate, pairs, preflight, regex, structured, xfcc,
};

/// What a policy is, and the policies.
pub mod policy {
    pub use portcullis_exchange::policy::*;
    pub use portcullis_policies::*;
}
