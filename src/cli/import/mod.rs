//! `portcullis import`: documents made of the configuration of other filters.
//!
//! INVARIANT: what comes out is never looser than what was read. What has no exact counterpart is told with its place, and
//! is made stricter: an allowance is left out, a denial is for more, a route refuses all.
//!
//! [`envoy`] and [`istio`] find what there is and put it together; [`jwt`], [`rbac`], [`limits`] and [`blocks`] read single
//! filters. [`expression`] makes rules of conditions, and [`paths`] has sets of paths. [`openapi`] is for APIs.

mod assembly;
mod blocks;
mod envoy;
mod expression;
mod headers;
mod istio;
mod jwt;
mod limits;
mod openapi;
mod output;
mod paths;
mod probe;
mod rbac;
mod reading;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use self::envoy::EnvoyArguments;
use self::istio::IstioArguments;
use self::openapi::OpenapiArguments;
use self::probe::probe;
use self::reading::Report;
use super::report::Format;
use portcullis_cases::place::Source;
use portcullis_cases::tree::Tree;

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Of Envoy's own filters
    ///
    /// Takes a bootstrap, a listener, a connection manager or a list of filters, JSON or YAML. Reads jwt_authn, rbac, cors,
    /// csrf, local_ratelimit, header_mutation, buffer and api_key_auth, and what routes say of them. Exit status: 0 all was
    /// taken; 1 something was not, and is refused or stricter; 2 nothing could be made.
    Envoy(EnvoyArguments),
    /// Of RequestAuthentication, AuthorizationPolicy and EnvoyFilter
    ///
    /// Exit status as of `envoy`.
    Istio(IstioArguments),
    /// Of an OpenAPI document
    ///
    /// A document with a route that enforces it. What the API asks credentials for is told: who issues tokens and keys is
    /// not in it. Exit status as of `envoy`.
    Openapi(OpenapiArguments),
}

#[derive(Debug, Args)]
struct Output {
    /// How to write the document
    #[arg(long, value_enum, default_value = "json")]
    format: Notation,
    /// Where to write what was taken and what was not, as one object of JSON; it is told on standard error anyway
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Notation {
    Json,
    Yaml,
}

impl ImportCommand {
    /// The document, and whether all was taken.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn run(&self) -> Result<(String, bool), String> {
        let mut report = Report::default();
        let (made, output) = match self {
            Self::Envoy(arguments) => (arguments.import(&mut report), &arguments.output),
            Self::Istio(arguments) => (arguments.import(&mut report), &arguments.output),
            Self::Openapi(arguments) => (arguments.import(&mut report), &arguments.output),
        };
        let is_whole = report.is_whole();
        let document = made.and_then(|document| match probe(&document) {
            Ok(()) => Ok(document),
            Err(problems) => Err(format!(
                "what came of it is no document, which is a fault of this command: {problems}"
            )),
        });
        if let Some(file) = &output.report {
            let text = report.json().to_string() + "\n";
            fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        // Nothing can be told if that fails.
        let _ = io::stderr().write_all(report.write(Format::Text, false).as_bytes());
        let document = document?;
        let text = match output.format {
            Notation::Json => output::json(&document),
            Notation::Yaml => output::yaml(&document),
        };
        Ok((text, is_whole))
    }
}

/// The texts of a file, as trees.
///
/// # Errors
/// If it cannot be read.
fn read(path: &Path, report: &mut Report) -> Result<Vec<Tree>, String> {
    let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
    let text = portcullis_cases::documents::read(path).map_err(|error| told(&error))?;
    let contents = portcullis_cases::documents::contents(path, &text, false);
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    let contents = contents.map_err(|error| {
        let place = source.position(error.at);
        format!(
            "{}:{}:{}: {}",
            source.name, place.line, place.column, error.reason
        )
    })?;
    report.begin(source);
    Ok(contents.trees)
}
