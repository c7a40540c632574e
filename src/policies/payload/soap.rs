//! `soap`: messages whose action and body ask for the same.

use super::head::media_type_not_allowed;
use super::refusals::{SOAP, SOAP_ACTION, SOAP_ACTION_ABSENT, SOAP_ACTION_NOT_ALLOWED};
use super::xml::read_name;
use portcullis_document::{Node, Problems};
use portcullis_exchange::media_type::{MediaRange, MediaType};
use portcullis_exchange::refusal::{Detail, Reason, Refusal};
use portcullis_formats::xml::{ExpandedName, SoapRules, SoapVersion};
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

/// Which messages may pass.
pub(super) struct SoapBlock {
    versions: Vec<SoapVersion>,
    /// What may be asked for; none if anything may.
    actions: Option<Vec<AllowedAction>>,
}

/// An action, and the element that its messages have in their bodies.
struct AllowedAction {
    name: String,
    /// None: any.
    operation: Option<[ExpandedName; 1]>,
}

impl SoapBlock {
    /// Reads the block.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let both = vec![SoapVersion::One, SoapVersion::Two];
        let versions = fields.or_default("versions", both, problems, |node, problems| {
            let choices = [("1.1", SoapVersion::One), ("1.2", SoapVersion::Two)];
            node.list(problems, |node, problems| node.choice(problems, &choices))
        });
        let actions = fields.or_default("actions", None, problems, |node, problems| {
            read_actions(node, problems).map(Some)
        });
        fields.deny_unknown(problems);
        Some(Self {
            versions: versions?,
            actions: actions?,
        })
    }

    /// The media types of its messages.
    pub(super) fn media_types(&self) -> Vec<MediaRange> {
        let types = self.versions.iter().map(|version| match version {
            SoapVersion::One => "text/xml",
            SoapVersion::Two => "application/soap+xml",
        });
        types.filter_map(MediaRange::parse).collect()
    }

    /// What a message is judged by that comes as that media type.
    ///
    /// # Errors
    /// Why it may not pass, whatever it is.
    pub(super) fn rules<'s>(
        &'s self,
        headers: &'s Headers,
        media_type: &'s MediaType<'_>,
    ) -> Result<SoapRules<'s>, Refusal> {
        let version = match media_type {
            each if each.is("text", "xml") => Some(SoapVersion::One),
            each if each.is("application", "soap+xml") => Some(SoapVersion::Two),
            _ => None,
        };
        let version = version.filter(|version| self.versions.contains(version));
        let Some(version) = version else {
            return Err(media_type_not_allowed(&self.media_types()));
        };
        let action = action(headers, media_type).ok_or_else(|| refusal(&SOAP_ACTION))?;
        let operations = match (&self.actions, action) {
            (None, _) => None,
            (Some(_), None) => return Err(refusal(&SOAP_ACTION_ABSENT)),
            (Some(known), Some(action)) => {
                let mut known = known.iter();
                let Some(found) = known.find(|each| each.name.as_bytes() == action) else {
                    let refusal = refusal(&SOAP_ACTION_NOT_ALLOWED);
                    return Err(refusal.telling("action", Some(action)));
                };
                found.operation.as_ref().map(|operation| &operation[..])
            }
        };
        Ok(SoapRules {
            version,
            action,
            operations,
        })
    }
}

/// What a request says that it asks for: by `SOAPAction` as version 1.1 has it, or by a parameter of its media type as
/// version 1.2 does; by both only if they agree. None if it cannot be told.
fn action<'h>(headers: &'h Headers, media_type: &'h MediaType<'_>) -> Option<Option<&'h [u8]>> {
    let sent = headers.one("soapaction").ok()?.map(<[u8]>::trim_ascii);
    // A field that says nothing does not say that nothing is asked for, as `""` does.
    let sent = match sent.filter(|sent| !sent.is_empty()) {
        Some([b'"', inside @ .., b'"']) => Some(inside),
        other => other,
    };
    let parameter = media_type.parameter("action").map(str::as_bytes);
    let agree = sent.is_none() || parameter.is_none() || sent == parameter;
    let action = sent.or(parameter);
    (agree && action.is_none_or(is_uri)).then_some(action)
}

/// Whether an action is one that a request can say.
fn is_uri(action: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte);
    action.iter().all(fits)
}

fn refusal(reason: &'static Reason) -> Refusal {
    Refusal::new(reason).because(Detail::within(place_of(reason)))
}

/// Where in the block of the policy a rule stands that is not met for that reason.
pub(super) fn place_of(reason: &'static Reason) -> &'static str {
    if *reason.code == SOAP {
        "/xml/soap"
    } else {
        "/xml"
    }
}

/// Reads a list of actions, or an object that has a body's element for each.
fn read_actions(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<AllowedAction>> {
    if let Json::Array(_) = node.json() {
        return node.list(problems, |node, problems| {
            let name = read_action(node, node.text(problems)?, problems)?;
            Some(AllowedAction {
                name,
                operation: None,
            })
        });
    }
    let members = node.members(problems)?;
    if members.is_empty() {
        node.report(problems, "has no action, so that no message could pass");
        return None;
    }
    let actions = members.into_iter().map(|(name, node)| {
        let operation = read_name(&node, problems);
        Some(AllowedAction {
            name: read_action(&node, name, problems)?,
            operation: Some([operation?]),
        })
    });
    let actions: Vec<Option<AllowedAction>> = actions.collect();
    actions.into_iter().collect()
}

/// An action as it stands in a document: without the quotes of `SOAPAction`.
fn read_action(node: &Node<'_>, name: &str, problems: &mut Problems) -> Option<String> {
    if !is_uri(name.as_bytes()) {
        node.report(
            problems,
            "is no action that a request can have: a URI, without the quotes around it in `SOAPAction`",
        );
    }
    is_uri(name.as_bytes()).then(|| name.to_owned())
}
