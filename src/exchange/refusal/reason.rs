//! Codes, reasons, and who a refusal is down to.
//!
//! Both are statics beside the policy that refuses: a reason names its code, and a code lists its
//! reasons. They are compared by what they are, never by their text.

use std::fmt;
use std::ptr;

/// A class of refusal: what the client may know. Each policy owns its codes.
pub struct Code {
    /// The stable name: `jwt_expired`.
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, for gRPC requests (`google.rpc.Code`).
    pub grpc_status: u32,
    /// One sentence for people.
    pub title: &'static str,
    /// Every finer reason that the log may give under this code.
    pub reasons: &'static [&'static Reason],
}

/// Why a request is refused: what the log says, and what others in the filter go by.
pub struct Reason {
    /// The word in the log. It is unique under its code, not beyond.
    pub name: &'static str,
    /// What the client is told.
    pub code: &'static Code,
    /// Who it is down to.
    pub blame: Blame,
}

/// Who a refusal is down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request: it is malformed, too large, or not as the document wants it.
    Request,
    /// No credential was presented where one is needed. Nothing has been tried.
    NoCredential,
    /// A credential whose time is over. It was good once, so it is no sign of an attack.
    ExpiredCredential,
    /// A credential that was good, and has been used. Who sends it again may do so in good faith, so no log-in
    /// has failed.
    UsedCredential,
    /// A credential that is not accepted: malformed, forged, revoked, of another issuer, or ambiguous.
    Credential,
    /// The caller: the credential is accepted and does not grant what is asked.
    Caller,
    /// A limit that is used up.
    Limit,
    /// The upstream: its response is not as the document wants it.
    Upstream,
    /// Something that the filter asks: keys that cannot be fetched.
    Dependency,
    /// The filter itself: memory, configuration, the proxy's calls.
    Ourselves,
}

/// Selects refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All with this code.
    Code(&'static Code),
    /// Those for this reason.
    Reason(&'static Reason),
}

impl Reason {
    /// A reason under that code, which has to list it.
    pub const fn new(name: &'static str, code: &'static Code, blame: Blame) -> Self {
        Self { name, code, blame }
    }
}

impl Blame {
    /// Whether a log-in was tried and failed. Without a credential none was tried.
    pub fn is_failed_login(self) -> bool {
        matches!(self, Blame::Credential | Blame::ExpiredCredential)
    }
}

impl Selector {
    /// Whether a refusal for that reason is one of them.
    pub fn has(self, reason: &'static Reason) -> bool {
        match self {
            Selector::Code(code) => code == reason.code,
            Selector::Reason(one) => one == reason,
        }
    }
}

// Each is a static, and is itself alone.
impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Code {}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Reason {}

// They refer to each other.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.code.name, self.name)
    }
}
