//! `flumen channel`: durable channels, looked at while no agent runs on them.

use std::process::ExitCode;

use flumen_agent::channel_folders::ChannelPlace;

use crate::arguments::{ChannelChoice, ChannelCommand, ConfiguredChannel};
use crate::check;
use crate::output::complain;

/// Carries out a command. Whatever fails is told on standard error, with exit code 1.
pub(crate) fn run(program: &str, command: ChannelCommand) -> ExitCode {
    let _ = command;
    complain(&format!("{program}: not built"));
    ExitCode::FAILURE
}

/// The channel that the operator means.
pub(crate) fn chosen(choice: ChannelChoice) -> Result<ChannelPlace, String> {
    let place = match choice {
        ChannelChoice::Folder(folder) => ChannelPlace::of_folder(&folder),
        ChannelChoice::Configured(configured) => {
            let plan = plan_of(&configured)?;
            ChannelPlace::of_plan(&plan, configured.channel.as_deref())
        }
    };
    place.map_err(|error| error.to_string())
}

/// The plan of a configuration without errors and with one agent.
fn plan_of(configured: &ConfiguredChannel) -> Result<flumen_config::Plan, String> {
    let checked = check::load(&configured.files).map_err(|error| error.to_string())?;
    let errors = checked.problems.iter().filter(|problem| problem.is_error());
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    let mut plans = checked.plans.into_iter();
    match (plans.next(), plans.next()) {
        (Some((_, plan)), None) => Ok(plan),
        (None, _) => Err("the configuration has no agent".to_owned()),
        (Some(_), Some(_)) => {
            Err("the configuration has several agents; name one with --name".to_owned())
        }
    }
}
