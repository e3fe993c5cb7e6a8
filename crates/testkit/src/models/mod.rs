//! Models without a Hub: a fetcher that does what a script says, on virtual time.
//!
//! ```
//! use std::rc::Rc;
//! use std::time::Duration;
//!
//! use dataflow_core::models::ModelSpec;
//! use dataflow_ids::RepoKind;
//! use dataflow_runtime::models::{LocalModels, ModelOrder, Models};
//! use dataflow_testkit::models::{FakeFetcher, Script};
//! use dataflow_testkit::virtual_time;
//! use dataflow_wire::status::ModelState;
//!
//! let path = virtual_time::run(async {
//!     let ten_minutes = Duration::from_secs(600);
//!     let fetcher = FakeFetcher::new(move |_| Script::finishes_after(ten_minutes));
//!     let models = LocalModels::new(Rc::new(fetcher));
//!     let spec = ModelSpec {
//!         kind: RepoKind::Model,
//!         repo: "acme/tiny-detector".to_owned(),
//!         revision: "main".to_owned(),
//!         files: Vec::new(),
//!     };
//!     let mut wanted = models.want(ModelOrder { spec, pins: None, is_update: false });
//!     while wanted.view().state != ModelState::Ready {
//!         assert!(wanted.changed().await);
//!     }
//!     wanted.view().path
//! });
//! assert!(path.is_some());
//! ```

mod fetcher;
mod script;

pub use fetcher::{FakeFetch, FakeFetcher, FetchEnd};
pub use script::{Ending, Script};
