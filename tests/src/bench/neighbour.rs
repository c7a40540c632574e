//! A busy neighbour: other work on the cores that Envoy uses.
//!
//! A proxy in production shares its caches. The neighbour walks memory for a moment, sleeps for a moment, and so
//! on: it takes the caches again and again, and leaves Envoy processor time enough. What it takes itself is
//! not counted.

use std::hint::black_box;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::placement::Placement;

/// The word on the command line that makes this program the neighbour.
pub(crate) const MODE: &str = "neighbour";

/// How much it walks through: more than caches hold.
const BYTES: usize = 64 << 20;
const LINE: usize = 64;
/// For how long it walks, and then sleeps.
const WALK: Duration = Duration::from_micros(100);
const REST: Duration = Duration::from_micros(100);

/// Neighbours, one on each core; they end with this.
pub(super) struct Neighbours(Vec<Child>);

impl Neighbours {
    /// Those of an Envoy with so many workers.
    pub(super) fn start(placement: &Placement, workers: u32) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the neighbour: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let program = program.to_string_lossy();
        let cores = placement.of_envoy(workers);
        let one = |cores: &[usize]| -> Result<Child, String> {
            let mut command: Command = Placement::command(cores, &program);
            command.arg(MODE).stdin(Stdio::piped());
            command.spawn().map_err(failed)
        };
        let mut neighbours = Self(Vec::new());
        match cores {
            [] => neighbours.0.push(one(&[])?),
            cores => {
                for core in cores {
                    neighbours.0.push(one(&[*core])?);
                }
            }
        }
        // Its memory has to be there before it can be walked through.
        thread::sleep(Duration::from_millis(200));
        Ok(neighbours)
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Walks until nobody listens any more: the neighbour's own process.
pub(crate) fn walk() {
    thread::spawn(|| {
        let mut nothing = Vec::new();
        // It ends when whoever started it ends, however that comes.
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(0);
    });
    let mut memory = vec![1_u64; BYTES / size_of::<u64>()];
    let step = LINE / size_of::<u64>();
    let lines = memory.len() / step;
    let mut line = 0;
    loop {
        let begun = Instant::now();
        while begun.elapsed() < WALK {
            for _ in 0..64 {
                // As of a linear congruential generator with a full period: each line once, in no order that
                // a processor foresees.
                line = (line * 5 + 12_345) % lines;
                if let Some(word) = memory.get_mut(line * step) {
                    *word = black_box(word.wrapping_add(1));
                }
            }
        }
        thread::sleep(REST);
    }
}
