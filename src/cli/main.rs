//! The command `portcullis`: what can be done with a document without a proxy.
//!
//! [`portcullis_cases`] reads JSON and YAML with places and looks for documents in it, [`mod@check`] has the engine compile
//! them, and [`report`] writes what it says; [`explain`] takes a request through the engine on the memory host.

mod audit;
mod check;
mod diff;
mod explain;
mod explained;
mod import;
mod inspect;
mod key;
mod outcome;
mod render;
mod report;
mod shell;
mod test;
mod token;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::audit::AuditArguments;
use self::check::{Checked, Severity};
use self::diff::DiffArguments;
use self::explain::ExplainArguments;
use self::import::ImportCommand;
use self::key::NewKey;
use self::render::RenderArguments;
use self::report::Format;
use self::shell::{CompletionArguments, ManArguments};
use self::test::TestArguments;
use self::token::TokenCommand;

/// Checks, tests and explains Portcullis documents, and makes documents, tokens and keys.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version = VERSION, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with documents, and where
    ///
    /// Takes JSON and YAML: documents, and what they stand in: configurations of Envoy, WasmPlugin, EnvoyFilter,
    /// EnvoyExtensionPolicy, ConfigMap. Of a folder, all files that have a document. Exit status: 0 all are valid;
    /// 1 one is not; 2 something could not be read.
    Check(CheckArguments),
    /// Say what is valid and risky
    ///
    /// Looks for what opens an API without being an error, in documents and in the configuration around them. Exit
    /// status: 0 nothing as bad as --fail-on; 1 something; 2 a file could not be read.
    Audit(AuditArguments),
    /// Say what becomes of a request under a document, and why
    ///
    /// Which route takes it, what each policy says, what the service and the client get. Nothing is sent and nothing is
    /// fetched: a response of another server that a policy would wait for does not come. Exit status: 0 it passes; 1 it
    /// is refused, or answered by the filter; 2 it could not be judged.
    Explain(ExplainArguments),
    /// Run case files: requests, and what must come of them
    ///
    /// On the engine alone, in milliseconds: no proxy and no network. docs/testing.md says what a case file is. Exit status:
    /// 0 all is as expected; 1 something is not; 2 a file could not be read.
    Test(TestArguments),
    /// Say what becomes of requests otherwise under another document
    ///
    /// Requests are those of case files, or are made again from records of the access log. Exit status: 0 nothing differs;
    /// 1 something does, in the documents or in what becomes of requests; 2 something could not be read.
    Diff(DiffArguments),
    /// Make a document of the configuration of other filters
    #[command(subcommand)]
    Import(ImportCommand),
    /// Print a configuration of Envoy with a document in it, to try that on this machine
    Render(RenderArguments),
    /// Make tokens to try a document with, and read tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the JSON Schema of the document, for editors and other tools
    Schema,
    /// Print what a shell completes this command with
    Completions(CompletionArguments),
    /// Print the manual page of this command, or of one of its commands
    Man(ManArguments),
}

/// The version of the command, and of the format that it reads: `version` of a document.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (document format 1)");

/// Held against the readers by a test.
const SCHEMA: &str = include_str!("../../docs/schema/portcullis.schema.json");

#[derive(Debug, Args)]
struct CheckArguments {
    /// Files and folders; - is standard input
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// A note fails too
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new key, which is shown once, and its entry for the document
    New(NewKey),
}

/// The exit status for what could not be done at all.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check(&arguments),
        Command::Audit(arguments) => {
            let audited = arguments.run(is_coloured());
            audited.map(|(text, is_good, unread)| {
                tell(&unread);
                let status = u8::from(!is_good);
                (text, if unread.is_empty() { status } else { FAILED })
            })
        }
        Command::Explain(arguments) => {
            let judged = arguments.run();
            judged.map(|(text, passes)| (text, u8::from(!passes)))
        }
        Command::Diff(arguments) => arguments.run(),
        Command::Test(arguments) => arguments.run(is_coloured()),
        Command::Import(import) => {
            let made = import.run();
            made.map(|(text, is_whole)| (text, u8::from(!is_whole)))
        }
        Command::Render(arguments) => arguments.run().map(|text| (text, 0)),
        Command::Token(token) => token.run(),
        Command::Key(KeyCommand::New(key)) => key.make().map(|text| (text, 0)),
        Command::Schema => Ok((SCHEMA.to_owned(), 0)),
        Command::Completions(arguments) => {
            arguments.run(Arguments::command()).map(|text| (text, 0))
        }
        Command::Man(arguments) => arguments.run(Arguments::command()).map(|text| (text, 0)),
    };
    let (text, status) = match done {
        Ok(done) => done,
        Err(error) => {
            // Nothing can be told if that fails.
            let _ = writeln!(io::stderr(), "error: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(status),
        Err(_) => ExitCode::from(FAILED),
    }
}

fn check(arguments: &CheckArguments) -> Result<(String, u8), String> {
    let (all, unread) = check::each(&arguments.paths, check::check)?;
    let fails = |checked: &Checked| match arguments.strict {
        true => {
            let mut findings = checked.findings.iter();
            findings.any(|finding| finding.severity <= Severity::Note)
        }
        false => checked.has_errors(),
    };
    let status = match unread.is_empty() {
        true => u8::from(all.iter().any(fails)),
        false => FAILED,
    };
    tell(&unread);
    Ok((report::write(&all, arguments.format, is_coloured()), status))
}

/// Says of each file why it was not read.
fn tell(unread: &[String]) {
    for reason in unread {
        // Nothing can be told if that fails.
        let _ = writeln!(io::stderr(), "error: {reason}");
    }
}

/// Whether people look on who have not asked for plain text (<https://no-color.org>).
fn is_coloured() -> bool {
    let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !asked_not_to
}
