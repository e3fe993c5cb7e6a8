//! No models: for a run whose nodes need none.

use dataflow_wire::status::{ModelState, ModelView};
use tokio::sync::watch;

use super::error::ModelError;
use super::seam::{LetGo, ModelOrder, Models, Wanted};

/// Has no models, and says so to whoever wants one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

#[derive(Debug)]
struct Nothing;

impl LetGo for Nothing {}

impl Models for NoModels {
    fn want(&self, order: ModelOrder) -> Wanted {
        let why = format!("nothing fetches {} here", order.spec);
        let failed = ModelView {
            state: ModelState::Failed,
            failure: Some(ModelError::Internal { why }.failure()),
            ..ModelView::default()
        };
        Wanted::new(watch::channel(failed).1, Box::new(Nothing))
    }
}
