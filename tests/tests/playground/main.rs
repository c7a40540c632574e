//! The host for browsers, and the page that is made with it.

mod cases;
mod page;
mod scripts;
