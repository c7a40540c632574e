//! A signer: who signs requests, how, and how long a signature is good.

use std::fmt;
use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::section::{Reading, Variable};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::{HeaderName, Headers};

use super::client::SigningClient;
use super::message::{DIGEST_FIELD, DigestCheck, MessageSignatures, SIGNATURE_FIELDS};
use super::period::{USUAL_TOLERANCE, read_tolerance};
use super::replays::Replays;
use super::shared_secret::{SecretEncoding, SharedSecret};
use super::unsettled::UnsettledSignature;
use super::webhook::{Webhook, WebhookForm};
use crate::authn::forwarding::Forwarding;
use crate::authn::revocation::{RevocationLists, UsedLists};
use crate::authn::roles::RoleRules;

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
    pub(super) roles: RoleRules,
    /// What is revoked whatever is signed.
    pub(super) lists: UsedLists,
    /// The fields that it judges. What some gateways take for one of them is refused.
    pub(super) judged: Vec<HeaderName>,
}

/// How requests are signed.
pub(super) enum SignatureScheme {
    /// An HMAC over the body, of one client.
    Webhook(Webhook, SigningClient),
    /// Signatures over parts of the head.
    Message(MessageSignatures),
}

/// Usually as much as proxies hold of a body.
const USUAL_BYTES: u64 = 1 << 20;
/// The most secrets of a signer: each has the whole body computed.
const MOST_SECRETS: usize = 4;

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
        let exports = fields.optional("claim_to_filter_state");
        let forwarding = Forwarding::read_without_payload(&mut fields, problems);
        let roles = RoleRules::read(&mut fields, problems);
        let lists = UsedLists::read(&mut fields, &lists, problems);
        fields.deny_unknown(problems);
        let (scheme, forwarding, roles) = (scheme?, forwarding?, roles?);
        let scheme = scheme.told((&forwarding, &roles), node, problems)?;
        if let (Some(node), SignatureScheme::Webhook(..)) = (exports, &scheme)
            && !forwarding.exports().is_empty()
        {
            node.report(
                problems,
                "would name the client of a webhook before its body has borne it out, also of one that is refused then: take it out, and let services go by `claim_to_headers`",
            );
            return None;
        }
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
            judged: scheme.judged_headers(),
            place,
            scheme,
            tolerance: tolerance?,
            replays,
            max_bytes: max_bytes?,
            forwarding,
            roles,
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
            SignatureScheme::Message(message) => message.variables(&self.name),
        }
    }

    /// The variables in which its secrets stand.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => {
                let secrets = webhook.secrets.iter();
                secrets.map(SharedSecret::name).collect()
            }
            SignatureScheme::Message(message) => message.secrets(),
        }
    }

    /// The fields with the signature itself.
    pub(super) fn signature_headers(&self) -> Vec<HeaderName> {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => vec![webhook.form.tag_header().clone()],
            SignatureScheme::Message(_) => {
                let names = SIGNATURE_FIELDS.into_iter();
                names
                    .filter_map(|name| HeaderName::parse(name).ok())
                    .collect()
            }
        }
    }

    /// Whether a request has a signature, or something in its place.
    pub(super) fn is_presented(&self, headers: &Headers) -> bool {
        match &self.scheme {
            SignatureScheme::Webhook(webhook, _) => webhook.is_presented(headers),
            SignatureScheme::Message(_) => MessageSignatures::is_presented(headers),
        }
    }

    /// Whether nothing is known of who sent a request before its body has been judged.
    pub(super) fn needs_body(&self) -> bool {
        match &self.scheme {
            SignatureScheme::Webhook(..) => true,
            SignatureScheme::Message(_) => false,
        }
    }

    /// How many bytes of memory what is kept of a message takes until its body has come.
    pub(super) fn memory_of_check(&self) -> usize {
        let own = match &self.scheme {
            SignatureScheme::Webhook(webhook, client) => {
                let client = client.memory().saturating_add(512);
                webhook.memory_of_check().saturating_add(client)
            }
            SignatureScheme::Message(_) => DigestCheck::memory(),
        };
        own.saturating_add(size_of::<UnsettledSignature>())
    }

    /// What it takes up in the proxy, if anything.
    pub(super) fn footprint(&self) -> Option<String> {
        let kib = self.replays.footprint()?.div_ceil(1024);
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
        let message = fields.optional("message_signatures");
        let form = match (preset, hmac, message) {
            (None, None, Some(node)) => {
                return MessageSignatures::read(&node, problems).map(Self::Message);
            }
            (Some(node), None, None) => WebhookForm::read_preset(&node, problems),
            (None, Some(node), None) => WebhookForm::read(&node, problems),
            (_, Some(node), None) | (_, _, Some(node)) => {
                node.report(
                    problems,
                    "there is to be one of `preset`, `hmac` and `message_signatures`; take the others out",
                );
                // What else it needs depends on which of them stays.
                for name in ["secrets", "client", "scopes", "attributes"] {
                    fields.optional(name);
                }
                return None;
            }
            (None, None, None) => {
                fields.lacks(
                    &["preset", "hmac", "message_signatures"],
                    problems,
                    "needs `preset`, or `hmac` for a form of its own, or `message_signatures`",
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
        with: (&Forwarding, &RoleRules),
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match self {
            Self::Webhook(webhook, client) => {
                let client = client.told(with, node, problems)?;
                Some(Self::Webhook(webhook, client))
            }
            Self::Message(message) => {
                let message = message.told(with, node, problems)?;
                Some(Self::Message(message))
            }
        }
    }

    fn judged_headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Webhook(webhook, _) => webhook.form.header_names(),
            Self::Message(_) => {
                let names = SIGNATURE_FIELDS.into_iter().chain([DIGEST_FIELD]);
                names
                    .filter_map(|name| HeaderName::parse(name).ok())
                    .collect()
            }
        }
    }

    /// Whether a message says when it was signed.
    fn has_time(&self) -> bool {
        match self {
            Self::Webhook(webhook, _) => webhook.form.has_timestamp(),
            Self::Message(_) => true,
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Webhook(webhook, client) => {
                let secrets = webhook.secrets.len().saturating_mul(256);
                client.memory().saturating_add(secrets)
            }
            Self::Message(message) => message.memory(),
        }
    }
}

fn read_secrets(
    node: &Node<'_>,
    encoding: SecretEncoding,
    problems: &mut Problems,
) -> Option<Vec<SharedSecret>> {
    node.items_unquoted(problems)?;
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
