//! Why Envoy did not do as told.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::{fmt, io};

use crate::client::ClientError;

/// Why Envoy did not start, or did not answer. `log` is the end of its log.
#[derive(Debug)]
pub enum EnvoyError {
    /// There is no Envoy here.
    NotFound {
        /// The file that `ENVOY` names, if it names one.
        named: Option<PathBuf>,
    },
    /// A file or the process could not be handled.
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended.
    Exited {
        /// How, as far as it is known.
        status: Option<ExitStatus>,
        /// The end of the log.
        log: String,
    },
    /// It did not happen in time.
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// The end of the log.
        log: String,
    },
    /// The first listeners were rejected.
    Rejected {
        /// Envoy's reason.
        reason: String,
    },
    /// The admin interface did not answer.
    Admin {
        /// What was asked.
        path: String,
        /// Why there is no answer.
        source: ClientError,
    },
    /// The admin interface answered with something else than 200.
    Refused {
        /// What was asked.
        path: String,
        /// The status.
        status: u16,
        /// The answer.
        body: String,
    },
    /// An answer of the admin interface does not contain what it should.
    Unexpected {
        /// What was looked for.
        what: &'static str,
        /// The answer.
        body: String,
    },
}

impl fmt::Display for EnvoyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { named: Some(path) } => {
                write!(f, "`ENVOY` names `{}`, no executable file", path.display())
            }
            Self::NotFound { named: None } => write!(
                f,
                "no Envoy: set `ENVOY` to a binary, or put `envoy` on `PATH` or below `.cache/envoy/<version>/`"
            ),
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::Exited {
                status: Some(status),
                log,
            } => write!(f, "Envoy ended with {status}; its log ends:\n{log}"),
            Self::Exited { status: None, log } => write!(f, "Envoy ended; its log ends:\n{log}"),
            Self::TimedOut { what, log } => {
                write!(f, "waited too long for {what}; the log ends:\n{log}")
            }
            Self::Rejected { reason } => write!(f, "the first listeners were rejected: {reason}"),
            Self::Admin { path, source } => write!(f, "admin `{path}`: {source}"),
            Self::Refused { path, status, body } => {
                write!(f, "admin `{path}` answered {status}: {body}")
            }
            Self::Unexpected { what, body } => write!(f, "no {what} in the answer:\n{body}"),
        }
    }
}

impl std::error::Error for EnvoyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Admin { source, .. } => Some(source),
            _ => None,
        }
    }
}
