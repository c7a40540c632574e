//! Runs a folder of cases through a real Envoy.

use std::path::Path;
use std::process::ExitCode;

use portcullis_tests::case;
use portcullis_tests::envoy::Options;
use portcullis_tests::module_path;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: cases FOLDER   (see docs/testing.md for the format)");
        return ExitCode::from(2);
    };
    match run(Path::new(&folder), &module_path()) {
        Ok((exchanges, differences)) => {
            for difference in &differences {
                println!("{difference}");
            }
            println!(
                "{} exchanges and documents, {} differences",
                exchanges,
                differences.len()
            );
            if differences.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path, wasm: &Path) -> Result<(usize, Vec<String>), String> {
    if !wasm.exists() {
        return Err(format!("{}: no module; run `make build`", wasm.display()));
    }
    let cases = case::read_all(folder)?;
    let count = cases.iter().map(|case| case.exchanges.len().max(1)).sum();
    Ok((
        count,
        case::run_all_on_envoy(wasm, &cases, &Options::default())?,
    ))
}
