//! `versions` of the document, and its metrics.

use std::rc::Rc;

use portcullis_document::Node;
use portcullis_exchange::gauges::{Aggregation, Gauges, segment};
use portcullis_exchange::lifecycle::VersionCounts;
use portcullis_exchange::section::{Reading, Registry, Section};
use portcullis_exchange::versions::VersionScheme;

use super::read::read_scheme;

/// How requests name versions, unless their route has an API that says it otherwise.
#[derive(Debug)]
pub struct Versions(pub Rc<VersionScheme>);

/// What stands for the document in names of metrics.
const DOCUMENT: &str = "document";

impl Section for Versions {
    const NAME: &'static str = "versions";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        read_scheme(node, reading.notes, reading.problems).map(|scheme| Self(Rc::new(scheme)))
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        show(&section.0, DOCUMENT, &mut registry.gauges);
    }
}

/// Shows the counts of each version; the names are the document's.
pub(crate) fn show(scheme: &Rc<VersionScheme>, of: &str, gauges: &mut Gauges) {
    type Leaf = (&'static str, fn(&VersionCounts) -> u64);
    const LEAVES: [Leaf; 4] = [
        ("requests", |counts| counts.requests.get()),
        ("refused", |counts| counts.refused.get()),
        ("brownouts", |counts| counts.brownouts.get()),
        ("shadow_refused", |counts| counts.shadow_refused.get()),
    ];
    for version in &scheme.known {
        let name = format!("version.{}.{}", segment(of), segment(&version.name));
        for (leaf, read) in LEAVES {
            let version = Rc::clone(version);
            let name = format!("{name}.{leaf}");
            gauges.add(&name, Aggregation::Counter, move |_| read(&version.counts));
        }
        if let Some(sunset) = version.lifecycle.sunset {
            let name = format!("{name}.sunset_time_seconds");
            gauges.add(&name, Aggregation::Same, move |_| u64::from(sunset));
        }
    }
}
