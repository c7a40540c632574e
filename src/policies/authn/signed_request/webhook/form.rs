//! The form of a webhook: in which fields its tag, its time and its name stand, and what is signed.

use portcullis_document::header::read_changeable;
use portcullis_document::{Node, Problems};
use portcullis_exchange::route::read_header_name;
use portcullis_wire::headers::HeaderName;

use super::tags::{TagEncoding, TagForm, TagLayout, read_parameter};
use super::template::{SignedText, SignedValue};
use crate::authn::signed_request::shared_secret::SecretEncoding;

/// The form of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authn::signed_request) struct WebhookForm {
    /// The field with the tags.
    pub(super) header: HeaderName,
    pub(super) tags: TagForm,
    pub(super) timestamp: Option<TimestampPlace>,
    /// The field with the name of the message.
    pub(super) id: Option<HeaderName>,
    pub(super) signed: SignedText,
    pub(super) secrets: SecretEncoding,
}

/// Where the time of a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimestampPlace {
    Header(HeaderName),
    /// Among the parameters of the field with the tags.
    Parameter(Box<str>),
}

/// A form that a service has made its own.
struct WebhookPreset {
    name: &'static str,
    header: &'static str,
    layout: fn() -> TagLayout,
    encoding: TagEncoding,
    timestamp: fn() -> Option<TimestampPlace>,
    id: Option<&'static str>,
    signed: &'static str,
    secrets: SecretEncoding,
}

const PRESETS: [WebhookPreset; 4] = [
    WebhookPreset {
        name: "standard_webhooks",
        header: "webhook-signature",
        layout: || TagLayout::Prefixed {
            prefix: "v1,".into(),
            separator: Some(b' '),
        },
        encoding: TagEncoding::Base64,
        timestamp: || header("webhook-timestamp"),
        id: Some("webhook-id"),
        signed: "{id}.{timestamp}.{body}",
        secrets: SecretEncoding::Whsec,
    },
    WebhookPreset {
        name: "github",
        header: "x-hub-signature-256",
        layout: || TagLayout::Prefixed {
            prefix: "sha256=".into(),
            separator: None,
        },
        encoding: TagEncoding::Hex,
        timestamp: || None,
        id: None,
        signed: "{body}",
        secrets: SecretEncoding::Text,
    },
    WebhookPreset {
        name: "stripe",
        header: "stripe-signature",
        layout: || TagLayout::Parameter { name: "v1".into() },
        encoding: TagEncoding::Hex,
        timestamp: || Some(TimestampPlace::Parameter("t".into())),
        id: None,
        signed: "{timestamp}.{body}",
        secrets: SecretEncoding::Text,
    },
    WebhookPreset {
        name: "slack",
        header: "x-slack-signature",
        layout: || TagLayout::Prefixed {
            prefix: "v0=".into(),
            separator: None,
        },
        encoding: TagEncoding::Hex,
        timestamp: || header("x-slack-request-timestamp"),
        id: None,
        signed: "v0:{timestamp}:{body}",
        secrets: SecretEncoding::Text,
    },
];

fn header(name: &str) -> Option<TimestampPlace> {
    HeaderName::parse(name).ok().map(TimestampPlace::Header)
}

impl WebhookForm {
    /// Reads `preset`.
    pub(in crate::authn::signed_request) fn read_preset(
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let choices: Vec<(&str, usize)> = PRESETS
            .iter()
            .enumerate()
            .map(|(place, preset)| (preset.name, place))
            .collect();
        let preset = PRESETS.get(node.choice(problems, &choices)?)?;
        Some(Self {
            header: HeaderName::parse(preset.header).ok()?,
            tags: TagForm {
                layout: (preset.layout)(),
                encoding: preset.encoding,
            },
            timestamp: (preset.timestamp)(),
            id: match preset.id {
                Some(id) => Some(HeaderName::parse(id).ok()?),
                None => None,
            },
            signed: SignedText::parse(preset.signed).ok()?,
            secrets: preset.secrets,
        })
    }

    /// Reads `hmac`.
    pub(in crate::authn::signed_request) fn read(
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.object(
            problems,
            "{\"signature\": {\"header\": \"…\", \"encoding\": \"hex\"}, \"signed\": \"{body}\"}",
        )?;
        let signature = fields
            .required("signature", problems)
            .and_then(|node| read_signature(&node, problems));
        let timestamp = fields.or_default("timestamp", None, problems, |node, problems| {
            read_timestamp(node, problems).map(Some)
        });
        let id = fields.or_default("id", None, problems, |node, problems| {
            let mut fields = node.object(problems, "{\"header\": \"…\"}")?;
            let name = fields
                .required("header", problems)
                .and_then(|node| read_header_name(&node, problems));
            fields.deny_unknown(problems);
            name.map(Some)
        });
        let signed = fields
            .required("signed", problems)
            .and_then(|node| SignedText::read(&node, problems).map(|read| (node, read)));
        let secrets = fields.or_default(
            "secret_encoding",
            SecretEncoding::Text,
            problems,
            SecretEncoding::read,
        );
        fields.deny_unknown(problems);
        let (header, tags) = signature?;
        let (timestamp, id, (node, signed)) = (timestamp?, id?, signed?);
        for (field, value, is_there) in [
            ("timestamp", SignedValue::Timestamp, timestamp.is_some()),
            ("id", SignedValue::Id, id.is_some()),
        ] {
            match (is_there, signed.has(value)) {
                (true, false) => node.report(
                    problems,
                    format_args!(
                        "lacks {{{field}}}: a client could write any `{field}` if it is not signed; add it, or take `{field}` out"
                    ),
                ),
                (false, true) => node.report(
                    problems,
                    format_args!("names {{{field}}}; say with `{field}` where that stands"),
                ),
                (true, true) | (false, false) => continue,
            }
            return None;
        }
        if let (Some(TimestampPlace::Parameter(_)), TagLayout::Prefixed { .. }) =
            (&timestamp, &tags.layout)
        {
            node.report(
                problems,
                "has a time among parameters, and `signature` has none: say with `parameter` which has the tag",
            );
            return None;
        }
        Some(Self {
            header,
            tags,
            timestamp,
            id,
            signed,
            secrets: secrets?,
        })
    }

    /// The fields that are judged.
    pub(in crate::authn::signed_request) fn header_names(&self) -> Vec<HeaderName> {
        let timestamp = match &self.timestamp {
            Some(TimestampPlace::Header(name)) => Some(name.clone()),
            Some(TimestampPlace::Parameter(_)) | None => None,
        };
        let names = [Some(self.header.clone()), timestamp, self.id.clone()];
        names.into_iter().flatten().collect()
    }

    /// The field with the tags.
    pub(in crate::authn::signed_request) fn tag_header(&self) -> &HeaderName {
        &self.header
    }

    /// How its secrets are written.
    pub(in crate::authn::signed_request) fn secrets(&self) -> SecretEncoding {
        self.secrets
    }

    /// Whether its messages say when they were signed.
    pub(in crate::authn::signed_request) fn has_timestamp(&self) -> bool {
        self.timestamp.is_some()
    }
}

fn read_signature(node: &Node<'_>, problems: &mut Problems) -> Option<(HeaderName, TagForm)> {
    let mut fields = node.object(problems, "{\"header\": \"…\", \"encoding\": \"hex\"}")?;
    let header = fields
        .required("header", problems)
        .and_then(|node| read_changeable(&node, problems));
    let tags = TagForm::read(&mut fields, problems);
    fields.deny_unknown(problems);
    Some((header?, tags?))
}

fn read_timestamp(node: &Node<'_>, problems: &mut Problems) -> Option<TimestampPlace> {
    let mut fields = node.object(problems, "{\"header\": \"…\"}")?;
    let (header, parameter) = (fields.optional("header"), fields.optional("parameter"));
    let read = match (header, parameter) {
        (Some(node), None) => read_header_name(&node, problems).map(TimestampPlace::Header),
        (None, Some(node)) => read_parameter(&node, problems).map(TimestampPlace::Parameter),
        (Some(_), Some(node)) => {
            node.report(
                problems,
                "cannot stand beside `header`: a time stands in one place",
            );
            None
        }
        (None, None) => {
            fields.lacks(
                &["header", "parameter"],
                problems,
                "needs `header`, or `parameter` where the time stands beside the tag",
            );
            None
        }
    };
    fields.deny_unknown(problems);
    read
}
