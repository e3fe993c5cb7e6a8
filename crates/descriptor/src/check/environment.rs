//! `env`: variables for the nodes' processes.

use std::collections::BTreeMap;

use super::model::DraftModels;
use super::{Checker, Report};
use crate::Code;
use crate::yaml::{Value, shortened};

/// Variables that the runtime itself gives every node.
const OURS: [&str; 4] = [
    "DATAFLOW_CONTROL_FD",
    "DATAFLOW_NODE",
    "DATAFLOW_RUN",
    "DATAFLOW_TERMINAL",
];

impl Checker<'_> {
    /// The variables of `env`; `owner` names whose they are, `models` has those that are not for people to set.
    pub(crate) fn environment_variables(
        &mut self,
        value: &Value,
        owner: &str,
        models: &DraftModels,
    ) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let what = format!("`env` of {owner}");
        let Some(entries) = self.entries(value, &what, "write `env: { NAME: value }`") else {
            return variables;
        };
        let mut seen: BTreeMap<&str, &Value> = BTreeMap::new();
        for (key, value) in entries {
            let Some(name) = self.key_text(key, &what) else {
                continue;
            };
            if let Some(first) = seen.get(name) {
                self.duplicate_key(first, key, name, &what);
                continue;
            }
            seen.insert(name, key);
            let fault = if name.is_empty() {
                Some("a variable has a name".to_owned())
            } else if name.contains(['=', '\0']) {
                Some(format!(
                    "`{}` cannot be a variable's name: it has `=` or NUL",
                    shortened(name)
                ))
            } else if OURS.contains(&name) {
                Some(format!("`{name}` is set by the runtime"))
            } else {
                None
            };
            if let Some(fault) = fault {
                self.report(
                    Report::error(Code::BadEnvironment, key.place, fault)
                        .help("remove it, or choose another name"),
                );
                continue;
            }
            if let Some((model, place)) = models.with_variable(name) {
                self.report(
                    Report::error(
                        Code::BadEnvironment,
                        key.place,
                        format!(
                            "`{name}` is set by the runtime, to the folder of the model `{model}`"
                        ),
                    )
                    .related(place, "the model is here")
                    .help("remove it, or give the model another name"),
                );
                continue;
            }
            let value_of = format!("the variable `{}`", shortened(name));
            if let Some(text) = self.scalar(value, &value_of, "for an empty value write \"\"") {
                variables.insert(name.to_owned(), text);
            }
        }
        variables
    }
}
