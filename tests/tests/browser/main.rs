//! What a real browser makes of the filter's answers.
//!
//! Chromium shows pages of several sites, whose scripts and forms ask the service behind Envoy. Where
//! there is no Chromium, `CHROMEDRIVER` is empty, and each test says that it has been skipped.

mod cookies;
mod cors;
mod csrf;
mod errors;
mod headers;
mod https;
mod network;
mod stage;
