//! What is compared with what: each group of chains is measured in one go, round by round.

mod access;
mod browser;
mod credentials;
mod limits;
pub(super) mod payload;
mod records;
mod refusals;
mod tokens;
mod traffic;
mod versions;
mod whole;
mod workloads;

use std::path::Path;

use super::chain::Chain;
use super::rounds::Both;
use super::scratch::Scratch;

/// Chains that are compared with each other.
pub(super) struct Group {
    /// Its name on the command line and in the results.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) about: &'static str,
    /// Its chains, in the order of the table.
    pub(super) chains: fn(&Path, &Scratch) -> Vec<Chain>,
    pub(super) comparisons: &'static [Comparison],
    /// The chains whose latency is compared at half load, the peer first.
    pub(super) half_load: &'static [&'static str],
}

/// One chain by another: processor time for each request.
pub(super) struct Comparison {
    pub(super) of: &'static str,
    pub(super) against: &'static str,
    pub(super) aim: Option<Aim>,
}

/// The most that a chain is to take, as a multiple of what its peer takes.
pub(super) struct Aim {
    /// What the aim is called, where all of them are listed.
    pub(super) of: &'static str,
    pub(super) most: Both<f64>,
}

/// What the 99th percentile of latency at half load is to be, as a multiple of the peer's.
pub(super) const P99_AIM: f64 = 1.2;

/// Every group.
pub(super) const ALL: &[Group] = &[
    whole::GROUP,
    refusals::GROUP,
    workloads::GROUP,
    tokens::GROUP,
    credentials::GROUP,
    access::GROUP,
    limits::GROUP,
    traffic::GROUP,
    browser::GROUP,
    records::GROUP,
    payload::GROUP,
    versions::GROUP,
];

const fn compare(of: &'static str, against: &'static str) -> Comparison {
    Comparison {
        of,
        against,
        aim: None,
    }
}

/// The same aim on an idle machine and beside a neighbour.
const fn aim(chains: (&'static str, &'static str), of: &'static str, most: f64) -> Comparison {
    aims(chains, of, (most, most))
}

const fn aims(
    (of, against): (&'static str, &'static str),
    name: &'static str,
    (idle, busy): (f64, f64),
) -> Comparison {
    Comparison {
        of,
        against,
        aim: Some(Aim {
            of: name,
            most: Both { idle, busy },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A misspelt name would leave its row out.
    #[test]
    fn what_is_compared_is_there() {
        let scratch = Scratch::create().unwrap();
        let module = Path::new("/nowhere/portcullis.wasm");
        for group in ALL {
            let chains = (group.chains)(module, &scratch);
            let ids: Vec<&str> = chains.iter().map(|chain| chain.id).collect();
            let compared = group.comparisons.iter();
            let compared = compared.flat_map(|each| [each.of, each.against]);
            for id in compared.chain(group.half_load.iter().copied()) {
                assert!(ids.contains(&id), "{}: {id}", group.name);
            }
            for id in &ids {
                let same = ids.iter().filter(|each| *each == id);
                assert_eq!(same.count(), 1, "{id}");
            }
        }
    }
}
