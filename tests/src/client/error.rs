//! Why an exchange failed.

use std::{fmt, io};

use super::message::ReadError;
use crate::wire::Response;

/// Why [`send`](super::send) has no whole answer.
///
/// Where an answer had begun, `partial` holds what arrived of it: what a
/// client has seen matters when something was meant to be withheld.
#[derive(Debug)]
pub enum ClientError {
    /// No connection.
    Connect(io::Error),
    /// The connection broke.
    Io {
        /// What the socket said.
        source: io::Error,
        /// The answer so far.
        partial: Option<Box<Response>>,
    },
    /// The deadline passed.
    TimedOut {
        /// The answer so far.
        partial: Option<Box<Response>>,
    },
    /// The peer closed the connection before the answer was complete.
    Closed {
        /// The answer so far.
        partial: Option<Box<Response>>,
    },
    /// HTTP/2: the peer reset the stream.
    Reset {
        /// The error code of the RST_STREAM frame.
        code: u32,
        /// The answer so far.
        partial: Option<Box<Response>>,
    },
    /// HTTP/2: the peer ended the connection and will not answer this stream.
    ///
    /// A GOAWAY without error that still covers the stream is not reported:
    /// Envoy sends one when it drains, and then answers.
    GoAway {
        /// The error code of the GOAWAY frame.
        code: u32,
        /// The frame's debug data.
        debug: Vec<u8>,
    },
    /// The answer is not HTTP.
    Malformed {
        /// What is wrong with it.
        what: &'static str,
        /// The bytes in question.
        bytes: Vec<u8>,
    },
}

impl ClientError {
    /// The answer so far, if one had begun.
    pub fn partial(&self) -> Option<&Response> {
        match self {
            Self::Io { partial, .. }
            | Self::TimedOut { partial }
            | Self::Closed { partial }
            | Self::Reset { partial, .. } => partial.as_deref(),
            Self::Connect(_) | Self::GoAway { .. } | Self::Malformed { .. } => None,
        }
    }

    pub(super) fn read(error: ReadError, partial: Option<Response>) -> Self {
        let partial = partial.map(Box::new);
        match error {
            ReadError::Closed => Self::Closed { partial },
            ReadError::TimedOut => Self::TimedOut { partial },
            ReadError::Io(source) => Self::Io { source, partial },
            ReadError::Malformed { what, bytes } => Self::Malformed { what, bytes },
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(source) => write!(f, "cannot connect: {source}")?,
            Self::Io { source, .. } => write!(f, "the connection broke: {source}")?,
            Self::TimedOut { .. } => write!(f, "no whole answer before the deadline")?,
            Self::Closed { .. } => write!(f, "closed before the answer was complete")?,
            Self::Reset { code, .. } => write!(f, "the stream was reset with code {code}")?,
            Self::GoAway { code, debug } => {
                let debug = debug.escape_ascii();
                write!(f, "GOAWAY with code {code} and debug data `{debug}`")?;
            }
            Self::Malformed { what, bytes } => {
                write!(f, "{what}: `{}`", bytes.escape_ascii())?;
            }
        }
        match self.partial() {
            Some(partial) => write!(
                f,
                ", after status {} and {} bytes of body",
                partial.status,
                partial.body.len()
            ),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(source) | Self::Io { source, .. } => Some(source),
            Self::TimedOut { .. }
            | Self::Closed { .. }
            | Self::Reset { .. }
            | Self::GoAway { .. }
            | Self::Malformed { .. } => None,
        }
    }
}
