//! What is said of documents for the sake of single policies: it takes a whole document to see it.

mod claimed_subject;
mod cors;
mod key_sets;
mod limits;
mod order;
mod shares;
mod signature_checks;
mod signers;
mod traffic;
mod versions;
