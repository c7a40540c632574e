//! One chain after the other, round after round.

use std::net::SocketAddr;
use std::time::Instant;

use portcullis_tests::envoy::{Envoy, Options, bootstrap, cluster};
use portcullis_tests::upstream::Upstream;
use serde::Serialize;

use super::chain::{Chain, Service, Tokens, Traffic};
use super::scratch;
use super::spread::{self, Aggregation};
use super::wrk::{Load, Wrk};
use super::{Settings, step};

/// An Envoy with one chain.
pub(super) struct Running {
    pub(super) chain: Chain,
    pub(super) envoy: Envoy,
    pub(super) addr: SocketAddr,
    /// It takes records; Envoy's own processor time does not include its work.
    _collector: Upstream,
}

/// The cluster to which chains may send records.
pub(super) const COLLECTOR: &str = "collector";

/// A chain's figures.
#[derive(Debug, Serialize)]
pub(super) struct MetricsConfig {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) requests_per_second: Aggregation,
    pub(super) cpu_us_per_request: Aggregation,
    pub(super) p50_us: Aggregation,
    pub(super) p99_us: Aggregation,
    #[serde(serialize_with = "spread::rounded")]
    pub(super) resident_mib: f64,
    pub(super) rounds: Vec<Sample>,
}

/// A chain's figures of one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    #[serde(serialize_with = "spread::rounded")]
    pub(super) requests_per_second: f64,
    /// User and system time of the whole Envoy process.
    #[serde(serialize_with = "spread::rounded")]
    pub(super) cpu_us_per_request: f64,
    #[serde(flatten)]
    pub(super) load: Load,
}

/// Latency when all chains get the same load, well below what the slowest can do.
#[derive(Debug, Serialize)]
pub(super) struct EqualLoad {
    pub(super) pause_ms: u32,
    pub(super) chains: Vec<MetricsConfig>,
}

impl Running {
    pub(super) fn start(chain: Chain, concurrency: u32) -> Result<Self, String> {
        let options = Options {
            concurrency,
            ..Options::default()
        };
        let failed = |error| format!("{}: {error}", chain.id);
        let service = chain.service.as_ref();
        let mut listeners = vec![chain.listener.clone()];
        listeners.extend(service.map(Service::listener));
        let collector = Upstream::start_forgetful().map_err(|error| error.to_string())?;
        let mut clusters = vec![cluster(COLLECTOR, collector.addr())];
        clusters.extend(service.map(Service::cluster));
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).map_err(failed)?;
        let addr = envoy.listener_addr("api").map_err(failed)?;
        Ok(Self {
            chain,
            envoy,
            addr,
            _collector: collector,
        })
    }

    pub(super) fn version(&self) -> String {
        self.envoy.version().to_owned()
    }

    pub(super) fn resident_mib(&self) -> Result<f64, String> {
        let bytes = self.envoy.resident_memory().map_err(|e| e.to_string())?;
        Ok(bytes as f64 / f64::from(1 << 20))
    }

    /// Drives it for a while and looks at what it took.
    pub(super) fn sample(
        &self,
        wrk: &Wrk,
        tokens: &Tokens,
        seconds: u32,
        pause: u32,
    ) -> Result<Sample, String> {
        let id = self.chain.id;
        let cpu = || self.envoy.cpu_time().map_err(|error| error.to_string());
        let before = cpu()?;
        let traffic = self.chain.traffic;
        let sent = (traffic, tokens.file(traffic), self.chain.body.as_deref());
        let load = wrk.drive(self.addr, sent, seconds, pause);
        let load = load.map_err(|error| format!("{id}: {error}"))?;
        let used = cpu()?.saturating_sub(before);
        self.empty_logs();
        if traffic == Traffic::Bad && load.refused < load.requests {
            return Err(format!(
                "{id}: requests with an expired token were not refused"
            ));
        }
        if traffic != Traffic::Bad && load.refused > 0 {
            return Err(format!(
                "{id}: {} of {} good requests were refused",
                load.refused, load.requests
            ));
        }
        Ok(Sample {
            requests_per_second: load.per_second(),
            cpu_us_per_request: used.as_secs_f64() * 1e6 / load.requests as f64,
            load,
        })
    }

    /// Access logs of millions of requests would fill the disk.
    fn empty_logs(&self) {
        if let Some(path) = &self.chain.access_log {
            scratch::empty(path);
        }
        scratch::empty(&self.envoy.directory().join("stderr"));
    }
}

/// One Envoy for each chain.
pub(super) fn start(chains: Vec<Chain>) -> Result<Vec<Running>, String> {
    chains
        .into_iter()
        .map(|chain| {
            let workers = chain.workers;
            Running::start(chain, workers)
        })
        .collect()
}

/// Full load on each chain in turn, as often as there are rounds.
pub(super) fn measure(
    running: &[Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
) -> Result<Vec<MetricsConfig>, String> {
    for each in running {
        wrk.pin(each.envoy.pid());
    }
    step("warming up");
    for each in running {
        each.sample(wrk, tokens, 1, 0)?;
    }
    let all: Vec<&Running> = running.iter().collect();
    take_turns(&all, wrk, tokens, settings, 0)
}

/// The same load on the chains that are compared, about half of what the slowest can do.
pub(super) fn equal_load(
    running: &[Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
    (measured, chosen): (&[MetricsConfig], &[&str]),
) -> Result<EqualLoad, String> {
    let chosen = |id: &str| chosen.contains(&id);
    let slowest = measured
        .iter()
        .filter(|each| chosen(each.id))
        .map(|each| each.requests_per_second.median)
        .fold(f64::INFINITY, f64::min);
    let pause = f64::from(super::wrk::CONNECTIONS) * 1000.0 / (slowest / 2.0);
    let pause = pause.ceil().clamp(1.0, 1000.0) as u32;
    step("the same load for all");
    let all: Vec<&Running> = running
        .iter()
        .filter(|each| chosen(each.chain.id))
        .collect();
    Ok(EqualLoad {
        pause_ms: pause,
        chains: take_turns(&all, wrk, tokens, settings, pause)?,
    })
}

fn take_turns(
    running: &[&Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
    pause: u32,
) -> Result<Vec<MetricsConfig>, String> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); running.len()];
    for round in 1..=settings.rounds {
        let begun = Instant::now();
        for (each, samples) in running.iter().zip(&mut samples) {
            samples.push(each.sample(wrk, tokens, settings.seconds, pause)?);
        }
        let seconds = begun.elapsed().as_secs();
        step(&format!(
            "round {round} of {} ({seconds} s)",
            settings.rounds
        ));
    }
    let chains = running.iter().zip(samples);
    chains
        .map(|(each, samples)| MetricsConfig::of(each, samples))
        .collect()
}

impl MetricsConfig {
    fn of(running: &Running, rounds: Vec<Sample>) -> Result<Self, String> {
        let spread = |value: fn(&Sample) -> f64| Aggregation::of(rounds.iter().map(value));
        Ok(Self {
            id: running.chain.id,
            title: running.chain.title,
            requests_per_second: spread(|sample| sample.requests_per_second),
            cpu_us_per_request: spread(|sample| sample.cpu_us_per_request),
            p50_us: spread(|sample| sample.load.p50_us as f64),
            p99_us: spread(|sample| sample.load.p99_us as f64),
            resident_mib: running.resident_mib()?,
            rounds,
        })
    }

    /// This chain's figure by that of another, round by round.
    pub(super) fn ratio(&self, other: &Self, value: fn(&Sample) -> f64) -> Aggregation {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Aggregation::of(pairs.map(|(ours, theirs)| value(ours) / value(theirs)))
    }
}
