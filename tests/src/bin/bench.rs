//! Measures the module in Envoy against Envoy's own filters; `make bench`.

#[path = "../bench/mod.rs"]
mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    let settings = match bench::Settings::read(std::env::args().skip(1)) {
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
