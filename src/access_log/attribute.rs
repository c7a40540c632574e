//! What the proxy knows of an exchange and the filter has to ask it for. Each costs a host call.

use super::line::Line;
use super::name::{Name, Schema};
use super::time::without_port;
use crate::config::{Node, Problems};
use crate::host::{Host, Property};

/// Something to ask the proxy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Status,
    Client,
    Details,
    Flags,
    Protocol,
    Tls,
    RequestSize,
    ResponseSize,
    Upstream,
}

const ALL: [(&str, Attribute); 9] = [
    ("status", Attribute::Status),
    ("client", Attribute::Client),
    ("details", Attribute::Details),
    ("flags", Attribute::Flags),
    ("protocol", Attribute::Protocol),
    ("tls", Attribute::Tls),
    ("request_size", Attribute::RequestSize),
    ("response_size", Attribute::ResponseSize),
    ("upstream", Attribute::Upstream),
];

impl Attribute {
    /// Those that stand in a record unless the document says otherwise.
    pub(super) fn usual() -> Vec<Self> {
        vec![Attribute::Status, Attribute::Client]
    }

    /// Reads a list of names, or `"all"`.
    pub(super) fn read_list(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Self>> {
        if node.json().as_str() == Some("all") {
            return Some(ALL.iter().map(|(_, attribute)| *attribute).collect());
        }
        let mut list = node.list(problems, |item, problems| item.choice(problems, &ALL))?;
        list.dedup();
        Some(list)
    }

    /// Adds it to a record, if the proxy knows it.
    pub(super) fn write(self, line: &mut Line, schema: Schema, host: &dyn Host) {
        let text = |property| host.property(property);
        let number = |property| {
            let bytes = host.property(property)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        match self {
            Attribute::Status => {
                let status = number(Property::ResponseStatus).filter(|status| *status != 0);
                line.number("http.response.status_code", status);
            }
            Attribute::Client => {
                let client = text(Property::ClientAddress);
                line.optional("client.address", client.as_deref().map(without_port));
            }
            Attribute::Details => {
                let details = text(Property::ResponseDetails);
                line.optional("portcullis.response_details", details.as_deref());
            }
            Attribute::Flags => {
                line.number("portcullis.response_flags", number(Property::ResponseFlags));
            }
            Attribute::Protocol => {
                let protocol = text(Property::Protocol);
                let version = protocol.as_deref().map(|protocol| {
                    let version = protocol.strip_prefix(b"HTTP/");
                    version.unwrap_or(protocol)
                });
                line.optional(Name::ProtocolVersion.of(schema), version);
            }
            Attribute::Tls => {
                let version = text(Property::TlsVersion);
                let version = version.as_deref().map(|version| {
                    let number = version.strip_prefix(b"TLSv");
                    number.unwrap_or(version)
                });
                line.optional(Name::TlsVersion.of(schema), version);
            }
            Attribute::RequestSize => {
                line.number(Name::RequestSize.of(schema), number(Property::RequestSize));
            }
            Attribute::ResponseSize => {
                line.number(
                    Name::ResponseSize.of(schema),
                    number(Property::ResponseSize),
                );
            }
            Attribute::Upstream => {
                let upstream = text(Property::UpstreamAddress);
                line.optional("portcullis.upstream", upstream.as_deref());
            }
        }
    }
}
