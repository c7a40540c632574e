//! Showing the metrics of a document. The proxy has one of each for all workers: gauges that are
//! shared are set by each of them, and to gauges that are summed or counted each adds what has changed.

use std::time::Duration;

use crate::metrics::{Aggregation, Gauge, Gauges};
use portcullis_exchange::host::{MetricId, MetricKind, Metrics};

/// What this worker has told the proxy, by the order of the document's gauges; empty before the
/// first tick.
#[derive(Default)]
pub(super) struct ReportedGauges(Vec<ReportedGauge>);

struct ReportedGauge {
    id: Option<MetricId>,
    /// The part of a sum or a count that is this worker's.
    added: u64,
}

impl ReportedGauges {
    /// Reports the values of now. Gauges become known here and not while configuring: Envoy tries a
    /// document in a VM that never ticks, and may not take it.
    pub(super) fn tick(&mut self, gauges: &Gauges, now: Duration, metrics: &dyn Metrics) {
        if self.0.is_empty() {
            let make = |gauge: &Gauge| {
                let kind = match gauge.aggregation() {
                    Aggregation::Counter => MetricKind::Counter,
                    Aggregation::Same | Aggregation::Sum => MetricKind::Gauge,
                };
                ReportedGauge {
                    id: metrics.define(kind, gauge.name()),
                    added: 0,
                }
            };
            self.0 = gauges.iter().map(make).collect();
        }
        for (gauge, shown) in gauges.iter().zip(&mut self.0) {
            let Some(value) = gauge.read(now) else {
                continue;
            };
            match gauge.aggregation() {
                Aggregation::Same => {
                    if let Some(id) = shown.id {
                        metrics.set(id, value);
                    }
                }
                Aggregation::Sum | Aggregation::Counter => shown.add_up_to(value, metrics),
            }
        }
    }

    /// A worker that leaves a document takes its part of each sum away. What it has counted stays.
    pub(super) fn leave(&mut self, gauges: &Gauges, metrics: &dyn Metrics) {
        for (gauge, shown) in gauges.iter().zip(&mut self.0) {
            match gauge.aggregation() {
                Aggregation::Same => {}
                Aggregation::Sum => shown.add_up_to(0, metrics),
                Aggregation::Counter => {
                    let value = gauge.read(Duration::ZERO).unwrap_or(shown.added);
                    shown.add_up_to(value, metrics);
                }
            }
        }
    }
}

impl ReportedGauge {
    fn add_up_to(&mut self, value: u64, metrics: &dyn Metrics) {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let change = signed(value).saturating_sub(signed(self.added));
        if change != 0 {
            if let Some(id) = self.id {
                metrics.add(id, change);
            }
            self.added = value;
        }
    }
}
