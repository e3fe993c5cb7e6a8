//! Which key an agent has: for a person who is about to pin it. Nothing is said to the agent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::peers::DialFailure;
use dataflow_ids::Fingerprint;
use dataflow_wire::peer::PEER_SERVER_NAME;

use super::diagnose::why_no_answer;
use super::dial::handshake_failed;
use super::endpoint::{client_config, dialler, provider};
use super::settings::NetworkLimits;
use super::verify::{KeyVerifier, Shown};

/// Asks the agent at `address` for its key, and gives the key's fingerprint once it has proven to have it. Whether it
/// is the right one only a person can say, who compares it with what `dataflow peers id` prints there. Blocks for at
/// most `timeout`.
///
/// # Errors
///
/// [`DialFailure`] when nobody answers, or no agent is there.
pub fn fetch_fingerprint(
    address: SocketAddr,
    timeout: Duration,
) -> Result<Fingerprint, DialFailure> {
    let other = |error: io::Error| DialFailure::Other(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(other)?;
    let fetched = runtime.block_on(async {
        let both = async {
            tokio::select! {
                biased;
                fetched = fetch(address) => fetched,
                why = why_no_answer(address) => Err(why),
            }
        };
        match tokio::time::timeout(timeout, both).await {
            Ok(fetched) => fetched,
            Err(_) => Err(DialFailure::NoAnswer),
        }
    });
    // A socket that still sends its goodbye is not waited for.
    runtime.shutdown_background();
    fetched
}

async fn fetch(address: SocketAddr) -> Result<Fingerprint, DialFailure> {
    let other = |error: &dyn std::fmt::Display| DialFailure::Other(error.to_string());
    let provider = provider();
    // No key is taken: so the handshake ends as soon as the other side has proven its own, and no agent hears of a
    // caller without one.
    let verifier = KeyVerifier::new(Arc::clone(&provider), |_| false);
    let config = client_config(
        None,
        &NetworkLimits::default(),
        &provider,
        Arc::clone(&verifier),
    )
    .map_err(|error| other(&error))?;
    let endpoint = dialler(address).map_err(|error| other(&error))?;
    let connected = endpoint
        .connect_with(config, address, PEER_SERVER_NAME)
        .map_err(|error| other(&error))?
        .await;
    let error = match connected {
        // It cannot be: no key is taken.
        Ok(_) => return Err(DialFailure::Other("it shows no key".to_owned())),
        Err(error) => error,
    };
    match verifier.refused() {
        Some(Shown::Wrong(key)) => {
            // The alert is still to be sent.
            let _ = tokio::time::timeout(Duration::from_millis(50), endpoint.wait_idle()).await;
            Ok(key)
        }
        _ => Err(handshake_failed(&verifier, &error)),
    }
}
