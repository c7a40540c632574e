//! What comes over the wire, as bytes: header fields, JSON texts, addresses, patterns, and what
//! reading them may cost.
//!
//! Nothing here knows of a document, a route or a policy.
//!
//! - [`budget`]: who may take how much of a worker's memory. [`effort`]: what a piece of work may cost.
//! - [`headers`]: the fields of a message; [`pairs`]: as proxies hand them over. [`preflight`]: the question that a browser asks before a
//!   request. [`address`]: IP addresses as proxies write them; [`networks`]: many of their networks. [`digits`]: numbers as fields have them.
//! - [`json`]: strict reading of whole documents, and values kept small. [`json_gate`]: the shape of
//!   a body, judged without taking it up.
//! - [`regex`]: patterns that take bounded time and memory.
//! - [`mod@sort`]: sorting with little code.
//! - [`structured`]: fields that have a structure, RFC 9651.
//! - [`upgrade`]: connections that leave HTTP. [`urlencoded`]: names and values of queries and forms.
//! - [`xfcc`]: what proxies in front say of client certificates.

pub mod address;
pub mod append;
pub mod budget;
pub mod digits;
pub mod effort;
pub mod headers;
pub mod json;
pub mod json_gate;
pub mod networks;
pub mod pairs;
pub mod preflight;
pub mod regex;
pub mod sort;
pub mod structured;
pub mod upgrade;
pub mod urlencoded;
pub mod xfcc;
