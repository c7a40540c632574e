//! One chain after the other, round after round, on an idle machine and beside a busy neighbour.

use std::net::SocketAddr;
use std::time::Instant;

use portcullis_tests::envoy::{Envoy, Options, bootstrap, cluster};
use portcullis_tests::upstream::Upstream;
use serde::Serialize;

use super::chain::{Chain, Service, Tokens, Traffic};
use super::neighbour::Neighbours;
use super::spread::{self, Aggregation};
use super::wrk::{Load, Wrk};
use super::{Settings, open_loop, scratch, step};

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

/// What else happens on Envoy's cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cores {
    Idle,
    Busy,
}

impl Cores {
    pub(super) const ALL: [Self; 2] = [Self::Idle, Self::Busy];

    /// Has the neighbours run for as long as what comes of it is kept.
    fn neighbours(self, wrk: &Wrk, workers: u32) -> Result<Option<Neighbours>, String> {
        match self {
            Self::Idle => Ok(None),
            Self::Busy => Neighbours::start(wrk.placement(), workers).map(Some),
        }
    }
}

/// A value for both.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Both<T> {
    pub(super) idle: T,
    pub(super) busy: T,
}

impl<T> Both<T> {
    pub(super) fn of<E>(mut value: impl FnMut(Cores) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            idle: value(Cores::Idle)?,
            busy: value(Cores::Busy)?,
        })
    }

    pub(super) fn get(&self, cores: Cores) -> &T {
        match cores {
            Cores::Idle => &self.idle,
            Cores::Busy => &self.busy,
        }
    }

    pub(super) fn map<U>(&self, value: impl Fn(&T) -> U) -> Both<U> {
        Both {
            idle: value(&self.idle),
            busy: value(&self.busy),
        }
    }
}

/// A chain with its figures.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) workers: u32,
    #[serde(flatten)]
    pub(super) figures: Both<Figures>,
    #[serde(serialize_with = "spread::rounded")]
    pub(super) resident_mib: f64,
}

/// What all rounds say together.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) requests_per_second: Aggregation,
    pub(super) cpu_us_per_request: Aggregation,
    pub(super) p50_us: Aggregation,
    pub(super) p99_us: Aggregation,
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

/// How a chain is driven.
#[derive(Clone, Copy, Debug)]
enum Drive {
    /// As fast as it answers.
    Full,
    /// So many requests a second, whatever the answers do.
    Rate(u32),
}

/// Latency when all chains get half of what the slowest can do.
#[derive(Debug, Serialize)]
pub(super) struct HalfLoad {
    /// How many requests a second all got.
    pub(super) rate: Both<u32>,
    /// The peer first.
    pub(super) chains: Vec<Measured>,
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

    /// Drives it for a while, as fast as it answers.
    pub(super) fn warm_up(&self, wrk: &Wrk, tokens: &Tokens, seconds: u32) -> Result<(), String> {
        self.sample(wrk, tokens, seconds, Drive::Full).map(|_| ())
    }

    /// Drives it for a while and looks at what it took.
    fn sample(
        &self,
        wrk: &Wrk,
        tokens: &Tokens,
        seconds: u32,
        drive: Drive,
    ) -> Result<Sample, String> {
        let id = self.chain.id;
        let cpu = || self.envoy.cpu_time().map_err(|error| error.to_string());
        let traffic = self.chain.traffic;
        let file = tokens.for_run(traffic, seconds)?;
        let before = cpu()?;
        let load = match drive {
            Drive::Full => {
                let sent = (traffic, file, self.chain.body.as_deref());
                wrk.drive(self.addr, sent, seconds)
            }
            Drive::Rate(rate) => {
                open_loop::drive(wrk.placement(), self.addr, file, (rate, seconds))
            }
        };
        let load = load.map_err(|error| format!("{id}: {error}"))?;
        let used = cpu()?.saturating_sub(before);
        self.empty_logs();
        check_refused(traffic, &load).map_err(|error| format!("{id}: {error}"))?;
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

/// Whether as many were refused as should be.
fn check_refused(traffic: Traffic, load: &Load) -> Result<(), String> {
    let Load {
        requests, refused, ..
    } = load;
    match traffic.refused() {
        Some(_) if refused < requests => Err(format!(
            "{} of {requests} requests passed that are to be refused",
            requests - refused
        )),
        None if *refused > 0 => Err(format!(
            "{refused} of {requests} good requests were refused"
        )),
        _ => Ok(()),
    }
}

/// One Envoy for each chain.
pub(super) fn start(chains: Vec<Chain>, wrk: &Wrk) -> Result<Vec<Running>, String> {
    chains
        .into_iter()
        .map(|chain| {
            let workers = chain.workers;
            let running = Running::start(chain, workers)?;
            wrk.placement().keep(running.envoy.pid(), workers);
            Ok(running)
        })
        .collect()
}

/// Full load on each chain in turn, as often as there are rounds.
pub(super) fn measure(
    running: &[Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
) -> Result<Vec<Measured>, String> {
    step("warming up");
    for each in running {
        each.warm_up(wrk, tokens, 1)?;
    }
    let all: Vec<&Running> = running.iter().collect();
    take_turns(&all, wrk, tokens, settings, |_| Drive::Full)
}

/// The same load on the chains that are compared, half of what the slowest can do.
pub(super) fn half_load(
    running: &[Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
    (measured, chosen): (&[Measured], &[&str]),
) -> Result<HalfLoad, String> {
    let slowest = |cores| {
        let chosen = measured.iter().filter(|each| chosen.contains(&each.id));
        let rates = chosen.map(|each| each.figures.get(cores).requests_per_second.median);
        let slowest = rates.fold(f64::INFINITY, f64::min);
        Ok::<u32, String>((slowest / 2.0).clamp(1.0, 1e6) as u32)
    };
    let rate = Both::of(slowest)?;
    step("half load");
    let named = |id: &&str| running.iter().find(|each| each.chain.id == *id);
    let all: Vec<&Running> = chosen.iter().filter_map(named).collect();
    Ok(HalfLoad {
        rate,
        chains: take_turns(&all, wrk, tokens, settings, |cores| {
            Drive::Rate(*rate.get(cores))
        })?,
    })
}

fn take_turns(
    running: &[&Running],
    wrk: &Wrk,
    tokens: &Tokens,
    settings: &Settings,
    drive: impl Fn(Cores) -> Drive,
) -> Result<Vec<Measured>, String> {
    let mut samples: Vec<Both<Vec<Sample>>> = Vec::new();
    samples.resize_with(running.len(), Both::default);
    for round in 0..settings.rounds {
        let begun = Instant::now();
        for cores in Cores::ALL {
            let most = running.iter().map(|each| each.chain.workers).max();
            let beside = cores.neighbours(wrk, most.unwrap_or(1))?;
            // What drifts in a round is for one half of the rounds to one chain's credit, for the other to
            // another's.
            let mut order: Vec<usize> = (0..running.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for number in order {
                let (Some(each), Some(samples)) = (running.get(number), samples.get_mut(number))
                else {
                    continue;
                };
                let sample = each.sample(wrk, tokens, settings.seconds, drive(cores))?;
                match cores {
                    Cores::Idle => samples.idle.push(sample),
                    Cores::Busy => samples.busy.push(sample),
                }
            }
            drop(beside);
        }
        let seconds = begun.elapsed().as_secs();
        step(&format!(
            "round {} of {} ({seconds} s)",
            round + 1,
            settings.rounds
        ));
    }
    let chains = running.iter().zip(samples);
    chains
        .map(|(each, samples)| {
            Ok(Measured {
                id: each.chain.id,
                title: each.chain.title,
                workers: each.chain.workers,
                figures: Both {
                    idle: Figures::of(samples.idle),
                    busy: Figures::of(samples.busy),
                },
                resident_mib: each.resident_mib()?,
            })
        })
        .collect()
}

impl Figures {
    fn of(rounds: Vec<Sample>) -> Self {
        let spread = |value: fn(&Sample) -> f64| Aggregation::of(rounds.iter().map(value));
        Self {
            requests_per_second: spread(|sample| sample.requests_per_second),
            cpu_us_per_request: spread(|sample| sample.cpu_us_per_request),
            p50_us: spread(|sample| sample.load.p50_us as f64),
            p99_us: spread(|sample| sample.load.p99_us as f64),
            rounds,
        }
    }

    /// This chain's figure by that of another, round by round; and what is low of one by what is low of the other.
    pub(super) fn ratio(&self, other: &Self, value: fn(&Sample) -> f64) -> Aggregation {
        let pairs = self.rounds.iter().zip(&other.rounds);
        let low = |figures: &Self| Aggregation::of(figures.rounds.iter().map(value)).low;
        Aggregation {
            low: low(self) / low(other),
            ..Aggregation::of(pairs.map(|(ours, theirs)| value(ours) / value(theirs)))
        }
    }
}

impl Measured {
    pub(super) fn ratio(&self, other: &Self, value: fn(&Sample) -> f64) -> Both<Aggregation> {
        let (ours, theirs) = (&self.figures, &other.figures);
        Both {
            idle: ours.idle.ratio(&theirs.idle, value),
            busy: ours.busy.ratio(&theirs.busy, value),
        }
    }
}
