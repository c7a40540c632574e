//! What a shell and `man` know of the command.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

const NAME: &str = "portcullis";

#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// One of its commands, as `check`
    #[arg(value_name = "COMMAND")]
    of: Option<String>,
}

impl CompletionArguments {
    pub(super) fn run(&self, mut command: Command) -> Result<String, String> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, NAME, &mut script);
        String::from_utf8(script).map_err(|error| error.to_string())
    }
}

impl ManArguments {
    pub(super) fn run(&self, mut command: Command) -> Result<String, String> {
        // Gives each command its whole name, as `portcullis check`.
        command.build();
        let (command, title) = match &self.of {
            None => (command, NAME.to_owned()),
            Some(name) => {
                let found = command
                    .get_subcommands()
                    .find(|each| each.get_name() == name);
                let found = found.ok_or_else(|| format!("there is no command {name:?}"))?;
                (found.clone(), format!("{NAME}-{name}"))
            }
        };
        let mut page = Vec::new();
        let written = Man::new(command).title(title).render(&mut page);
        written.map_err(|error| error.to_string())?;
        String::from_utf8(page).map_err(|error| error.to_string())
    }
}
