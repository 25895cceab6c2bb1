//! The encrypted side of a server for tests, with an authority of its own that nobody trusts unasked.

use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An authority, and a server that it vouches for.
struct Identity {
    authority: String,
    server: Arc<ServerConfig>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| make().expect("certificates can be made"));

fn make() -> Result<Identity, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let server_key = KeyPair::generate()?;
    let params_of_server = CertificateParams::new(["localhost".to_owned()])?;
    let certificate = params_of_server.signed_by(&server_key, &Issuer::new(params, key))?;
    let server_key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the protocols of today")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], server_key.into())
        .expect("the key is the certificate's");
    Ok(Identity { authority, server: Arc::new(server) })
}

/// The authority's certificate in PEM form.
pub(crate) fn authority() -> &'static str {
    &IDENTITY.authority
}

/// The server's side of a connection. Whether the client trusts it shows at the first byte.
pub(crate) fn accept(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let connection = ServerConnection::new(Arc::clone(&IDENTITY.server)).expect("a sound configuration");
    StreamOwned::new(connection, stream)
}
