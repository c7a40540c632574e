//! What a key is made of, for those who look at how it is used.

use super::{Key, KeyPart};
use crate::rate_limits::limit::Missing;
use portcullis_document::{Pointer, Quoted};
use portcullis_exchange::policy::{EvadableLimit, Stage};
use portcullis_wire::headers::HeaderName;

impl Key {
    /// When all parts can be known.
    pub fn stage(&self) -> Stage {
        let proven = |part: &KeyPart| matches!(part, KeyPart::Subject | KeyPart::Claim(..));
        if self.parts.iter().any(proven) {
            Stage::Identity
        } else {
            Stage::Arrival
        }
    }

    /// Whether it says who asks before that is known.
    pub fn has_claimed_subject(&self) -> bool {
        let claimed = |part: &KeyPart| matches!(part, KeyPart::ClaimedSubject);
        self.parts.iter().any(claimed)
    }

    /// The header fields that are a part of it.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.parts.iter().filter_map(|part| match part {
            KeyPart::Header(name) => Some(name),
            _ => None,
        })
    }

    /// Whether a part of it comes from a token: what that means depends on who issued it.
    pub fn is_of_tokens(&self) -> bool {
        let of_token = |part: &KeyPart| {
            matches!(
                part,
                KeyPart::Subject | KeyPart::ClaimedSubject | KeyPart::Claim(..)
            )
        };
        self.parts.iter().any(of_token)
    }

    /// Where its part stands that is the version of the request, if it has one; `key` is where it stands itself.
    pub fn place_of_version(&self, key: &Pointer) -> Option<Pointer> {
        let is_version = |part: &KeyPart| matches!(part, KeyPart::Version);
        self.parts
            .iter()
            .position(is_version)
            .map(|at| key.item(at))
    }

    /// What its parts are, as the document names them.
    pub fn kinds(&self) -> Vec<&'static str> {
        let kind = |part: &KeyPart| match part {
            KeyPart::ClientAddress { .. } => "client_address",
            KeyPart::Subject => "subject",
            KeyPart::ClaimedSubject => "claimed_subject",
            KeyPart::Claim(..) => "claim",
            KeyPart::Header(_) => "header",
            KeyPart::QueryParameter(_) => "query_parameter",
            KeyPart::Network(_) => "network",
            KeyPart::Country(_) => "country",
            KeyPart::Asn(_) => "asn",
            KeyPart::PathTemplate(_) => "path_template",
            KeyPart::Method => "method",
            KeyPart::Route => "route",
            KeyPart::Version => "version",
            KeyPart::Constant(_) => "constant",
        };
        self.parts.iter().map(kind).collect()
    }

    /// Whether it has no parts.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// For how many values there should be room, unless the document says so.
    pub fn usual_entries(&self) -> u64 {
        let constant = |part: &KeyPart| matches!(part, KeyPart::Constant(_));
        // The document has a number of these that clients cannot raise.
        let listed = |part: &KeyPart| {
            constant(part)
                || matches!(
                    part,
                    KeyPart::Route | KeyPart::Version | KeyPart::PathTemplate(_)
                )
        };
        if self.parts.iter().all(constant) {
            1
        } else if self.parts.iter().all(listed) {
            1 << 10
        } else {
            1 << 16
        }
    }

    /// How clients can evade what counts by it; none if they cannot. `key` is where it stands.
    pub fn evasion(&self, missing: Missing, key: &str) -> Option<EvadableLimit> {
        let chosen = self.parts.iter().find_map(KeyPart::chosen)?;
        let without = match missing {
            Missing::Skip => ", and without it nothing is counted",
            Missing::Anonymous | Missing::Refuse => "",
        };
        Some(EvadableLimit {
            place: key.into(),
            how: format!(
                "clients choose {chosen}, and each value that they make up is counted from nothing{without}"
            )
            .into(),
        })
    }
}

impl KeyPart {
    /// What of the request it is that clients send as they like, and that nobody has checked.
    fn chosen(&self) -> Option<String> {
        match self {
            KeyPart::Header(name) => Some(format!("the header field {}", Quoted(name.as_str()))),
            KeyPart::QueryParameter(name) => {
                Some(format!("the parameter {} of the query", Quoted(name)))
            }
            KeyPart::ClaimedSubject => {
                Some("the subject of a token that has not been checked".to_owned())
            }
            // A version is one of those that there are.
            KeyPart::Version
            | KeyPart::ClientAddress { .. }
            | KeyPart::Subject
            | KeyPart::Claim(..)
            | KeyPart::Network(_)
            | KeyPart::Country(_)
            | KeyPart::Asn(_)
            | KeyPart::PathTemplate(_)
            | KeyPart::Method
            | KeyPart::Route
            | KeyPart::Constant(_) => None,
        }
    }
}
