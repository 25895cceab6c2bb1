//! Whom encrypted connections trust: the authorities whose certificates prove a server to be who it is called.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_tls::{Error, TlsProvider, TlsStream, TlsTransport, WasiTlsCtx, WasiTlsCtxBuilder};

/// The certificate authorities that `wasi:http` and `wasi:tls` trust. By default those of Mozilla, as they were when
/// this was built.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Arc<OnceLock<Arc<ClientConfig>>>);

/// A list of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificates {
    /// Not in the form of RFC 7468.
    #[error("not certificates in PEM form: {0}")]
    Form(#[from] pem::Error),
    /// Not a certificate that can be trusted.
    #[error("not a certificate of an authority: {0}")]
    Content(#[from] rustls::Error),
    /// Nothing to trust.
    #[error("no certificate in it")]
    Empty,
}

impl Authorities {
    /// Those whose certificates are in `text`, one after the other in PEM form (RFC 7468), and no others.
    ///
    /// # Errors
    /// When one is not a certificate, or there is none.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadCertificates> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text) {
            roots.add(certificate?)?;
        }
        if roots.is_empty() {
            return Err(BadCertificates::Empty);
        }
        Ok(Self(Arc::new(OnceLock::from(client(roots)))))
    }

    /// What connects to servers and checks them. Made at the first use: reading all of Mozilla's takes a while.
    pub fn connector(&self) -> TlsConnector {
        let mozilla = || client(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() });
        TlsConnector::from(Arc::clone(self.0.get_or_init(mozilla)))
    }

    pub(crate) fn context(&self) -> WasiTlsCtx {
        WasiTlsCtxBuilder::new().provider(Box::new(self.clone())).build()
    }
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the protocols of today");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn TlsStream>, Error>> + Send>>;

impl TlsProvider for Authorities {
    fn connect(&self, server_name: String, transport: Box<dyn TlsTransport>) -> Connecting {
        let connector = self.connector();
        Box::pin(async move {
            let name = ServerName::try_from(server_name).map_err(Error::msg)?;
            let stream = connector.connect(name, transport).await?;
            Ok(Box::new(stream) as Box<dyn TlsStream>)
        })
    }
}
