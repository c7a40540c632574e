//! What a request costs.

use portcullis_document::{Node, Problems};
use portcullis_exchange::route::read_header_name;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;

/// What a request costs.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    /// What is charged when the request comes.
    pub(super) at_first: u64,
    /// What changes that when the response comes.
    pub(super) afterwards: Option<Afterwards>,
    /// Whether what the request asks for changes that, when it has been read as GraphQL.
    pub(super) is_of_query: bool,
}

/// A cost that the service's response names.
#[derive(Clone, Debug)]
pub(super) struct Afterwards {
    /// The field of the response that says what it came to.
    pub(super) header: HeaderName,
    /// What a response costs that does not say.
    pub(super) otherwise: u64,
    /// Whether what is charged at first is all that a response may come to.
    pub(super) is_reserved: bool,
}

impl Cost {
    pub(super) fn one() -> Self {
        Self {
            at_first: 1,
            afterwards: None,
            is_of_query: false,
        }
    }

    /// What a cost that becomes known afterwards leaves open.
    pub(super) fn remark(&self) -> Option<&'static str> {
        let open = self
            .afterwards
            .as_ref()
            .is_some_and(|known| !known.is_reserved);
        open.then_some(
            "without `maximum`, a client that leaves before the answer pays `default`, whatever the answer would have said",
        )
    }

    /// Reads a number, `"graphql"`, or `{ response_header, default, maximum }`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        const MOST: u64 = 1_000_000_000;
        let amount = |node: &Node<'_>, problems: &mut Problems| node.integer(problems, 1..=MOST);
        if let Json::String(_) = node.json() {
            node.choice(problems, &[("graphql", ())])?;
            return Some(Self {
                is_of_query: true,
                ..Self::one()
            });
        }
        let Json::Object(_) = node.json() else {
            return Some(Self {
                at_first: amount(node, problems)?,
                ..Self::one()
            });
        };
        let mut fields = node.fields(problems)?;
        let header = fields
            .required("response_header", problems)
            .and_then(|node| read_header_name(&node, problems));
        let otherwise = fields.or_default("default", 1, problems, amount);
        let maximum = fields.or_default("maximum", None, problems, |node, problems| {
            amount(node, problems).map(Some)
        });
        let place = fields.pointer().member("default");
        fields.deny_unknown(problems);
        let (otherwise, maximum) = (otherwise?, maximum?);
        if maximum.is_some_and(|maximum| otherwise > maximum) {
            problems.report(&place, "is more than `maximum`");
            return None;
        }
        Some(Self {
            at_first: maximum.unwrap_or(otherwise),
            afterwards: Some(Afterwards {
                header: header?,
                otherwise,
                is_reserved: maximum.is_some(),
            }),
            is_of_query: false,
        })
    }
}
