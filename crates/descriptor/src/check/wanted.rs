//! `models` of a node: which of the dataflow's models it waits for.

use dataflow_ids::{ModelIndex, ModelName};

use super::fields::list;
use super::model::{DraftModels, model_index};
use super::{Checker, Report};
use crate::Code;
use crate::diagnostic::Place;
use crate::nearest::nearest;
use crate::yaml::{Kind, Value, shortened};

impl Checker<'_> {
    /// A node's `models`.
    pub(crate) fn models_of_node(
        &mut self,
        value: &Value,
        owner: &str,
        models: &mut DraftModels,
    ) -> Vec<ModelIndex> {
        let what = format!("`models` of {owner}");
        let items = match &value.kind {
            Kind::List(items) => items,
            Kind::Null => return Vec::new(),
            _ => {
                let help = match value.as_text() {
                    Some(text) => format!("write `models: [{}]`", shortened(text)),
                    None => "it names models of the dataflow: `models: [detector]`; what they are stands in \
                             `models:` at the root"
                        .to_owned(),
                };
                models.uses_unknown = true;
                self.wrong_type(value, &what, "a list of names", Some(help));
                return Vec::new();
            }
        };
        let mut wanted: Vec<(ModelIndex, Place)> = Vec::new();
        for item in items {
            let Some(name) = self.name(item, &format!("a model of {owner}"), ModelName::new) else {
                models.uses_unknown = true;
                continue;
            };
            let Some(index) = models.index_of(name.as_str()) else {
                self.unknown_model(&name, item, owner, models);
                continue;
            };
            models.used.insert(index);
            match wanted.iter().find(|(earlier, _)| *earlier == index) {
                None => wanted.push((index, item.used_at)),
                Some((_, first)) => self.report(
                    Report::error(
                        Code::DuplicateModel,
                        item.used_at,
                        format!("{owner} wants the model `{name}` twice"),
                    )
                    .related(*first, "the first is here")
                    .help("remove one of the two"),
                ),
            }
        }
        wanted.into_iter().map(|(index, _)| index).collect()
    }

    fn unknown_model(
        &mut self,
        name: &ModelName,
        item: &Value,
        owner: &str,
        models: &mut DraftModels,
    ) {
        // What is wrong with `models` has been reported; which names were meant to be there is not known.
        if models.has_holes {
            return;
        }
        let names: Vec<&str> = models
            .declared
            .iter()
            .map(|model| model.name.as_str())
            .collect();
        let mut near = None;
        if !self.is_full() {
            near = nearest(name.as_str(), names.iter().copied());
        }
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!(
                "the dataflow has none: add `models: {{ {name}: {{ repo: acme/tiny-detector }} }}` at the root"
            ),
            None if names.len() <= 12 => format!("the models are {}", list(&names)),
            None => "a node wants models of this file".to_owned(),
        };
        self.report(
            Report::error(
                Code::UnknownModel,
                item.used_at,
                format!("{owner} wants a model `{name}`, and there is none"),
            )
            .help(help),
        );
        if let Some(index) = near.and_then(|near| models.index_of(near)) {
            models.used.insert(index);
        }
    }

    /// Warns of models that no node wants.
    pub(crate) fn unused_models(&mut self, models: &DraftModels) {
        if models.uses_unknown {
            return;
        }
        for (index, model) in models.declared.iter().enumerate() {
            if models.used.contains(&model_index(index)) {
                continue;
            }
            self.report(
                Report::warning(
                    Code::UnusedModel,
                    model.place,
                    format!("no node wants the model `{}`", model.name),
                )
                .help(format!(
                    "it is not fetched: add `models: [{}]` to the node that needs it, or remove it",
                    model.name
                )),
            );
        }
    }
}
