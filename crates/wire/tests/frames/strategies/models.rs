//! Any value of how a model stands.

use std::path::PathBuf;

use dataflow_ids::{ModelName, RepoKind};
use dataflow_wire::status::{ModelFailure, ModelFile, ModelState, ModelStatus, ModelView};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{duration, node_id, text};

fn model_file() -> impl Strategy<Value = ModelFile> {
    (text(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(path, bytes_done, bytes_total, is_verified)| ModelFile {
            path,
            bytes_done,
            bytes_total,
            is_verified,
        },
    )
}

pub(super) fn model_view() -> impl Strategy<Value = ModelView> {
    let state = select(vec![
        ModelState::Waiting,
        ModelState::Resolving,
        ModelState::Fetching,
        ModelState::Ready,
        ModelState::Failed,
        ModelState::Cancelled,
    ]);
    let failure = (text(), text(), text()).prop_map(|(code, what, remedy)| ModelFailure {
        code,
        what,
        remedy,
    });
    (
        (
            state,
            option::of(text()),
            vec(model_file(), 0..4),
            any::<(u64, u64)>(),
        ),
        (any::<u64>(), any::<u64>(), option::of(any::<u64>())),
        (option::of(duration()), option::of(text())),
        (option::of(text()), option::of(failure)),
    )
        .prop_map(
            |((state, commit, files, counts), bytes, wait, end)| ModelView {
                state,
                commit,
                files,
                files_total: counts.0,
                files_done: counts.1,
                bytes_done: bytes.0,
                bytes_total: bytes.1,
                bytes_per_second: bytes.2,
                time_left: wait.0,
                because: wait.1,
                path: end.0.map(PathBuf::from),
                failure: end.1,
            },
        )
}

pub(super) fn model_status() -> impl Strategy<Value = ModelStatus> {
    let kind = select(vec![RepoKind::Model, RepoKind::Dataset, RepoKind::Space]);
    (node_id(), text(), kind, text(), model_view()).prop_map(
        |(model, repo, kind, revision, view)| ModelStatus {
            model: ModelName::new(model.as_str()).expect("the same letters"),
            repo,
            kind,
            revision,
            view,
        },
    )
}
