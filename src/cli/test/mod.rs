//! `portcullis test`: runs case files on the engine, and says what of a document no case reaches.

mod coverage;
mod report;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use portcullis_cases::keys::FoundKeys;

use self::coverage::Coverage;
use self::run::{Run, Selection};

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Case files, and folders with them
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Only exchanges with that text in their names, or in the path of their file; those before them in a file run too
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    #[command(flatten)]
    keys: CaseKeys,
    /// How to write what came of them
    #[arg(long, value_enum, default_value = "text")]
    format: TestFormat,
    /// List what of the documents no case reaches: routes, rules, limits and codes of refusals
    #[arg(long)]
    coverage: bool,
    /// The least share of routes, rules and limits that cases reach, in percent, for exit status 0
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_min: Option<u8>,
}

/// Where the keys and the environment of cases come from.
#[derive(Debug, Args)]
pub(crate) struct CaseKeys {
    /// The private key that is `local` in cases: its tokens are taken in place of those whose keys the proxy would fetch;
    /// a key of this run, if not given
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The folder of the other keys that cases name; `keys` beside the case or a folder around it, if not given
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// An environment variable of the VM: NAME=VALUE
    #[arg(long = "env", value_name = "NAME=VALUE")]
    variables: Vec<String>,
}

/// How what came of cases is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestFormat {
    /// A line for each exchange that failed, and what explains it.
    Text,
    /// One object.
    Json,
    /// JUnit's XML, which most CI systems show.
    Junit,
    /// Workflow commands of GitHub Actions, which annotate a pull request.
    Github,
}

impl CaseKeys {
    pub(crate) fn found(&self) -> FoundKeys {
        FoundKeys::new(self.keys.clone(), self.key.clone())
    }

    /// # Errors
    /// If one is not written as it must be.
    pub(crate) fn variables(&self) -> Result<BTreeMap<String, String>, String> {
        let pairs = self.variables.iter().map(|given| {
            let (name, value) = given
                .split_once('=')
                .ok_or_else(|| format!("--env takes NAME=VALUE, not {given:?}"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        pairs.collect()
    }
}

impl TestArguments {
    /// What came of the cases, and the exit status.
    ///
    /// # Errors
    /// If there are no cases, or a word is not as it must be.
    pub(crate) fn run(&self, colour: bool) -> Result<(String, u8), String> {
        let began = now();
        let keys = self.keys.found();
        let variables = self.keys.variables()?;
        let mut run = Run::default();
        let mut coverage = Coverage::default();
        let filter = Selection(self.filter.as_deref());
        for path in files(&self.paths)? {
            run.file(&path, &keys, &variables, &filter, &mut coverage);
        }
        if let (0, true, Some(text)) = (run.exchanges(), run.is_read(), &self.filter) {
            return Err(format!(
                "no exchange has {text:?} in its name or its file's"
            ));
        }
        run.took = began.elapsed();
        let wants_coverage = self.coverage || self.coverage_min.is_some();
        let covered = wants_coverage.then(|| coverage.finish());
        let text = match self.format {
            TestFormat::Text => report::text(&run, covered.as_deref(), colour),
            TestFormat::Json => report::json(&run, covered.as_deref()),
            TestFormat::Junit => report::junit(&run),
            // A minimum alone asks for no list.
            TestFormat::Github => {
                report::github(&run, covered.as_deref().filter(|_| self.coverage))
            }
        };
        let share = covered.as_deref().map_or(100.0, coverage::share);
        let is_too_little = self
            .coverage_min
            .is_some_and(|least| share < f64::from(least));
        let status = match () {
            () if !run.is_read() => super::FAILED,
            () if run.failed() > 0 || is_too_little => 1,
            () => 0,
        };
        if let (true, Some(least)) = (is_too_little, self.coverage_min) {
            super::tell(&[format!(
                "cases reach {share:.1} % of routes, rules and limits, less than {least}"
            )]);
        }
        Ok((text, status))
    }
}

/// The files that are meant: those that are named, and in folders those that are cases.
///
/// # Errors
/// If a folder cannot be read or has none.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut all = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => all.extend(portcullis_cases::files(path)?),
            false => all.push(path.clone()),
        }
    }
    Ok(all)
}

/// The name of a file as people write it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long cases took is told to people, and nothing else depends on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
