//! Outgoing HTTP: which servers a program may send requests to.

use http::uri::Scheme;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_hooks};

use crate::denials::{Denial, Denials};
use crate::grants::Peer;

/// The HTTP grants of one program, and where what they refuse is remembered.
pub(crate) struct Outgoing {
    pub(crate) granted: Vec<Peer>,
    pub(crate) denials: Denials,
}

type Sending = Box<
    dyn Future<
            Output = Result<
                (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>),
                Error,
            >,
        > + Send,
>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let Some(authority) = request.uri().authority() else {
            return Box::new(async { Err(Error::HttpRequestUriInvalid) });
        };
        let default_port = if request.uri().scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(default_port);
        if !self.granted.iter().any(|peer| peer.covers(authority.host(), port)) {
            self.denials.record(Denial::Http(format!("{}:{port}", authority.host())));
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        default_hooks().send_request(request, options, sent)
    }
}
