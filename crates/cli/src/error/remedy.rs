//! What a person can do about what went wrong.

use dataflow_descriptor::{harmless_text, nearest};

use super::CliError;

/// What does without the live table of `top`.
const WITHOUT_LIVE_TABLE: &str =
    "`dataflow top --once` writes it once, as text; `dataflow top --json` one object a line";

impl CliError {
    /// What to do about it, when the text does not say so itself.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            CliError::NothingRuns { .. } => {
                "`dataflow up FILE` starts one; for one of another folder, go there or name its file"
                    .to_owned()
            }
            CliError::DoesNotRun { .. } => {
                "`dataflow ps` shows what runs; for one of another folder, go there or name its file"
                    .to_owned()
            }
            CliError::Several { names, option } => {
                let option = option.map_or(String::new(), |option| format!("{option} "));
                format!("name the one you mean, as `{option}{}`", names[0])
            }
            CliError::RunsAlready { name, .. } => format!(
                "stop it first with `dataflow down {name}`, or give this one another `name`"
            ),
            CliError::PathNotText { .. } => {
                "give the folder or the file another name".to_owned()
            }
            CliError::BuildFailed { .. } => {
                "what it said stands above; nothing was started".to_owned()
            }
            CliError::RuntimeVanished { name, .. } => {
                format!("its nodes have ended with it; `dataflow logs {name}` shows what they said")
            }
            CliError::AgentRefuses { .. } | CliError::AgentEnds { .. } => {
                "`dataflow up --no-agent` runs it without the agent".to_owned()
            }
            CliError::AgentVanished { dataflow: Some(dataflow), .. } => {
                format!("its nodes have ended with it; `dataflow logs {dataflow}` shows what they said")
            }
            CliError::AgentVanished { dataflow: None, .. } => {
                "what it logged says why; `dataflow up --no-agent` runs it without the agent".to_owned()
            }
            CliError::LeftAgent { pid, .. } => {
                format!("if it is stopped, `kill -CONT {pid}` lets it go on")
            }
            CliError::NoPeersFile => "name it with `--peers FILE`".to_owned(),
            CliError::UnknownPeer { near, known, .. } => match near {
                Some(near) => format!("did you mean `{near}`? it has {known}"),
                None => format!("it has {known}"),
            },
            CliError::CannotAsk => {
                "run it at a terminal, or say `--yes` on a network where nobody can sit in between".to_owned()
            }
            CliError::NoAgent => {
                "`dataflow agent --peers peers.yaml --node ID` starts one, where ID is this machine's in that file"
                    .to_owned()
            }
            CliError::EnvironmentTooLarge { .. } => {
                "make it smaller, or run the dataflow without the agent: `dataflow up --no-agent`".to_owned()
            }
            CliError::NoLogs { .. } => {
                "logs stay in .dataflow/ beside the YAML file: name that file, or go to its folder; nodes \
                 come after the name of their dataflow, as in `dataflow logs vision camera`"
                    .to_owned()
            }
            CliError::UnknownNode { known, node, .. } => {
                let has = format!("it has {}", known.join(", "));
                match nearest(node, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? {has}"),
                    None => has,
                }
            }
            CliError::Stops { dataflow, .. } => {
                format!("`dataflow ps {dataflow}` shows how far it is; `dataflow up` starts it again")
            }
            CliError::NodeEnded { dataflow, .. } => format!(
                "its edges are closed: `dataflow down {dataflow}`, and start the dataflow again"
            ),
            CliError::ReportNotWritten { .. } | CliError::ReportMissing { .. } => {
                "how it ended stands above, and nowhere else: make room on the disk".to_owned()
            }
            CliError::NodeNotStarted { .. } => "try again in a moment".to_owned(),
            CliError::NodeElsewhere { dataflow, .. } => {
                format!("`dataflow ps {dataflow}` shows how it stands now")
            }
            CliError::BadModel { what, .. } => match *what {
                "repository" => "name it as the Hub does: `owner/name`, `owner/name@revision`".to_owned(),
                "revision" => "name a branch, a tag, a ref such as `refs/pr/1`, or a commit".to_owned(),
                _ => "write paths as the repository has them: `config.json`, `*.safetensors`, `onnx/*`".to_owned(),
            },
            CliError::BrokenOff { .. } => "the same command goes on from there".to_owned(),
            CliError::NotInCache { near, .. } => match near {
                Some(near) => format!("did you mean `{near}`? `dataflow models ls` shows what is there"),
                None => "`dataflow models ls` shows what is there".to_owned(),
            },
            CliError::Models(error) => harmless_text(&error.remedy()),
            CliError::OptionOfRepositories { .. } => {
                "leave the option out, or pull the repository by its own name".to_owned()
            }
            #[cfg(feature = "top")]
            CliError::NoTerminal => WITHOUT_LIVE_TABLE.to_owned(),
            #[cfg(not(feature = "top"))]
            CliError::NoLiveTable => WITHOUT_LIVE_TABLE.to_owned(),
            CliError::Watch { .. } => {
                "the system's limit of watches may be reached (fs.inotify.max_user_watches); without \
                 `--follow`, `dataflow logs` needs none"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_name_one_of_several_is_told_where_to_write_it() {
        let several = |option| CliError::Several {
            names: vec!["vision".to_owned(), "speech".to_owned()],
            option,
        };
        let help = |option| several(option).help();
        assert_eq!(
            help(None).as_deref(),
            Some("name the one you mean, as `vision`")
        );
        assert_eq!(
            help(Some("--flow")).as_deref(),
            Some("name the one you mean, as `--flow vision`")
        );
    }
}
