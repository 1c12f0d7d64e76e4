//! `flumen channel`: durable channels, looked at while no agent runs on them. Nothing is changed in
//! them; `salvage` writes into a new folder.
//!
//! * `show`: also the lines of `ls`.
//! * `dump`, `verify`: what they read.

mod dump;
mod show;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flumen_agent::channel_folders::{ChannelImage, ChannelPlace, Keyring, PlaceError, salvage};
use flumen_config::Plan;

use crate::arguments::{ChannelChoice, ChannelCommand, ConfiguredChannel, SalvageArguments};
use crate::check;
use crate::import::with_causes;
use crate::output::{complain, counted, print};

/// Carries out a command. Whatever fails is told on standard error, with exit code 1; so is damage.
pub(crate) fn run(program: &str, command: ChannelCommand) -> ExitCode {
    let done = match command {
        ChannelCommand::List(folders, configured) => list(folders, configured),
        ChannelCommand::Show(choice) => image(choice).and_then(|image| {
            printed(&show::text(&image))?;
            Ok(true)
        }),
        ChannelCommand::Dump(choice, arguments) => {
            image(choice).and_then(|image| dump::run(&image, &arguments))
        }
        ChannelCommand::Verify(choice) => image(choice).and_then(|image| {
            let (text, is_whole) = verify::verify(&image)?;
            printed(&text)?;
            Ok(is_whole)
        }),
        ChannelCommand::Salvage(choice, arguments) => copy(choice, &arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            complain(&format!("{program}: {what}"));
            ExitCode::FAILURE
        }
    }
}

fn printed(text: &str) -> Result<(), String> {
    print(text).map_err(|error| format!("cannot write to standard output: {error}"))
}

/// A line for each channel; all of them can be looked at, or are in use.
fn list(folders: Vec<PathBuf>, configured: Option<ConfiguredChannel>) -> Result<bool, String> {
    let mut lines = Vec::new();
    let folders = match folders.is_empty() && configured.is_none() {
        true => vec![PathBuf::from(".")],
        false => folders,
    };
    for folder in folders {
        for (name, folder) in channels_below(folder)? {
            let image = ChannelImage::open(&folder, Keyring::default());
            lines.push(show::list_line(&name, image));
        }
    }
    if let Some(configured) = configured {
        for place in ChannelPlace::all_of_plan(&plan_of(&configured)?) {
            let folder = place.log_folder().map_err(|error| error.to_string())?;
            let name = format!("{}\t{}", place.name, folder.display());
            match place.image() {
                Ok(image) => lines.push(show::list_line(&name, Ok(image))),
                Err(PlaceError::Image(error)) => {
                    lines.push(show::list_line(&name, Err(error)));
                }
                Err(error) => lines.push((format!("{name}\t{}", with_causes(&error)), false)),
            }
        }
    }
    if lines.is_empty() {
        return Err("no file channel was found".to_owned());
    }
    let mut is_fine = true;
    for (line, own) in lines {
        is_fine &= own;
        printed(&format!("{line}\n"))?;
    }
    Ok(is_fine)
}

/// The folder itself when it holds a channel, else those of its children that do.
fn channels_below(folder: PathBuf) -> Result<Vec<(String, PathBuf)>, String> {
    let named = |folder: PathBuf| (folder.display().to_string(), folder);
    let is_channel = |folder: &PathBuf| !is_none(folder);
    if is_channel(&folder) {
        return Ok(vec![named(folder)]);
    }
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let mut children = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() && is_channel(&path) {
            children.push(path);
        }
    }
    children.sort();
    Ok(children.into_iter().map(named).collect())
}

/// Whether a folder holds no channel, by the names in it alone.
fn is_none(folder: &Path) -> bool {
    let is_log = |folder: PathBuf| {
        std::fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("segment-"))
            })
        })
    };
    !is_log(folder.join(ChannelPlace::LOG_FOLDER)) && !is_log(folder.to_owned())
}

fn copy(choice: ChannelChoice, arguments: &SalvageArguments) -> Result<bool, String> {
    let image = image_with(choice, arguments.unreadable_is_lost)?;
    let done = salvage(&image, &arguments.to).map_err(|error| with_causes(&error))?;
    let mut text = format!(
        "copied {} and {} into {}\n",
        counted(done.events, "event"),
        counted(done.records, "record"),
        done.folder.display()
    );
    if done.lost_frames > 0 {
        let frame = match arguments.unreadable_is_lost {
            true => "damaged or unreadable frame",
            false => "damaged frame",
        };
        text.push_str(&format!(
            "left out {} with {}\n",
            counted(done.lost_frames, frame),
            counted(done.lost_events, "event")
        ));
    }
    if done.unreadable_events > 0 {
        text.push_str(&format!(
            "left out {} that this build cannot read\n",
            counted(done.unreadable_events, "event")
        ));
    }
    printed(&text)?;
    Ok(true)
}

/// Who only looks is shown what there is.
fn image(choice: ChannelChoice) -> Result<ChannelImage, String> {
    image_with(choice, true)
}

fn image_with(choice: ChannelChoice, unreadable_is_lost: bool) -> Result<ChannelImage, String> {
    if let ChannelChoice::Folder(folder) = &choice {
        let image = ChannelImage::open_with(folder, Keyring::default(), unreadable_is_lost);
        return image.map_err(|error| with_causes(&error));
    }
    let image = chosen(choice)?.image_with(unreadable_is_lost);
    image.map_err(|error| with_causes(&error))
}

/// The channel that the operator means.
pub(crate) fn chosen(choice: ChannelChoice) -> Result<ChannelPlace, String> {
    let place = match choice {
        ChannelChoice::Folder(folder) => ChannelPlace::of_folder(&folder),
        ChannelChoice::Configured(configured) => {
            let plan = plan_of(&configured)?;
            let document = configured.files.read().map_err(|error| error.to_string())?;
            let place = ChannelPlace::of_plan(&plan, configured.channel.as_deref());
            place.map(|mut place| {
                place.read_checkpoint_folders(&document, plan.agent.as_str());
                place
            })
        }
    };
    place.map_err(|error| error.to_string())
}

/// The plan of a configuration without errors and with one agent.
fn plan_of(configured: &ConfiguredChannel) -> Result<Plan, String> {
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
