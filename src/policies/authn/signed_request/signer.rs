//! A signer: who signs requests, how, and how long a signature is good.

use std::fmt;
use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::section::{Reading, Variable};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::{HeaderName, Headers};
use portcullis_wire::json::Json;

use super::client::SigningClient;
use super::period::{USUAL_TOLERANCE, read_tolerance};
use super::replay::{MOST_ENTRIES, ReplayFilter, USUAL_ENTRIES};
use super::shared_secret::{SecretEncoding, SharedSecret};
use super::webhook::{Webhook, WebhookForm};
use crate::authn::forwarding::Forwarding;
use crate::authn::revocation::{RevocationLists, UsedLists};

/// Who signs requests, and how.
pub(super) struct Signer {
    pub(super) name: Rc<str>,
    /// Where its block stands.
    pub(super) place: BlockPlace,
    pub(super) scheme: SignatureScheme,
    /// Seconds.
    pub(super) tolerance: u64,
    pub(super) replays: Replays,
    /// The largest body.
    pub(super) max_bytes: u64,
    pub(super) forwarding: Forwarding,
    /// What is revoked whatever is signed.
    pub(super) lists: UsedLists,
}

/// How requests are signed.
pub(super) enum SignatureScheme {
    /// An HMAC over the body, of one client.
    Webhook(Webhook, SigningClient),
}

/// What becomes of a message that comes twice.
pub(super) enum Replays {
    Allowed,
    /// It is refused for as long as its own time lets it be good.
    Refused(ReplayFilter),
    /// It has no time, and is refused for so many seconds.
    RefusedFor(ReplayFilter, u64),
}

/// Usually as much as proxies hold of a body.
const USUAL_BYTES: u64 = 1 << 20;
/// The most secrets of a signer: each has the whole body computed.
const MOST_SECRETS: usize = 4;
/// The longest time for which messages without one are known.
const MOST_SECONDS: u64 = 24 * 3600;

impl Signer {
    pub(super) fn read(name: &Rc<str>, node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let lists = reading.known.get::<RevocationLists>();
        let problems = &mut *reading.problems;
        let mut fields = node.object(
            problems,
            "{\"preset\": \"github\", \"secrets\": [{\"env\": \"…\"}]}",
        )?;
        let scheme = SignatureScheme::read(name, &mut fields, problems);
        let tolerance = fields.or_default("tolerance", USUAL_TOLERANCE, problems, read_tolerance);
        let says_tolerance = fields.optional("tolerance");
        let replay = fields.optional("replay");
        let max_bytes = fields.or_default("max_bytes", USUAL_BYTES, problems, |node, problems| {
            node.bytes_read(problems)
        });
        let forwarding = Forwarding::read_without_payload(&mut fields, problems);
        let lists = UsedLists::read(&mut fields, &lists, problems);
        fields.deny_unknown(problems);
        let (scheme, forwarding) = (scheme?, forwarding?);
        let scheme = scheme.told(&forwarding, node, problems)?;
        if let (Some(node), false) = (says_tolerance, scheme.has_time()) {
            node.report(
                problems,
                "says nothing here: such a message does not say when it was signed",
            );
            return None;
        }
        let replays = Replays::read(name, replay.as_ref(), scheme.has_time(), problems)?;
        let place = BlockPlace::of(node);
        let memory = size_of::<Self>()
            .saturating_add(scheme.memory())
            .saturating_add(place.memory());
        problems.account(node.pointer(), Share::Documents, memory);
        Some(Self {
            name: Rc::clone(name),
            place,
            scheme,
            tolerance: tolerance?,
            replays,
            max_bytes: max_bytes?,
            forwarding,
            lists: lists?,
        })
    }

    /// The variables of the environment that it needs.
    pub(super) fn variables(&self) -> Vec<Variable> {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => {
                let secrets = webhook.secrets.iter();
                secrets.map(|secret| secret.variable(&self.name)).collect()
            }
        }
    }

    /// The fields that it judges.
    pub(super) fn judged_headers(&self) -> Vec<HeaderName> {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => webhook.form.header_names(),
        }
    }

    /// The fields with the signature itself.
    pub(super) fn signature_headers(&self) -> Vec<HeaderName> {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => vec![webhook.form.tag_header().clone()],
        }
    }

    /// Whether a request has a signature, or something in its place.
    pub(super) fn is_presented(&self, headers: &Headers) -> bool {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => webhook.is_presented(headers),
        }
    }

    /// Whether nothing is known of who sent a request before its body has been judged.
    pub(super) fn needs_body(&self) -> bool {
        match &self.scheme {
            SignatureScheme::Webhook(..) => true,
        }
    }

    /// What it takes up in the proxy, if anything.
    pub(super) fn footprint(&self) -> Option<String> {
        let (Replays::Refused(filter) | Replays::RefusedFor(filter, _)) = &self.replays else {
            return None;
        };
        let kib = filter.footprint().div_ceil(1024);
        Some(format!(
            "signer {}: at most {kib} KiB for the messages that have been accepted",
            self.name
        ))
    }
}

impl SignatureScheme {
    /// Reads `preset` or `hmac`, and what belongs to it.
    fn read(name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let (preset, hmac) = (fields.optional("preset"), fields.optional("hmac"));
        let form = match (preset, hmac) {
            (Some(node), None) => WebhookForm::read_preset(&node, problems),
            (None, Some(node)) => WebhookForm::read(&node, problems),
            (Some(_), Some(node)) => {
                node.report(
                    problems,
                    "cannot stand beside `preset`; take one of them out",
                );
                None
            }
            (None, None) => {
                fields.lacks(
                    &["preset", "hmac"],
                    problems,
                    "needs `preset`, or `hmac` for a form of its own",
                );
                None
            }
        };
        // What stands beside a form that is wrong is read all the same.
        let encoding = form
            .as_ref()
            .map_or(SecretEncoding::Text, WebhookForm::secrets);
        let secrets = fields
            .required("secrets", problems)
            .and_then(|node| read_secrets(&node, encoding, problems));
        let client = SigningClient::read(name, fields, problems);
        let (form, secrets) = (form?, secrets?);
        Some(Self::Webhook(Webhook { form, secrets }, client?))
    }

    fn told(
        self,
        forwarding: &Forwarding,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match self {
            Self::Webhook(webhook, client) => {
                let client = client.told(forwarding, node, problems)?;
                Some(Self::Webhook(webhook, client))
            }
        }
    }

    /// Whether a message says when it was signed.
    fn has_time(&self) -> bool {
        match self {
            Self::Webhook(webhook, _) => webhook.form.has_timestamp(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Webhook(webhook, client) => {
                let secrets = webhook.secrets.len().saturating_mul(256);
                client.memory().saturating_add(secrets)
            }
        }
    }
}

impl Replays {
    fn read(
        signer: &str,
        node: Option<&Node<'_>>,
        has_time: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(node) = node else {
            return Some(match has_time {
                true => Self::Refused(ReplayFilter::new(signer, USUAL_ENTRIES)),
                false => Self::Allowed,
            });
        };
        if let Json::String(_) = node.json() {
            let is_refused = node.choice(problems, &[("refuse", true), ("allow", false)])?;
            return match (is_refused, has_time) {
                (false, _) => Some(Self::Allowed),
                (true, true) => Some(Self::Refused(ReplayFilter::new(signer, USUAL_ENTRIES))),
                (true, false) => {
                    node.report(
                        problems,
                        "needs to know for how long, since such a message does not say when it was signed: write {\"for\": \"1h\"}",
                    );
                    None
                }
            };
        }
        let mut fields = node.object(problems, "\"refuse\"")?;
        let entries =
            fields.or_default("max_entries", USUAL_ENTRIES, problems, |node, problems| {
                node.integer(problems, 1..=MOST_ENTRIES)
            });
        let lasts = match (fields.optional("for"), has_time) {
            (None, true) => Some(None),
            (Some(node), false) => read_for(&node, problems).map(Some),
            (Some(node), true) => {
                node.report(
                    problems,
                    "says nothing here: a message is known for as long as its time lets it be good; see `tolerance`",
                );
                None
            }
            (None, false) => {
                fields.required("for", problems);
                None
            }
        };
        fields.deny_unknown(problems);
        let filter = ReplayFilter::new(signer, entries?);
        Some(match lasts? {
            None => Self::Refused(filter),
            Some(seconds) => Self::RefusedFor(filter, seconds),
        })
    }
}

fn read_for(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    let seconds = node.duration(problems)?.as_secs();
    if !(1..=MOST_SECONDS).contains(&seconds) {
        node.report(problems, "must be from 1s to 24h");
        return None;
    }
    Some(seconds)
}

fn read_secrets(
    node: &Node<'_>,
    encoding: SecretEncoding,
    problems: &mut Problems,
) -> Option<Vec<SharedSecret>> {
    let secrets = node.list(problems, |node, problems| {
        SharedSecret::read(node, encoding, problems)
    })?;
    if secrets.is_empty() || secrets.len() > MOST_SECRETS {
        node.report(
            problems,
            format_args!("must have 1 to {MOST_SECRETS} items: the secret in use, and those that it replaces or that replace it"),
        );
        return None;
    }
    Some(secrets)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}
