//! `mediamill profiles`: lists the compression profiles.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use super::{CliError, Global};
use crate::config::{Config, LoadedProfile, Profiles};

/// List the compression profiles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    format: super::Format,
}

pub(crate) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    let mut out = io::stdout().lock();
    match args.format {
        super::Format::Json => {
            for profile in profiles.iter() {
                writeln!(out, "{}", as_json(profile))?;
            }
        }
        super::Format::Human => {
            let width = profiles.iter().map(|profile| profile.raw.name.len()).max().unwrap_or(0);
            for profile in profiles.iter() {
                let mark = if profile.raw.name == config.worker.profile { '*' } else { ' ' };
                let LoadedProfile { raw, version, file } = profile;
                writeln!(out, "{mark} {:width$}  {version}  {}", raw.name, raw.description)?;
                if let Some(file) = file {
                    writeln!(out, "  {:width$}  from {}", "", file.display())?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Global {
    /// The configuration, and its profiles.
    pub(crate) fn load_with_profiles(&self) -> Result<(Config, Profiles), CliError> {
        let config = self.load()?;
        let profiles = Profiles::load(&config.worker.profiles_dir)?;
        if profiles.get(&config.worker.profile).is_none() {
            return Err(CliError::Usage(format!("worker.profile: there is no profile {:?}", config.worker.profile)));
        }
        for (name, channel) in &config.channels {
            if !channel.profile.is_empty() && profiles.get(&channel.profile).is_none() {
                let text = format!("channels.{name}.profile: there is no profile {:?}", channel.profile);
                return Err(CliError::Usage(text));
            }
        }
        Ok((config, profiles))
    }
}

fn as_json(profile: &LoadedProfile) -> serde_json::Value {
    json!({ "version": profile.version, "file": profile.file, "profile": profile.raw })
}
