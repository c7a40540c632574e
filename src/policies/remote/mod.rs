//! What is fetched of services on a schedule: which service, how often it is asked, what its answers
//! are, and which of several documents asks. Published keys of tokens are such, and lists
//! ([`crate::fetched_list`]).

mod answer;
mod fetcher;
mod schedule;
mod service;

pub use self::answer::NoAnswer;
pub(crate) use self::answer::read_answer;
pub(crate) use self::fetcher::Fetcher;
pub(crate) use self::schedule::Schedule;
pub(crate) use self::service::{CellNames, Service};
