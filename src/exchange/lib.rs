//! A request and its response as policies see them, and what a policy, a host, a section of the
//! document and a call are. Nothing here knows a policy.

pub mod asked;
pub mod body;
pub mod body_members;
pub mod call;
pub mod cell_memory;
pub mod claim_path;
pub mod client_address;
pub mod condition;
pub mod connection;
pub mod credentials;
pub mod edit;
pub mod enforcement;
pub mod exchange;
pub mod fetched;
pub mod gauges;
pub mod geo;
pub mod host;
pub mod http_uri;
pub mod limits;
pub mod media_type;
pub mod meter;
pub mod origin;
pub mod plan;
pub mod policy;
pub mod principal;
pub mod proof;
pub mod refusal;
pub mod rollout;
pub mod route;
pub mod section;
pub mod seed;
pub mod target;
pub mod wait;
pub mod whole_response;
