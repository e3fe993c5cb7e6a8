//! Before an agent begins: everything that can be checked is checked, its ports are bound, and it is this user's only one.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use dataflow_descriptor::Peers;
use dataflow_ids::{BootId, PeerId};
use ring::rand::SecureRandom;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::AgentEvent;
use super::controls::{AgentControl, AgentControls};
use super::error::{AgentError, AgentRunError};
use super::reload::look_who_writes;
use super::serve::{Parts, serve};
use crate::network::{Identity, NetworkEvent, NetworkLimits, NetworkSettings, QuicNetwork};
use crate::registry::{Claim, Registry};
use crate::statistics::MetricsListener;

/// Called once a second by the control loop: it lives.
pub type OnBeat = Box<dyn FnMut() + Send>;

/// What an agent is started with.
pub struct AgentOptions {
    /// The file of peers, checked.
    pub peers: Peers,
    /// Which of them this machine is.
    pub this: PeerId,
    /// The file of its key. `None`: where it is when nothing is said.
    pub identity: Option<PathBuf>,
    /// Where it listens. `None`: at its address in the file.
    pub listen: Option<SocketAddr>,
    /// Where programs read metrics over HTTP. `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The version of this `dataflow`.
    pub version: String,
    /// Hears that the control loop lives.
    pub on_beat: OnBeat,
}

impl fmt::Debug for AgentOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentOptions")
            .field("this", &self.this)
            .field("file", &self.peers.file)
            .finish_non_exhaustive()
    }
}

/// An agent that has been prepared: it has its port, and is found by commands, which wait until it begins.
pub struct PreparedAgent {
    options: AgentOptions,
    claim: Claim,
    registry: Registry,
    identity: Identity,
    boot: BootId,
    seed: u64,
    network: QuicNetwork,
    heard: UnboundedReceiver<NetworkEvent>,
    metrics: Option<MetricsListener>,
    controls: AgentControls,
    control: UnboundedReceiver<AgentControl>,
}

impl fmt::Debug for PreparedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedAgent({})", self.options.this)
    }
}

/// Checks what an agent needs, makes its key if there is none, binds its port, and claims to be this user's agent.
///
/// # Errors
///
/// [`AgentError`], which says what to do. Nothing but a key is left behind.
pub fn prepare(options: AgentOptions) -> Result<PreparedAgent, AgentError> {
    prepare_in(Registry::of_this_process(), options)
}

/// As [`prepare`], with a registry somewhere else.
pub(crate) fn prepare_in(
    registry: Registry,
    options: AgentOptions,
) -> Result<PreparedAgent, AgentError> {
    let peers = &options.peers;
    let Some(entry) = peers.peer(options.this.as_str()) else {
        return Err(AgentError::NotListed {
            this: options.this.clone(),
            file: peers.file.clone(),
            known: peers.peers.iter().map(|peer| peer.id.clone()).collect(),
        });
    };
    look_who_writes(&peers.file)?;
    let listen = options.listen.unwrap_or(entry.address);
    let identity_file = match &options.identity {
        Some(file) => file.clone(),
        None => Identity::default_file()?,
    };
    let identity = Identity::load_or_make(&identity_file)?;
    // Before the port: who starts a second one is told of the first, and not of a port.
    let claim = registry.claim_agent(&options.this, &peers.file)?;
    let boot = BootId(random()?);
    let (network, heard) = QuicNetwork::start(NetworkSettings {
        listen,
        identity: identity.clone(),
        boot,
        version: options.version.clone(),
        limits: NetworkLimits::default(),
    })?;
    let metrics = options.metrics.map(MetricsListener::bind).transpose()?;
    let (to_agent, control) = unbounded_channel();
    Ok(PreparedAgent {
        options,
        claim,
        registry,
        identity,
        boot,
        seed: random()?,
        network,
        heard,
        metrics,
        controls: AgentControls::new(to_agent),
        control,
    })
}

fn random() -> Result<u64, AgentError> {
    let mut bytes = [0; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| AgentError::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}

impl PreparedAgent {
    /// Controls for another thread.
    pub fn controls(&self) -> AgentControls {
        self.controls.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.network.address()
    }

    /// Runs the agent on the calling thread until it is stopped and everything on it has ended, and tells `events` what
    /// happens.
    ///
    /// The thread must not be one of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`AgentRunError`] when it cannot go on. What ran on it was stopped as `down` does it.
    pub fn block_on(self, events: mpsc::Sender<AgentEvent>) -> Result<(), AgentRunError> {
        let PreparedAgent {
            options,
            mut claim,
            registry,
            identity,
            boot,
            seed,
            network,
            heard,
            metrics,
            control,
            ..
        } = self;
        let listener = claim.take_listener();
        let parts = Parts {
            options,
            registry,
            fingerprint: identity.fingerprint(),
            boot,
            seed,
            network,
            heard,
            metrics,
            listener,
            control,
            events: events.clone(),
        };
        let result = actix_rt::System::new().block_on(serve(parts));
        // The name is free before the end is announced, so that the next agent may follow at once.
        drop(claim);
        let _ = events.send(AgentEvent::Ended);
        result
    }
}
