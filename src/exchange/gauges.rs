//! The metrics of one document: values that are read from time to time.
//!
//! The closed list of counters cannot name what the document names, a provider for one. So each
//! document brings metrics of its own. The proxy is not told of them while a request waits: whoever
//! holds a value says how to read it, and the proxy's side reads it on its ticks.

use std::fmt;
use std::time::Duration;

/// The metrics of one document, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Gauges {
    all: Vec<Gauge>,
}

/// One value to show.
pub struct Gauge {
    name: String,
    aggregation: Aggregation,
    read: Box<dyn Fn(Duration) -> Option<u64>>,
}

/// How the values of several workers make one gauge; the proxy has one for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Each reads the same value, give or take a tick; who writes last does not matter.
    Same,
    /// Each has a value of its own; the gauge shows their sum.
    Sum,
    /// Each counts what it has seen. It is a counter and no gauge, and it stays when the document goes.
    Counter,
}

impl Gauges {
    /// Adds `portcullis.<name>`; `read` tells its value at a time of the clock that does not step, or `None` if
    /// there is nothing to say. Parts of the name that the document chose go through [`segment`].
    /// A name that is there already is not added again: its value is read once.
    pub fn add<V: Into<Option<u64>>>(
        &mut self,
        name: &str,
        aggregation: Aggregation,
        read: impl Fn(Duration) -> V + 'static,
    ) {
        let name = format!("portcullis.{name}");
        if self.all.iter().all(|gauge| gauge.name != name) {
            let read = Box::new(move |now| read(now).into());
            self.all.push(Gauge {
                name,
                aggregation,
                read,
            });
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Gauge> {
        self.all.iter()
    }
}

impl Gauge {
    /// The name of the metric. Envoy puts `wasmcustom.` in front.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the values of several workers are put together.
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation
    }

    /// The value in this worker; none if it has nothing to say.
    pub fn read(&self, now: Duration) -> Option<u64> {
        (self.read)(now)
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name, self.aggregation)
    }
}

/// A name that the document chose, as one part of a metric's name: lower case, and `_` for
/// whatever is neither a letter of ASCII nor a digit. Different names can become the same.
pub fn segment(name: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_once() {
        let mut gauges = Gauges::default();
        gauges.add("a", Aggregation::Same, |now| now.as_secs());
        gauges.add("a", Aggregation::Sum, |_| 7);
        gauges.add("b", Aggregation::Sum, |_| 3);
        let now = Duration::from_secs(5);
        let read = |gauge: &Gauge| (gauge.name().to_owned(), gauge.read(now).unwrap());
        let all: Vec<_> = gauges.iter().map(read).collect();
        assert_eq!(
            all,
            [
                ("portcullis.a".to_owned(), 5),
                ("portcullis.b".to_owned(), 3)
            ]
        );
    }

    #[test]
    fn segments_are_plain() {
        assert_eq!(segment("Corp-EU.2"), "corp_eu_2");
        assert_eq!(segment("é\n\"/"), "____");
    }
}
