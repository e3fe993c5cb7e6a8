//! Keys in the TLS handshake: whoever shows one must have it (the provider checks the signature), and it must be
//! pinned. Certificates are only what keys come in: names, times and issuers in them say nothing.
//!
//! The pin is looked at after the signature, not before: so what is said about a wrong key ("its key is …") is said
//! about a key that its owner has, and never about a certificate that was copied.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow_ids::Fingerprint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

/// The only kind of key that an agent has.
const SCHEME: SignatureScheme = SignatureScheme::ED25519;

/// The fingerprint of a public key: of its `SubjectPublicKeyInfo`, DER.
pub(super) fn fingerprint_of_key(spki: &[u8]) -> Fingerprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, spki);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Fingerprint(bytes)
}

/// The fingerprint of the key in a certificate; `None` when it is no certificate.
pub(super) fn fingerprint_of(certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(fingerprint_of_key(&parsed.subject_public_key_info()))
}

/// What was seen of the other side's key in one handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A key that it has, and that is not pinned.
    Wrong(Fingerprint),
    /// A key that it does not have, or of another kind than ours.
    Unproven,
    /// Something that is no certificate.
    Unreadable,
}

/// Which keys are let through.
pub(super) type Pinned = dyn Fn(Fingerprint) -> bool + Send + Sync;

/// Verifies the key of the other side in one handshake, whichever side that is.
pub(super) struct KeyVerifier {
    provider: Arc<CryptoProvider>,
    pinned: Box<Pinned>,
    /// Why the key was not taken, for who asks after the handshake.
    refused: Mutex<Option<Shown>>,
}

impl fmt::Debug for KeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVerifier").finish_non_exhaustive()
    }
}

impl KeyVerifier {
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        pinned: impl Fn(Fingerprint) -> bool + Send + Sync + 'static,
    ) -> Arc<KeyVerifier> {
        Arc::new(KeyVerifier {
            provider,
            pinned: Box::new(pinned),
            refused: Mutex::default(),
        })
    }

    /// Why the key was not taken; `None` when it was, or none came.
    pub(super) fn refused(&self) -> Option<Shown> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse<T>(&self, shown: Shown, error: CertificateError) -> Result<T, Error> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Err(error.into())
    }

    fn read(&self, certificate: &CertificateDer<'_>) -> Result<Fingerprint, Error> {
        match fingerprint_of(certificate) {
            Some(fingerprint) => Ok(fingerprint),
            None => self.refuse(Shown::Unreadable, CertificateError::BadEncoding),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let fingerprint = self.read(certificate)?;
        if signature.scheme != SCHEME {
            return self.refuse(Shown::Unproven, CertificateError::BadSignature);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        let Ok(valid) = verify_tls13_signature(message, certificate, signature, algorithms) else {
            return self.refuse(Shown::Unproven, CertificateError::BadSignature);
        };
        if !(self.pinned)(fingerprint) {
            // The other side gets the alert `access_denied`: it learns that its key is not known.
            return self.refuse(
                Shown::Wrong(fingerprint),
                CertificateError::ApplicationVerificationFailure,
            );
        }
        Ok(valid)
    }
}

fn only_tls13() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The pin: see `verify`, without which no handshake of TLS 1.3 ends well. Sessions are never resumed.
        self.read(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // As above: the pin is looked at with the signature.
        self.read(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}
