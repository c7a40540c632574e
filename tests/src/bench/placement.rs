//! Who runs on which core.

use std::fs;
use std::process::{Command, Stdio};

/// The cores that this process may use, if threads can be kept on some of them.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    cores: Vec<usize>,
}

impl Placement {
    /// With one core, or without `taskset`, nothing is kept anywhere.
    pub(super) fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let mut cores = allowed.map(listed).unwrap_or_default();
        let taskset = Command::new("taskset")
            .arg("-V")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if cores.len() < 2 || !taskset.is_ok_and(|status| status.success()) {
            cores.clear();
        }
        Self { cores }
    }

    /// Whether Envoy and the load generator are kept apart.
    pub(super) fn pins(&self) -> bool {
        !self.cores.is_empty()
    }

    /// The cores of an Envoy with so many workers: one for each, but for the one that the load comes from.
    pub(super) fn of_envoy(&self, workers: u32) -> &[usize] {
        let free = self.cores.len().saturating_sub(1);
        self.cores
            .get(..free.min(workers as usize))
            .unwrap_or_default()
    }

    /// Keeps all threads of an Envoy on its cores.
    pub(super) fn keep(&self, pid: u32, workers: u32) {
        let cores = self.of_envoy(workers);
        if !cores.is_empty() {
            // Without it the figures are as good, only noisier.
            let _ = Command::new("taskset")
                .args(["-a", "-c", "-p", &list(cores), &pid.to_string()])
                .stdout(Stdio::null())
                .status();
        }
    }

    /// A program on these cores; anywhere if there are none.
    pub(super) fn command(cores: &[usize], program: &str) -> Command {
        if cores.is_empty() {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", &list(cores), program]);
        command
    }

    /// A load generator, on the last core.
    pub(super) fn load(&self, program: &str) -> Command {
        let last = self.cores.len().saturating_sub(1);
        Self::command(self.cores.get(last..).unwrap_or_default(), program)
    }
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    cores.join(",")
}

/// `0-2,4` and the like.
fn listed(text: &str) -> Vec<usize> {
    let parts = text.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    parts.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores() {
        assert_eq!(listed("\t0-2,4\n"), [0, 1, 2, 4]);
        assert_eq!(listed("3"), [3]);
        assert_eq!(listed(""), Vec::<usize>::new());
    }

    #[test]
    fn the_load_has_a_core_of_its_own() {
        let placement = Placement {
            cores: vec![0, 1, 2],
        };
        assert_eq!(placement.of_envoy(1), [0]);
        assert_eq!(placement.of_envoy(4), [0, 1]);
        let alone = Placement { cores: Vec::new() };
        assert_eq!(alone.of_envoy(1), [0; 0]);
    }
}
