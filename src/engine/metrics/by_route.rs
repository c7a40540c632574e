//! The document's `metrics`: what is measured beyond what always is.

use super::verdicts::NO_ROUTE;
use portcullis_document::{Node, Pointer, Problems, Quoted};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::section::{Finishing, Reading, Section};

/// `metrics`: what is measured beyond what always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether exchanges are counted by route.
    pub by_route: bool,
    /// Whether the filter's own time is recorded.
    pub timings: bool,
}

impl MetricsConfig {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let by_route = fields.or_default("by_route", false, problems, Node::boolean);
        let timings = fields.or_default("timings", false, problems, Node::boolean);
        fields.deny_unknown(problems);
        Some(Self {
            by_route: by_route?,
            timings: timings?,
        })
    }

    fn check_names(names: &[&str], problems: &mut Problems) {
        let place = Pointer::default().member("metrics");
        let mut seen = vec![(NO_ROUTE.to_owned(), NO_ROUTE)];
        for name in names {
            let own = segment(name);
            match seen.iter().find(|(each, _)| *each == own) {
                Some((_, other)) => problems.report(
                    &place,
                    format_args!(
                        "`by_route`: in names of metrics route {} is {}, and so is {}; let their names differ in letters or digits",
                        Quoted(name),
                        Quoted(&own),
                        Quoted(other)
                    ),
                ),
                None => seen.push((own, name)),
            }
        }
    }
}

impl Section for MetricsConfig {
    const NAME: &'static str = "metrics";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read(node, reading.problems)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    /// Reports routes whose counters would be the same.
    fn finish(&self, finishing: &mut Finishing<'_>) {
        if self.by_route {
            Self::check_names(finishing.routes, finishing.problems);
        }
    }
}
