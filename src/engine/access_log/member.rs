//! One member of a record: its names, where its value comes from, and what is to be known of it.

use super::finished::Finished;
use super::line::JsonLine;
use super::name::{Convention, Name};
use super::time::without_port;
use portcullis_exchange::connection::Connection;
use portcullis_exchange::host::{Host, Property};

/// A member of a record.
#[derive(Debug)]
pub struct Member {
    name: Name,
    /// The only schema that has it, where that is not both.
    only: Option<Convention>,
    source: Source,
    /// The request's fields that its value comes from.
    reads: &'static [&'static str],
    is_personal: bool,
}

/// Where the value of a member comes from.
#[derive(Debug)]
enum Source {
    /// The exchange: what was sent, found out and decided. Writes nothing where there is nothing.
    Exchange(Write),
    /// A question to the proxy, which costs a host call. It is asked where `attributes` names it.
    Proxy {
        attribute: &'static str,
        property: Property,
        form: PropertyForm,
    },
    /// The line itself, when something did not fit into it.
    Line,
}

/// Adds a member of that name to a record, if it has a value.
pub(super) type Write = fn(&mut JsonLine, &'static str, &Finished<'_>);

/// How the proxy's response becomes a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum PropertyForm {
    /// Eight bytes, little-endian.
    Number,
    /// The same, and 0 for none.
    NumberOrNone,
    /// As it is.
    Text,
    /// An address, without its port.
    Address,
    /// What follows the prefix, if it is there.
    Without(&'static [u8]),
}

/// A member that has one name in both schemas.
pub(super) const fn member(name: &'static str, write: Write) -> Member {
    named(Name::same(name), write)
}

/// A member whose name depends on the schema.
pub(super) const fn named(name: Name, write: Write) -> Member {
    Member::from(name, Source::Exchange(write))
}

/// A member of the Elastic Common Schema alone.
pub(super) const fn elastic(name: &'static str, write: Write) -> Member {
    let mut member = member(name, write);
    member.only = Some(Convention::Elastic);
    member
}

/// A member that the proxy is asked for, where `attributes` names it.
pub(super) const fn attribute(
    attribute: &'static str,
    name: Name,
    property: Property,
    form: PropertyForm,
) -> Member {
    let source = Source::Proxy {
        attribute,
        property,
        form,
    };
    Member::from(name, source)
}

/// A member that the line writes by itself.
pub(super) const fn of_line(name: &'static str) -> Member {
    Member::from(Name::same(name), Source::Line)
}

impl Member {
    const fn from(name: Name, source: Source) -> Self {
        Self {
            name,
            only: None,
            source,
            reads: &[],
            is_personal: false,
        }
    }

    /// Names the request's fields that its value comes from: they are kept until the record is
    /// written.
    pub(super) const fn reads(mut self, fields: &'static [&'static str]) -> Self {
        self.reads = fields;
        self
    }

    /// Says that it may tell who a person is.
    pub(super) const fn personal(mut self) -> Self {
        self.is_personal = true;
        self
    }

    /// Its name in OpenTelemetry's conventions, as the documentation has it; none if it is not
    /// theirs.
    pub fn otel(&self) -> Option<&'static str> {
        self.name_in(Convention::OpenTelemetry)
    }

    /// Its name in the Elastic Common Schema.
    pub fn ecs(&self) -> Option<&'static str> {
        self.name_in(Convention::Elastic)
    }

    pub(super) fn name_in(&self, schema: Convention) -> Option<&'static str> {
        let has = self.only.is_none_or(|only| only == schema);
        has.then(|| self.name.of(schema))
    }

    /// The word of `attributes` that asks for it; none for a member that is always there.
    pub fn attribute(&self) -> Option<&'static str> {
        match self.source {
            Source::Proxy { attribute, .. } => Some(attribute),
            Source::Exchange(_) | Source::Line => None,
        }
    }

    /// What the proxy is asked for it.
    pub(super) fn property(&self) -> Option<Property> {
        match self.source {
            Source::Proxy { property, .. } => Some(property),
            Source::Exchange(_) | Source::Line => None,
        }
    }

    /// Whether it may tell who a person is.
    pub fn is_personal(&self) -> bool {
        self.is_personal
    }

    /// The request's fields that its value comes from.
    pub(super) fn request_fields(&self) -> &'static [&'static str] {
        self.reads
    }

    /// Adds what the proxy says of it, if it is asked.
    pub(super) fn ask(
        &self,
        line: &mut JsonLine,
        name: &str,
        connection: &Connection,
        host: &dyn Host,
    ) {
        let Source::Proxy { property, form, .. } = self.source else {
            return;
        };
        match (property, connection.forwarded_client()) {
            // The proxy's word does not count.
            (Property::ClientAddress, Some(client)) => {
                let client = client.map(|client| client.to_string());
                let client = client.iter().map(String::as_bytes);
                client.for_each(|client| line.untrusted(name, client));
            }
            _ => form.write(line, name, property, host),
        }
    }

    /// Adds it to a record, if it has a value.
    pub(super) fn write(&self, line: &mut JsonLine, name: &'static str, finished: &Finished<'_>) {
        match self.source {
            Source::Exchange(write) => write(line, name, finished),
            Source::Proxy { .. } => {
                let connection = &finished.exchange.facts.connection;
                self.ask(line, name, connection, finished.host);
            }
            Source::Line => {}
        }
    }
}

impl PropertyForm {
    fn write(self, line: &mut JsonLine, name: &str, property: Property, host: &dyn Host) {
        let Some(bytes) = host.property(property) else {
            return;
        };
        let bytes = bytes.as_slice();
        match self {
            PropertyForm::Number | PropertyForm::NumberOrNone => {
                let number = bytes.try_into().ok().map(u64::from_le_bytes);
                let is_one = |number: &u64| *number != 0 || matches!(self, PropertyForm::Number);
                line.number(name, number.filter(is_one));
            }
            PropertyForm::Text => line.untrusted(name, bytes),
            PropertyForm::Address => line.untrusted(name, without_port(bytes)),
            PropertyForm::Without(prefix) => {
                line.untrusted(name, bytes.strip_prefix(prefix).unwrap_or(bytes));
            }
        }
    }
}
