//! Runs a folder of cases on the core alone: without a module and without Envoy.

use std::path::Path;
use std::process::ExitCode;

use portcullis_tests::case;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: judge FOLDER   (see docs/testing.md for the format)");
        return ExitCode::from(2);
    };
    let cases = match case::read_all(Path::new(&folder)) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (mut judged, mut different) = (0, 0);
    for case in &cases {
        judged += case.exchanges.len().max(1);
        for difference in case::run_on_engine(case) {
            different += 1;
            println!("{}: {difference}", case.path.display());
        }
    }
    println!("{judged} exchanges and documents, {different} differences");
    if different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
