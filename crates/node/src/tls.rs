//! How a server proves who it is, and encrypts.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates or a key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// Not in the form of RFC 7468.
    #[error("not in PEM form: {0}")]
    Form(#[from] pem::Error),
    /// They do not go together, or are of a kind that is not known.
    #[error(transparent)]
    Content(#[from] rustls::Error),
    /// Nothing to show.
    #[error("no certificate in it")]
    Empty,
}

/// The encryption of a server with these certificates, its own first, and its private key, all in PEM form.
///
/// # Errors
/// When they cannot be used.
pub fn encryption(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, BadIdentity> {
    let certificates = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(BadIdentity::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
