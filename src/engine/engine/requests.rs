//! `requests`: what becomes of header fields that name another request than the one at hand.

use portcullis_document::Node;
use portcullis_exchange::section::{Reading, Section};

/// What becomes of fields by which a request names another method or path than its own. Frameworks
/// that believe them would do what nobody has judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrides {
    /// They are taken out: the service does what has been judged.
    Strip,
    /// The request is refused.
    Refuse,
    /// They pass.
    Pass,
}

/// `requests`.
#[derive(Default)]
pub struct Requests {
    /// None if it says nothing of them.
    pub overrides: Option<Overrides>,
}

impl Section for Requests {
    const NAME: &'static str = "requests";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems = &mut *reading.problems;
        let mut fields = node.fields(problems)?;
        let overrides = fields.or_default("override_headers", None, problems, |node, problems| {
            let choices = [
                ("strip", Overrides::Strip),
                ("refuse", Overrides::Refuse),
                ("pass", Overrides::Pass),
            ];
            node.choice(problems, &choices).map(Some)
        });
        fields.deny_unknown(problems);
        let overrides = overrides?;
        Some(Self { overrides })
    }
}
