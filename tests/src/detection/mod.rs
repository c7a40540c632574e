//! What `deny_patterns` finds of what others call attacks, and of what nobody does: the tables of its page,
//! written by `make detection` and computed again by the test `deny_patterns`.

mod requests;
mod tables;

pub use self::tables::{TABLES_BEGIN, TABLES_END, page, tables};
