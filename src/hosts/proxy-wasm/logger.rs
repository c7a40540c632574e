//! The `log` facade, written to the proxy's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::abi::{self, LogLevel};

/// Every message goes to the proxy, which has a level of its own.
struct ProxyLog;

/// Makes the facade write to the proxy.
pub(super) fn install() {
    // The second of two installations in one VM changes nothing.
    if log::set_logger(&ProxyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for ProxyLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        // There is nowhere to say that the log cannot be written.
        let _ = abi::log(level, record.args().to_string().as_bytes());
    }

    fn flush(&self) {}
}
