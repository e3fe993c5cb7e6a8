//! What can be typed after `dataflow models`.

use clap::{Args, Subcommand, ValueEnum};
use dataflow_ids::RepoKind;

use super::rate::LimitRate;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow models pull flow.yml               fetch what a dataflow needs, before it runs
  dataflow models pull acme/tiny-detector     fetch a repository of the Hub
  dataflow models ls                          what is in the cache
  dataflow models verify                      read everything again, and compare every hash
  dataflow models rm acme/tiny-detector       remove it from the cache

The cache is the Hub's own: what Python's huggingface_hub has fetched is there, and it finds what is fetched here.
Environment: HF_HOME or HF_HUB_CACHE (where the cache is), HF_ENDPOINT (the Hub), HF_TOKEN (for what is private or
gated), HF_HUB_OFFLINE=1 (ask nobody), SSL_CERT_FILE (certificates to trust), DATAFLOW_LIMIT_RATE (as --limit-rate).")]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch models: each file is there when its hash is right, and not before
    Pull(PullArguments),
    /// Show what is in the cache
    Ls(LsArguments),
    /// Read what is in the cache again, and compare every hash
    Verify(VerifyArguments),
    /// Remove a repository, or one revision of it, from the cache
    Rm(RmArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow models pull flow.yml                           what its nodes want, at the commits of dataflow.lock
  dataflow models pull --update flow.yml                  what the Hub has now, and pin that
  dataflow models pull acme/tiny-detector                 all files of its branch `main`
  dataflow models pull acme/tiny-detector@v1.0 --file '*.json' --file '*.safetensors'
  dataflow models pull acme/faces --kind dataset
  dataflow models pull --limit-rate 2M flow.yml           leave others some of the line

Ctrl-C ends it at once. What was fetched is kept, and the next pull goes on from there.
Exit codes: 0 all are there, 1 one cannot be had, 2 the input is wrong.")]
pub(crate) struct PullArguments {
    /// A description (FLOW.yml), or a repository of the Hub (OWNER/NAME, OWNER/NAME@REVISION)
    #[arg(required = true, value_name = "FLOW.yml|REPO[@REVISION]")]
    pub(crate) what: Vec<String>,
    /// Of a repository, only the files that this pattern means; can be repeated
    #[arg(long = "file", value_name = "PATTERN")]
    pub(crate) files: Vec<String>,
    /// What kind of repository it is
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// Ask the Hub what each revision means now, and pin that in dataflow.lock
    #[arg(long)]
    pub(crate) update: bool,
    #[command(flatten)]
    pub(crate) limit_rate: LimitRate,
    /// Write one JSON object a line: progress, and at the end what became of each
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow models ls
  dataflow models ls --json

SIZE is what a repository takes on the disk. PARTIAL is what was fetched of files that are not complete; the next
pull goes on from there.")]
pub(crate) struct LsArguments {
    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow models verify                            everything that is in the cache
  dataflow models verify acme/tiny-detector         one repository
  dataflow models verify acme/tiny-detector@main    one revision of it

A file with another content than its name says is moved out of the way, and `dataflow models pull` fetches it again.
Exit codes: 0 every hash is right, 1 one is wrong, 2 there is no such repository in the cache.")]
pub(crate) struct VerifyArguments {
    /// Repositories in the cache; without any, all
    #[arg(value_name = "REPO[@REVISION]")]
    pub(crate) what: Vec<String>,
    /// What kind of repository it is
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow models rm acme/tiny-detector              everything of it
  dataflow models rm acme/tiny-detector@v1.0         one revision, and the files that no other has
  dataflow models rm acme/faces --kind dataset

Nothing outside of the cache is ever touched. Exit codes: 0 removed, 1 it could not be, 2 there is no such repository
or revision in the cache.")]
pub(crate) struct RmArguments {
    /// Repositories in the cache
    #[arg(required = true, value_name = "REPO[@REVISION]")]
    pub(crate) what: Vec<String>,
    /// What kind of repository it is
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The kind of a repository, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Weights, configuration, tokenizers; what is meant without this option
    Model,
    /// Data
    Dataset,
    /// A demonstration
    Space,
}

impl From<Kind> for RepoKind {
    fn from(kind: Kind) -> RepoKind {
        match kind {
            Kind::Model => RepoKind::Model,
            Kind::Dataset => RepoKind::Dataset,
            Kind::Space => RepoKind::Space,
        }
    }
}
