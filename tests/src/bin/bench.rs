//! Measures the module in Envoy against Envoy's own filters; `make bench`.

#[path = "../bench/mod.rs"]
mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Processes of a benchmark's own.
    match arguments.split_first() {
        Some((mode, _)) if mode == bench::neighbour::MODE => bench::neighbour::walk(),
        Some((mode, rest)) if mode == bench::open_loop::MODE => {
            return match bench::open_loop::run(rest) {
                Ok(seen) => {
                    println!("{seen}");
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            };
        }
        _ => {}
    }
    let settings = match bench::Settings::read(arguments.into_iter()) {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", bench::USAGE);
            return ExitCode::from(2);
        }
    };
    match bench::run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
