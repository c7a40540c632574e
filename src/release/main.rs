//! The program that puts a release together. All that it writes is a function of its arguments and of the files
//! that they name: the same on every machine.
//!
//! [`image`] writes OCI images without a container runtime, [`chart`] packs the Helm chart, [`bill`] says what is
//! built in, [`provenance`] what a release was made from.

mod bill;
mod chart;
mod image;
mod lock;
mod provenance;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use sha2::{Digest as _, Sha256};

use self::image::Command;

/// Writes images, bills of materials, provenance and sums beside what was built.
#[derive(Debug, Parser)]
struct Arguments {
    /// The module
    #[arg(long)]
    module: PathBuf,
    /// The command for an architecture of OCI, as in amd64=target/portcullis
    #[arg(long = "command", value_name = "ARCHITECTURE=FILE", value_parser = command)]
    commands: Vec<(String, PathBuf)>,
    /// What `cargo tree --prefix depth --format '{p}|{l}'` says of the module
    #[arg(long)]
    module_tree: PathBuf,
    /// What it says of the command
    #[arg(long)]
    command_tree: PathBuf,
    /// The folder of the chart
    #[arg(long)]
    chart: PathBuf,
    /// The JSON Schema of documents, for the chart
    #[arg(long)]
    schema: Option<PathBuf>,
    /// The lock file, for the sums of crates
    #[arg(long)]
    lock: PathBuf,
    /// The file that names the toolchain
    #[arg(long)]
    toolchain: PathBuf,
    /// What the compiler says of itself
    #[arg(long)]
    rustc: String,
    /// The commit that it is built from
    #[arg(long)]
    revision: String,
    /// Where the sources are, as a URL
    #[arg(long)]
    source: Option<String>,
    /// Who builds, as a URI
    #[arg(long, default_value = "urn:portcullis:builder:local")]
    builder: String,
    /// Seconds since 1970 that count as the time of the release
    #[arg(long)]
    epoch: u64,
    /// The version
    #[arg(long)]
    version: String,
    /// The folder to write to
    #[arg(long)]
    out: PathBuf,
}

fn command(text: &str) -> Result<(String, PathBuf), String> {
    let (architecture, path) = text.split_once('=').ok_or("ARCHITECTURE=FILE is meant")?;
    Ok((architecture.to_owned(), path.into()))
}

/// A file of the release.
struct Artefact {
    name: String,
    bytes: Vec<u8>,
}

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nothing can be told if that fails.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn run(&self) -> Result<(), String> {
        let artefacts = self.artefacts()?;
        fs::create_dir_all(&self.out).map_err(|error| said(&self.out, &error))?;
        for Artefact { name, bytes } in &artefacts {
            let path = self.out.join(name);
            fs::write(&path, bytes).map_err(|error| said(&path, &error))?;
        }
        Ok(())
    }

    fn artefacts(&self) -> Result<Vec<Artefact>, String> {
        let version = &self.version;
        let module = read(&self.module)?;
        let mut commands = Vec::new();
        let mut built = vec![Artefact {
            name: format!("portcullis-{version}.wasm"),
            bytes: module.clone(),
        }];
        for (architecture, path) in &self.commands {
            let bytes = read(path)?;
            built.push(Artefact {
                name: format!("portcullis-{version}-linux-{architecture}"),
                bytes: bytes.clone(),
            });
            commands.push(Command {
                architecture: architecture.clone(),
                bytes,
            });
        }
        let about = image::About {
            version,
            revision: &self.revision,
            epoch: self.epoch,
        };
        let images = [
            ("image", image::compatible(&module, &about)?),
            ("artifact", image::artifact(&module, &about)?),
            ("command-image", image::of_commands(&commands, &about)?),
        ];
        built.extend(images.map(|(kind, bytes)| Artefact {
            name: format!("portcullis-{version}-{kind}.oci.tar"),
            bytes,
        }));

        let schema = self.schema.as_deref().map(read).transpose()?;
        built.push(Artefact {
            name: format!("portcullis-{version}.tgz"),
            bytes: chart::pack(&self.chart, schema.as_deref(), version, self.epoch)?,
        });
        let lock = text(&self.lock)?;
        let sums = lock::sums(&lock);
        let mut all = built;
        let mut bills = Vec::new();
        for (name, tree, about) in [
            ("module", &self.module_tree, "portcullis-proxy-wasm"),
            ("command", &self.command_tree, "portcullis-cli"),
        ] {
            let bill = bill::write(&bill::Subject {
                crate_name: about,
                version,
                rustc: &self.rustc,
                epoch: self.epoch,
                tree: &text(tree)?,
                sums: &sums,
            })?;
            bills.push(Artefact {
                name: format!("portcullis-{version}-{name}.cdx.json"),
                bytes: bill,
            });
        }
        all.extend(bills);
        let subjects: Vec<(String, String)> = all
            .iter()
            .map(|artefact| (artefact.name.clone(), hex_sum(&artefact.bytes)))
            .collect();
        all.push(Artefact {
            name: format!("portcullis-{version}.intoto.json"),
            bytes: provenance::write(&provenance::Build {
                subjects: &subjects,
                revision: &self.revision,
                source: self.source.as_deref(),
                builder: &self.builder,
                version,
                rustc: &self.rustc,
                epoch: self.epoch,
                lock: &hex_sum(lock.as_bytes()),
                toolchain: &hex_sum(&read(&self.toolchain)?),
            }),
        });
        let sums = all.iter().map(|artefact| {
            let Artefact { name, bytes } = artefact;
            format!("{}  {name}\n", hex_sum(bytes))
        });
        let sums: String = sums.collect();
        all.push(Artefact {
            name: "SHA256SUMS".to_owned(),
            bytes: sums.into_bytes(),
        });
        Ok(all)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| said(path, &error))
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| said(path, &error))
}

fn said(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// The SHA-256 of bytes, in hexadecimal.
fn hex_sum(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON as files have it.
fn pretty(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A time as RFC 3339 has it, in UTC.
fn date(epoch: u64) -> String {
    let (days, second) = (epoch / 86_400, epoch % 86_400);
    // The calendar repeats every 400 years; it is counted from a March, so that a leap day ends a year.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (
        of_year - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_800_000_000), "2027-01-15T08:00:00Z");
        assert_eq!(date(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(date(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_sum_is_sha_256() {
        assert_eq!(
            hex_sum(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
